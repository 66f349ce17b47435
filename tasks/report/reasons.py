"""Explanations of targets for planners: for one store and SKU, and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.formats import Table
from tasks.report.language import ENGLISH, UNKNOWN, Language, message

LARGEST_SHOWN = 15
CONSTRAINED_SHOWN = 25
SHORTAGES_SHOWN = 60
UNCONSTRAINED = "none"
NO_NAMES: Mapping[str, str] = MappingProxyType({})
# Steps of fewer units are not shown.
SMALLEST_STEP = 0.05
DAYS_PER_WEEK = 7
_STEPS = {
    c.BY_LIFECYCLE: message("styles that may not be sent to this store: other styles get their units"),
    c.BY_ASSORTMENT: message(
        "styles left out (incomplete size run, no display capacity): other styles get their units"
    ),
    c.BY_VARIATION: message("variation: demand of slow SKUs varies more than that of fast SKUs"),
    c.BY_MINIMUM: message("minimum presentation, one unit of each core size, one pack of a SKU that runs out"),
    c.BY_ROUNDING: message("rounding to whole units, and up to whole packs"),
    c.BY_CAPACITY: message("the store has no room"),
    c.BY_DC_SHARE: message("kept in the DC: the SKU is scarce, and its units will more likely sell later or elsewhere"),
    c.BY_DC: message("DC stock of this SKU is exhausted"),
}
# Other SKUs of the category get these units from their minimum.
_LESS_BY_MINIMUM = message("minimum presentation and core sizes of other SKUs of the category")
_CONSTRAINTS = {
    message("lifecycle rule"): message("the lifecycle state of the style does not allow deliveries to this store"),
    message("display capacity"): message("no display capacity left for this style"),
    message("DC stock"): message("the DC has no more stock of this SKU"),
    message("share of scarce DC stock"): message(
        "the DC keeps units of this scarce SKU for other stores and later weeks"
    ),
    message("minimum presentation"): message("the minimum presentation is higher than the demand"),
    message("size run"): message("a style is displayed with all core sizes or left out"),
    message("pack"): message("the SKU is only sent in full packs"),
    message("storage capacity"): message("no storage capacity left for a higher order-up-to level"),
    message("no delivery"): message("the store has no delivery within the horizon"),
    message("none"): message("no constraint: the target follows from demand and cost"),
}
# Constraints that allow no earlier delivery; in files of earlier versions they are in the column of constraints, too.
_DELAYS = {
    message("deliveries per period"): message(
        "the network's deliveries per period are used up before this store's first delivery"
    ),
    message("blackout dates"): message("blackout dates allow no earlier delivery to this store"),
}
# Reasons of shortages that have no variable part (tasks.inventory.allocation.shortages).
_EXPECTED_PERIODS = message("expected periods within capacity")
_SHORTAGES = (
    _EXPECTED_PERIODS,
    message("more styles in stock than the display capacity (styles)"),
    message("a pack does not fit (units)"),
    message("no style of the category is on display (units)"),
    message("style (in the column SKU) displayed with an incomplete core size run (sizes)"),
    message("no display capacity left for this style (units)"),
    message("the store has no room (units)"),
    message("kept in the DC for other stores or later weeks (units)"),
    message("DC stock is too low (units)"),
    message("the DC has no stock (units)"),
)
# Names in the files of earlier versions, with underscores, and their current names.
_EARLIER_NAMES = {
    "dock_limit": "deliveries per period",
    "frozen_days": "blackout dates",
    "no_visit": "no delivery",
}


def reason_lines(row: Mapping[str, Any], say: Language = ENGLISH, published: int | None = None) -> list[str]:
    """Explain the target of one store and SKU.

    Args:
        row: one row of the explanations.
        say: language of the lines.
        published: published target, if planners' overrides changed it.

    Returns:
        Lines of text. The steps in them add up to the target of the plan.
    """
    delivery = _date(row[c.VISIT_DATE], say("no delivery within the horizon"))
    next_delivery = _date(row[c.NEXT_VISIT], say("after the horizon"))
    lines = [
        say(
            "Store {store}, SKU {sku} (style {style}, category {category})",
            store=row[c.STORE_ID],
            sku=row[c.SKU],
            style=row[c.ARTICLE],
            category=row[c.CATEGORY],
        ),
        say("Target at the delivery of {date}: {units}", date=delivery, units=_units(row[c.TARGET_QUANTITY], say)),
        *_delay(row, say),
        say(
            "Binding constraint: {name} ({meaning})",
            name=say.known(str(row[c.LIMIT])),
            meaning=_meaning(row[c.LIMIT], say) or say("a constraint of another version"),
        ),
        "",
        *_sending(row, say, published),
        "",
        say(
            "Mean forecast until {date}, which the delivery covers: {category} for the category, {sku} for this SKU",
            date=next_delivery,
            category=_units(row[c.SERIES_FORECAST], say, 1),
            sku=_units(row[c.SKU_FORECAST], say, 1),
        ),
        say(
            "Order-up-to level of the category: {units}, which covers demand until then with a probability of {share}",
            units=_units(row[c.ORDER_UP_TO], say),
            share=say.percent(float(row[c.QUANTILE])),
        ),
    ]
    lines += _coverage(row, say)
    factor = row.get(c.HOLDING_FACTOR)
    if factor is not None and not pd.isna(factor):
        text = say(
            "overstock cost multiplier {factor}: the holding cost of an unsold unit counts this many times "
            "(calibrated by replay of past weeks)",
            factor=say.number(float(factor), 2),
        )
        lines.append(f"  {text}")
    if row[c.LEVEL_WITHOUT_CAPACITY] > row[c.ORDER_UP_TO]:
        text = say("without the storage capacity: {units}", units=_units(row[c.LEVEL_WITHOUT_CAPACITY], say))
        lines.append(f"  {text}")
    stock = say("Stock of the category, on hand and in transit: {units}", units=_units(row[c.SERIES_STOCK], say))
    return [*lines, stock, *_steps(row, say)]


def _delay(row: Mapping[str, Any], say: Language) -> list[str]:
    """Why the delivery is not earlier; empty if nothing delays it."""
    meaning = _DELAYS.get(str(row.get(c.DELAYED_BY)))
    return [f"  {say.known(meaning)}"] if meaning else []


def _coverage(row: Mapping[str, Any], say: Language) -> list[str]:
    """The rule of the level, and what it means for the SKU; empty for runs of earlier versions of Restock."""
    pays, covers, last = (row.get(name) for name in (c.PAYS_UP_TO, c.COVERS, c.LAST_UNIT_SELLS))
    if covers is None or pd.isna(row[c.VISIT_DATE]):
        return []
    if pays is None or pd.isna(pays):
        asked = float(row[c.SERVICE_LEVEL])
        rule = say("rule: cycle service level of {share}", share=say.percent(asked, 1))
    else:
        asked = float(pays)
        rule = say(
            "rule: holding cost against lost sales; covering demand is worth its cost up to a probability of {share}",
            share=say.percent(asked, 1),
        )
    if float(row[c.QUANTILE]) > asked and float(row[c.SHARE]) < 1.0:
        rule += say("; the category covers more, because each of its SKUs has to: single SKUs vary more than their sum")
    units = max(float(row[c.TARGET_QUANTITY]), sum(_number(row[name]) for name in (c.ON_HAND, c.IN_TRANSIT)))
    text = say(
        "this SKU after the delivery: {units}, which covers its demand until then with a probability of {share}",
        units=_units(units, say),
        share=say.percent(float(covers), 1),
    )
    if last is not None and not pd.isna(last):
        chance = say.percent(float(last), 1)
        text += say("; the last of them sells before then with a probability of {share}", share=chance)
    weeks = _weeks(row, units)
    if weeks is not None:
        text += say("; that is {weeks} weeks of its forecast", weeks=say.number(weeks, 1))
    return [f"  {rule}", f"  {text}"]


def _number(value: Any) -> float:
    return 0.0 if pd.isna(value) else float(value)


def _weeks(row: Mapping[str, Any], units: float) -> float | None:
    """Weeks of the SKU's forecast in some units; None without a next delivery, a forecast or a unit."""
    forecast = float(row[c.SKU_FORECAST])
    if pd.isna(row[c.NEXT_VISIT]) or forecast <= 0 or units <= 0:
        return None
    since = row.get(c.COVERED_FROM, row[c.VISIT_DATE])
    days = (pd.Timestamp(row[c.NEXT_VISIT]) - pd.Timestamp(since)).days
    return units / forecast * days / DAYS_PER_WEEK


def _sending(row: Mapping[str, Any], say: Language, published: int | None) -> list[str]:
    send = _units(float(row[c.TO_SEND]), say)
    if published is not None:
        held = sum(float(row[name]) for name in (c.ON_HAND, c.IN_TRANSIT) if not pd.isna(row[name]))
        return [
            say(
                "Planners' overrides change the target to {target}. To send now: {units} = {target} − {held} on hand "
                "and in transit",
                target=say.number(published),
                held=say.number(held),
                units=_units(float(np.floor(max(published - held, 0.0))), say),
            )
        ]
    if pd.isna(row[c.ON_HAND]):
        return [say("To send: {units} (no stock table; stock is taken as 0)", units=send)]
    text = say(
        "To send now: {units} = {target} − {on_hand} on hand − {in_transit} in transit",
        units=send,
        target=say.number(row[c.TARGET_QUANTITY]),
        on_hand=say.number(row[c.ON_HAND]),
        in_transit=say.number(row[c.IN_TRANSIT]),
    )
    surplus = row[c.TARGET_QUANTITY] < row[c.ON_HAND] + row[c.IN_TRANSIT]
    return [f"{text}; {say('surplus stock stays in the store')}" if surplus else text]


def _steps(row: Mapping[str, Any], say: Language) -> list[str]:
    """Return the steps, rounded to tenths of a unit such that the rounded steps add up to the target."""
    lines = [
        say(
            "Share of this SKU in the category: {share} of {units}",
            share=say.percent(float(row[c.SHARE])),
            units=say.number(row[c.ORDER_UP_TO]),
        )
    ]
    running, shown = 0.0, 0.0
    for column, words in {c.UNITS_BY_SHARE: message("share of the category"), **_STEPS}.items():
        running += float(row.get(column, 0.0))
        step = round(running, 1) - shown
        shown = round(running, 1)
        text = _LESS_BY_MINIMUM if column == c.BY_MINIMUM and step < 0 else words
        if column == c.UNITS_BY_SHARE or abs(step) >= SMALLEST_STEP:
            lines.append(f"  {_signed(step, say)}  {say.known(text)}")
    return [*lines, f"  = {say.number(row[c.TARGET_QUANTITY])}  {say('target')}"]


def shortage_table(shortages: pd.DataFrame, say: Language = ENGLISH, names: Mapping[str, str] = NO_NAMES) -> Table:
    """Return the shortages, the largest of each constraint first.

    Args:
        shortages: the published table.
        say: language of the table.
        names: SKU to product name.
    """
    short = (shortages[c.REQUESTED] - shortages[c.ALLOCATED]).abs().to_numpy(dtype=float)
    texts = [shortages[column].astype(str).to_numpy() for column in (c.SKU, c.CATEGORY, c.STORE_ID)]
    order = np.lexsort((*texts, -short, shortages[c.LIMIT].astype(str).to_numpy()))
    rows = [
        (
            say.known(str(row[c.LIMIT])),
            str(row[c.STORE_ID]),
            str(row[c.CATEGORY]) or say("all"),
            str(row[c.SKU]) or say("all"),
            names.get(str(row[c.SKU]), ""),
            say.number(row[c.REQUESTED], int(row[c.REASON] == _EXPECTED_PERIODS)),
            say.number(row[c.ALLOCATED], int(row[c.REASON] == _EXPECTED_PERIODS)),
            say.known(str(row[c.REASON])) if row[c.REASON] in _SHORTAGES else str(row[c.REASON]),
        )
        for row in shortages.iloc[order[:SHORTAGES_SHOWN]].to_dict("records")
    ]
    headers = say.headers(
        *("Constraint", "Store", "Category", "SKU", "Product", "#Requested", "#Allocated", "Description")
    )
    note = say.first(SHORTAGES_SHOWN, len(shortages), "shortages.csv")
    return Table(headers, rows, note=note, filters=frozenset({0, 1}))


def constraints_table(explanations: pd.DataFrame, say: Language = ENGLISH) -> Table:
    """Return the number of targets and units per binding constraint, the most frequent first."""
    groups = explanations.groupby(explanations[c.LIMIT].astype(object))[c.TARGET_QUANTITY].agg(["size", "sum"])
    order = np.lexsort((groups.index.to_numpy(), -groups["size"].to_numpy()))
    rows = [
        (
            say.known(str(name)),
            _meaning(str(name), say),
            say.number(count),
            say.percent(count / len(explanations)),
            say.number(units),
        )
        for name, (count, units) in zip(groups.index[order], groups.to_numpy()[order], strict=True)
    ]
    return Table(say.headers("Constraint", "Meaning", "#Targets", "#Share", "#Units"), rows)


def largest_table(explanations: pd.DataFrame, say: Language = ENGLISH, names: Mapping[str, str] = NO_NAMES) -> Table:
    """Return the largest targets and their explanations; ``names`` maps SKUs to product names."""
    return _lines_table(explanations, explanations[c.TARGET_QUANTITY].to_numpy(dtype=float), LARGEST_SHOWN, say, names)


def constrained_table(
    explanations: pd.DataFrame, say: Language = ENGLISH, names: Mapping[str, str] = NO_NAMES
) -> Table | None:
    """Return the targets furthest below their forecast because of a constraint; None if none exists.

    Stock above the target counts as target.
    """
    stock = explanations[[c.ON_HAND, c.IN_TRANSIT]].fillna(0.0).sum(axis=1)
    short = explanations[c.SKU_FORECAST] - np.maximum(explanations[c.TARGET_QUANTITY], stock)
    bound = (explanations[c.LIMIT].astype(object) != UNCONSTRAINED) & (short > SMALLEST_STEP)
    if not bound.any():
        return None
    return _lines_table(explanations[bound], short[bound].to_numpy(dtype=float), CONSTRAINED_SHOWN, say, names)


def _lines_table(frame: pd.DataFrame, weight: np.ndarray, shown: int, say: Language, names: Mapping[str, str]) -> Table:
    order = np.lexsort((frame[c.SKU].astype(str).to_numpy(), frame[c.STORE_ID].astype(str).to_numpy(), -weight))
    rows = [
        (
            str(row[c.STORE_ID]),
            str(row[c.SKU]),
            names.get(str(row[c.SKU]), ""),
            say.number(row[c.TARGET_QUANTITY]),
            say.expected(row[c.SKU_FORECAST]),
            say.number(row[c.ORDER_UP_TO]),
            say.percent(float(row[c.QUANTILE])),
            say.percent(float(row[c.SHARE])),
            UNKNOWN if pd.isna(row[c.ON_HAND]) else say.number(row[c.ON_HAND] + row[c.IN_TRANSIT]),
            say.number(row[c.TO_SEND]),
            say.known(str(row[c.LIMIT])),
        )
        for row in frame.iloc[order[:shown]].to_dict("records")
    ]
    headers = say.headers(
        *("Store", "SKU", "Product", "#Target, units", "#Forecast that the delivery covers"),
        *(
            "#Order-up-to level of category",
            "#Demand that the level covers",
            "#Share of category",
            "#Stock and in transit",
        ),
        *("#To send", "Constraint"),
    )
    return Table(headers, rows, note=say.first(shown, len(frame), "explanations.parquet"))


def _meaning(constraint: str, say: Language) -> str:
    """Return the meaning of a constraint; empty for an unknown name."""
    name = _EARLIER_NAMES.get(constraint.replace(" ", "_"), constraint)
    return say.known(_CONSTRAINTS.get(name) or _DELAYS.get(name, ""))


def _units(value: float, say: Language, digits: int = 0) -> str:
    amount = say.number(float(value), digits)
    return say("{units} unit", units=amount) if float(value) == 1 else say("{units} units", units=amount)


def _signed(value: float, say: Language) -> str:
    return f"{'+' if float(value) >= 0 else '−'} {say.number(abs(float(value)), 1)}"


def _date(value: Any, absent: str) -> str:
    return absent if pd.isna(value) else str(pd.Timestamp(value).date())
