"""Alarms: data or results that look wrong although every row is valid (docs/reference/alarms.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from schemas import columns as c
from schemas.alarm_facts import ALARMS
from schemas.facts import AlarmFacts, Severity

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALARMS", "Alarm", "AlarmFacts", "Severity", "alarm_of_rows", "at_least", "raise_alarm"]

NAMED = 50  # stores and SKUs that an alarm lists; `count` is the number of all of them


class Alarm(BaseModel):
    """One alarm of a run.

    Attributes:
        name: key of :data:`ALARMS`.
        severity: what it does to the publication.
        message: what was found, where and how often, and what to do.
        stores: the first stores concerned.
        skus: the first SKUs concerned.
        date_from: first date concerned; None if dates do not matter.
        date_to: last date concerned.
        count: number of rows, periods, SKUs or stores concerned; the message says which.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    severity: Severity
    message: str
    stores: list[str] = []
    skus: list[str] = []
    date_from: date | None = None
    date_to: date | None = None
    count: int = 0


def raise_alarm(
    name: str,
    message: str,
    *,
    stores: Iterable[object] = (),
    skus: Iterable[object] = (),
    dates: tuple[date, date] | None = None,
    count: int = 0,
) -> Alarm:
    """Make an alarm with the severity of the registry.

    Args:
        name: key of :data:`ALARMS`.
        message: what was found, where and how often, and what to do.
        stores: stores concerned; the first ones are kept.
        skus: SKUs concerned; the first ones are kept.
        dates: first and last date concerned.
        count: number of rows, periods, SKUs or stores concerned.

    Raises:
        KeyError: the registry has no alarm of this name.

    >>> raise_alarm("rejected_rows", "stock: 6 of 500 rows were rejected", count=6).severity
    <Severity.WARNING: 'warning'>
    """
    first, last = dates or (None, None)
    return Alarm(
        name=name,
        severity=ALARMS[name].severity,
        message=message,
        stores=[str(store) for store in stores][:NAMED],
        skus=[str(sku) for sku in skus][:NAMED],
        date_from=first,
        date_to=last,
        count=count,
    )


def alarm_of_rows(name: str, message: str, rows: pd.DataFrame) -> Alarm:
    """Make an alarm whose stores, SKUs, dates and count are those of rows of a table.

    Args:
        name: key of :data:`ALARMS`.
        message: what was found, where and how often, and what to do.
        rows: the rows concerned, at least one; a column of stores, SKUs or dates that they do not have is left out.

    Raises:
        KeyError: the registry has no alarm of this name.
    """
    stores, skus = (sorted(rows[at].astype(str).unique()) if at in rows else () for at in (c.STORE_ID, c.SKU))
    dates = (rows[c.DATE].min().date(), rows[c.DATE].max().date()) if c.DATE in rows else None
    return raise_alarm(name, message, stores=stores, skus=skus, dates=dates, count=len(rows))


def named_lines(rows: pd.DataFrame) -> list[str]:
    """Describe rows of sales (units, SKU, store, date), for the text of an alarm."""
    return [
        f"{units:,.0f} of {sku} in store {store} on {day.date()}"
        for units, sku, store, day in zip(rows[c.UNITS], rows[c.SKU], rows[c.STORE_ID], rows[c.DATE], strict=True)
    ]


def at_least(alarms: Sequence[Alarm], severity: Severity) -> list[Alarm]:
    """The alarms of a severity or a higher one, in their order."""
    order = list(Severity)
    return [alarm for alarm in alarms if order.index(alarm.severity) >= order.index(severity)]
