from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.demand.features.history import History
from tasks.demand.features.known import KnownColumns, static_columns
from tasks.demand.features.levels import expectations
from tasks.demand.features.rows import Features, reordered
from tasks.demand.features.training_rows import Rows, horizon_rows, sample_rows, target_values, window_rows
from tests.forecasting.panels import awkward_panel, changed_after, panel_of


def no_effects(panel):
    return np.ones((panel.n, panel.history + panel.horizon))


def table_of(panel, rows):
    return Features(panel, no_effects(panel)).table(rows)


@pytest.mark.parametrize("frequency", ["D", "W-MON", "MS"])
def test_features_at_an_origin_do_not_change_with_what_comes_later(frequency):
    panel = awkward_panel(frequency)
    origin = panel.history - panel.horizon
    rows = Rows(np.arange(panel.n), np.full(panel.n, origin), np.ones(panel.n, dtype=np.int64))
    told, untold = table_of(changed_after(panel, origin), rows), table_of(panel, rows)
    assert told.names == untold.names
    assert np.array_equal(told.matrix, untold.matrix, equal_nan=True)
    assert np.array_equal(told.expected.level, untold.expected.level)
    for weight, curve in untold.expected.curves.items():
        assert np.array_equal(told.expected.curves[weight], curve)


@pytest.mark.parametrize("cells", [1, 500, 1 << 20])
@pytest.mark.parametrize("frequency", ["D", "MS"])
def test_features_do_not_depend_on_the_blocks_of_series_and_periods(frequency, cells, monkeypatch):
    panel = awkward_panel(frequency)
    effects = np.random.default_rng(1).uniform(0.5, 2, (panel.n, len(panel.periods)))
    rows = sample_rows(panel, panel.history, 1, 400, seed=1)
    rows = rows.take(np.random.default_rng(2).permutation(len(rows)))
    whole = Features(panel, effects).table(rows)
    monkeypatch.setattr("tasks.demand.features.history.BLOCK_CELLS", cells)
    found = Features(panel, effects, cells=cells).table(rows)
    assert found.names == whole.names
    assert found.matrix.tobytes() == whole.matrix.tobytes()
    assert found.expected.level.tobytes() == whole.expected.level.tobytes()
    assert found.expected.seasonal.tobytes() == whole.expected.seasonal.tobytes()
    for weight, curve in whole.expected.curves.items():
        assert found.expected.curves[weight].tobytes() == curve.tobytes()


@pytest.mark.parametrize("frequency", ["D", "W-MON", "MS"])
def test_every_series_has_a_positive_finite_expectation(frequency):
    panel = awkward_panel(frequency)
    found = table_of(panel, horizon_rows(panel)).expected
    for values in (found.level, *found.curves.values()):
        assert np.isfinite(values).all()
        assert (values > 0).all()


def test_features_leave_the_panel_as_it_was():
    panel = awkward_panel("D")
    before = panel.demand.copy()
    table_of(panel, horizon_rows(panel))
    assert np.array_equal(panel.demand, before, equal_nan=True)


def test_the_level_of_a_constant_series_is_its_value():
    panel = panel_of(np.full((1, 60), 7.0))
    found = History(panel, no_effects(panel)).level(np.array([0]), np.array([60]))
    assert found[0] == pytest.approx(7.0)


def test_a_series_that_no_longer_sells_keeps_a_level_above_zero():
    demand = np.vstack([np.full(1_100, 10.0), np.zeros(1_100)])
    demand[1, 0] = 1.0
    panel = panel_of(demand)
    found = History(panel, no_effects(panel)).level(np.array([1]), np.array([1_100]))
    assert found[0] == pytest.approx(5.0 / 1_000)


def test_a_season_is_read_from_the_last_four_years():
    months = np.arange(72)
    panel = panel_of(10.0 + 5.0 * ((months % 12 == 11) & (months < 24)), "MS", horizon=12, start="2018-01-01")
    curve = expectations(History(panel, no_effects(panel)), horizon_rows(panel)).curves[4.0]
    assert curve[11] == pytest.approx(curve[5])


def test_a_yearly_season_returns_a_year_later():
    months = 10.0 + 5.0 * (np.arange(48) % 12 == 11)
    panel = panel_of(months, "MS", horizon=12, start="2020-01-01")
    found = expectations(History(panel, no_effects(panel)), horizon_rows(panel))
    curve = found.curves[4.0]
    assert found.seasonal.all()
    assert curve[11] / curve[5] == pytest.approx(1.5, rel=0.01)


def test_the_position_in_the_year_is_a_feature_once_a_year_is_known():
    weekly = {periods: panel_of(np.ones((1, periods)), "W-MON") for periods in (59, 60)}
    found = {periods: table_of(panel, horizon_rows(panel)).names for periods, panel in weekly.items()}
    assert "known:position_in_year" not in found[59]
    assert "known:position_in_year" in found[60]


def test_the_week_of_christmas_eve_has_the_same_position_every_year():
    panel = panel_of(np.ones((1, 160)), "W-MON", start="2021-01-04")
    periods = np.arange(160)
    found = KnownColumns(panel).at(np.zeros(160, dtype=np.int64), periods)["position_in_year"]
    eves = panel.periods.get_indexer(np.array(["2021-12-20", "2022-12-19", "2023-12-18"], dtype="datetime64[ns]"))
    assert panel.periods[eves].dayofyear.tolist() == [354, 353, 352]
    assert found[eves].tolist() == [51.0, 51.0, 51.0]
    assert set(np.diff(found)) == {1.0, -51.0}


def test_effects_are_taken_out_of_the_history():
    promo = np.tile([0.0, 1.0], 35)
    panel = panel_of((10.0 + 10.0 * promo)[:63], horizon=7)
    history = History(panel, (1.0 + promo)[None])
    assert np.allclose(history.demand, 10.0)


def test_known_columns_show_a_flag_and_its_distances():
    promo = np.zeros(70)
    promo[[10, 20, 66]] = 1.0
    panel = panel_of(np.ones(63), known={"promo": promo})
    columns = KnownColumns(panel).at(np.array([0, 0]), np.array([66, 64]))
    assert columns["promo"].tolist() == [1.0, 0.0]
    assert columns["promo:next"].tolist() == [15.0, 2.0]
    assert columns["promo:run"].tolist() == [1.0, -2.0]
    assert columns["promo:share_before"].tolist() == [0.0, 0.0]
    assert columns["promo:share_after"].tolist() == [0.0, pytest.approx(1 / 5)]


def test_a_rare_flag_has_no_shares_and_an_id_of_few_series_is_no_feature():
    flags = np.zeros((2, 51))
    flags[0, 10] = flags[1, [10, 30]] = 1.0
    panel = panel_of(np.ones((10, 50)), horizon=1, known={"rare": flags[0], "frequent": flags[1]})
    assert KnownColumns(panel).frequent_flags == ["frequent"]
    for distinct, is_feature in ((3, True), (4, False)):
        category = [f"c{min(number, distinct - 1)}" for number in range(10)]
        columns = static_columns(replace(panel, series=panel.series.assign(category=category)))
        assert ("static:category" in columns) == is_feature


def test_known_columns_show_closures_around_a_period():
    closed = np.zeros((1, 70), dtype=bool)
    closed[0, 20:23] = True
    panel = panel_of(np.where(closed[:, :63], 0.0, 1.0), closed=closed)
    columns = KnownColumns(panel).at(np.array([0, 0]), np.array([19, 23]))
    assert columns["closed:next"][0] == 1.0
    assert columns["closed:length_after"][0] == 3.0
    assert columns["closed:last"][1] == 1.0
    assert columns["closed:length_before"][1] == 3.0


def test_columns_are_matched_by_name():
    matrix = np.array([[1.0, 2.0]], dtype=np.float32)
    found = reordered(matrix, ("a", "b"), ("b", "new"))
    assert found[0, 0] == 2.0
    assert np.isnan(found[0, 1])


def test_sampled_rows_are_learnable_bounded_and_the_same_again():
    panel = awkward_panel("D")
    rows = sample_rows(panel, panel.history, 20, 300, seed=5)
    again = sample_rows(panel, panel.history, 20, 300, seed=5)
    assert 0 < len(rows) <= 300
    assert np.array_equal(rows.target, again.target)
    assert (rows.target < panel.history).all()
    assert (rows.step >= 1).all()
    assert (rows.step <= panel.horizon).all()
    assert np.isfinite(target_values(panel, rows)).all()
    assert not panel.closed[rows.series, rows.target].any()


def test_a_window_holds_every_known_open_target_once():
    panel = awkward_panel("D")
    origin = panel.history - panel.horizon
    rows = window_rows(panel, origin)
    usable = ~np.isnan(panel.demand[:, origin:]) & ~panel.closed[:, origin : panel.history]
    assert len(rows) == usable.sum()


def test_a_covariate_is_read_at_the_origin_only():
    panel = panel_of(np.ones(63), price=np.arange(63.0))
    rows = Rows(np.array([0]), np.array([50]), np.array([7]))
    table = table_of(panel, rows)
    assert table.matrix[0, table.names.index("observed:unit_price")] == 49.0
    later = replace(panel, observed={name: np.where(np.arange(63) < 50, v, -1) for name, v in panel.observed.items()})
    assert np.array_equal(table_of(later, rows).matrix, table.matrix, equal_nan=True)
