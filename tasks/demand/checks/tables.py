"""All alarms on the meaning of the accepted rows of one run date; needs no Prefect and no lake."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from tasks.demand.axis import Axis
from tasks.demand.checks.contradictions import contradicted_availability, contradicted_calendar
from tasks.demand.checks.dates import coarse_dates, coarse_parts, swapped_days
from tasks.demand.checks.levels import changed_units, stock_out_alarm
from tasks.demand.checks.not_periods import odd_sums
from tasks.demand.checks.packs import pack_sizes
from tasks.demand.checks.prices import price_levels
from tasks.demand.checks.promotions import promotion_alarms
from tasks.demand.checks.stock import stock_alarms
from tasks.demand.checks.stores import store_alarms
from tasks.demand.checks.vanished import vanished_skus
from tasks.demand.cleaning.exposure import StorePeriods
from tasks.demand.cleaning.pair_periods import PairPeriods
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.stock_outs import StockOuts
from tasks.demand.cleaning.successors import unusable_successors

# Accents, and spaces and punctuation that are not between two digits.
_NO_DIFFERENCE = r"[\u0300-\u036f]|(?<!\d)[\s\-_./'’]+|[\s\-_./'’]+(?!\d)"


def table_alarms(prepared: Prepared, stores: StorePeriods, missing: PairPeriods, found: StockOuts) -> list[Alarm]:
    """Return every alarm on the tables of one run date, in a fixed order.

    Args:
        prepared: corrected and summed tables.
        stores: what is known of each store and period.
        missing: periods that the table of availability marks as out of stock.
        found: SKUs that were probably not in stock.
    """
    lines, daily = prepared.lines, prepared.settings.period.kind == "D" or prepared.settings.aggregate
    return [
        *_axis_alarms(prepared, stores),
        *prepared.alarms,
        *(swapped_days(lines.facts.days()) if daily else []),
        *_coarse_dates(prepared),
        *store_alarms(prepared, stores),
        *stock_out_alarm(prepared, found),
        *contradicted_calendar(prepared, stores),
        *contradicted_availability(prepared, missing),
        *lines.odd,
        *odd_sums(prepared),
        *price_levels(prepared),
        *promotion_alarms(prepared),
        *changed_units(prepared),
        *vanished_skus(prepared, stores, missing, found),
        *stock_alarms(prepared),
        *pack_sizes(prepared),
        *_unknown_categories(prepared),
        *_unknown_successors(prepared),
        *_category_spelling(prepared),
        *(raise_alarm("calendar_incomplete", text) for text in prepared.calendar.warnings),
    ]


def ended_stores(prepared: Prepared, stores: StorePeriods) -> tuple[str, ...]:
    """Stores that get no target: permanently closed, or with sales but not in the stores table."""
    listed = pd.Index(prepared.tables["stores"][c.STORE_ID].astype(str))
    ended = stores.ended | ~np.isin(prepared.cells.stores.astype(str), listed)
    return tuple(str(store) for store in prepared.cells.stores[ended])


def _axis_alarms(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    found = []
    as_of, axis, frequency = prepared.as_of, prepared.axis, prepared.axis.frequency
    if not frequency.is_boundary(as_of):
        found.append(
            raise_alarm(
                "run_inside_period",
                f"as_of {as_of} is inside a period of {frequency.code}: that of "
                f"{axis.periods[axis.history - 1].date()} counts as finished. Run at a boundary, such as "
                f"{_next_start(axis)}{_if_end_labels(prepared)}",
            )
        )
    tail = int(stores.tail.sum())
    if tail:
        last = axis.periods[axis.history - tail - 1].date()
        found.append(
            raise_alarm(
                "sales_end_early",
                f"sales end at {last}: the {numbered(tail, '# period[s]')} from there to as_of {as_of} "
                f"{numbered(tail, '[is|are]')} unknown. Deliver the newer sales, or set --as-of to the first missing "
                "day",
                dates=(axis.periods[axis.history - tail].date(), as_of - timedelta(days=1)),
                count=tail,
            )
        )
    return found


def _next_start(axis: Axis) -> date:
    """First day of a period from the first forecast label on."""
    label: date = axis.periods[axis.history].date()
    return label + timedelta(days=1) if axis.frequency.ends else label


def _if_end_labels(prepared: Prepared) -> str:
    """The setting to change if the run date is the day after the last label, as it is with labels of the last day."""
    axis = prepared.axis
    yesterday = pd.Timestamp(prepared.as_of) - pd.Timedelta(days=1)
    if axis.frequency.kind != "W" or axis.frequency.ends or axis.periods[axis.history - 1] != yesterday:
        return ""
    return ". If the dates of the sales are the last days of their weeks, set period_label: end"


def _coarse_dates(prepared: Prepared) -> list[Alarm]:
    if prepared.settings.period.kind != "D":
        return []
    return coarse_dates(prepared.lines.facts.days()) or coarse_parts(prepared.cells)


def _category_spelling(prepared: Prepared) -> list[Alarm]:
    """Values of the category that differ in case, accents, spaces or punctuation only: they are different ones."""
    products = prepared.tables["products"]
    found, count = [], 0
    for name in prepared.settings.category:
        values = products[name].dropna().astype(str)
        alike = pd.Series(values.unique(), dtype=object)
        form = alike.str.normalize("NFKD").str.casefold().str.replace(_NO_DIFFERENCE, "", regex=True)
        form = form.mask(form == "", alike)
        several = alike.groupby(form).agg(lambda texts: " and ".join(repr(text) for text in texts))
        several = several[form.value_counts().reindex(several.index) > 1]
        found += [f"{name} {text}" for text in several]
        count += int(values.isin(alike[form.isin(several.index)]).sum())
    if not found or prepared.settings.category == [c.SKU]:
        return []
    return [
        raise_alarm(
            "category_spelling",
            f"products: values of the category differ in case, accents or punctuation only: {first_few(found)}. They "
            f"count as different categories. Write them in the same way, in {numbered(count, '# product[s]')}",
            count=count,
        )
    ]


def _unknown_successors(prepared: Prepared) -> list[Alarm]:
    found = unusable_successors(prepared.tables["products"])
    if not found:
        return []
    return [
        raise_alarm(
            "unknown_successor",
            f"products: replaced_by or replaces of {numbered(len(found), '# SKU[s] [has|have]')} no effect: "
            f"{first_few([f'{sku} ({why})' for sku, why in found.items()])}. Correct the SKU, or add it to products",
            skus=found,
            count=len(found),
        )
    ]


def _unknown_categories(prepared: Prepared) -> list[Alarm]:
    """Events and overrides of a category that no product has: they have no effect."""
    known = set(prepared.products[c.CATEGORY])
    found = []
    for name in ("events", "overrides"):
        table = prepared.tables.get(name)
        if table is None or c.CATEGORY not in table.columns:
            continue
        named = table[c.CATEGORY].dropna()
        unknown = named[~named.isin(known)]
        if len(unknown):
            found.append(
                raise_alarm(
                    "unknown_category",
                    f"{name}: {numbered(len(unknown), '# row[s] [is|are]')} of a category that no product has "
                    f"({first_few(sorted(set(unknown)))}) and have no effect. Examples of categories: "
                    f"{first_few(sorted(known), 3)}",
                    count=len(unknown),
                )
            )
    return found
