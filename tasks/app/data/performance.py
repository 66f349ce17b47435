"""Realized performance from the performance tables, and the accuracy of the backtest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.performance import CHAMPION, OVERALL, STORE
from tasks.app.data.week import UNREADABLE, RunWeek
from tasks.performance.read import override_totals, pooled_value_added, read_table, rows_at
from tasks.storage.lake import Lake

WEEKS = 13
SEASONAL_NAIVE = "seasonal_naive"
SERIES = "series"
_LEVELS = (c.STORE_ID, c.CATEGORY)


@dataclass(frozen=True)
class Realized:
    """What happened after the publications of the last weeks; tables without rows where nothing was evaluated.

    Attributes:
        accuracy: one row per week and model at lag 1 over the network; the first week of each forecast.
        service: one row per store over the known periods of the last weeks.
        costs: one row per week and basis.
        value_added: one row per step.
        overrides: one row per author and reason.
        weeks: number of evaluated weeks.
    """

    accuracy: pd.DataFrame
    service: pd.DataFrame
    costs: pd.DataFrame
    value_added: pd.DataFrame
    overrides: pd.DataFrame
    weeks: int


def realized(lake: Lake, weeks: int = WEEKS) -> Realized | None:
    """Read the performance of the last weeks; None if no week was evaluated or the tables cannot be read."""
    try:
        evaluated = read_table(lake, "evaluations", last=weeks)
        if evaluated.empty:
            return None
        accuracy = rows_at(read_table(lake, "accuracy", last=weeks), OVERALL, **{c.LAG: 1})
        service = rows_at(read_table(lake, "service", last=weeks), STORE, **{c.LAG: 1})
        costs = rows_at(read_table(lake, "plan_costs", last=weeks), OVERALL)
        steps = rows_at(read_table(lake, "value_added", last=weeks), OVERALL)
        overrides = read_table(lake, "override_value", last=weeks)
        return Realized(
            accuracy=accuracy[accuracy[c.MODEL].isin((CHAMPION, SEASONAL_NAIVE))],
            service=_by_store(service),
            costs=costs,
            value_added=pooled_value_added(steps) if len(steps) else steps,
            overrides=override_totals(overrides, (c.AUTHOR, c.REASON)) if len(overrides) else overrides,
            weeks=int(evaluated[c.AS_OF].nunique()),
        )
    except UNREADABLE:  # tables of another version
        return None


def _by_store(service: pd.DataFrame) -> pd.DataFrame:
    """Sold and lost units, lost value, fill rate and last stock of each store."""
    if service.empty:
        return service
    ordered = service.sort_values(c.AS_OF, kind="stable")
    sums = ordered.groupby(c.STORE_ID)[[c.SOLD_UNITS, c.LOST_UNITS, c.LOST_VALUE]].sum()
    rest = ordered.groupby(c.STORE_ID).agg(
        {c.IN_STOCK_DAYS: "mean", c.ESTIMATED: "max", c.OVERSTOCK_UNITS: "last", c.STOCK_UNITS: "last"}
    )
    demand = (sums[c.SOLD_UNITS] + sums[c.LOST_UNITS]).to_numpy(dtype=float)
    rate = np.divide(
        sums[c.SOLD_UNITS].to_numpy(dtype=float), demand, out=np.full(len(demand), np.nan), where=demand > 0
    )
    return sums.join(rest).assign(**{c.FILL_RATE: rate}).sort_values(c.LOST_VALUE, ascending=False).reset_index()


def backtest_by(week: RunWeek, column: str) -> pd.DataFrame:
    """Return the WAPE of the chosen models and of the seasonal naive forecast in the backtest, by store or category.

    Sums of the absolute errors and of the demand are taken from the metrics of the single series.

    Args:
        week: the run.
        column: store_id or category.

    Returns:
        The column, wape, seasonal_naive (its WAPE) and units (demand of the chosen models' rows), the largest first.
    """
    metrics, champions = week.outputs.metrics, week.outputs.champions
    needed = {c.LEVEL, c.MODEL, *_LEVELS, c.MAE, c.WAPE, c.N}
    if metrics.empty or champions.empty or not needed <= set(metrics.columns):
        return pd.DataFrame(columns=[column, c.WAPE, SEASONAL_NAIVE, c.UNITS])
    rows = metrics[metrics[c.LEVEL] == SERIES].astype(dict.fromkeys(_LEVELS, str))
    errors = (rows[c.MAE] * rows[c.N]).to_numpy(dtype=float)
    wape = rows[c.WAPE].to_numpy(dtype=float)
    demand = np.divide(errors, wape, out=np.full(len(rows), np.nan), where=wape > 0)
    rows = rows.assign(**{_ERROR: errors, c.UNITS: demand})
    rows = rows[np.isfinite(rows[c.UNITS]) & np.isfinite(rows[_ERROR])]
    keys = champions[[*_LEVELS, c.MODEL]].astype(str)
    chosen = rows.assign(**{c.MODEL: rows[c.MODEL].astype(str)}).merge(keys, on=[*_LEVELS, c.MODEL])
    naive = rows[rows[c.MODEL].astype(str) == SEASONAL_NAIVE]
    own, other = (part.groupby(column)[[_ERROR, c.UNITS]].sum() for part in (chosen, naive))
    found = pd.DataFrame(
        {c.WAPE: own[_ERROR] / own[c.UNITS], SEASONAL_NAIVE: other[_ERROR] / other[c.UNITS], c.UNITS: own[c.UNITS]}
    )
    return found.sort_values(c.UNITS, ascending=False).rename_axis(column).reset_index()


def backtest_overall(week: RunWeek) -> pd.DataFrame:
    """Return the metrics of every model over the whole network, the lowest WAPE first."""
    metrics = week.outputs.metrics
    if metrics.empty or c.LEVEL not in metrics.columns:
        return pd.DataFrame(columns=[c.MODEL, c.WAPE, c.BIAS, c.COVERAGE])
    rows = metrics[metrics[c.LEVEL] == OVERALL]
    return rows.sort_values(c.WAPE, kind="stable").reset_index(drop=True)


_ERROR = "error"
