"""Columns that are not used, although their names say which column of the table they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.raw import is_text
from schemas.suites import READ
from tasks.demand.ingest.documents import MOST_TYPES
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.parsing import parse_column, plain_text
from tasks.demand.inspect.names import NAMED, column_score, phrase_score
from tasks.demand.words import CELLS, holding, phrases, plain

_ID = {"products": c.SKU, "stores": c.STORE_ID}
# Of the cells of a column, at least this fraction must be readable as what its name says.
_READABLE = 0.9


def unmapped_columns(table: MappedTable) -> Iterator[Alarm]:
    """Yield an alarm for the columns whose whole name means an optional number, date or flag that is not mapped."""
    name = table.contract.name
    wanted = [*NAMED.get(name, ()), *([c.RESERVE] if name == "dc_stock" else [])]
    free = [written for ours, written in table.names.items() if table.contract.rule(ours) is None]
    found = {}
    for column in wanted:
        rule = table.contract.rule(column)
        if column in table.parsed or rule is None or rule.kind in ("id", "text"):
            continue
        for written in free:
            meant = phrase_score(written, column) if column == c.RESERVE else column_score(name, column, written)
            if meant == 1 and written not in found:
                state = parse_column(table.raw.frame[written], rule, table.source).state
                if (state == READ).mean() >= _READABLE:
                    found[written] = column
                    break
    yield from _ended(table, [written for written in free if written not in found])
    prices = [written for written in free if written not in found and phrase_score(written, "price") == 1]
    of_sales = name == "sales" and c.NET_AMOUNT not in table.parsed and c.NET_AMOUNT not in found.values()
    if found:
        listed = ", ".join(f"sources.{name}.columns.{column}: {written}" for written, column in found.items())
        yield raise_alarm(
            "unmapped_column",
            f"{name}: {numbered(len(found), '# column[s] [is|are]')} not used: {', '.join(map(repr, found))}. By "
            f"{numbered(len(found), '[its name, it is an|their names, they are]')} optional "
            f"{numbered(len(found), 'column[s]')} of the table. If so, set {listed}",
            count=len(found),
        )
    elif of_sales and prices:
        yield raise_alarm(
            "unmapped_column",
            f"sales: the column {prices[0]!r} is a price per unit by its name and is not used, and there is no "
            "net_amount. Add a column net_amount (price times units); without it, lost units cost the price of the "
            "products table, else 1",
            count=1,
        )


def _ended(table: MappedTable, free: Sequence[str]) -> Iterator[Alarm]:
    """Products or stores that a column calls discontinued or closed, while nothing is read from it."""
    key = _ID.get(table.contract.name)
    said = {phrase.casefold() for phrase in phrases(CELLS, "true")}
    for written in free if key else ():
        column = table.raw.frame[written]
        if not is_text(column) or len(column.cat.categories) > MOST_TYPES + 1:
            continue
        texts = list(column.cat.categories)
        ended = [text for text in texts if holding("ended").fullmatch(plain(text))]
        if holding("ended").fullmatch(plain(written)):
            ended = [text for text in texts if text.strip().casefold() in said]
        rows = np.flatnonzero(column.isin(ended))
        if not len(rows):
            continue
        ids = list(plain_text(table.parsed[str(key)].values.iloc[rows]).dropna())
        remedy = (
            "State closed_on"
            if key == c.STORE_ID
            else f"To send none, set sources.products.columns.collection_status: {written} and "
            f"inventory.lifecycle.outlet_only: [{', '.join(ended)}] (stores of the types in outlet_types still get "
            "them), or name their successors in replaced_by"
        )
        yield raise_alarm(
            "unmapped_column",
            f"{table.contract.name}: by the column {written!r}, {numbered(len(rows), '# row[s] [is|are]')} "
            f"{', '.join(map(repr, ended))} ({first_few(ids)}). The column is not used, and they get targets as the "
            f"others do. {remedy}",
            stores=ids if key == c.STORE_ID else (),
            skus=ids if key == c.SKU else (),
            count=len(rows),
        )
