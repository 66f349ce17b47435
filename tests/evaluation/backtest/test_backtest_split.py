import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import TrainingError
from tasks.evaluation.backtest.split import attach_actuals, horizons_covered

KEYS = [("2", "a/b"), ("10", "a/b"), ("10", "[x]")]


@pytest.fixture
def panel(panel_of):
    demand = np.arange(30.0).reshape(3, 10)
    demand[1, 8] = np.nan
    keys = sorted(KEYS)
    return panel_of(demand, horizon=3, keys=keys)


@pytest.fixture
def forecasts(panel, quantiles):
    """Two folds and the live forecast of two models for every series."""
    rows = [
        (panel.periods[cutoff], *key, panel.periods[cutoff + ahead], model, float(cutoff + ahead))
        for cutoff in (6, 7, 10)
        for model in ("moving_average", "boost")
        for key in KEYS
        for ahead in range(3)
    ]
    frame = pd.DataFrame(rows, columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN])
    return frame.assign(**{column: frame[c.MEAN].astype("float32") for column in c.quantile_columns(quantiles)})


def test_actuals_stand_beside_their_series_and_date(panel, forecasts, quantiles):
    split = attach_actuals(forecasts, panel, panel.horizon_periods[0], quantiles)
    assert len(split.backtest) == 2 * 2 * 3 * 3
    assert len(split.live) == 2 * 3 * 3
    for row in split.backtest.itertuples():
        series = sorted(KEYS).index((row.store_id, row.category))
        expected = panel.demand[series, panel.periods.get_loc(row.date)]
        np.testing.assert_equal(row.actual, expected)
    assert split.backtest[c.ACTUAL].isna().sum() == 2 * 2  # one unknown period, in both folds, two models


def test_columns_are_those_of_the_contract(panel, forecasts, quantiles):
    split = attach_actuals(forecasts, panel, panel.horizon_periods[0], quantiles)
    spread = c.quantile_columns(quantiles)
    keys = [c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL]
    assert list(split.backtest.columns) == [c.CUTOFF, *keys, c.ACTUAL, c.MEAN, *spread]
    assert list(split.live.columns) == [*keys, c.MEAN, *spread]
    assert {str(kind) for kind in split.backtest[[c.ACTUAL, c.MEAN, *spread]].dtypes} == {"float64"}


def test_order_of_rows_does_not_matter_and_inputs_stay(panel, forecasts, quantiles):
    before = forecasts.copy(deep=True)
    straight = attach_actuals(forecasts, panel, panel.horizon_periods[0], quantiles)
    shuffled = attach_actuals(forecasts.sample(frac=1, random_state=3), panel, panel.horizon_periods[0], quantiles)
    pd.testing.assert_frame_equal(straight.backtest, shuffled.backtest)
    pd.testing.assert_frame_equal(straight.live, shuffled.live)
    pd.testing.assert_frame_equal(forecasts, before)
    keys = [c.CUTOFF, c.MODEL, c.STORE_ID, c.CATEGORY, c.DATE]
    assert straight.backtest[keys].equals(straight.backtest[keys].sort_values(keys))


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_dates_as_parquet_gives_them_back(panel, forecasts, quantiles, unit):
    coarse = forecasts.astype({c.CUTOFF: f"datetime64[{unit}]", c.DATE: f"datetime64[{unit}]"})
    split = attach_actuals(coarse, panel, panel.horizon_periods[0].date(), quantiles)
    assert split.backtest[c.ACTUAL].notna().sum() == 32
    assert len(split.live) == 18


def test_a_run_inside_a_period_splits_at_its_day(panel, forecasts, quantiles):
    split = attach_actuals(forecasts, panel, panel.periods[9] + pd.Timedelta(hours=1), quantiles)
    assert len(split.live) == 18


def test_no_folds_leave_an_empty_backtest(panel, forecasts, quantiles):
    live = forecasts[forecasts[c.CUTOFF] == panel.horizon_periods[0]]
    split = attach_actuals(live, panel, panel.horizon_periods[0], quantiles)
    assert split.backtest.empty
    assert len(split.live) == 18


def test_repeated_rows_are_refused(panel, forecasts, quantiles):
    doubled = pd.concat([forecasts, forecasts.iloc[[4]]])
    with pytest.raises(TrainingError, match=r"repeated rows .* moving_average / 2024-01-07 .*"):
        attach_actuals(doubled, panel, panel.horizon_periods[0], quantiles)


def test_series_from_another_run_are_refused(panel, forecasts, quantiles):
    forecasts.loc[0, c.STORE_ID] = "77"
    with pytest.raises(TrainingError, match=r"missing in the demand panel .*: 77 / a/b"):
        attach_actuals(forecasts, panel, panel.horizon_periods[0], quantiles)


def test_values_that_are_no_numbers_are_refused(panel, forecasts, quantiles):
    forecasts.loc[3, "q0.9"] = np.nan
    with pytest.raises(TrainingError, match=r"not finite .*moving_average / 10 / a/b"):
        attach_actuals(forecasts, panel, panel.horizon_periods[0], quantiles)


def test_folds_that_overlap_cover_fewer_horizons():
    first, second = (pd.date_range(start, periods=28) for start in ("2025-01-01", "2025-01-08"))
    assert horizons_covered(pd.Series(first), 28) == 1.0
    assert horizons_covered(pd.Series(first.append(second)), 28) == 1.25
    assert horizons_covered(pd.Series(first[:3]), 28) == 1.0
