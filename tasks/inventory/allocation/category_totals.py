"""What a category's targets must add up to, from its level alone: a check on the split that does not use the split."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.allocation.sku_targets import SkuTargets, first_visits
from tasks.inventory.outputs import labels


def category_totals(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> pd.DataFrame:
    """The total of each (store, category) that the publication is checked against.

    Single units: the plan's level at the store's first visit, less the stock of articles that may not be sent or
    shown where the store is bounded, less what the DC lacks; 0 where nothing may be sent. Packs: anything from 0
    to that, or one pack. A split within these bounds is told as it is; beyond them, as the nearest bound, so that
    the publication finds the difference.

    Returns:
        store_id, category, target_quantity; one row per series with a SKU.
    """
    least, most = _bounds(problem, plan, chosen)
    made = np.bincount(chosen.rows.series, weights=chosen.targets, minlength=len(least))
    some = np.flatnonzero(np.bincount(chosen.rows.series, minlength=len(least)) > 0)
    return pd.DataFrame(
        {
            c.STORE_ID: labels(problem.store_ids)[problem.series_store[some]],
            c.CATEGORY: labels(problem.categories)[problem.series_category[some]],
            c.TARGET_QUANTITY: np.clip(made, least, most)[some].astype(np.int64),
        }
    )


def _bounds(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> tuple[FloatArray, FloatArray]:
    rows = chosen.rows
    size = len(problem.on_hand)
    at = first_visits(plan)[problem.series_store]
    level = np.ceil(np.where(at >= 0, plan.levels[np.arange(size), np.maximum(at, 0)], 0.0) - 1e-9)
    others = np.bincount(rows.series, weights=np.where(rows.open, 0.0, rows.position), minlength=size)
    most = np.floor(np.maximum(np.where(chosen.bounded, level - others, level), 0.0) + 1e-9)
    most[np.bincount(rows.series, weights=rows.open, minlength=size) == 0] = 0.0
    lacking = np.bincount(rows.series, weights=chosen.steps.targets - chosen.targets, minlength=size)
    largest = np.ones(size)
    np.maximum.at(largest, rows.series[rows.open], rows.pack[rows.open])
    least = np.where(largest > 1, 0.0, most - lacking)
    return least, np.where(most > 0, np.maximum(most, np.where(largest > 1, largest, 0.0)), 0.0)
