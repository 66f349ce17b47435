"""The data channel: what its lines contain, where it lies, and its name."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import ConfigError, StorageError
from schemas.settings import DeepArConfiguration, DeepArSettings
from tasks.deepar.dataset import packed, read_answers, write_channel
from tasks.deepar.encoding import Encoding
from tasks.storage.lake import open_lake
from tests.deepar.flat_backend import lines_of
from tests.forecasting.panels import changed_after, panel_of

CLEANED = DeepArConfiguration(data="cleaned", likelihood="student-T")
COUNTS = DeepArConfiguration(data="cleaned", likelihood="negative-binomial")
ORIGINAL = DeepArConfiguration(data="original", likelihood="student-T")
NAN = np.nan


@pytest.fixture
def lake(tmp_path):
    return open_lake(str(tmp_path / "lake"))


@pytest.fixture
def panel():
    """Three months of three SKUs; the second begins in the third period, the third has nothing known."""
    demand = [[1, 2.4, NAN, 4, 5, 6], [NAN, NAN, 3, 0, NAN, 1], [NAN] * 6]
    promotion = np.array([0, 1, 0, 1, 0, 1, 0, 1.0])
    made = panel_of(demand, "MS", horizon=2, known={"promo": promotion, "flat": np.ones(8)}, start="2024-01-01")
    series = pd.DataFrame(
        {c.STORE_ID: ["5503"] * 3, c.CATEGORY: ["a", "b", "c"], c.BRAND: ["x", "y", "x"], "grade": [1.0, 1.0, 2.5]}
    )
    sold = np.array([[1, 2.4, 9, 4, 5, 6], [NAN, NAN, 3, 0, 0, 1], [NAN] * 6])
    return replace(made, series=series, sold=sold)


def channel(lake, panel, configuration, tested=None, settings=None):
    settings = settings or DeepArSettings()
    served = np.flatnonzero(np.isfinite(panel.demand).any(axis=1))
    encoding = Encoding.of(panel, served, settings)
    return write_channel(lake, panel, tested, settings, configuration, encoding, seed=7)


def test_lines_by_hand(lake, panel):
    made = channel(lake, panel, CLEANED)
    lines = lines_of(lake, made.inference)
    assert [line["start"] for line in lines] == ["2024-01-01 00:00:00", "2024-03-01 00:00:00"]
    assert lines[0]["target"] == [1, 2.4, None, 4, 5, 6]
    assert lines[1]["target"] == [3, 0, None, 1]
    # One store and one kind of grade have no information; category and brand are coded by what the served series have.
    assert [line["cat"] for line in lines] == [[0, 0], [1, 1]]
    assert made.cardinality == (2, 2)
    # The promotion is standardized over the history (mean 0.5, deviation 0.5) and reaches over the horizon.
    assert lines[0]["dynamic_feat"] == [[-1, 1, -1, 1, -1, 1, -1, 1]]
    assert lines[1]["dynamic_feat"] == [[-1, 1, -1, 1, -1, 1]]
    assert (made.time_freq, made.prediction_length, made.series, made.observations) == ("M", 2, 2, 8)
    assert lake.read_bytes(made.key_file.key).decode() == "store_id,category\n5503,a\n5503,b\n"


def test_training_lines_end_with_the_history(lake, panel):
    train = lines_of(lake, channel(lake, panel, CLEANED).train)
    assert sorted(len(line["target"]) for line in train) == [4, 6]
    assert all(len(line["dynamic_feat"][0]) == len(line["target"]) for line in train)


def test_original_data_are_units_as_sold(lake, panel):
    lines = lines_of(lake, channel(lake, panel, ORIGINAL).inference)
    assert lines[0]["target"] == [1, 2.4, 9, 4, 5, 6]
    assert lines[1]["target"] == [3, 0, 0, 1]


def test_counting_likelihoods_get_whole_units(lake, panel):
    assert lines_of(lake, channel(lake, panel, COUNTS).inference)[0]["target"] == [1, 2, None, 4, 5, 6]


def test_layout(lake, panel):
    made = channel(lake, panel.until(4), CLEANED, tested=panel)
    assert made.prefix.startswith("deepar/forecasting-monthly-3-v")
    folder = f"{made.prefix}/data/cleaned-student-t"
    assert made.train.key == f"{folder}/train/train.json.gz"
    assert made.test.key == f"{folder}/test/test.json.gz"
    assert lake.keys(f"{folder}/train") == [made.train.key]
    assert len(lines_of(lake, made.test)[0]["target"]) == len(lines_of(lake, made.inference)[0]["target"]) + 2


def test_the_same_data_have_the_same_files(lake, panel):
    assert channel(lake, panel, CLEANED) == channel(lake, panel, CLEANED)
    other = replace(panel, demand=panel.demand + 1)
    assert channel(lake, other, CLEANED).prefix != channel(lake, panel, CLEANED).prefix


def test_what_lies_behind_the_cutoff_changes_nothing(lake, panel):
    changed = replace(changed_after(panel, 4), sold=np.where(np.arange(6) >= 4, 7777.0, panel.sold))
    for configuration in (CLEANED, ORIGINAL):
        assert channel(lake, changed.until(4), configuration) == channel(lake, panel.until(4), configuration)


def test_a_feature_known_ahead_reaches_the_request(lake, panel):
    promotion = panel.known["promo"]
    later = promotion.values.copy()
    later[:, 6:] = 1
    turned = replace(panel, known={**panel.known, "promo": replace(promotion, values=later)})
    before, after = (lines_of(lake, channel(lake, p, CLEANED).inference)[0]["dynamic_feat"][0] for p in (panel, turned))
    assert before[:6] == after[:6]
    assert (before[6:], after[6:]) == ([-1, 1], [1, 1])


def test_the_encoding_tells_how_to_build_a_request(lake, panel):
    told = json.loads(lake.read_bytes(channel(lake, panel, CLEANED).encoding.key))
    assert (told["time_freq"], told["prediction_length"]) == ("M", 2)
    assert told["cat"] == [
        {"column": c.CATEGORY, "values": ["a", "b"]},
        {"column": c.BRAND, "values": ["x", "y"]},
    ]
    assert told["dynamic_feat"] == [{"feature": "promo", "mean": 0.5, "spread": 0.5, "low": 0, "high": 1}]


def test_few_values_out_of_range_are_cut_and_many_leave_the_feature_out():
    price = np.tile(10.0 + np.arange(14) % 4, (50, 1))
    price[7, 12] = 1.0
    panel = panel_of(np.ones((50, 10)), horizon=4, known={"price": price})
    found = Encoding.of(panel, np.arange(50), DeepArSettings())
    assert found.dynamic["price"].low == 10
    assert found.features(panel, 7, 0, 14)[0, 12] == found.features(panel, 7, 0, 14)[0, 8]  # cut to 10, as in period 8
    price[:20, 12] = 1.0
    panel = panel_of(np.ones((50, 10)), horizon=4, known={"price": price})
    assert Encoding.of(panel, np.arange(50), DeepArSettings()).dynamic == {}


def test_named_categories_and_features(lake, panel):
    settings = DeepArSettings(categorical=[c.STORE_ID, "grade"], dynamic=[])
    lines = lines_of(lake, channel(lake, panel, CLEANED, settings=settings).inference)
    assert [line["cat"] for line in lines] == [[0, 0], [0, 0]]
    assert "dynamic_feat" not in lines[0]


@pytest.mark.parametrize(("key", "names"), [("categorical", "segment"), ("dynamic", "weather")])
def test_unknown_names_are_refused(lake, panel, key, names):
    with pytest.raises(ConfigError, match=rf"models\.deepar\.{key}: {names} does not exist\. Expected some of"):
        channel(lake, panel, CLEANED, settings=DeepArSettings(**{key: [names]}))


def test_numbers_are_categories_where_series_share_them():
    panel = panel_of(np.ones((4, 5)))
    series = panel.series.assign(**{c.CATEGORY: list("abcd"), "group": [1.0, 1, 2, 2], c.PRICE: [1.5, 1.5, 2, 2]})
    found = Encoding.of(replace(panel, series=series), np.arange(4), DeepArSettings())
    assert set(found.categories) == {c.STORE_ID, c.CATEGORY, "group"}
    stranger = series.assign(**{c.CATEGORY: ["a", "b", "c", "new"]})
    assert found.known(stranger).tolist() == [True, True, True, False]


ANSWER = b'{"mean": [1, 2], "quantiles": {"0.1": [0, 1], "0.5": [1, 2]}}'


def test_answers_are_read_in_order():
    mean, quantiles = read_answers(packed([ANSWER, ANSWER.replace(b"[1, 2]", b"[5, 6]", 1)]), "there", 2, 2, [0.1, 0.5])
    assert mean.tolist() == [[1, 2], [5, 6]]
    assert quantiles[0].tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([ANSWER], "there has 1 answers; expected one for each of the 2 requested series"),
        ([ANSWER, b'{"mean": [1]}'], r"there, line 2: no forecast of 2 periods"),
        ([ANSWER, b"oops"], r"there, line 2: no forecast of 2 periods"),
    ],
)
def test_damaged_answers_are_refused(lines, message):
    with pytest.raises(StorageError, match=message):
        read_answers(packed(lines), "there", 2, 2, [0.1, 0.5])


def test_features_that_leave_their_known_range_are_left_out_unless_named():
    ahead = {
        "trend": np.arange(14.0),
        "month": np.array([1.0] * 4 + [2.0] * 6 + [3.0] * 4),
        "week": np.arange(14.0) % 7,
    }
    panel = panel_of(np.ones((2, 10)), horizon=4, known=ahead)
    assert list(Encoding.of(panel, np.arange(2), DeepArSettings()).dynamic) == ["week"]
    named = Encoding.of(panel, np.arange(2), DeepArSettings(dynamic=["month"]))
    assert list(named.dynamic) == ["month"]
