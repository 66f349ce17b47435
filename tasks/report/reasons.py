"""Explanations of targets for planners: for one store and SKU, and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.formats import Table, number, percent, quantity

LARGEST_SHOWN = 15
CONSTRAINED_SHOWN = 25
SHORTAGES_SHOWN = 60
UNCONSTRAINED = "none"
# Steps of fewer units are not shown.
SMALLEST_STEP = 0.05
_STEPS = {
    c.BY_LIFECYCLE: "styles that may not be sent to this store: other styles get their units",
    c.BY_ASSORTMENT: "styles left out (incomplete size run, no display capacity): other styles get their units",
    c.BY_STOCK: "stock in the store: SKUs with low stock get more units, SKUs with high stock fewer",
    c.BY_MINIMUM: "minimum presentation, and one pack of each core size",
    c.BY_ROUNDING: "rounding to units and packs within the category's order-up-to level",
    c.BY_DC: "DC stock of this SKU is exhausted",
}
_CONSTRAINTS = {
    "lifecycle rule": "the lifecycle state of the style does not allow deliveries to this store",
    "display capacity": "no display capacity left for this style",
    "DC stock": "the DC has no more stock of this SKU",
    "minimum presentation": "the minimum presentation is higher than the demand",
    "size run": "a style is displayed with all core sizes or left out",
    "pack": "the SKU is only sent in full packs",
    "deliveries per period": "the network's deliveries per period are used up before this store's first delivery",
    "blackout dates": "blackout dates allow no earlier delivery to this store",
    "storage capacity": "no storage capacity left for a higher order-up-to level",
    "no delivery": "the store has no delivery within the horizon",
    UNCONSTRAINED: "no constraint: the target follows from demand and cost",
}
# Names in the files of earlier versions, with underscores, and their current names.
_EARLIER_NAMES = {
    "dock_limit": "deliveries per period",
    "frozen_days": "blackout dates",
    "no_visit": "no delivery",
}


def reason_lines(row: Mapping[str, Any]) -> list[str]:
    """Explain the target of one store and SKU.

    Args:
        row: one row of the explanations.

    Returns:
        Lines of text. The steps in them add up to the target.
    """
    delivery = _date(row[c.VISIT_DATE], "no delivery within the horizon")
    lines = [
        f"Store {row[c.STORE_ID]}, SKU {row[c.SKU]} (style {row[c.ARTICLE]}, category {row[c.CATEGORY]})",
        f"Target at the delivery of {delivery}: {_units(row[c.TARGET_QUANTITY])}",
        f"Binding constraint: {row[c.LIMIT]} ({_meaning(row[c.LIMIT]) or 'a constraint of another version'})",
        "",
        *_sending(row),
        "",
        f"Mean forecast until the next delivery ({_date(row[c.NEXT_VISIT], 'after the horizon')}): "
        f"{_units(row[c.SERIES_FORECAST], 1)} for the category, {_units(row[c.SKU_FORECAST], 1)} for this SKU",
        f"Order-up-to level of the category: {_units(row[c.ORDER_UP_TO])}, which covers demand until then with a "
        f"probability of {percent(float(row[c.QUANTILE]), 0)}",
    ]
    factor = row.get(c.HOLDING_FACTOR)
    if factor is not None and not pd.isna(factor):
        lines.append(
            f"  overstock cost multiplier {number(float(factor), 2)}: the holding cost of an unsold unit counts this "
            "many times (calibrated by replay of past weeks)"
        )
    if row[c.LEVEL_WITHOUT_CAPACITY] > row[c.ORDER_UP_TO]:
        lines.append(f"  without the storage capacity: {_units(row[c.LEVEL_WITHOUT_CAPACITY])}")
    lines.append(f"Stock of the category, on hand and in transit: {_units(row[c.SERIES_STOCK])}")
    return [*lines, *_steps(row)]


def _sending(row: Mapping[str, Any]) -> list[str]:
    send = float(row[c.TO_SEND])
    if pd.isna(row[c.ON_HAND]):
        return [f"To send: {_units(send)} (no stock table; stock is taken as 0)"]
    stock = f"{number(row[c.ON_HAND])} on hand − {number(row[c.IN_TRANSIT])} in transit"
    surplus = (
        "; surplus stock stays in the store" if row[c.TARGET_QUANTITY] < row[c.ON_HAND] + row[c.IN_TRANSIT] else ""
    )
    return [f"To send now: {_units(send)} = {number(row[c.TARGET_QUANTITY])} − {stock}{surplus}"]


def _steps(row: Mapping[str, Any]) -> list[str]:
    """Return the steps, rounded to tenths of a unit such that the rounded steps add up to the target."""
    share = percent(float(row[c.SHARE]))
    lines = [f"Share of this SKU in the category: {share} of {number(row[c.ORDER_UP_TO])}"]
    running, shown = 0.0, 0.0
    for column, words in {c.UNITS_BY_SHARE: "share of the category", **_STEPS}.items():
        running += float(row[column])
        step = round(running, 1) - shown
        shown = round(running, 1)
        if column == c.UNITS_BY_SHARE or abs(step) >= SMALLEST_STEP:
            lines.append(f"  {_signed(step)}  {words}")
    return [*lines, f"  = {number(row[c.TARGET_QUANTITY])}  target"]


def shortage_table(shortages: pd.DataFrame) -> Table:
    """Return the shortages, the largest of each constraint first."""
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
    note = f"The first {SHORTAGES_SHOWN} of {len(shortages):,}; shortages.csv has all of them."
    return Table(
        ("Constraint", "Store", "Category", "SKU", "#Requested", "#Allocated", "Description"),
        rows,
        note=note * (len(shortages) > SHORTAGES_SHOWN),
    )


def constraints_table(explanations: pd.DataFrame) -> Table:
    """Return the number of targets and units per binding constraint, the most frequent first."""
    groups = explanations.groupby(explanations[c.LIMIT].astype(object))[c.TARGET_QUANTITY].agg(["size", "sum"])
    order = np.lexsort((groups.index.to_numpy(), -groups["size"].to_numpy()))
    rows = [
        (str(name), _meaning(str(name)), number(count), percent(count / len(explanations)), number(units))
        for name, (count, units) in zip(groups.index[order], groups.to_numpy()[order], strict=True)
    ]
    return Table(("Constraint", "Meaning", "#Targets", "#Share", "#Units"), rows)


def largest_table(explanations: pd.DataFrame) -> Table:
    """Return the largest targets and their explanations."""
    return _lines_table(explanations, explanations[c.TARGET_QUANTITY].to_numpy(dtype=float), LARGEST_SHOWN)


def constrained_table(explanations: pd.DataFrame) -> Table | None:
    """Return the targets furthest below their forecast because of a constraint; None without any.

    Stock above the target counts as target.
    """
    stock = explanations[[c.ON_HAND, c.IN_TRANSIT]].fillna(0.0).sum(axis=1)
    short = explanations[c.SKU_FORECAST] - np.maximum(explanations[c.TARGET_QUANTITY], stock)
    bound = (explanations[c.LIMIT].astype(object) != UNCONSTRAINED) & (short > SMALLEST_STEP)
    if not bound.any():
        return None
    return _lines_table(explanations[bound], short[bound].to_numpy(dtype=float), CONSTRAINED_SHOWN)


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
            "unknown" if pd.isna(row[c.ON_HAND]) else number(row[c.ON_HAND] + row[c.IN_TRANSIT]),
            number(row[c.TO_SEND]),
            str(row[c.LIMIT]),
        )
        for row in frame.iloc[order[:shown]].to_dict("records")
    ]
    headers = (
        *("Store", "SKU", "#Target, units", "#Forecast until next delivery", "#Order-up-to level of category"),
        *("#Demand covered", "#Share of category", "#Stock and in transit", "#To send", "Constraint"),
    )
    note = f"The first {shown} of {len(frame):,} targets." if len(frame) > shown else ""
    return Table(headers, rows, note=note)


def _meaning(constraint: str) -> str:
    """Return the meaning of a constraint; empty for an unknown name."""
    return _CONSTRAINTS.get(_EARLIER_NAMES.get(constraint.replace(" ", "_"), constraint), "")


def _units(value: float, digits: int = 0) -> str:
    return f"{number(float(value), digits)} unit{'' if float(value) == 1 else 's'}"


def _signed(value: float) -> str:
    return f"{'+' if float(value) >= 0 else '−'} {abs(float(value)):.1f}"


def _date(value: Any, absent: str) -> str:
    return absent if pd.isna(value) else str(pd.Timestamp(value).date())
