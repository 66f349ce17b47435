"""Read the performance tables: for the app, the report and tests. See docs/reference/performance.md for the columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray
from schemas.performance import (
    ALL_LAGS,
    CATEGORY,
    CHAMPION,
    COMPARED_WITH,
    EVALUATIONS,
    OVERALL,
    STORE,
    TABLES,
    VARIANTS,
    PerformanceTable,
    Step,
)
from tasks.performance.tables import conform, stored_keys
from tasks.storage.lake import Lake

# Columns that identify the rows of each level.
LEVEL_KEYS = {OVERALL: (), STORE: (c.STORE_ID,), CATEGORY: (c.CATEGORY,)}
_AGAINST = {str(step): str(before) for step, before in COMPARED_WITH.items()}
_BEFORE = "_before"


def read_table(lake: Lake, name: str, *, last: int | None = None, every_version: bool = False) -> pd.DataFrame:
    """Read a performance table: the current version of every run date.

    Args:
        lake: lake of the publications.
        name: key of :data:`schemas.performance.TABLES`.
        last: number of the latest run dates to read; None = all.
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
        wape and cost are over the weeks of the step. The added value is over the weeks of both compared steps.
    """
    rows = value_added.assign(**{c.STEP: value_added[c.STEP].astype(str)})
    rows = rows.assign(**{c.AGAINST: rows[c.STEP].map(_AGAINST)})
    before = rows[[c.AS_OF, c.STEP, c.ACTUAL_UNITS, c.ABSOLUTE_ERROR, c.COST]]
    # A step may be missing in some weeks. Two steps are compared in the weeks of both.
    pairs = rows.merge(before, left_on=[c.AS_OF, c.AGAINST], right_on=[c.AS_OF, c.STEP], suffixes=("", _BEFORE))
    sums = rows.groupby(c.STEP)[[c.ACTUAL_UNITS, c.ABSOLUTE_ERROR, c.COST]].sum(min_count=1)
    both = pairs.groupby(c.STEP)[[name + end for name in sums.columns for end in ("", _BEFORE)]].sum(min_count=1)
    steps = [step.value for step in Step if step.value in sums.index]
    sums, both = sums.reindex(steps), both.reindex(steps)
    return pd.DataFrame(
        {
            c.STEP: steps,
            c.AGAINST: [_AGAINST.get(step, "") for step in steps],
            c.ACTUAL_UNITS: sums[c.ACTUAL_UNITS].to_numpy(),
            c.WAPE: _wape(sums),
            c.COST: sums[c.COST].to_numpy(dtype=np.float64),
            c.WAPE_ADDED: _wape(both, _BEFORE) - _wape(both),
            c.COST_ADDED: (both[c.COST + _BEFORE] - both[c.COST]).to_numpy(dtype=np.float64),
            c.WEEKS: rows.groupby(c.STEP)[c.DESTROYED].sum().reindex(steps).to_numpy(dtype=np.int64),
        }
    )


def _wape(sums: pd.DataFrame, end: str = "") -> FloatArray:
    sold = sums[c.ACTUAL_UNITS + end]
    found: FloatArray = (sums[c.ABSOLUTE_ERROR + end] / sold.where(sold > 0)).to_numpy(dtype=np.float64)
    return found


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


def variant_table(lake: Lake) -> pd.DataFrame:
    """Return the last comparison of variants: one row per endpoint, variant and other variant.

    Returns:
        endpoint, variant, against, decision, weeks, wape, wql, and for each measure its difference and the evidence for
        the variant; evidence_needed. A row with the two variants exchanged has the evidence for the other one.
    """
    rows = read_table(lake, VARIANTS.name, last=1)
    keys = [c.ENDPOINT, c.VARIANT, c.AGAINST]
    decided = rows[rows[c.AGAINST].eq("")].set_index([c.ENDPOINT, c.VARIANT])[c.DECISION]
    tested = rows[rows[c.AGAINST].ne("")]
    measures = {name: tested[tested[c.MEASURE].eq(name)].set_index(keys) for name in (c.WAPE, c.WQL)}
    wape = measures[c.WAPE]
    found = pd.DataFrame(
        {
            c.DECISION: decided.reindex(wape.index.droplevel(c.AGAINST)).to_numpy(),
            c.WEEKS: wape[c.WEEKS],
            **{name: own[c.LOSS] for name, own in measures.items()},
            **{
                f"{name}_{column}": own[column]
                for name, own in measures.items()
                for column in (c.DIFFERENCE, c.EVIDENCE_FOR)
            },
            c.EVIDENCE_NEEDED: wape[c.LIMIT_VALUE],
        },
        index=wape.index,
    )
    return found.reset_index()


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
