"""Realized performance from the performance tables, changes of data, challengers, and accuracy of the backtest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.performance import CATEGORY, CHAMPION, LAST_YEAR, OVERALL, STORE
from tasks.app.data.week import UNREADABLE, RunWeek
from tasks.performance.read import override_totals, pooled_value_added, read_table, rows_at, variant_table
from tasks.storage.lake import Lake

WEEKS = 13
SEASONAL_NAIVE = "seasonal_naive"
WEEKLY_ERROR = "weekly_error"
SERIES = "series"
_LEVELS = (c.STORE_ID, c.CATEGORY)


@dataclass(frozen=True)
class Realized:
    """Realized performance of the last weeks; tables have no rows if nothing was evaluated.

    Attributes:
        accuracy: one row per week and model over the network, for the first week of each forecast: absolute_error (of
            single periods), weekly_error (absolute errors of the weeks of stores), error and actual_units.
        stores: one row per store over the last weeks: service, and the errors of the published forecast and of last
            year's sales.
        costs: one row per week and basis.
        value_added: one row per step.
        overrides: one row per author and reason.
        last_overrides: overrides of the last evaluated week that changed a target.
        drift: comparisons of the last evaluation.
        challengers: decisions of the last evaluation.
        variants: comparisons of the variants of an endpoint, one row per pair.
        importance: share of each group of features, one row per week, level, category, tree model and group.
        weeks: run dates of the evaluated weeks.
    """

    accuracy: pd.DataFrame
    stores: pd.DataFrame
    costs: pd.DataFrame
    value_added: pd.DataFrame
    overrides: pd.DataFrame
    last_overrides: pd.DataFrame
    drift: pd.DataFrame
    challengers: pd.DataFrame
    variants: pd.DataFrame
    importance: pd.DataFrame
    weeks: list[pd.Timestamp]


def realized(lake: Lake, weeks: int = WEEKS) -> Realized | None:
    """Read the performance of the last weeks; None if no week was evaluated or the tables cannot be read."""
    try:
        evaluated = read_table(lake, "evaluations", last=weeks)
        if evaluated.empty:
            return None
        accuracy = read_table(lake, "accuracy", last=weeks)
        accuracy = accuracy[accuracy[c.LAG].eq(1) & accuracy[c.MODEL].isin((CHAMPION, SEASONAL_NAIVE, LAST_YEAR))]
        by_store = rows_at(accuracy, STORE)
        service = rows_at(read_table(lake, "service", last=weeks), STORE, **{c.LAG: 1})
        steps = rows_at(read_table(lake, "value_added", last=weeks), OVERALL)
        overrides = read_table(lake, "override_value", last=weeks)
        importance = read_table(lake, "importance", last=weeks)
        return Realized(
            accuracy=_by_week(rows_at(accuracy, OVERALL), by_store),
            stores=_by_store(service).merge(_errors(by_store, [c.STORE_ID]), on=c.STORE_ID, how="left"),
            costs=rows_at(read_table(lake, "plan_costs", last=weeks), OVERALL),
            value_added=pooled_value_added(steps) if len(steps) else steps,
            overrides=override_totals(overrides, (c.AUTHOR, c.REASON)) if len(overrides) else overrides,
            last_overrides=overrides[overrides[c.AS_OF].eq(evaluated[c.AS_OF].max()) & overrides[c.PAIRS].gt(0)],
            drift=read_table(lake, "drift", last=1),
            challengers=read_table(lake, "challengers", last=1),
            variants=variant_table(lake),
            importance=importance[importance[c.LEVEL].isin((OVERALL, CATEGORY))],
            weeks=sorted(evaluated[c.AS_OF].unique()),
        )
    except UNREADABLE:  # tables of another version
        return None


def importance_by_category(lake: Lake, weeks: int = WEEKS) -> pd.DataFrame:
    """Share of each group of inputs in the forecasts of each category by run; no rows if they cannot be read."""
    try:
        return rows_at(read_table(lake, "importance", last=weeks), CATEGORY)
    except UNREADABLE:
        return pd.DataFrame(columns=[c.AS_OF, c.CATEGORY, c.MODEL, c.GROUP, c.SHARE])


def _by_week(overall: pd.DataFrame, by_store: pd.DataFrame) -> pd.DataFrame:
    """Errors of single periods, and of the weeks of stores, by run date and model."""
    weekly = by_store.assign(**{WEEKLY_ERROR: by_store[c.ERROR].abs()})
    sums = weekly.groupby([c.AS_OF, c.MODEL], as_index=False)[WEEKLY_ERROR].sum()
    names = [c.AS_OF, c.MODEL, c.ACTUAL_UNITS, c.ABSOLUTE_ERROR, c.ERROR]
    return overall[names].merge(sums, on=[c.AS_OF, c.MODEL], how="left").sort_values(c.AS_OF, ignore_index=True)


def _errors(by_store: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Weekly error per unit sold of the published forecast and of last year's sales, and the bias, by key."""
    weekly = by_store.assign(**{WEEKLY_ERROR: by_store[c.ERROR].abs()})
    found: dict[str, Any] = {}
    for model, name in ((CHAMPION, WEEKLY_ERROR), (LAST_YEAR, LAST_YEAR)):
        sums = weekly[weekly[c.MODEL].eq(model)].groupby(keys)[[WEEKLY_ERROR, c.ERROR, c.ACTUAL_UNITS]].sum()
        sold = sums[c.ACTUAL_UNITS].where(sums[c.ACTUAL_UNITS] > 0)
        found[name] = sums[WEEKLY_ERROR] / sold
        if model == CHAMPION:
            found[c.BIAS] = sums[c.ERROR] / sold
    return pd.DataFrame(found).rename_axis(keys).reset_index()


def _by_store(service: pd.DataFrame) -> pd.DataFrame:
    """Sold and lost units, lost value, fill rate and last stock of each store."""
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
    kept = week.cache.setdefault("backtest", {})
    if column not in kept:
        kept[column] = _backtest_by(week, column)
    found: pd.DataFrame = kept[column]
    return found


def _backtest_by(week: RunWeek, column: str) -> pd.DataFrame:
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
