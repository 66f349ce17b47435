"""The effect of an approval: differences to the file in force and to the last earlier publication."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import AFTER, BEFORE, CHANGE, Change
from tasks.app.data.company import Company, WeekName
from tasks.app.data.week import UNREADABLE, RunWeek
from tasks.publication.changes import compare_targets
from tasks.publication.earlier_runs import published


@dataclass(frozen=True)
class Review:
    """A preview that waits for an approval.

    Attributes:
        week: its files.
        change: targets that differ from the last earlier publication; None if it does not exist.
        replaced: targets that differ from the file in force for the same run date; None if none is in force.
    """

    week: RunWeek
    change: Change | None
    replaced: Change | None


def review(company: Company, as_of: date) -> Review | None:
    """Read the preview of a run date; None if it does not exist."""
    name = WeekName(as_of, preview=True)
    if name not in company.weeks():
        return None
    week = company.week(name)
    current = published(company.lake, as_of)
    replaced = None
    if current is not None:
        try:
            replaced = compare_targets(current.targets(), week.outputs.replenishment, as_of)
        except UNREADABLE:
            replaced = None
    return Review(week, week.change, replaced)


def differences(week: RunWeek, change: Change) -> pd.DataFrame:
    """Return the changed targets with category and money, the largest amount first.

    Returns:
        store_id, sku, before, after, change, category and money (change at the SKU's price; NaN if unknown).
    """
    rows = change.rows.astype({c.STORE_ID: str, c.SKU: str})
    keys = pd.MultiIndex.from_frame(week.pairs[[c.STORE_ID, c.SKU]].astype(str))
    categories = pd.Series(week.pairs[c.CATEGORY].fillna("").astype(str).to_numpy(), keys)
    found = categories[~categories.index.duplicated()].reindex(pd.MultiIndex.from_frame(rows[[c.STORE_ID, c.SKU]]))
    money = (rows[CHANGE] * week.prices.reindex(rows[c.SKU]).to_numpy(dtype=float)).to_numpy(dtype=float)
    rows = rows.assign(**{c.CATEGORY: found.fillna("").to_numpy(), c.MONEY: money})
    order = np.lexsort((-rows[CHANGE].abs().to_numpy(), -np.abs(np.nan_to_num(money))))
    return rows.iloc[order].reset_index(drop=True)[[c.STORE_ID, c.SKU, c.CATEGORY, BEFORE, AFTER, CHANGE, c.MONEY]]
