"""Errors of published forecasts: by model, lag and level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray
from schemas.performance import ALL_LAGS, CATEGORY, CHAMPION, LAST_YEAR, OVERALL, STORE, Step
from tasks.evaluation.metrics import stats
from tasks.performance.published_week import ForecastGrid, ModelForecast

# Number of weeks in a tracking signal.
TRACKED_WEEKS = 13
SEASONAL_NAIVE = Step.SEASONAL_NAIVE.value
_SUMS = (
    *(c.N, c.ACTUAL_UNITS, c.FORECAST_UNITS, c.ABSOLUTE_ERROR),
    *(c.EXPECTED_ABSOLUTE_ERROR, c.ERROR, c.WQL, c.COVERAGE),
)


def accuracy(
    grid: ForecastGrid, demand: FloatArray, lag_length: int, year_before: FloatArray | None = None
) -> pd.DataFrame:
    """Compute the errors of every model, of the champions, and of last year's sales.

    Args:
        grid: published forecasts of n series.
        demand: shape (n, K), units of the first K periods of the horizon; NaN = unknown.
        lag_length: periods of a lag.
        year_before: shape (n, K), demand of the same periods a year before; NaN = unknown.

    Returns:
        The columns of the table ``accuracy`` except the tracking signal.
    """
    frames = []
    forecasts = {model: grid.of_model(model) for model in (CHAMPION, *grid.models)}
    if year_before is not None and SEASONAL_NAIVE in forecasts:
        forecasts[LAST_YEAR] = _as_forecast(year_before, forecasts[SEASONAL_NAIVE])
    for model, forecast in forecasts.items():
        cells = _cells(forecast, demand)
        frames += [frame.assign(**{c.MODEL: model}) for frame in _by_level(cells, grid.series, lag_length)]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[rows[c.N] > 0].reset_index(drop=True)
    sold, errors = rows[c.ACTUAL_UNITS], rows[c.ABSOLUTE_ERROR]
    pair = stats.outer_pair(grid.levels)
    rows.loc[rows[c.MODEL].eq(LAST_YEAR), [c.EXPECTED_ABSOLUTE_ERROR, c.WQL, c.COVERAGE]] = np.nan  # no quantiles
    return rows.assign(
        **{
            c.WAPE: per_unit(errors, sold),
            c.BIAS: per_unit(rows[c.ERROR], sold),
            c.WQL: per_unit(rows[c.WQL], sold),
            c.COVERAGE: rows[c.COVERAGE] / rows[c.N],
            c.COVERAGE_TARGET: np.nan if pair is None else grid.levels[pair[1]] - grid.levels[pair[0]],
        }
    )


def _as_forecast(units: FloatArray, otherwise: ModelForecast) -> ModelForecast:
    """Units as a forecast without dispersion; another forecast's median if they are unknown."""
    known = otherwise.median[:, : units.shape[1]]
    filled = np.where(np.isnan(units), known, units)
    return ModelForecast(filled, np.repeat(filled[:, :, None], len(otherwise.levels), axis=2), otherwise.levels)


def per_unit(total: pd.Series, sold: pd.Series) -> pd.Series:
    """Total per unit sold; without sales 0 if the total is 0, else NaN (docs/reference/metrics.md).

    >>> per_unit(pd.Series([6.0, 0.0, 1.0]), pd.Series([40.0, 0.0, 0.0])).tolist()
    [0.15, 0.0, nan]
    """
    return (total / sold.where(sold > 0)).where((sold > 0) | (total != 0), 0.0)


def expected_absolute_error(quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Mean absolute deviation from the median that quantiles imply, units.

    Each quantile represents the probability up to the midpoint between it and the next quantile on each side.

    Args:
        quantiles: shape (..., Q), units.
        levels: Q levels, 0.5 among them.

    >>> expected_absolute_error(np.array([2.0, 5.0, 9.0]), [0.1, 0.5, 0.9])  # 0.3 * 3 + 0.3 * 4
    np.float64(2.1)
    """
    middles = (np.array(levels[1:]) + np.array(levels[:-1])) / 2
    weight = np.diff(np.concatenate([[0.0], middles, [1.0]]))
    median = quantiles[..., list(levels).index(0.5)]
    found: FloatArray = (np.abs(quantiles - median[..., None]) * weight).sum(axis=-1)
    return found


def _cells(forecast: ModelForecast, demand: FloatArray) -> dict[str, FloatArray]:
    """Statistics of each series and known period, shape (n, K); 0 where demand or forecast is unknown."""
    periods = demand.shape[1]
    mean, quantiles = forecast.mean[:, :periods], forecast.quantiles[:, :periods]
    known = np.isfinite(demand) & np.isfinite(mean)
    actual, ahead, band = demand[known], mean[known], quantiles[known]
    pair = stats.outer_pair(forecast.levels)
    median = band[:, list(forecast.levels).index(stats.MEDIAN_LEVEL)]
    covered = np.full(len(actual), np.nan) if pair is None else stats.inside(actual, *band[:, pair].T).astype(float)
    values = (
        *(np.ones(len(actual)), actual, ahead, stats.absolute_error(actual, median)),
        *(expected_absolute_error(band, forecast.levels), ahead - actual),
        *(stats.quantile_score(actual, band, forecast.levels), covered),
    )
    cells = {}
    for name, found in zip(_SUMS, values, strict=True):
        cells[name] = np.zeros(demand.shape)
        cells[name][known] = found
    return cells


def _by_level(cells: dict[str, FloatArray], series: pd.DataFrame, lag_length: int) -> Iterator[pd.DataFrame]:
    """Sums over all series, by store and by category, for every lag and for all lags together."""
    for level, names, codes in places(series):
        lags = {name: by_lag(values, lag_length) for name, values in cells.items()}
        frames = []
        for lag in range(lags[c.N].shape[1]):
            sums = {
                name: np.bincount(codes, weights=values[:, lag], minlength=len(names)) for name, values in lags.items()
            }
            frames.append(pd.DataFrame({**names, c.LEVEL: level, c.LAG: lag, **sums}))
        yield pd.concat(frames, ignore_index=True)


def places(series: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, IndexArray]]:
    """Yield each level with its names (columns store_id and category) and the position of each series in them."""
    empty = {c.STORE_ID: [""], c.CATEGORY: [""]}
    yield OVERALL, pd.DataFrame(empty), np.zeros(len(series), dtype=np.int64)
    for level, column in ((STORE, c.STORE_ID), (CATEGORY, c.CATEGORY)):
        codes, names = pd.factorize(series[column], sort=True)
        own = {name: names if name == column else np.full(len(names), "", dtype=object) for name in empty}
        yield level, pd.DataFrame(own), np.asarray(codes, dtype=np.int64)


def by_lag(values: FloatArray, lag_length: int) -> FloatArray:
    """Sum the periods of each lag: shape (n, K) to (n, 1 + lags); column 0 has all periods.

    >>> by_lag(np.array([[1.0, 2.0, 3.0]]), 2)
    array([[6., 3., 3.]])
    """
    starts = np.arange(0, values.shape[1], lag_length)
    return np.concatenate([values.sum(axis=1)[:, None], np.add.reduceat(values, starts, axis=1)], axis=1)


def with_tracking_signal(rows: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Add the tracking signal: the sum of the errors of up to 13 weeks / their mean absolute value.

    Brown, Smoothing, Forecasting and Prediction of Discrete Time Series, 1963: a signal beyond -4 to 4 shows bias.

    Args:
        rows: accuracy of the evaluated week.
        earlier: accuracy of earlier weeks, current versions.
    """
    keys = [c.LEVEL, c.STORE_ID, c.CATEGORY, c.LAG, c.MODEL]
    days = sorted(earlier[c.AS_OF].unique())[-(TRACKED_WEEKS - 1) :]
    past = earlier[earlier[c.AS_OF].isin(days) & earlier[c.LAG].ne(ALL_LAGS)]
    both = pd.concat([past[[*keys, c.ERROR]], rows[[*keys, c.ERROR]]], ignore_index=True)
    errors = both.assign(absolute=both[c.ERROR].abs()).groupby(keys)[[c.ERROR, "absolute"]]
    found = errors.sum()[c.ERROR] / errors.mean()["absolute"].where(lambda size: size > 0)
    own = found.fillna(0.0).reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy(dtype=np.float64)
    return rows.assign(**{c.TRACKING_SIGNAL: np.where(rows[c.LAG].eq(ALL_LAGS), np.nan, own)})
