"""Columns that are not used, although their names say which column of the table they are."""

from __future__ import annotations

from collections.abc import Iterator

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import numbered
from schemas.suites import READ
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.parsing import parse_column
from tasks.demand.inspect.names import NAMED, column_score, phrase_score

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
