from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.panel import Panel
from tasks.demand.features.lags import LagFeatures, Standards
from tasks.demand.features.training_rows import Rows, horizon_rows, sample_rows
from tests.forecasting.panels import awkward_panel, panel_of


def columns_of(panel: Panel, rows: Rows) -> dict[str, np.ndarray]:
    matrix, names = LagFeatures(panel).table(rows)
    return dict(zip(names, matrix.T, strict=True))


def row(series: int, origin: int, step: int) -> Rows:
    return Rows(np.array([series]), np.array([origin]), np.array([step]))


def test_columns_of_a_daily_row_by_hand():
    # 0, 1, ..., 29: mean 14.5, variance (30^2 - 1) / 12; from origin 20 the third step is period 22.
    panel = panel_of(np.arange(30.0))
    deviation = np.sqrt(899 / 12)
    found = columns_of(panel, row(0, 20, 3))
    assert found["mean"][0] == pytest.approx(14.5)
    assert found["deviation"][0] == pytest.approx(deviation)
    units = {name: values[0] * deviation + 14.5 for name, values in found.items()}
    assert [units["lag_1"], units["lag_7"], units["lag_14"]] == pytest.approx([19.0, 13.0, 6.0], abs=1e-4)
    # The last weekday of the target that is known at the origin is a week before it: periods 15, 8, 1.
    assert [units[f"same_weekday_{back}"] for back in (1, 2, 3)] == pytest.approx([15.0, 8.0, 1.0], abs=1e-4)
    assert units["mean_7"] == pytest.approx(np.mean(np.arange(13, 20)), abs=1e-4)
    assert np.isnan([found["same_weekday_4"][0], found["lag_21"][0]]).all()


def test_the_week_a_year_ago_is_counted_from_the_target():
    panel = panel_of(np.arange(80.0) + 5.0 * (np.arange(80) == 29), frequency="W-MON", horizon=3)
    found = columns_of(panel, row(0, 80, 2))
    back = {name: found[name][0] * found["deviation"][0] + found["mean"][0] for name in found}
    assert [back[f"year_ago_{shift}"] for shift in ("-1", "+0", "+1")] == pytest.approx([28.0, 34.0, 30.0], abs=1e-4)
    assert back["year_ago_season"] == pytest.approx((28 + 34 + 30) / 3, abs=1e-4)
    assert back["year_ago_level_4"] == pytest.approx(np.mean([24, 25, 26, 27]), abs=1e-4)
    assert back["step_4"] == pytest.approx(np.mean([76, 77, 78, 79]) + 34 - 25.5, abs=1e-4)
    assert back["season_step_4"] == pytest.approx(77.5 + 92 / 3 - 25.5, abs=1e-4)


@pytest.mark.parametrize("frequency", ["D", "W-MON", "MS"])
def test_a_row_reads_nothing_of_its_series_behind_its_origin(frequency):
    panel = awkward_panel(frequency)
    origin = panel.history - 9
    rows = Rows(
        np.repeat(np.arange(panel.n), panel.horizon),
        np.full(panel.n * panel.horizon, origin),
        np.tile(np.arange(panel.horizon) + 1, panel.n),
    )
    standards = LagFeatures(panel).standards
    changed = panel.demand.copy()
    changed[:, origin:] = 77.0

    def past(told: Panel) -> np.ndarray:
        features = LagFeatures(told)
        matrix, names = features.table(rows)
        own = [
            at
            for at, name in enumerate(names)
            if name.startswith(("lag_", "year_", "same_", "mean_", "step_", "season_"))
        ]
        units = features.standards.units(matrix[:, own].astype(np.float64), rows.series)
        return np.round(units / (1.0 + standards.mean[rows.series, None]), 3)

    np.testing.assert_allclose(past(panel), past(replace(panel, demand=changed)), atol=2e-3)


def test_closed_and_unknown_periods_are_unknown():
    closed = np.zeros((1, 27), dtype=bool)
    closed[0, 18] = True
    demand = np.arange(20.0)
    demand[17] = np.nan
    found = columns_of(panel_of(demand, closed=closed), row(0, 20, 1))
    assert np.isnan([found["lag_2"][0], found["lag_3"][0]]).all()
    assert np.isfinite([found["lag_1"][0], found["lag_4"][0]]).all()


@pytest.mark.parametrize("frequency", ["D", "MS"])
def test_columns_do_not_depend_on_the_blocks_of_series(frequency):
    panel = awkward_panel(frequency)
    rows = sample_rows(panel, panel.history, 1, 400, seed=1)
    rows = rows.take(np.random.default_rng(2).permutation(len(rows)))
    whole, found = LagFeatures(panel), LagFeatures(panel, cells=2 * panel.history)
    (matrix, names), (in_blocks, same) = whole.table(rows), found.table(rows)
    assert len(found.blocks(rows)) > len(whole.blocks(rows)) == 1
    assert (names, matrix.tobytes()) == (same, in_blocks.tobytes())
    assert whole.standards.deviation.tobytes() == found.standards.deviation.tobytes()


def test_standards_of_a_constant_an_empty_and_a_zero_series():
    found = Standards.of(np.array([[4.0, 4.0], [np.nan, np.nan], [0.0, 0.0]]))
    assert found.mean.tolist() == [4.0, 0.0, 0.0]
    assert found.deviation[0] == pytest.approx(0.2)
    assert (found.deviation > 0).all()
    assert found.units(found.scores(np.array([7.0]), np.array([0])), np.array([0])) == pytest.approx([7.0])


def test_the_horizon_has_every_column_of_the_history():
    panel = awkward_panel("D")
    ahead = columns_of(panel, horizon_rows(panel))
    assert set(ahead) == set(columns_of(panel, row(0, 40, 1)))
    assert "promo" in ahead


def test_a_continued_series_has_the_columns_of_a_longer_history():
    # A year and more, so that the columns of the year before are there, and more than a row reads.
    whole = panel_of(np.random.default_rng(5).poisson(3.0, (3, 460)).astype(float), horizon=10)
    known = whole.until(450)
    features, later = LagFeatures(known), LagFeatures(whole)
    names = features.table(horizon_rows(known))[1]
    own = [name for name in names if name.startswith(("lag_", "year_", "same_", "mean_", "step_", "season_"))]
    series = np.array([0, 2])
    continued = features.continued(series, np.full(2, 450), 2, 10)
    # From an earlier origin of the longer history, no later period is read.
    earlier = LagFeatures(whole).continued(series, np.array([450, 449]), 1, 1).matrix(own)
    wanted = LagFeatures(whole).matrix(Rows(series, np.array([450, 449]), np.ones(2, dtype=np.int64)), own)
    np.testing.assert_allclose(earlier, wanted, atol=1e-4)
    for period in range(450, 460):
        rows = Rows(series, np.full(2, period), np.ones(2, dtype=np.int64))
        assumed, true = np.split(continued.matrix(own).astype(np.float64), 2)
        expected = later.standards.units(later.matrix(rows, own).astype(np.float64), series)
        np.testing.assert_allclose(features.standards.units(true, series), expected, atol=1e-4)
        assert (assumed[:, own.index("lag_1")] == 9.0).all() == (period > 450)
        scores = features.standards.scores(whole.demand[series, period], series)
        continued.append(np.concatenate([np.full(2, 9.0), scores]))
