"""Read the performance tables: for the app, the report and tests. See docs/reference/performance.md for the columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.performance import (
    ALL_LAGS,
    CATEGORY,
    CHAMPION,
    COMPARED_WITH,
    EVALUATIONS,
    OVERALL,
    STORE,
    TABLES,
    PerformanceTable,
    Step,
)
from tasks.performance.tables import conform, stored_keys
from tasks.storage.lake import Lake

# Columns that identify the rows of each level.
LEVEL_KEYS = {OVERALL: (), STORE: (c.STORE_ID,), CATEGORY: (c.CATEGORY,)}


def read_table(lake: Lake, name: str, *, last: int | None = None, every_version: bool = False) -> pd.DataFrame:
    """Read a performance table: the current version of every run date.

    Args:
        lake: of the publications.
        name: key of :data:`schemas.performance.TABLES`.
        last: only the last run dates, this many; None = all.
        every_version: also versions that a restatement or a later evaluation replaced.

    Returns:
        Rows with the documented columns, in order of as_of, version and key; no rows if nothing was evaluated.
        Columns that an older version of Restock did not write are empty.
    """
    table = TABLES[name]
    keys = _complete(lake, table)
    days = sorted({day for day, _ in keys})
    days = days if last is None else days[-last:] if last > 0 else []
    current = {day: version for day, version in keys}
    chosen = [
        key for (day, version), key in keys.items() if day in set(days) and (every_version or version == current[day])
    ]
    frames = [conform(pd.read_parquet(io.BytesIO(lake.read_bytes(key))), table) for key in chosen]
    return pd.concat(frames, ignore_index=True) if frames else conform(pd.DataFrame(), table)


def _complete(lake: Lake, table: PerformanceTable) -> dict[tuple[date, int], str]:
    """The files of complete evaluations. An interrupted evaluation of a week has no row in evaluations."""
    keys = stored_keys(lake, table)
    if not table.by_week or table is EVALUATIONS:
        return keys
    whole = set(stored_keys(lake, EVALUATIONS))
    return {key: file for key, file in keys.items() if key in whole}


def rows_at(frame: pd.DataFrame, level: str = OVERALL, **equal: Any) -> pd.DataFrame:
    """Select the rows of one level, and of given values of other columns.

    Args:
        frame: a table with the column level.
        level: ``overall``, ``store`` or ``category``.
        **equal: column = value, for example ``lag=1, model="champion"``.
    """
    chosen = frame[c.LEVEL].eq(level)
    for name, value in equal.items():
        chosen &= frame[name].eq(value)
    return frame[chosen].reset_index(drop=True)


def pooled_accuracy(accuracy: pd.DataFrame, by: Sequence[str] = (c.MODEL,)) -> pd.DataFrame:
    """Pool the accuracy of several weeks.

    Args:
        accuracy: rows of one level and lag, of any number of weeks.
        by: columns to group by.

    Returns:
        One row per group: n, actual_units, wape, bias, wql and coverage, over all rows of the weeks.
    """
    units, rows = accuracy[c.ACTUAL_UNITS], accuracy[c.N].astype(float)
    parts = accuracy.assign(
        **{c.WQL: accuracy[c.WQL] * units, c.COVERAGE: accuracy[c.COVERAGE] * rows},
    )
    sums = parts.groupby(list(by), as_index=False)[
        [c.N, c.ACTUAL_UNITS, c.ABSOLUTE_ERROR, c.ERROR, c.WQL, c.COVERAGE]
    ].sum()
    sold = sums[c.ACTUAL_UNITS].where(sums[c.ACTUAL_UNITS] > 0)
    return sums.assign(
        **{
            c.WAPE: sums[c.ABSOLUTE_ERROR] / sold,
            c.BIAS: sums[c.ERROR] / sold,
            c.WQL: sums[c.WQL] / sold,
            c.COVERAGE: sums[c.COVERAGE] / sums[c.N].where(sums[c.N] > 0),
        }
    )[[*by, c.N, c.ACTUAL_UNITS, c.WAPE, c.BIAS, c.WQL, c.COVERAGE]]


def pooled_value_added(value_added: pd.DataFrame) -> pd.DataFrame:
    """Pool the forecast value added of several weeks: one row per step, in the order of the steps.

    Args:
        value_added: rows of one level and place, of any number of weeks.

    Returns:
        step, against, actual_units, wape, cost, wape_added, cost_added, and weeks (in which the step destroyed value).
    """
    sums = value_added.groupby(c.STEP)[[c.ACTUAL_UNITS, c.ABSOLUTE_ERROR, c.COST]].sum(min_count=1)
    destroyed = value_added.groupby(c.STEP)[c.DESTROYED].sum()
    steps = [step for step in Step if step in sums.index]
    wape = sums[c.ABSOLUTE_ERROR] / sums[c.ACTUAL_UNITS].where(sums[c.ACTUAL_UNITS] > 0)
    against = [str(COMPARED_WITH.get(step, "")) for step in steps]
    before = pd.DataFrame({c.WAPE: wape, c.COST: sums[c.COST]}).reindex(against)
    own_wape, own_cost = (values.reindex(steps).to_numpy(dtype=np.float64) for values in (wape, sums[c.COST]))
    return pd.DataFrame(
        {
            c.STEP: [str(step) for step in steps],
            c.AGAINST: against,
            c.ACTUAL_UNITS: sums[c.ACTUAL_UNITS].reindex(steps).to_numpy(),
            c.WAPE: own_wape,
            c.COST: own_cost,
            c.WAPE_ADDED: before[c.WAPE].to_numpy() - own_wape,
            c.COST_ADDED: before[c.COST].to_numpy() - own_cost,
            c.WEEKS: destroyed.reindex(steps).to_numpy(dtype=np.int64),
        }
    )


def override_totals(override_value: pd.DataFrame, by: Sequence[str] = (c.AUTHOR,)) -> pd.DataFrame:
    """Add up the effects of overrides, for example by author, by reason or by direction.

    Args:
        override_value: rows of any number of weeks.
        by: columns to group by.

    Returns:
        The group, n (overrides), won (share, fraction), units, error_before, error_after and cost_added.
    """
    known = override_value[override_value[c.PAIRS] > 0]
    groups = known.groupby(list(by), as_index=False)
    sums = groups[[c.UNITS, c.ERROR_BEFORE, c.ERROR_AFTER, c.COST_ADDED]].sum()
    return sums.assign(
        **{c.N: groups.size()["size"].to_numpy(), c.WON: groups[c.WON].mean()[c.WON].to_numpy(dtype=np.float64)}
    )


def lag_one(lake: Lake, model: str = CHAMPION, last: int | None = 52) -> pd.DataFrame:
    """Return the accuracy of one model over the whole network at lag 1, one row per week: for a chart over time."""
    return rows_at(read_table(lake, "accuracy", last=last), OVERALL, **{c.LAG: 1, c.MODEL: model})


def whole_horizon(lake: Lake, last: int | None = None) -> pd.DataFrame:
    """Return the accuracy of every model over the whole network and all known lags, one row per week and model."""
    return rows_at(read_table(lake, "accuracy", last=last), OVERALL, **{c.LAG: ALL_LAGS})


def restatements(lake: Lake) -> pd.DataFrame:
    """Return the evaluations that were restated because actuals had changed, the latest first."""
    every = read_table(lake, EVALUATIONS.name, every_version=True)
    return every[every[c.RESTATED]].sort_values([c.AS_OF, c.VERSION], ascending=False, ignore_index=True)


def actual_demand(lake: Lake) -> pd.DataFrame:
    """Return the current actual of every series and period: the last row that was written for it."""
    rows = read_table(lake, "actuals", every_version=True)
    return rows.drop_duplicates([c.STORE_ID, c.CATEGORY, c.DATE], keep="last", ignore_index=True)
