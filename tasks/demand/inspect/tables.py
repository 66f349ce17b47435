"""Decide which file is which table and which column is which: by names, by values, and by ids that match."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas import columns as c
from schemas.errors import first_few
from tasks.demand.inspect.column_mapping import LEAST_SCORE, REQUIRED, can_be, known_ids, map_columns
from tasks.demand.inspect.names import column_score, file_score
from tasks.demand.inspect.sheets import Sheet
from tasks.demand.inspect.values import Column

# Minimum score of a table.
_TABLE = 0.5
# Bonus of a fitting file name, and of a key that is unique as it must be.
_FILE_NAME = 0.5
_UNIQUE = 0.3
# Score of a list of SKUs or stores whose key was recognized by its values, which other files use.
_KEY_BY_VALUES = 0.3
# Two tables whose scores lie closer than this are reported as alternatives.
_CLOSE = 0.15
# More days than a stock count can have.
_STOCK_DAYS = 3
# Excel counts days from 1900: 36526 is the year 2000, 54788 the year 2050.
_DAY_NUMBER = re.compile(r"(3[6-9]|4\d|5[0-4])\d{3}(\.\d+)?")
_MOST = 0.9
# The columns of a stock count.
_COUNTED = (c.STORE_ID, c.SKU, c.ON_HAND)
# Minimum number of days of a sales file.
_SALES_DAYS = 8


@dataclass
class Mapped:
    """A table and the files that hold it.

    Attributes:
        table: name in the settings.
        sheets: its files; they are written like the first one.
        columns: Restock's column to the file's.
        evidence: Restock's column to the reason, in words.
        questions: what is open, in words.
    """

    table: str
    sheets: list[Sheet]
    columns: dict[str, str]
    evidence: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    @property
    def sheet(self) -> Sheet:
        """The first file."""
        return self.sheets[0]

    def column(self, name: str) -> Column:
        """Facts of one column over all files."""
        parts = [sheet.columns[self.columns[name]] for sheet in self.sheets if self.columns[name] in sheet.columns]
        return merged(parts)

    def count(self, name: str) -> dict[str, int]:
        """Distinct texts of a column and their rows."""
        column = self.column(name)
        return dict(zip(column.texts, map(int, column.counts), strict=True))

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(len(sheet.frame) for sheet in self.sheets)


def merged(parts: Sequence[Column]) -> Column:
    """One column over several files."""
    if len(parts) == 1:
        return parts[0]
    import numpy as np

    found: dict[str, int] = {}
    for part in parts:
        for text, count in zip(part.texts, part.counts, strict=True):
            found[text] = found.get(text, 0) + int(count)
    counts = np.array(list(found.values()), dtype=np.int64)
    return Column(parts[0].name, tuple(found), counts, sum(part.rows for part in parts))


def assign(sheets: Sequence[Sheet]) -> tuple[dict[str, Mapped], list[str]]:
    """Find the table of every candidate.

    Returns:
        Table to its files and columns, in the order of the contract, and lines about open questions.
    """
    ids = known_ids(sheets)
    scores = {index: _scores(sheet, ids) for index, sheet in enumerate(sheets)}
    taken: dict[str, list[tuple[float, int]]] = {}
    questions = [text for sheet in sheets for text in _day_numbers(sheet)]
    for index, of_sheet in scores.items():
        ranked = sorted(of_sheet, key=lambda table: -of_sheet[table][0])
        if not ranked:
            questions.append(
                f"{sheets[index].title}: no table recognized; its columns: {_columns(sheets[index])}"
                f"{_unreadable(sheets[index], ids)}"
            )
            continue
        best = ranked[0]
        taken.setdefault(best, []).append((of_sheet[best][0], index))
        close = [table for table in ranked[1:] if of_sheet[best][0] - of_sheet[table][0] < _CLOSE]
        if close:
            questions.append(f"{sheets[index].title}: taken as {best}; it may be {' or '.join(close)}")
    found: dict[str, Mapped] = {}
    asked: set[tuple[str, str]] = set()
    for table in (name for name in ("sales", "products", "stores", *REQUIRED) if name in taken):
        if table in found:
            continue
        ranked_sheets = [index for _, index in sorted(taken[table], key=lambda item: (-item[0], item[1]))]
        first = sheets[ranked_sheets[0]]
        _, columns, guessed = scores[ranked_sheets[0]][table]
        same = [sheets[index] for index in sorted(ranked_sheets) if _alike(sheets[index], first, columns)]
        others = [sheets[index].title for index in ranked_sheets if not _alike(sheets[index], first, columns)]
        mapped = Mapped(table, same, columns)
        # A column that several files share is one question.
        new = [name for name in guessed if (name, columns[name]) not in asked]
        asked.update((name, columns[name]) for name in new)
        mapped.questions += [
            f"{name}: column '{columns[name]}' was recognized by its values alone; is it right?" for name in new
        ]
        mapped.questions += _repeated_keys(mapped)
        if others:
            mapped.questions.append(f"further files look like {table} and are not used: {', '.join(others)}")
        found[table] = mapped
    _match_ids(found)
    return found, questions


def _repeated_keys(mapped: Mapped) -> list[str]:
    """Ids that occur several times in the products or stores, which is an error."""
    key = {"products": c.SKU, "stores": c.STORE_ID}.get(mapped.table)
    several = [text for text, count in mapped.count(key).items() if count > 1] if key else []
    if not several or len(mapped.sheets) > 1:
        return []
    return [f"{key}: {first_few(several)} occur several times; each may occur once"]


def _alike(sheet: Sheet, first: Sheet, columns: Mapping[str, str]) -> bool:
    """Whether two files can be one source: the mapped columns and the same sheet."""
    return set(columns.values()) <= set(sheet.columns) and (sheet.path != first.path or sheet is first)


def _scores(sheet: Sheet, ids: Mapping[str, set[str]]) -> dict[str, tuple[float, dict[str, str], list[str]]]:
    """Table to score, columns, and those recognized by values alone, for the tables that the candidate can be."""
    found = {}
    for table, required in REQUIRED.items():
        columns, guessed = map_columns(table, sheet, ids)
        if not set(required) <= columns.keys():
            continue
        named = [name for name in required if name not in guessed]
        score = sum(column_score(table, name, columns[name]) for name in named) / len(required)
        if not named and len(required) == 1:
            score += _KEY_BY_VALUES
        optional = [column_score(table, name, columns[name]) for name in columns if name not in required]
        score += min(0.4, 0.1 * sum(optional))
        score += _FILE_NAME * max(file_score(table, sheet.path.stem), file_score(table, sheet.sheet or ""))
        score += _shape(table, sheet, columns)
        if score >= _TABLE:
            found[table] = (score, columns, guessed)
    return found


def _shape(table: str, sheet: Sheet, columns: Mapping[str, str]) -> float:
    """Bonus or penalty for the expected form of the table's rows."""
    facts = {name: sheet.columns[written] for name, written in columns.items()}
    # A stock count may have one file per store. Store and SKUs then look like keys, but it is not a list of them.
    counted = all(any(column_score("stock", name, found) == 1 for found in sheet.columns) for name in _COUNTED)
    if table in ("products", "stores"):
        key = facts[c.SKU if table == "products" else c.STORE_ID]
        described = len(columns) + len([name for name in sheet.columns if name not in columns.values()]) > 1
        dated = any(column.is_date and len(column.texts) > _STOCK_DAYS for column in sheet.columns.values())
        rarely = not dated and not counted and len(key.texts) >= _MOST * key.filled
        return (
            (_UNIQUE if key.unique else 0.0 if rarely else -2.0)
            - (0.3 if dated and table == "products" else 0)
            - (not described)
            - counted
        )
    if table == "dc_stock":
        stores = [name for name in sheet.columns if column_score("stock", c.STORE_ID, name) == 1]
        several = any(len(sheet.columns[name].texts) > 1 for name in stores)
        # A file of arrivals names the distribution center too. Read as its stock, it hides the count.
        coming = c.DATE in facts and max(
            file_score("dc_inbound", text) for text in (sheet.path.stem, sheet.sheet or "")
        )
        return -1.0 if several or counted or coming else (_UNIQUE if facts[c.SKU].unique else -1.0)
    if table == "stock":
        # Many dates are those of sales, also if they cannot be read; or of the last movement of each store and SKU.
        dates = [
            column
            for name, column in sheet.columns.items()
            if column.is_date or column_score("sales", c.DATE, name) == 1
        ]
        dated = any(len(column.texts) > _STOCK_DAYS for column in dates)
        repeated = dated and sheet.frame[[columns[c.STORE_ID], columns[c.SKU]]].duplicated().any()
        return -0.7 if repeated else _UNIQUE
    if table in ("dc_inbound", "events"):
        # Sales and stock name a store; promotions a SKU.
        other = c.STORE_ID if table == "dc_inbound" else c.SKU
        return -1.0 if any(column_score("stock", other, name) == 1 for name in sheet.columns) else 0.0
    if table == "sales":
        return _UNIQUE if len(facts[c.DATE].texts) >= _SALES_DAYS else -0.5
    if table == "calendar":
        named = {c.HOLIDAY, c.EVENT, c.OPEN} & columns.keys()
        return (_UNIQUE if facts[c.DATE].unique else 0.0) if named else -1.0
    return 0.0


def _match_ids(found: dict[str, Mapped]) -> None:
    """Choose the id columns of sales, products and stores whose values match; then those of the other tables."""
    for key, table in ((c.SKU, "products"), (c.STORE_ID, "stores")):
        if "sales" in found and table in found:
            _choose_pair(found["sales"], found[table], key)
    for mapped in found.values():
        for key, table in ((c.SKU, "products"), (c.STORE_ID, "stores")):
            if mapped.table != table and key in mapped.columns and table in found:
                _follow(mapped, found[table], key)


def _choose_pair(left: Mapped, right: Mapped, key: str) -> None:
    """The pair of columns with the best names and the most ids of the left table in the right one."""
    best = (-1.0, left.columns[key], right.columns[key])
    for one in _candidates(left, key):
        ids = {text: count for part in [merged([s.columns[one] for s in left.sheets])] for text, count in _items(part)}
        for other in _candidates(right, key):
            column = right.sheet.columns[other]
            if column.unique:
                score = _overlap(ids, set(column.texts)) + 0.2 * (
                    column_score(left.table, key, one) + column_score(right.table, key, other)
                )
                best = max(best, (score, one, other), key=lambda item: item[0])
    for mapped, written in ((left, best[1]), (right, best[2])):
        _use(mapped, key, written)


def _follow(mapped: Mapped, reference: Mapped, key: str) -> None:
    """Take the column of a table whose ids are in the reference."""
    known = set(reference.column(key).texts)
    ranked = []
    for written in _candidates(mapped, key):
        ids = dict(_items(merged([sheet.columns[written] for sheet in mapped.sheets])))
        ranked.append((_overlap(ids, known) + 0.2 * column_score(mapped.table, key, written), written))
    best = max(ranked, key=lambda item: item[0])[1] if ranked else mapped.columns[key]
    _use(mapped, key, best)


def _use(mapped: Mapped, key: str, written: str) -> None:
    """Map a column; an earlier mapping of the same column is removed."""
    for name in [name for name, other in mapped.columns.items() if other == written and name != key]:
        del mapped.columns[name]
    mapped.columns[key] = written


def _candidates(mapped: Mapped, key: str) -> list[str]:
    return [
        name
        for name, facts in mapped.sheet.columns.items()
        if name == mapped.columns[key] or (can_be(key, facts) and column_score(mapped.table, key, name) >= LEAST_SCORE)
    ]


def _items(column: Column) -> list[tuple[str, int]]:
    return [(text, int(count)) for text, count in zip(column.texts, column.counts, strict=True)]


def _overlap(ids: Mapping[str, int], known: set[str]) -> float:
    total = sum(ids.values())
    return sum(count for text, count in ids.items() if text in known) / total if total else 0.0


def _day_numbers(sheet: Sheet) -> list[str]:
    """Date columns that hold the day numbers of Excel, which no date format reads."""
    return [
        f"{sheet.title}: column '{name}' holds numbers such as {column.texts[0]}, Excel's count of days: format it as "
        "a date in Excel and export again"
        for name, column in sheet.columns.items()
        if column_score("sales", c.DATE, name) == 1 and column.share(_DAY_NUMBER) > _MOST
    ]


def _unreadable(sheet: Sheet, ids: Mapping[str, set[str]]) -> str:
    """The column because of which a file is not recognized: it has the right name, and values of another kind."""
    for table, required in REQUIRED.items():
        missing = set(required) - map_columns(table, sheet, ids)[0].keys()
        if len(missing) == 1 and len(required) > 1:
            name = missing.pop()
            for written, facts in sheet.columns.items():
                if column_score(table, name, written) == 1 and facts.filled:
                    values = f"the values of '{written}' (such as {facts.texts[0]})"
                    return f". For {table}, {values} cannot be read as {name}"
    return ""


def _columns(sheet: Sheet) -> str:
    return ", ".join(list(sheet.columns)[:8])
