"""Files of sales that contain the same lines."""

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.demand.checks.overlaps import overlap_alarm, overlapping_exports

DAYS = pd.date_range("2024-06-01", periods=30)


def lines(first: int, last: int, seed: int = 1, document: bool = True) -> pd.DataFrame:
    """Ten lines a day of two stores, as an export of these days writes them."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            c.DATE: np.repeat(DAYS, 10),
            c.STORE_ID: np.tile(["a", "b"], 150),
            c.SKU: rng.choice(["x", "y", "z"], 300),
            c.UNITS: rng.integers(1, 4, 300),
            "document": np.arange(300) if document else 0,
        }
    )
    return rows[rows[c.DATE].between(DAYS[first], DAYS[last])]


def find(*files: pd.DataFrame):
    frame = pd.concat(files, ignore_index=True)
    file = np.repeat(np.arange(len(files)), [len(part) for part in files])
    store = pd.factorize(frame[c.STORE_ID])[0]
    text = frame.astype({c.DATE: str})
    days = frame[c.DATE].to_numpy(dtype="datetime64[ns]")
    found = overlapping_exports(lambda rows: text.iloc[rows], file, days, store, np.zeros(len(frame), dtype=bool))
    left = np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *(overlap.rows for overlap in found)])
    return frame[~left].assign(file=file[~left]), found


def test_rolling_exports_count_every_line_once() -> None:
    kept, found = find(lines(0, 13), lines(7, 20), lines(14, 29))
    assert len(kept) == 300
    assert kept.groupby(c.DATE)["file"].nunique().max() == 1
    assert [(overlap.older, overlap.newer, str(overlap.first), str(overlap.last)) for overlap in found] == [
        (0, 1, "2024-06-08", "2024-06-14"),
        (1, 2, "2024-06-15", "2024-06-21"),
    ]
    (alarm,) = overlap_alarm("sales", found, ["w1.csv", "w2.csv", "w3.csv"])
    assert alarm.name == "overlapping_files"
    assert "w1.csv and w2.csv (2024-06-08 to 2024-06-14, 100% of the lines)" in alarm.message


def test_the_newer_file_corrects_the_older_one_on_the_stores_and_days_that_it_contains() -> None:
    newer = lines(7, 29)
    newer = newer[~((newer[c.STORE_ID] == "b") & (newer[c.DATE] == DAYS[8]))]
    newer.iloc[:5, newer.columns.get_loc(c.UNITS)] = 9
    kept, _ = find(lines(0, 13), newer)
    assert (kept.loc[kept[c.DATE] == DAYS[7], "file"] == 1).all()
    assert (kept[c.UNITS] == 9).sum() == 5
    assert kept.loc[(kept[c.DATE] == DAYS[8]) & (kept[c.STORE_ID] == "b"), "file"].eq(0).all()
    assert len(kept) == 300


@pytest.mark.parametrize("second", [lines(0, 29, seed=2, document=False), lines(0, 29).assign(store_id="c")])
def test_files_by_till_or_by_store_are_no_exports_of_the_same_lines(second: pd.DataFrame) -> None:
    first = lines(0, 29, document=False)
    kept, found = find(first, second)
    assert len(kept) == len(first) + len(second)
    assert not any(overlap.rows.any() for overlap in found)


def test_files_of_different_days_and_lines_repeated_in_one_file() -> None:
    twice = pd.concat([lines(0, 13), lines(0, 13)])
    kept, found = find(twice, lines(14, 29))
    assert (len(kept), found) == (140 * 2 + 160, [])


def test_files_that_are_half_the_same_raise_a_question() -> None:
    other = lines(7, 20)
    other.iloc[::2, other.columns.get_loc("document")] += 1000
    kept, found = find(lines(0, 13), other)
    assert len(kept) == 280
    (alarm,) = overlap_alarm("sales", found, ["a.csv", "b.csv"])
    assert (alarm.name, alarm.count) == ("similar_files", 1)
