"""Checks before a publication: errors for every violation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import PublicationError
from schemas.outputs import RunOutputs
from tasks.publication.checks import check_folder, check_outputs
from tasks.publication.transaction import compose
from tests.publication import fake_run


@pytest.fixture(scope="module")
def good() -> RunOutputs:
    return fake_run.outputs()


def with_cell(frame: pd.DataFrame, row: int, column: str, value: Any) -> pd.DataFrame:
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.iloc[row, changed.columns.get_loc(column)] = value
    return changed.infer_objects()


def message(outputs: RunOutputs) -> str:
    with pytest.raises(PublicationError) as caught:
        check_outputs(outputs, fake_run.settings())
    assert "the previous run is kept" in str(caught.value)
    return str(caught.value)


def test_valid_outputs_pass(good: RunOutputs) -> None:
    check_outputs(good, fake_run.settings())


def test_empty_network_passes(good: RunOutputs) -> None:
    frames = {
        name: getattr(good, name).iloc[:0] for name in ("replenishment", "forecast", "backtest", "champions", "visits")
    }
    check_outputs(replace(good, **frames), fake_run.settings())


def test_error_names_missing_columns_of_all_files(good: RunOutputs) -> None:
    text = message(
        replace(good, visits=good.visits.drop(columns=c.DATE), costs=good.costs.drop(columns=[c.GAP, c.TOTAL]))
    )
    assert "visits.csv: missing columns date" in text
    assert "costs.csv: missing columns gap, total" in text


@pytest.mark.parametrize("value", [1.5, -2, float("nan")])
def test_targets_must_be_non_negative_integers(good: RunOutputs, value: float) -> None:
    text = message(replace(good, replenishment=with_cell(good.replenishment, 1, c.TARGET_QUANTITY, value)))
    assert "replenishment.csv, target_quantity: 1 rows are not integers of at least 0: 101 / 000-37 / " in text


def test_error_names_a_repeated_pair(good: RunOutputs) -> None:
    twice = pd.concat([good.replenishment, good.replenishment.head(1)])
    text = message(replace(good, replenishment=twice))
    assert "replenishment.csv: 1 rows repeat the key store_id / sku: 101 / 000-36" in text


def test_error_names_an_empty_key(good: RunOutputs) -> None:
    assert "champions.parquet, category: 1 of 6 rows are empty" in message(
        replace(good, champions=with_cell(good.champions, 0, c.CATEGORY, None))
    )


def test_forecasts_must_be_valid(good: RunOutputs) -> None:
    crossed = with_cell(good.forecast, 3, "q0.1", 1e9)
    assert "forecast.parquet: quantiles cross in 1 rows" in message(replace(good, forecast=crossed))
    negative = with_cell(good.backtest, 3, c.MEAN, -0.5)
    assert "backtest.parquet, mean: 1 rows are not numbers of at least 0" in message(replace(good, backtest=negative))
    short = good.forecast.iloc[1:]
    assert "1 forecasts (series and model) do not have 14 rows, the horizon" in message(replace(good, forecast=short))


def test_every_series_must_have_one_champion(good: RunOutputs) -> None:
    none = good.forecast.assign(**{c.CHAMPION: False})
    assert "6 of 6 series do not have exactly one champion" in message(replace(good, forecast=none))
    two = good.forecast.assign(
        **{
            c.CHAMPION: good.forecast[c.CHAMPION]
            | ((good.forecast[c.STORE_ID] == "101") & (good.forecast[c.MODEL] > "p"))
        }
    )
    assert "2 of 6 series" in message(replace(good, forecast=two))
    assert "champions.parquet: 5 rows for 6" in message(replace(good, champions=good.champions.iloc[1:]))


def test_exactly_one_policy_must_be_chosen(good: RunOutputs) -> None:
    text = message(replace(good, costs=good.costs.assign(**{c.CHOSEN: True})))
    assert "3 policies are chosen; expected exactly one" in text


def test_targets_must_add_up_to_the_category_totals(good: RunOutputs) -> None:
    targets = good.replenishment.assign(**{c.CATEGORY: "all"})
    totals = targets.groupby([c.STORE_ID, c.CATEGORY], as_index=False)[c.TARGET_QUANTITY].sum()
    check_outputs(replace(good, replenishment=targets, category_totals=totals), fake_run.settings())
    totals.loc[1, c.TARGET_QUANTITY] += 1
    text = message(replace(good, replenishment=targets, category_totals=totals))
    assert "in 1 (store, category) pairs" in text
    assert "102 / all" in text
    assert "no category column" in message(replace(good, category_totals=totals))


def test_folder_with_missing_files_raises_an_error(good: RunOutputs, tmp_path: Path) -> None:
    (tmp_path / "replenishment.csv").write_text("")
    with pytest.raises(PublicationError, match=r"empty files: backtest.parquet, champions.parquet, .*\(15 in all\)"):
        check_folder(tmp_path, good.replenishment, fake_run.settings())


def test_damaged_transfers_are_found_before_the_publication(tmp_path: Path) -> None:
    good, run = fake_run.outputs(), fake_run.context()
    compose(tmp_path, run, replace(good, history=None, stock_by_day=None), fake_run.facts(), None)
    check_folder(tmp_path, good.replenishment, run.settings)
    file = tmp_path / "transfers.csv"
    file.write_text("\n".join(file.read_text("utf-8").splitlines()[:-1]) + "\n", "utf-8")
    with pytest.raises(PublicationError, match=r"^transfers.csv: reading the file back returns \d+ units"):
        check_folder(tmp_path, good.replenishment, run.settings)


@pytest.mark.parametrize("quantity", [0, 1.5, float("nan")])
def test_transfers_are_whole_units_above_zero(quantity: float) -> None:
    good = fake_run.outputs()
    assert good.transfers is not None
    bad = good.transfers.astype({c.QUANTITY: float})
    bad.loc[0, c.QUANTITY] = quantity
    with pytest.raises(PublicationError, match=r"transfers.csv, quantity: 1 rows are not integers above 0: 101 / "):
        check_outputs(replace(good, transfers=bad), fake_run.settings())
