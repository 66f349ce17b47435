import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import TrainingError
from schemas.panel import Fold
from tasks.evaluation.metrics.definitions import METRICS
from tasks.evaluation.metrics.stats import history_length, outer_pair, season_differences
from tasks.evaluation.metrics.table import LEVELS, OVERALL, SERIES, STORE, metrics_table, seasonal_scales

NO_SCALES = pd.DataFrame(columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.ABSOLUTE_SCALE, c.SQUARED_SCALE])


def table_of(rows, quantile_values):
    """One fold of one series: rows of (actual, mean), and the quantile columns by level."""
    frame = pd.DataFrame(rows, columns=[c.ACTUAL, c.MEAN])
    frame[c.CUTOFF] = pd.Timestamp("2024-01-01")
    frame[c.DATE] = pd.date_range("2024-01-01", periods=len(frame))
    frame[c.STORE_ID], frame[c.CATEGORY], frame[c.MODEL] = "a", "x", "m"
    for level, values in quantile_values.items():
        frame[c.quantile_column(level)] = values
    return frame


def only(table, level=OVERALL):
    return table[table[c.LEVEL] == level].iloc[0]


@pytest.fixture
def by_hand():
    """Four periods, one of them unknown: errors of the median 1, -2, 0, of the mean 2, -2, 1."""
    return table_of(
        [(4.0, 6.0), (10.0, 8.0), (np.nan, 99.0), (6.0, 7.0)],
        {0.1: [2.0, 9.0, 0.0, 6.0], 0.5: [5.0, 8.0, 99.0, 6.0], 0.9: [6.0, 9.5, 99.0, 9.0]},
    )


def test_every_metric_against_a_hand_calculation(by_hand):
    scales = by_hand[[c.CUTOFF, c.STORE_ID, c.CATEGORY]].drop_duplicates()
    scales = scales.assign(**{c.ABSOLUTE_SCALE: 2.0, c.SQUARED_SCALE: 12.0})
    found = only(metrics_table(by_hand, scales, [0.1, 0.5, 0.9]))
    assert found[c.N] == 3
    assert found[c.MAE] == pytest.approx(1.0)  # (1 + 2 + 0) / 3
    assert found[c.RMSE] == pytest.approx(np.sqrt(3.0))  # (4 + 4 + 1) / 3
    assert found[c.MAPE] == pytest.approx((1 / 4 + 2 / 10 + 0) / 3)
    assert found[c.WAPE] == pytest.approx(3 / 20)
    assert found[c.MASE] == pytest.approx(0.5)  # 1.0 / 2.0
    assert found[c.RMSSE] == pytest.approx(0.5)  # sqrt(3 / 12)
    # SST around the mean 20/3: (64 + 100 + 4) / 9 = 56/3
    assert found[c.R2] == pytest.approx(1 - 9 / (56 / 3))
    assert found[c.BIAS] == pytest.approx((2 - 2 + 1) / 20)
    # pinball: 0.1: 0.2, 0.1, 0; 0.5: 0.5, 1, 0; 0.9: 0.2, 0.45, 0.3
    assert found[c.WQL] == pytest.approx(2 * (0.3 + 1.5 + 0.95) / 3 / 20)
    assert found[c.COVERAGE] == pytest.approx(2 / 3)  # the edge counts, 10 > 9.5 does not
    shares = [found[name] for name in (c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR)]
    assert shares == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])  # 100 %, 80 %, 125 %


def test_columns_and_levels_are_those_of_the_contract(by_hand):
    table = metrics_table(by_hand, NO_SCALES, [0.1, 0.5, 0.9])
    assert list(table.columns) == [c.MODEL, c.LEVEL, c.STORE_ID, c.CATEGORY, *METRICS, c.N]
    errors = ["mae", "rmse", "mape", "wape", "mase", "rmsse", "r2", "bias", "wql", "coverage"]
    assert list(METRICS) == [*errors, "share_excellent", "share_good", "share_acceptable", "share_poor"]
    assert table[c.LEVEL].tolist() == list(LEVELS) == ["overall", "store", "category", "series"]
    assert table[c.STORE_ID].tolist() == [None, "a", None, "a"]
    assert table[c.CATEGORY].tolist() == [None, None, "x", "x"]


def test_levels_pool_their_rows(backtest_of, quantiles):
    random = np.random.default_rng(0)
    actual = random.poisson(5, (2, 6, 4)).astype(float)
    actual[0, 1, 2] = np.nan
    keys = [(f"s{number % 3}", f"c{number % 2}") for number in range(6)]
    backtest = backtest_of(actual, {m: random.gamma(5, 1, actual.shape) for m in "ba"}, keys=keys, step=2)
    table = metrics_table(backtest, NO_SCALES, quantiles)
    known = backtest[backtest[c.ACTUAL].notna()]
    levels = {OVERALL: [], STORE: [c.STORE_ID], c.CATEGORY: [c.CATEGORY], SERIES: [c.STORE_ID, c.CATEGORY]}
    for level, by in levels.items():
        rows = table[table[c.LEVEL] == level].reset_index(drop=True)
        groups = [group for _, group in known.groupby([c.MODEL, *by])]
        error = [(g[c.MEDIAN] - g[c.ACTUAL]).abs().sum() / g[c.ACTUAL].sum() for g in groups]
        fit = [
            1 - ((g[c.MEAN] - g[c.ACTUAL]) ** 2).sum() / ((g[c.ACTUAL] - g[c.ACTUAL].mean()) ** 2).sum() for g in groups
        ]
        np.testing.assert_allclose(rows[c.WAPE], error)
        np.testing.assert_allclose(rows[c.R2], fit)
        assert rows[c.N].tolist() == [len(g) for g in groups]
        assert rows[[c.MODEL, *by]].equals(rows[[c.MODEL, *by]].sort_values([c.MODEL, *by]))


def test_r2_keeps_its_digits_far_from_zero():
    rows = table_of([(1e8 + step, 1e8 + step + 0.5) for step in range(4)], {0.5: [1e8] * 4})
    assert only(metrics_table(rows, NO_SCALES, [0.5]))[c.R2] == pytest.approx(1 - 1.0 / 5.0)


def test_series_without_sales():
    perfect = table_of([(0.0, 0.0)] * 3, {0.1: 0.0, 0.5: 0.0, 0.9: 0.0})
    found = only(metrics_table(perfect, NO_SCALES, [0.1, 0.5, 0.9]))
    assert [found[name] for name in (c.MAE, c.WAPE, c.WQL, c.BIAS, c.SHARE_EXCELLENT)] == [0, 0, 0, 0, 1]
    assert np.isnan([found[c.R2], found[c.MASE], found[c.RMSSE]]).all()
    off = table_of([(0.0, 1.0)] * 3, {0.1: 0.0, 0.5: 1.0, 0.9: 2.0})
    found = only(metrics_table(off, NO_SCALES, [0.1, 0.5, 0.9]))
    assert np.isnan([found[c.WAPE], found[c.WQL], found[c.BIAS]]).all()
    assert found[c.MAE] == 1.0
    assert found[c.SHARE_POOR] == 1.0


def test_a_series_without_known_actuals_stays_visible_and_counts_nothing():
    table = metrics_table(table_of([(np.nan, 1.0)] * 2, {0.5: 1.0}), NO_SCALES, [0.5])
    assert len(table) == 4
    assert (table[c.N] == 0).all()
    assert table[list(METRICS)].isna().all(axis=None)


def test_coverage_without_a_symmetric_pair_is_unknown():
    assert outer_pair([0.05, 0.1, 0.5, 0.9]) == (1, 3)
    assert outer_pair([0.2, 0.5, 0.9]) is None
    rows = table_of([(1.0, 1.0)], {0.2: 0.0, 0.5: 1.0, 0.9: 2.0})
    assert np.isnan(only(metrics_table(rows, NO_SCALES, [0.2, 0.5, 0.9]))[c.COVERAGE])


def test_scales_by_hand(panel_of):
    demand = np.full((4, 16), np.nan)
    demand[0] = [*range(1, 8), *range(3, 10), 100, 100]  # 14 known: season 7, differences 2
    demand[1, 3:] = [1, 4] * 6 + [9]  # 11 known before the cutoff: shorter than two seasons, season 1
    demand[2] = 5.0
    panel = panel_of(demand)
    fold = Fold(pd.Timestamp(panel.periods[14]), 14)
    scales = seasonal_scales(panel, [fold])
    np.testing.assert_allclose(scales[c.ABSOLUTE_SCALE], [2, 3, 0, np.nan])
    np.testing.assert_allclose(scales[c.SQUARED_SCALE], [4, 9, 0, np.nan])
    assert scales[c.CUTOFF].eq(panel.periods[14]).all()


def test_scales_skip_unknown_periods_and_read_nothing_behind_the_cutoff(panel_of):
    random = np.random.default_rng(3)
    demand = random.poisson(9, (5, 40)).astype(float)
    demand[random.random(demand.shape) < 0.2] = np.nan
    before = demand.copy()
    fold = Fold(pd.Timestamp("2024-01-31"), 30)
    scales = seasonal_scales(panel_of(demand), [fold])
    difference = np.abs(demand[:, 7:30] - demand[:, :23])
    np.testing.assert_allclose(scales[c.ABSOLUTE_SCALE], np.nanmean(difference, axis=1))
    np.testing.assert_array_equal(demand, before)
    demand[:, 30:] = 1e9
    pd.testing.assert_frame_equal(scales, seasonal_scales(panel_of(demand), [fold]))


def test_scaled_errors_are_means_over_series_of_their_folds(backtest_of, quantiles):
    actual = np.full((2, 2, 3), 10.0)
    median = actual + np.array([[[1.0], [4.0]], [[3.0], [4.0]]])  # series 0: mae 1, then 3; series 1: 4
    backtest = backtest_of(actual, {"m": median}, step=3)
    scales = backtest[[c.CUTOFF, c.STORE_ID, c.CATEGORY]].drop_duplicates()
    scales[c.ABSOLUTE_SCALE] = np.where(scales[c.STORE_ID] == "s0000", 2.0, 0.0)
    scales[c.SQUARED_SCALE] = scales[c.ABSOLUTE_SCALE] ** 2
    table = metrics_table(backtest, scales, quantiles)
    assert only(table)[c.MASE] == pytest.approx((1 / 2 + 3 / 2) / 2)
    assert only(table)[c.RMSSE] == pytest.approx(1.0)
    # A training series that never varies has no scale: left out, not infinite.
    assert table[table[c.LEVEL] == SERIES][c.MASE].isna().tolist() == [False, True]


def test_parity_with_utilsforecast(backtest_of, panel_of, quantiles):
    from utilsforecast import losses

    random = np.random.default_rng(5)
    demand = random.poisson(6, (4, 60)).astype(float)
    panel = panel_of(demand, horizon=5)
    folds = [Fold(pd.Timestamp(panel.periods[known]), known) for known in (45, 50, 55)]
    actual = np.stack([demand[:, f.known_periods : f.known_periods + 5] for f in folds])
    backtest = backtest_of(
        actual, {"m": random.gamma(6, 1, actual.shape)}, spread=4, start=str(panel.periods[45].date()), step=5
    )
    backtest[c.MEAN] = backtest[c.MEDIAN] + 0.25
    table = metrics_table(backtest, seasonal_scales(panel, folds), quantiles)
    ours = table[table[c.LEVEL] == SERIES].set_index(c.STORE_ID)

    frame = backtest.rename(columns={c.STORE_ID: "unique_id", c.DATE: "ds", c.ACTUAL: "y"})
    pooled = frame.drop(columns=c.CUTOFF)
    train = pd.DataFrame(
        {
            "unique_id": np.repeat(panel.series[c.STORE_ID].to_numpy(), 60),
            "ds": np.tile(panel.history_periods, 4),
            "y": demand.ravel(),
        }
    )
    # There a cutoff is the last known period, here the first unknown one.
    frame[c.CUTOFF] = frame[c.CUTOFF] - pd.Timedelta(days=1)

    def theirs(result, column):
        return result.groupby("unique_id")[column].mean().to_numpy()

    np.testing.assert_allclose(ours[c.MAE], theirs(losses.mae(pooled, [c.MEDIAN]), c.MEDIAN))
    np.testing.assert_allclose(ours[c.RMSE], theirs(losses.rmse(pooled, [c.MEAN]), c.MEAN))
    np.testing.assert_allclose(
        ours[c.MASE], theirs(losses.mase(frame, [c.MEDIAN], seasonality=7, train_df=train), c.MEDIAN)
    )
    np.testing.assert_allclose(
        ours[c.RMSSE], theirs(losses.rmsse(frame, [c.MEAN], seasonality=7, train_df=train), c.MEAN)
    )
    spread = {"m": c.quantile_columns(quantiles)}
    np.testing.assert_allclose(ours[c.WQL], theirs(losses.scaled_crps(pooled, spread, np.array(quantiles)), "m"))


def test_order_of_rows_changes_no_figure_and_inputs_are_left_alone(backtest_of, quantiles):
    random = np.random.default_rng(7)
    actual = random.poisson(4, (2, 8, 5)).astype(float)
    backtest = backtest_of(actual, {m: random.gamma(4, 1, actual.shape) for m in "abc"})
    before = backtest.copy(deep=True)
    straight = metrics_table(backtest, NO_SCALES, quantiles)
    pd.testing.assert_frame_equal(backtest, before)
    shuffled = metrics_table(backtest.sample(frac=1, random_state=1), NO_SCALES, quantiles)
    pd.testing.assert_frame_equal(straight, shuffled)


def test_faulty_tables_are_refused_by_name(by_hand):
    with pytest.raises(TrainingError, match=r"missing columns mean, q0\.9 \(2 in all\)"):
        metrics_table(by_hand.drop(columns=[c.MEAN, "q0.9"]), NO_SCALES, [0.1, 0.5, 0.9])
    by_hand.loc[1, c.MEAN] = np.inf
    with pytest.raises(TrainingError, match=r"1 rows hold a value that is not finite.*m / a / x"):
        metrics_table(by_hand, NO_SCALES, [0.1, 0.5, 0.9])


def test_differences_between_seasons_by_hand():
    nothing = np.nan
    demand = np.array([[1.0, 2.0, 4.0, 0.0], [1.0, 2.0, 5.0, nothing], [1.0, nothing, nothing, 0.0]])
    absolute, squared = season_differences(demand, 2)
    np.testing.assert_allclose(absolute, [2.5, 4.0, nothing])
    np.testing.assert_allclose(squared, [6.5, 16.0, nothing])
    for season in (4, 5):
        assert np.isnan(season_differences(demand, season)).all()
    assert season_differences(demand, 3)[0].tolist()[0] == 1.0


def test_history_starts_with_the_first_known_period():
    demand = np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, 2.0], [np.nan] * 3])
    assert history_length(demand).tolist() == [3, 1, 0]
