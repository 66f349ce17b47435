"""Why a target is what it is, in a planner's words: for one line, and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.formats import Table, number, percent, quantity

LARGEST_SHOWN = 15
BOUND_SHOWN = 25
SHORTAGES_SHOWN = 60
UNBOUND = "none"
# A step of fewer units is not worth a line.
SMALLEST_STEP = 0.05
_STEPS = {
    c.BY_LIFECYCLE: "articles that may not be sent here: their place goes to others, or their stock takes it",
    c.BY_ASSORTMENT: "articles left out (broken size run, no place on show): their units go to the others",
    c.BY_STOCK: "what is there already: SKUs that are short come first, full ones last",
    c.BY_MINIMUM: "minimum presentation and a pack of every core size",
    c.BY_ROUNDING: "whole units and packs, so that the category's level is kept",
    c.BY_DC: "the distribution centre has no more of this SKU",
}
_LIMITS = {
    "lifecycle rule": "the article's lifecycle state may not be sent to this store",
    "display capacity": "the store has no place left to show this article",
    "DC stock": "the distribution centre does not have more",
    "minimum presentation": "the minimum presentation is above what demand asks for",
    "size run": "an article is shown with all its core sizes or left out",
    "pack": "only whole packs are sent",
    "dock limit": "the visits of a day over the network are full before this store's first visit",
    "frozen days": "no visit may arrive before this store's first visit",
    "storage capacity": "the store has no room for a higher level",
    "no visit": "the store has no visit within the horizon",
    UNBOUND: "no limit: demand and cost alone decided",
}


def reason_lines(row: Mapping[str, Any]) -> list[str]:
    """The answer to "why this many units?" for one line.

    Args:
        row: one row of the explanations.

    Returns:
        Lines of text whose steps add up to the target.
    """
    visit = _date(row[c.VISIT_DATE], "no visit within the horizon")
    lines = [
        f"Store {row[c.STORE_ID]}, SKU {row[c.SKU]} (article {row[c.ARTICLE]}, category {row[c.CATEGORY]})",
        f"Target at the visit of {visit}: {_units(row[c.TARGET_QUANTITY])}",
        f"Limit that decided it: {row[c.LIMIT]} ({_LIMITS.get(row[c.LIMIT], 'a rule of another version')})",
        "",
        *_sending(row),
        "",
        f"Forecast until the next visit ({_date(row[c.NEXT_VISIT], 'after the horizon')}): "
        f"{_units(row[c.SERIES_FORECAST], 1)} of the category, {_units(row[c.SKU_FORECAST], 1)} of this SKU (mean)",
        f"Level of the category: {_units(row[c.ORDER_UP_TO])}, which covers demand until then with "
        f"{percent(float(row[c.QUANTILE]), 0)} probability",
    ]
    factor = row.get(c.HOLDING_FACTOR)
    if factor is not None and not pd.isna(factor):
        lines.append(
            f"  a unit left over counts {number(float(factor), 2)} times its holding until then: calibrated by replay "
            "of past weeks"
        )
    if row[c.LEVEL_WITHOUT_CAPACITY] > row[c.ORDER_UP_TO]:
        lines.append(f"  with room for everything it would be {_units(row[c.LEVEL_WITHOUT_CAPACITY])}")
    lines.append(f"Stock of the category, on hand and on the way: {_units(row[c.SERIES_STOCK])}")
    return [*lines, *_steps(row)]


def _sending(row: Mapping[str, Any]) -> list[str]:
    send = float(row[c.TO_SEND])
    if pd.isna(row[c.ON_HAND]):
        return [f"To send: {_units(send)} (no stock table: the store counts as empty)"]
    there = f"{number(row[c.ON_HAND])} on hand − {number(row[c.IN_TRANSIT])} on the way"
    surplus = "; nothing is taken back" if row[c.TARGET_QUANTITY] < row[c.ON_HAND] + row[c.IN_TRANSIT] else ""
    return [f"To send now: {_units(send)} = {number(row[c.TARGET_QUANTITY])} − {there}{surplus}"]


def _steps(row: Mapping[str, Any]) -> list[str]:
    """The steps in tenths of a unit that add up to the target as they are written."""
    share = percent(float(row[c.SHARE]))
    lines = [f"Share of this SKU in the category: {share} of {number(row[c.ORDER_UP_TO])}"]
    running, shown = 0.0, 0.0
    for column, words in {c.UNITS_BY_SHARE: "by its share", **_STEPS}.items():
        running += float(row[column])
        step = round(running, 1) - shown
        shown = round(running, 1)
        if column == c.UNITS_BY_SHARE or abs(step) >= SMALLEST_STEP:
            lines.append(f"  {_signed(step)}  {words}")
    return [*lines, f"  = {number(row[c.TARGET_QUANTITY])}  target"]


def shortage_table(shortages: pd.DataFrame) -> Table:
    """Shortages by constraint, the largest of each constraint first."""
    short = (shortages[c.REQUESTED] - shortages[c.ALLOCATED]).abs().to_numpy(dtype=float)
    names = [shortages[column].astype(str).to_numpy() for column in (c.SKU, c.CATEGORY, c.STORE_ID)]
    order = np.lexsort((*names, -short, shortages[c.LIMIT].astype(str).to_numpy()))
    rows = [
        (
            str(row[c.LIMIT]),
            str(row[c.STORE_ID]),
            str(row[c.CATEGORY]) or "all",
            str(row[c.SKU]) or "all",
            quantity(row[c.REQUESTED]),
            quantity(row[c.ALLOCATED]),
            str(row[c.REASON]),
        )
        for row in shortages.iloc[order[:SHORTAGES_SHOWN]].to_dict("records")
    ]
    note = f"The first {SHORTAGES_SHOWN} of {len(shortages):,}; shortages.csv has all."
    return Table(
        ("Limit", "Store", "Category", "SKU", "#Requested", "#Allocated", "What"),
        rows,
        note=note * (len(shortages) > SHORTAGES_SHOWN),
    )


def limits_table(explanations: pd.DataFrame) -> Table:
    """How many lines and units each limit decided, the most frequent first."""
    groups = explanations.groupby(explanations[c.LIMIT].astype(object))[c.TARGET_QUANTITY].agg(["size", "sum"])
    order = np.lexsort((groups.index.to_numpy(), -groups["size"].to_numpy()))
    rows = [
        (str(name), _LIMITS.get(str(name), ""), number(count), percent(count / len(explanations)), number(units))
        for name, (count, units) in zip(groups.index[order], groups.to_numpy()[order], strict=True)
    ]
    return Table(("Limit", "What it means", "#Lines", "#Share", "#Target, units"), rows)


def largest_table(explanations: pd.DataFrame) -> Table:
    """The largest targets and how they came about."""
    return _lines_table(explanations, explanations[c.TARGET_QUANTITY].to_numpy(dtype=float), LARGEST_SHOWN)


def bound_table(explanations: pd.DataFrame) -> Table | None:
    """The lines that a limit leaves furthest below their forecast, what is there counted; None where it leaves none."""
    there = explanations[[c.ON_HAND, c.IN_TRANSIT]].fillna(0.0).sum(axis=1)
    short = explanations[c.SKU_FORECAST] - np.maximum(explanations[c.TARGET_QUANTITY], there)
    held = (explanations[c.LIMIT].astype(object) != UNBOUND) & (short > SMALLEST_STEP)
    return _lines_table(explanations[held], short[held].to_numpy(dtype=float), BOUND_SHOWN) if held.any() else None


def _lines_table(frame: pd.DataFrame, weight: np.ndarray, shown: int) -> Table:
    order = np.lexsort((frame[c.SKU].astype(str).to_numpy(), frame[c.STORE_ID].astype(str).to_numpy(), -weight))
    rows = [
        (
            str(row[c.STORE_ID]),
            str(row[c.SKU]),
            number(row[c.TARGET_QUANTITY]),
            number(row[c.SKU_FORECAST], 1),
            number(row[c.ORDER_UP_TO]),
            percent(float(row[c.QUANTILE]), 0),
            percent(float(row[c.SHARE])),
            "not counted" if pd.isna(row[c.ON_HAND]) else number(row[c.ON_HAND] + row[c.IN_TRANSIT]),
            number(row[c.TO_SEND]),
            str(row[c.LIMIT]),
        )
        for row in frame.iloc[order[:shown]].to_dict("records")
    ]
    headers = (
        *("Store", "SKU", "#Target, units", "#Forecast until next visit", "#Level of category", "#Demand covered"),
        *("#Share in category", "#Stock and on the way", "#To send", "Limit"),
    )
    note = f"The first {shown} of {len(frame):,} lines." if len(frame) > shown else ""
    return Table(headers, rows, note=note)


def _units(value: float, digits: int = 0) -> str:
    return f"{number(float(value), digits)} unit{'' if float(value) == 1 else 's'}"


def _signed(value: float) -> str:
    return f"{'+' if float(value) >= 0 else '−'} {abs(float(value)):.1f}"


def _date(value: Any, absent: str) -> str:
    return absent if pd.isna(value) else str(pd.Timestamp(value).date())
