"""Find rows that are not sales or stock of a store: totals, the distribution center, bags, documents."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import first_few, numbered
from schemas.raw import as_text, is_text
from schemas.tables import TABLES
from tasks.demand.ingest.documents import MOST_TYPES, NO_SALE, RETURN, document_kinds, is_document_column
from tasks.demand.ingest.parsing import parse_column
from tasks.demand.inspect.column_mapping import REQUIRED
from tasks.demand.inspect.names import NAME
from tasks.demand.inspect.tables import Mapped
from tasks.demand.words import beginning, holding, plain

# More values than these with the same first word become a pattern.
_LISTED = 3
_HALF = 0.5
# Longest code of a document type.
_CODE = 2


@dataclass(frozen=True)
class LeftOut:
    """Rows that the settings leave out.

    Attributes:
        column: name for the setting ``ignore``: Restock's if the column is mapped, else the file's.
        values: values of the rows.
        evidence: why, in words.
        certain: False where the user decides.
        dc: the rows are those of a distribution center.
    """

    column: str
    values: tuple[str, ...]
    evidence: str
    certain: bool = True
    dc: bool = False


def rows_to_leave_out(found: Mapping[str, Mapped]) -> dict[str, list[LeftOut]]:
    """Table to the rows that its settings should leave out."""
    left: dict[str, list[LeftOut]] = {table: _totals(mapped) for table, mapped in found.items()}
    _add_distribution_centers(found, left)
    _add_services(found, left)
    if "sales" in found:
        left["sales"] += _documents(found["sales"])
        left["sales"] += _test_stores(found)
    for table in ("stores", "products"):
        if table in found:
            left[table] += _ended(found[table])
    return left


def is_left_out(left: Sequence[LeftOut], column: str, text: str) -> bool:
    """Whether a value of a column is left out for certain; ``*`` in the settings means any text."""
    certain = [item for item in left if item.certain and item.column == column]
    return any(fnmatchcase(text, value) for item in certain for value in item.values)


def text_of(mapped: Mapped, written: str) -> pd.Series:
    """A column over all files as text, blanks cut off."""
    parts = [sheet.frame[written] for sheet in mapped.sheets if written in sheet.frame]
    texts = [part if is_text(part) else as_text(part) for part in parts]
    return pd.concat([text.astype(object) for text in texts], ignore_index=True).str.strip()


def _totals(mapped: Mapped) -> list[LeftOut]:
    """Rows with a word such as Subtotal in an id or date column, or next to an empty required cell."""
    required = [mapped.columns[name] for name in REQUIRED[mapped.table]]
    names = {written: name for name, written in mapped.columns.items()}
    found = []
    for written in mapped.sheet.columns:
        texts = {
            text
            for sheet in mapped.sheets
            if written in sheet.columns
            for text in sheet.columns[written].texts
            if beginning("total").fullmatch(plain(text))
        }
        if not texts:
            continue
        rows = text_of(mapped, written).isin(texts)
        if written not in required:
            empty = np.zeros(len(rows), dtype=bool)
            for other in required:
                empty |= (text_of(mapped, other) == "").to_numpy()
            if not empty[rows.to_numpy()].all():
                continue
        found.append(
            LeftOut(names.get(written, written), _patterns(texts), numbered(int(rows.sum()), "# row[s] with totals"))
        )
    return found


def _patterns(texts: Collection[str]) -> tuple[str, ...]:
    """The texts; many that begin with the same word as one pattern.

    >>> _patterns({"Subtotal 01", "Subtotal 02", "Subtotal 03", "Subtotal 04", "Total"})
    ('Subtotal *', 'Total')
    """
    of_word: dict[str, list[str]] = {}
    for text in texts:
        of_word.setdefault(text.split()[0], []).append(text)
    made = {word: [f"{word} *"] if len(group) > _LISTED else group for word, group in of_word.items()}
    return tuple(sorted(text for group in made.values() for text in group))


def _add_distribution_centers(found: Mapping[str, Mapped], left: dict[str, list[LeftOut]]) -> None:
    stock = found.get("stock")
    if stock is None:
        return
    sells = set(found["sales"].count(c.STORE_ID)) if "sales" in found else set()
    listed = _names(found.get("stores"), c.STORE_ID)
    counts = stock.count(c.STORE_ID)
    centers = [
        store
        for store in counts
        if store not in sells
        and not is_left_out(left["stock"], c.STORE_ID, store)
        and holding("distribution_center").fullmatch(plain(f"{store} {listed.get(store, '')}"))
    ]
    if not centers:
        return
    rows = sum(counts[store] for store in centers)
    where = "not in stores and never sells" if not set(centers) & listed.keys() else "in stores, but never sells"
    left["stock"].append(
        LeftOut(c.STORE_ID, tuple(centers), numbered(rows, "# row[s] of a distribution center: ") + where, dc=True)
    )
    if set(centers) & listed.keys():
        left["stores"].append(LeftOut(c.STORE_ID, tuple(centers), "a distribution center is not a store"))


def _add_services(found: Mapping[str, Mapped], left: dict[str, list[LeftOut]]) -> None:
    listed = _names(found.get("products"), c.SKU)
    for table in ("sales", "stock"):
        if table not in found or "products" not in found:
            continue
        counts = found[table].count(c.SKU)
        unknown = [
            sku
            for sku in counts
            if sku not in listed and holding("service").fullmatch(plain(re.sub(r"[_\d]", " ", sku)))
        ]
        if unknown:
            rows = sum(counts[sku] for sku in unknown)
            evidence = numbered(rows, "# row[s] of bags or services that [is|are] not in products")
            left[table].append(LeftOut(c.SKU, tuple(sorted(unknown)), evidence))
        known = sorted(
            sku for sku in counts if sku in listed and holding("service").fullmatch(plain(listed[sku] or sku))
        )
        if known and table == "sales":
            _add_listed_services(known, found, left, listed)


def _add_listed_services(
    known: Sequence[str], found: Mapping[str, Mapped], left: dict[str, list[LeftOut]], listed: Mapping[str, str]
) -> None:
    """Bags and services of the products table: left out if they have no stock anywhere, otherwise a question."""
    stocked = {sku for table in ("stock", "dc_stock") if table in found for sku in found[table].count(c.SKU)}
    for group, certain in (([sku for sku in known if stocked and sku not in stocked], True), (known, False)):
        skus = tuple(sku for sku in group if not is_left_out(left["sales"], c.SKU, sku))
        if not skus:
            continue
        named = ", ".join(f"{sku} {listed[sku]}".strip() for sku in skus[:3])
        words = f"bags or services without stock: {named}" if certain else f"bags or services? {named}"
        for table in ("sales", "products") if certain else ("sales",):
            left[table].append(LeftOut(c.SKU, skus, words, certain=certain))


def _names(mapped: Mapped | None, key: str) -> dict[str, str]:
    """Id to name, "" if the table has no names."""
    if mapped is None:
        return {}
    ids = text_of(mapped, mapped.columns[key])
    names = text_of(mapped, mapped.columns[NAME]) if NAME in mapped.columns else pd.Series("", index=ids.index)
    return dict(zip(ids, names, strict=True))


def _test_stores(found: Mapping[str, Mapped]) -> list[LeftOut]:
    """Stores whose name says that they are for tests or for the staff: a question."""
    sells = found["sales"].count(c.STORE_ID) if "sales" in found else {}
    stores = [
        store
        for store, name in _names(found.get("stores"), c.STORE_ID).items()
        if holding("test_store").fullmatch(plain(f"{store} {name}"))
    ]
    if not stores:
        return []
    rows = sum(sells.get(store, 0) for store in stores)
    words = f"are {', '.join(stores)} stores that sell to customers? {numbered(rows, '# row[s] of sales')}"
    return [LeftOut(c.STORE_ID, tuple(stores), words, certain=False)]


def _ended(mapped: Mapped) -> list[LeftOut]:
    """Stores or products that another column calls closed or discontinued: a question."""
    ids = text_of(mapped, mapped.columns[c.SKU if mapped.table == "products" else c.STORE_ID])
    left = []
    for written, facts in mapped.sheet.columns.items():
        ended = [text for text in facts.texts if holding("ended").fullmatch(plain(text))]
        if written in mapped.columns.values() or len(facts.texts) > MOST_TYPES or not ended:
            continue
        concerned = ids[text_of(mapped, written).isin(ended).to_numpy()]
        remedy = (
            "closed_on"
            if mapped.table == "stores"
            else f"replaced_by, or from collection_status: {written} with inventory.lifecycle.outlet_only: "
            f"[{', '.join(ended)}]"
        )
        words = f"{first_few(list(concerned))} {numbered(len(concerned), '[is|are]')} {ended[0]!r}. Is nothing sent? "
        left.append(LeftOut(written, tuple(ended), f"{words}Restock reads that from {remedy}", certain=False))
    return left


def _documents(sales: Mapped) -> list[LeftOut]:
    """Values of document types and states that are not sales; returns with positive units."""
    left: list[LeftOut] = []
    for written in [name for name in sales.sheet.columns if name not in sales.columns.values()]:
        types = text_of(sales, written)
        values = [value for value in types.unique() if value]
        if 0 < len(values) <= MOST_TYPES:
            left += _of_type(sales, written, types, sorted(values))
    return left


def _of_type(sales: Mapped, written: str, types: pd.Series, values: Sequence[str]) -> list[LeftOut]:
    kinds = document_kinds(written, values)
    if not kinds and (len(values) == 1 or not is_document_column(written)):
        return []
    rule = TABLES["sales"].rule(c.UNITS)
    assert rule is not None
    units = pd.concat(
        [parse_column(sheet.frame[sales.columns[c.UNITS]], rule, sheet.source).values for sheet in sales.sheets],
        ignore_index=True,
    )
    found = []
    for value, kind in kinds.items():
        of_value = units[types == value]
        words = f"'{value}': {numbered(len(of_value), '# row[s]')}, {numbered(int(of_value.sum()), '# unit[s]')}"
        if kind == NO_SALE:
            found.append((value, words))
        elif kind == RETURN and (of_value > 0).mean() > _HALF:
            found.append((value, f"{words} (returns with positive units)"))
    result = []
    if found:
        why = "documents that are not sales: " + "; ".join(words for _, words in found)
        result.append(LeftOut(written, tuple(value for value, _ in found), why))
    rest = tuple(value for value in values if value not in {value for value, _ in found})
    if not kinds and all(len(value) <= _CODE for value in rest):
        named = ", ".join(f"'{value}' in {numbered(int((types == value).sum()), '# row[s]')}" for value in rest)
        words = f"{named}. Are all of them sales? Name the others in `ignore`"
    else:
        words = f"the other values of '{written}', which are read"
    if rest:
        result.append(LeftOut(written, rest, words, certain=False))
    return result
