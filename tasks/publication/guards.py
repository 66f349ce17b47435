"""Guards of a publication: alarms that hold back a file until a person has reviewed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import EXAMPLES_SHOWN
from schemas.outputs import AFTER, BEFORE, Change, RunOutputs
from schemas.settings import Settings

STALE_SALES, CHANGED_TARGETS, CHANGED_TOTAL = "stale_sales", "changed_targets", "changed_total"
KEY = [c.STORE_ID, c.SKU]
TO_SEND = "to_send"
NAMES = {"units": "the sum of targets", TO_SEND: "the units to send"}


@dataclass(frozen=True)
class Totals:
    """Totals of a replenishment file.

    Attributes:
        rows: store-SKU pairs.
        units: sum of the targets.
        to_send: units to send now: target minus units on hand and in transit if positive; None if unknown.
    """

    rows: int
    units: int
    to_send: int | None = None

    @classmethod
    def of(cls, outputs: RunOutputs) -> Self:
        """Sum the targets and the units to send."""
        targets = outputs.replenishment
        sent = int(targets[c.TO_SEND].sum()) if c.TO_SEND in targets.columns else None
        return cls(len(targets), int(targets[c.TARGET_QUANTITY].sum()), sent)

    @classmethod
    def stored(cls, content: Mapping[str, Any] | None) -> Self | None:
        """Read the totals of a manifest; None if an older version wrote it."""
        if not content:
            return None
        return cls(int(content["rows"]), int(content["units"]), content.get("to_send"))

    def content(self) -> dict[str, Any]:
        """The totals as JSON."""
        return asdict(self)


def latest_sale(dates: pd.Series, as_of: date) -> date | None:
    """Date of the latest sale before the run date; None without one."""
    known = dates[dates < pd.Timestamp(as_of)]
    return None if known.empty else pd.Timestamp(known.max()).date()


def stale_sales(settings: Settings, as_of: date, sales_end: date | None) -> list[Alarm]:
    """Raise an alarm if the latest sales are older than ``quality.max_age_days`` before the run date.

    Args:
        settings: settings of the run.
        as_of: run date.
        sales_end: date of the latest accepted sale before the run date; None = unknown.
    """
    limit = settings.quality.max_age_days
    if sales_end is None or (as_of - sales_end).days <= limit:
        return []
    return [
        raise_alarm(
            STALE_SALES,
            f"The latest sales are from {sales_end}, {(as_of - sales_end).days} days before the run date {as_of}; "
            f"quality.max_age_days allows {limit}",
            dates=(sales_end, as_of),
            count=(as_of - sales_end).days,
        )
    ]


def changed_targets(settings: Settings, change: Change | None) -> list[Alarm]:
    """Raise an alarm if more targets changed than ``publication.max_change`` allows.

    Args:
        settings: settings of the run.
        change: changes since an earlier file; None if it does not exist.
    """
    limit = settings.publication.max_change
    if limit is None or change is None or change.share <= limit:
        return []
    named = "; ".join(
        f"store {store}, SKU {sku}: {before} -> {after}"
        for store, sku, before, after in change.rows[[*KEY, BEFORE, AFTER]].head(EXAMPLES_SHOWN).itertuples(index=False)
    )
    return [
        raise_alarm(
            CHANGED_TARGETS,
            f"{change.share:.1%} of the targets ({len(change.rows):,} of {change.pairs:,}) differ from the file of "
            f"{change.against}; publication.max_change allows {limit:.1%}. Largest changes: {named}",
            stores=dict.fromkeys(change.rows[c.STORE_ID]),
            count=len(change.rows),
        )
    ]


def changed_total(
    settings: Settings,
    new: Totals,
    last: Totals | None,
    against: date | None,
    expected: Callable[[], int | None] = lambda: None,
    counted: bool = True,
) -> list[Alarm]:
    """Raise an alarm for each total that changed by more than ``publication.max_total_change``.

    The first file of a network fills empty shelves, and the next one only replaces what was sold. The last file
    already expects this change. Units to send that are close to that expectation therefore raise no alarm.

    Args:
        settings: settings of the run.
        new: totals of the new file.
        last: totals of the last earlier file; None if it does not exist.
        against: run date of that file.
        expected: returns the units that the last file expected to be sent now (:func:`expected_to_send`); None =
            unknown.
        counted: True if the stock is of the run date. With the stock of another day, units to send are not compared.
    """
    limit = settings.publication.max_total_change
    if limit is None or last is None:
        return []
    found = []
    for name, words in NAMES.items():
        before, after = getattr(last, name), getattr(new, name)
        if not before or after is None or _near(after, before, limit) or (name == TO_SEND and not counted):
            continue
        planned = expected() if name == TO_SEND else None
        if planned is not None and _near(after, planned, limit):
            continue
        also = "" if planned is None else f", which expected {planned:,} units for this run"
        found.append(
            raise_alarm(
                CHANGED_TOTAL,
                f"{words} changed from {before:,} to {after:,} units ({after / before - 1:+.0%}) since the file of "
                f"{against}{also}; publication.max_total_change allows {limit:.0%}",
                count=abs(after - before),
            )
        )
    return found


def expected_to_send(deliveries: pd.DataFrame, visits: pd.DataFrame, first: pd.Timestamp) -> int:
    """Return the units of each store's first delivery from a date on, as an earlier file expects them.

    Args:
        deliveries: store_id, sku, visit_date, quantity; without the deliveries that bring nothing.
        visits: store_id, date: all deliveries.
        first: the earliest delivery that a run can still change: its run date plus the lead time.
    """
    dates = pd.to_datetime(visits[c.DATE])
    next_date = dates[dates >= first].groupby(visits[c.STORE_ID]).min()
    due = pd.to_datetime(deliveries[c.VISIT_DATE]) == deliveries[c.STORE_ID].map(next_date)
    return round(float(deliveries.loc[due, c.QUANTITY].sum()))


def _near(value: int, reference: int, limit: float) -> bool:
    return abs(value - reference) <= limit * reference
