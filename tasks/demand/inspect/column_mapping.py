"""Decide which column of a file is which column of a table: by names, then by values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas import columns as c
from schemas.tables import TABLES
from tasks.demand.inspect.names import NAME, NAMED, column_score
from tasks.demand.inspect.sheets import Sheet
from tasks.demand.inspect.values import Column

REQUIRED: dict[str, tuple[str, ...]] = {
    "sales": (c.DATE, c.STORE_ID, c.SKU, c.UNITS),
    "products": (c.SKU,),
    "stores": (c.STORE_ID,),
    "stock": (c.STORE_ID, c.SKU, c.ON_HAND),
    "dc_stock": (c.SKU, c.AVAILABLE),
    "calendar": (c.DATE,),
    "availability": (c.DATE, c.STORE_ID, c.SKU, c.IN_STOCK),
    "promotions": (c.SKU, c.DATE_FROM, c.DATE_TO),
    "dc_inbound": (c.SKU, c.DATE, c.QUANTITY),
    "bundles": (c.SKU, c.COMPONENT_SKU, c.QUANTITY),
    "events": (NAME, c.DATE_FROM, c.DATE_TO),
}
_IDS = (c.STORE_ID, c.SKU)
_DATES = (c.DATE, c.DATE_FROM, c.DATE_TO, "opened_on", "closed_on")
_TEXTS = (
    NAME,
    c.CATEGORY,
    c.BRAND,
    c.FAMILY,
    c.SUBFAMILY,
    c.CLUSTER,
    c.COLLECTION_STATUS,
    c.COLOR,
    c.STORE_TYPE,
    c.ARTICLE,
)
_QUANTITIES = (c.UNITS, c.ON_HAND, c.AVAILABLE, c.QUANTITY)
# Minimum score of a name.
LEAST_SCORE = 0.3
# Share of a column's values that must be ids of other files to recognize it by them, and the fewest values.
_KNOWN = 0.8
_FEWEST = 2


def known_ids(sheets: Sequence[Sheet]) -> dict[str, set[str]]:
    """Store ids and SKUs: the values of all columns that are called so, else of the keys that files share."""
    named = {
        key: {
            text
            for sheet in sheets
            for name, facts in sheet.columns.items()
            if column_score("stock", key, name) == 1 and can_be(key, facts)
            for text in facts.texts
        }
        for key in _IDS
    }
    if all(named.values()):
        return named
    keys = [key for key in _shared_keys(sheets) if not any(key & ids for ids in named.values())]
    # A company has more SKUs than stores.
    found = {c.SKU: max(keys, key=len, default=set()), c.STORE_ID: min(keys, key=len, default=set())}
    if not any(named.values()) and found[c.SKU] == found[c.STORE_ID]:
        return named
    return {key: named[key] or found[key] for key in _IDS}


def _shared_keys(sheets: Sequence[Sheet]) -> list[set[str]]:
    """Ids that are unique in one file and occur in others, such as a code whose name is not a word for SKU or store.

    Of the columns of a file, the one that occurs in most other files counts.
    """
    columns = [
        (number, set(facts.texts), facts.unique)
        for number, sheet in enumerate(sheets)
        for facts in sheet.columns.values()
        if can_be(c.SKU, facts) and len(facts.texts) >= _FEWEST
    ]
    best: dict[int, tuple[int, set[str]]] = {}
    for number, ids, unique in columns:
        if unique:
            users = {
                other for other, texts, _ in columns if other != number and len(texts & ids) >= _KNOWN * len(texts)
            }
            if len(users) > best.get(number, (0, set()))[0]:
                best[number] = (len(users), ids)
    return [ids for _, ids in best.values()]


def map_columns(table: str, sheet: Sheet, ids: Mapping[str, set[str]]) -> tuple[dict[str, str], list[str]]:
    """Map the columns of a table.

    Args:
        table: name of the table.
        sheet: the file.
        ids: store ids and SKUs of all files, by column.

    Returns:
        Restock's column to the file's, and the required columns that were recognized by their values alone.
    """
    contract = TABLES[table]
    wanted = [name for name in NAMED[table] if contract.rule(name) or name in (NAME, c.ARTICLE)]
    pairs = [
        (column_score(table, name, written), -position, name, written)
        for name in wanted
        for position, (written, facts) in enumerate(sheet.columns.items())
        if can_be(name, facts)
    ]
    found: dict[str, str] = {}
    for score, _, name, written in sorted(pairs, key=lambda pair: (-pair[0], -pair[1])):
        if score >= LEAST_SCORE and name not in found and written not in found.values():
            found[name] = written
    guessed = []
    # A calendar or promotions with a store id are per store.
    for name in (*REQUIRED[table], *(name for name in _IDS if name in wanted and name not in REQUIRED[table])):
        guess = None if name in found else _by_values(name, sheet, found, ids)
        if guess is not None:
            found[name] = guess
            guessed.append(name)
    return {name: found[name] for name in wanted if name in found}, guessed


def can_be(name: str, facts: Column) -> bool:
    """Whether the values of a column fit Restock's column."""
    if not facts.filled:
        return False
    if name in _DATES:
        return facts.is_date
    if name in _IDS:
        return not facts.has_fractions and not (facts.is_date and not facts.is_number)
    if name in _TEXTS:
        return not facts.is_date and not facts.has_fractions
    if name in (c.SIZE, c.HOLIDAY, c.EVENT, c.OPEN, c.FROZEN, c.IN_STOCK):
        return not facts.is_date
    return facts.is_number


def _by_values(name: str, sheet: Sheet, found: Mapping[str, str], ids: Mapping[str, set[str]]) -> str | None:
    """A column whose values are ids of other files, the only date column, or the only column of numbers."""
    free = {
        written: facts
        for written, facts in sheet.columns.items()
        if written not in found.values() and can_be(name, facts)
    }
    if name in _IDS:
        shares = {
            written: sum(text in ids[name] for text in facts.texts) / len(facts.texts)
            for written, facts in free.items()
            if len(facts.texts) >= _FEWEST
        }
        best = max(shares, key=lambda written: shares[written], default=None)
        return best if best is not None and shares[best] >= _KNOWN else None
    if name in (c.DATE, *_QUANTITIES):
        others = [written for written, facts in free.items() if name == c.DATE or not facts.is_date]
        return others[0] if len(others) == 1 else None
    return None
