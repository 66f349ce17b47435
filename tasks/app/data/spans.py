"""Spans on the time axis of a series: promotions, events, closed days and deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from schemas import columns as c
from tasks.app.data.week import RunWeek
from tasks.report.language import message

PROMOTION, EVENT, CLOSED, DELIVERY = message("Promotion"), message("Event"), message("Closed"), message("Delivery")
KINDS = (PROMOTION, EVENT, CLOSED, DELIVERY)
_NO_NAME = ("", "0", "0.0", "False", "None")
_FLAG = ("1", "1.0", "True")
# A value on more than this share of the days of a calendar is the one of an ordinary day.
ORDINARY = 0.5


@dataclass(frozen=True)
class Span:
    """Days on the time axis: first and last, kind and name."""

    name: str
    first: pd.Timestamp
    last: pd.Timestamp
    kind: str = EVENT

    def cut(self, start: pd.Timestamp, end: pd.Timestamp) -> Span:
        """The part within two dates."""
        return Span(self.name, max(self.first, start), min(self.last, end), self.kind)


def spans_of(week: RunWeek, store: str, category: str, start: pd.Timestamp, end: pd.Timestamp) -> tuple[Span, ...]:
    """Return the spans between two dates, in order of kind and date.

    Args:
        week: the run.
        store: store of the series.
        category: category of the series.
        start: first date.
        end: last date.
    """
    every = [
        *_promotions(week, store, category),
        *_events(week, category),
        *_calendar(week, store),
        *_closed_for_good(week, store, end),
        *_deliveries(week, store),
    ]
    inside = [span.cut(start, end) for span in every if span.last >= start and span.first <= end]
    return tuple(sorted(inside, key=lambda span: (KINDS.index(span.kind), span.first, span.name)))


def _promotions(week: RunWeek, store: str, category: str) -> Iterator[Span]:
    """Promotions of the category's SKUs, those with the same dates as one span."""
    table = week.table("promotions")
    if table is None or not {c.SKU, c.DATE_FROM, c.DATE_TO} <= set(table.columns):
        return
    pairs = week.pairs
    skus = pairs.loc[pairs[c.CATEGORY].astype(str) == category, c.SKU].astype(str).unique()
    rows = _of_store(table[table[c.SKU].astype(str).isin(skus)], store)
    say = week.say
    for (first, last), count in rows.groupby([c.DATE_FROM, c.DATE_TO])[c.SKU].nunique().items():
        name = say("promotion of {count} SKUs", count=say.number(count))
        yield Span(name, pd.Timestamp(first), pd.Timestamp(last), PROMOTION)


def _events(week: RunWeek, category: str) -> Iterator[Span]:
    """Events of the table ``events`` for the category or all categories."""
    table = week.table("events")
    if table is None or not {c.NAME, c.DATE_FROM, c.DATE_TO} <= set(table.columns):
        return
    for row in table.to_dict("records"):
        own = row.get(c.CATEGORY)
        if own is None or pd.isna(own) or str(own) in ("", category):
            yield Span(str(row[c.NAME]), pd.Timestamp(row[c.DATE_FROM]), pd.Timestamp(row[c.DATE_TO]), EVENT)


def _calendar(week: RunWeek, store: str) -> Iterator[Span]:
    """Holidays and events with a name, and closed days, as the calendar has them."""
    table = week.table("calendar")
    if table is None or c.DATE not in table.columns:
        return
    rows = _of_store(table, store)
    days = pd.to_datetime(rows[c.DATE])
    for column in (c.EVENT, c.HOLIDAY):
        if column not in rows.columns:
            continue
        texts = rows[column].astype(object).where(rows[column].notna(), "").astype(str).str.strip()
        for text, own in texts.groupby(texts):
            if text not in _NO_NAME and len(own) <= ORDINARY * len(rows):
                name = week.say(column) if text in _FLAG else str(text)
                yield from _runs_of_days(name, EVENT, days[own.index])
    if c.OPEN in rows.columns:
        closed = pd.to_numeric(rows[c.OPEN], errors="coerce").eq(0)
        yield from _runs_of_days(week.say.known(CLOSED), CLOSED, days[closed])


def _closed_for_good(week: RunWeek, store: str, end: pd.Timestamp) -> Iterator[Span]:
    table = week.table("stores")
    if table is None or c.CLOSED_ON not in table.columns:
        return
    for day in pd.to_datetime(table.loc[table[c.STORE_ID].astype(str) == store, c.CLOSED_ON]).dropna():
        yield Span(week.say.known(CLOSED), day, max(end, day), CLOSED)


def _deliveries(week: RunWeek, store: str) -> Iterator[Span]:
    visits = week.outputs.visits
    if len(visits):
        for day in pd.to_datetime(visits.loc[visits[c.STORE_ID].astype(str) == store, c.DATE]):
            yield Span(week.say.known(DELIVERY), day, day, DELIVERY)


def _of_store(rows: pd.DataFrame, store: str) -> pd.DataFrame:
    """The rows of a store and those of all stores."""
    if c.STORE_ID not in rows.columns:
        return rows
    return rows[rows[c.STORE_ID].isna() | (rows[c.STORE_ID].astype(str) == store)]


def _runs_of_days(name: str, kind: str, days: pd.Series) -> list[Span]:
    """Return one span per run of days without a gap."""
    spans: list[Span] = []
    for day in sorted(set(days)):
        if spans and (day - spans[-1].last).days <= 1:
            spans[-1] = Span(name, spans[-1].first, day, kind)
        else:
            spans.append(Span(name, day, day, kind))
    return spans
