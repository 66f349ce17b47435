"""Split stacked forecast tables into the backtest, with its actuals, and the live forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import TrainingError, first_few
from schemas.panel import FloatArray, IndexArray, Panel
from tasks.evaluation.backtest.rows import check_forecasts, series_codes, series_positions


@dataclass(frozen=True)
class SplitForecasts:
    """Forecasts by purpose.

    Attributes:
        backtest: rows of the folds: cutoff, store_id, category, date, model, actual (units, NaN =
            unknown), mean and one column per quantile; sorted by cutoff, model, store_id, category, date.
        live: rows of the run's own forecast, without cutoff and actual; sorted by model, store_id,
            category and date.
    """

    backtest: pd.DataFrame
    live: pd.DataFrame


def attach_actuals(
    forecasts: pd.DataFrame, panel: Panel, as_of: date | pd.Timestamp, quantiles: Sequence[float]
) -> SplitForecasts:
    """Split stacked forecasts at ``as_of`` and add the actuals to the rows of the folds.

    A row belongs to the folds if its cutoff lies before ``as_of``. Rows with an unknown actual stay, with NaN, and
    the metrics leave them out. Values become 64-bit floats. The order of the rows does not affect the result.

    Args:
        forecasts: cutoff, store_id, category, date, model, mean and one column per quantile, in units.
        panel: the demand; only its history is read.
        as_of: the run date, or the first forecast period; data before it are used.
        quantiles: the set levels, rising.

    Raises:
        TrainingError: a column is missing, a value is not finite, a series is not in the panel, or two
            rows have the same model, cutoff, series and date.
    """
    check_forecasts(forecasts, quantiles, [c.CUTOFF, c.DATE])
    series, keys = series_codes(forecasts)
    actual = _actuals(forecasts, series, keys, panel)
    order = _sorted_once(forecasts, series)
    past = forecasts[c.CUTOFF].lt(pd.Timestamp(as_of)).to_numpy()[order]
    keys_of_row = [c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL]
    values = [c.MEAN, *c.quantile_columns(list(quantiles))]
    backtest = _picked(forecasts, order[past], [c.CUTOFF, *keys_of_row], values)
    backtest.insert(len(keys_of_row) + 1, c.ACTUAL, actual[order[past]])
    return SplitForecasts(backtest, _picked(forecasts, order[~past], keys_of_row, values))


def horizons_covered(dates: pd.Series, horizon: int) -> float:
    """Number of horizons that the periods of some folds cover, at least 1; folds that overlap count once.

    Example: folds 28, 35 and 42 days back with a horizon of 28 cover 42 days, 1.5 horizons.

    Args:
        dates: dates of the folds' rows.
        horizon: number of periods, at least 1.
    """
    return max(1.0, float(dates.nunique()) / horizon)


def _picked(forecasts: pd.DataFrame, rows: IndexArray, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Some rows, column by column, which avoids copies of the whole table."""
    picked = {column: forecasts[column].take(rows).array for column in keys}
    return pd.DataFrame(picked | {column: forecasts[column].to_numpy(np.float64)[rows] for column in values})


def _sorted_once(forecasts: pd.DataFrame, series: IndexArray) -> IndexArray:
    """Positions of the rows by cutoff, model, series and date; raises on repeated rows."""
    code = np.zeros(len(forecasts), dtype=np.int64)
    for part in (forecasts[c.CUTOFF], forecasts[c.MODEL], pd.Series(series), forecasts[c.DATE]):
        codes, values = pd.factorize(part, sort=True)
        code = code * max(len(values), 1) + codes
    order = np.argsort(code, kind="stable")
    twice = order[1:][np.diff(code[order]) == 0]
    if len(twice):
        columns = [c.MODEL, c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE]
        rows = forecasts.iloc[twice][columns].astype(str).agg(" / ".join, axis=1)
        raise TrainingError(
            f"forecasts: repeated rows for the same {', '.join(columns)}: {first_few(rows.tolist())}. "
            "Pass every shard of a model once"
        )
    return order


def _actuals(forecasts: pd.DataFrame, series: IndexArray, keys: pd.DataFrame, panel: Panel) -> FloatArray:
    """Demand of each row's series and date, shape (N,); NaN where unknown or not in the history."""
    place = series_positions(panel.series, keys)
    if (place < 0).any():
        unknown = [" / ".join(row) for row in keys[place < 0].to_numpy()]
        raise TrainingError(
            f"forecasts: series missing in the demand panel (store / category): {first_few(unknown)}. "
            "Forecasts and panel must come from the same run"
        )
    period, labels = pd.factorize(forecasts[c.DATE])
    column = panel.history_periods.get_indexer(pd.DatetimeIndex(labels))[period]
    actual = np.full(len(forecasts), np.nan)
    inside = column >= 0
    actual[inside] = panel.demand[place[series[inside]], column[inside]]
    return actual
