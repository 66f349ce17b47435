"""Alarms on stores: missing sales, permanently closed, usually closed on a weekday, not in the stores table, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import IndexArray
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.exposure import StorePeriods
    from tasks.demand.cleaning.prepared import Prepared

_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_NAMED = 5
# Days of a year; if a store's last sales differ from those of the other stores by about a year, the year of its dates
# may be wrong.
_YEAR, _NEAR = 365, 7


def store_alarms(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Return the alarms on stores.

    Args:
        prepared: corrected and summed tables.
        stores: what is known of each store and period.
    """
    return [
        *_missing(prepared, stores),
        *_doubtful(prepared, stores),
        *_ended(prepared, stores),
        *_closed_but_sells(prepared, stores),
        *_usually_closed(prepared, stores),
        *_unlisted(prepared),
        *_opened_later(prepared),
    ]


def _missing(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    names, periods = prepared.cells.stores, prepared.cells.periods
    gaps = stores.missing.take(~(stores.missing.last & stores.ended[stores.missing.store]))
    if not len(gaps.store):
        return []
    end = prepared.cells.end
    renumbered = _renumbered(prepared, gaps.store[gaps.stop == end])
    order = np.lexsort((gaps.start, names[gaps.store].astype(str), -gaps.length))
    named = [
        f"{names[gaps.store[at]]} from {periods[gaps.start[at]].date()} to {periods[gaps.stop[at] - 1].date()} "
        f"({gaps.length[at]:,})"
        for at in order[:_NAMED]
    ]
    more = "" if len(order) <= _NAMED else f" and {len(order) - _NAMED:,} more"
    concerned = sorted({str(names[at]) for at in gaps.store})
    why = "the usual rate of sales makes that implausible"
    if prepared.cells.complete:
        why = "they should have rows, because the files list SKUs without sales too"
    return [
        raise_alarm(
            "missing_sales",
            f"sales: {numbered(len(concerned), '# store[s] [has|have] no sales in')} "
            f"{numbered(int(gaps.length.sum()), '# period[s]')} in which {why}: {'; '.join(named)}{more}{renumbered}. "
            "These periods count as unknown. Deliver the missing rows, or mark closed days in the calendar (open = 0)",
            stores=concerned,
            dates=(periods[gaps.start.min()].date(), periods[gaps.stop.max() - 1].date()),
            count=int(gaps.length.sum()),
        )
    ]


def _doubtful(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Stores that sell much in most periods and have no row in many others, without a pattern."""
    cells, gaps = prepared.cells, stores.doubtful
    empty = np.bincount(gaps.store, weights=gaps.length, minlength=len(cells.stores)).astype(np.int64)
    odd = np.flatnonzero(empty >= LIMITS.pattern_cases)
    if not len(odd):
        return []
    gaps = gaps.take(np.isin(gaps.store, odd))
    periods = cells.store_rows.sum(axis=1)
    named = [
        f"{cells.stores[at]} ({empty[at]:,} periods; {cells.store_units[at].sum() / periods[at]:,.0f} units in each of "
        "the others)"
        for at in odd[np.argsort(-empty[odd], kind="stable")][:_NAMED]
    ]
    more = "" if len(odd) <= _NAMED else f" and {len(odd) - _NAMED:,} more"
    return [
        raise_alarm(
            "periods_without_rows",
            f"sales: {numbered(len(odd), '# store[s] sell[s|] much in most periods and [has|have] no row in others')}: "
            f"{', '.join(named)}{more}. These periods count as zero sales. If the stores were open, deliver the "
            "missing rows; if they were closed, mark the days in the calendar (open = 0)",
            stores=cells.stores[odd],
            dates=(cells.periods[gaps.start.min()].date(), cells.periods[gaps.stop.max() - 1].date()),
            count=int(empty[odd].sum()),
        )
    ]


def _ended(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    if not stores.ended.any():
        return []
    cells = prepared.cells
    last = cells.history - 1 - cells.store_rows[:, ::-1].argmax(axis=1)
    ended = np.flatnonzero(stores.ended)
    named = [f"{cells.stores[at]} (last sales {cells.periods[last[at]].date()})" for at in ended[:_NAMED]]
    more = "" if len(ended) <= _NAMED else f" and {len(ended) - _NAMED:,} more"
    away = (cells.periods[cells.end - 1] - cells.periods[last[ended]]).days
    shifted = cells.stores[ended[np.abs(away - _YEAR) <= _NEAR]]
    hint = (
        f". The sales of {', '.join(map(str, shifted[:_NAMED]))} end a year before those of the other stores: is the "
        "year of their dates wrong?"
        if len(shifted)
        else _renumbered(prepared, ended)
    )
    return [
        raise_alarm(
            "store_closed",
            f"{numbered(len(ended), '# store[s] count[s|]')} as permanently closed: {', '.join(named)}{more}. Sales of "
            f"these stores count as history, and the stores get no target. If they are open, deliver their sales{hint}",
            stores=cells.stores[ended],
            dates=(cells.periods[last[ended].min()].date(), cells.periods[last[ended].max()].date()),
            count=len(ended),
        )
    ]


def _closed_but_sells(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Stores that sell after their closing date; all stores, if the tables close all of them."""
    cells = prepared.cells
    sold = (prepared.closing[:, : cells.history] & (cells.store_units > 0)).sum(axis=1)
    odd = np.flatnonzero(stores.ended & (sold >= LIMITS.pattern_cases))
    last = cells.history - 1 - cells.store_rows[:, ::-1].argmax(axis=1)
    named = [
        f"{cells.stores[at]} sells until {cells.periods[last[at]].date()} ({sold[at]:,} periods after closed_on)"
        for at in odd[:_NAMED]
    ]
    everywhere = stores.ended.all() and cells.history - 1 - last.max() < LIMITS.ended[cells.frequency.kind]
    if not named and not everywhere:
        return []
    text = ", ".join(named) if named else "all stores are closed by closed_on or the calendar, and sold lately"
    return [
        raise_alarm(
            "closed_store_sells",
            f"stores: {text}. They get no target. Correct closed_on, or `open` in the calendar (1 for open days)",
            stores=cells.stores[odd] if named else cells.stores,
            count=len(odd) or len(cells.stores),
        )
    ]


def _renumbered(prepared: Prepared, ended: IndexArray) -> str:
    """Name the stores whose first sale follows the last sale of a permanently closed store; empty if no store does."""
    cells = prepared.cells
    first = cells.store_rows.argmax(axis=1)
    last = cells.history - 1 - cells.store_rows[:, ::-1].argmax(axis=1)
    near = LIMITS.vanished_periods[cells.frequency.kind]
    pairs = [
        f"{cells.stores[new]} begins when {cells.stores[old]} ends"
        for old in np.unique(ended)
        for new in np.flatnonzero((first > last[old]) & (first <= last[old] + near))
    ]
    if not pairs:
        return ""
    return f". {', '.join(pairs[:_NAMED])}: if it is the same store, write its new id in the older files"


def _usually_closed(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Name stores and weekdays that are forecast as closed although no calendar says so."""
    history = prepared.cells.history
    ahead = prepared.usual[:, history:] & ~stores.ended[:, None]
    weekday = prepared.axis.periods[history:].dayofweek.to_numpy()
    found, concerned = [], np.zeros(len(ahead), dtype=bool)
    for day, name in enumerate(_WEEKDAYS):
        if (weekday == day).any():
            closed = ahead[:, weekday == day].all(axis=1)
            concerned |= closed
            if closed.any():
                found.append(f"{name}: {numbered(int(closed.sum()), '# store[s]')}")
    if not found:
        return []
    names = prepared.cells.stores[concerned]
    return [
        raise_alarm(
            "closed_weekdays",
            f"{numbered(len(names), '# store[s]')} "
            f"({', '.join(map(str, names[:_NAMED]))}{', ...' if len(names) > _NAMED else ''}) almost never "
            f"{numbered(len(names), 'sell[s|] on some weekdays and [is|are]')} forecast as closed then "
            f"({'; '.join(found)}). Set `open` in the calendar to say otherwise",
            stores=names,
            count=len(names),
        )
    ]


def _opened_later(prepared: Prepared) -> list[Alarm]:
    """Stores with sales in several periods before the day on which they opened by the stores table."""
    stores, cells = prepared.tables["stores"], prepared.cells
    if c.OPENED_ON not in stores.columns:
        return []
    opened = pd.Series(pd.to_datetime(stores[c.OPENED_ON]).to_numpy(), index=stores[c.STORE_ID].astype(str))
    opened = opened.reindex(cells.stores.astype(str)).dropna()
    at = cells.stores.astype(str).searchsorted(opened.index.to_numpy(dtype=str))
    label = cells.periods.searchsorted(cells.frequency.label(opened.reset_index(drop=True)).to_numpy())
    before = ((cells.store_units[at] > 0) & (np.arange(cells.history) < label[:, None])).sum(axis=1)
    odd = before >= LIMITS.pattern_cases
    if not odd.any():
        return []
    first = cells.store_rows[at[odd]].argmax(axis=1)
    named = [
        f"{store} (sells from {cells.periods[start].date()} on, opened_on {day.date()})"
        for store, start, day in zip(opened.index[odd], first, opened[odd], strict=True)
    ]
    return [
        raise_alarm(
            "opened_later",
            f"stores: {numbered(len(named), '# store[s] [has|have]')} sales before opened_on: {first_few(named)}. "
            "These sales count. Correct opened_on, or leave the sales out if they are those of another store",
            stores=opened.index[odd],
            dates=(cells.periods[first.min()].date(), opened[odd].max().date()),
            count=len(named),
        )
    ]


def _unlisted(prepared: Prepared) -> list[Alarm]:
    """Stores with sales that are not in the stores table: those without recent sales, and those that still sell."""
    cells = prepared.cells
    listed = pd.Index(prepared.tables["stores"][c.STORE_ID].astype(str))
    last = cells.history - 1 - cells.store_rows[:, ::-1].argmax(axis=1)
    unlisted = ~np.isin(cells.stores.astype(str), listed)
    sells = last >= cells.end - LIMITS.ended[cells.frequency.kind]
    facts = prepared.lines.facts
    lines = facts.of_store[facts.of_store > 0]
    found = []
    for name, chosen, text in (
        ("unlisted_store", unlisted & ~sells, "Models learn from their sales"),
        ("unlisted_store_sells", unlisted & sells, "They sold lately. Add them to stores if they are open"),
    ):
        names = cells.stores[chosen]
        if len(names):
            rows = int(lines[chosen].sum())
            found.append(
                raise_alarm(
                    name,
                    f"sales: {numbered(rows, '# row[s] belong[s|]')} to "
                    f"{numbered(len(names), '# store[s] that [is|are]')} not in the stores table "
                    f"({', '.join(map(str, names[:_NAMED]))}{', ...' if len(names) > _NAMED else ''}). These stores "
                    f"get no target. {text}",
                    stores=names,
                    dates=(prepared.axis.periods[0].date(), cells.periods[last[chosen].max()].date()),
                    count=rows,
                )
            )
    return found
