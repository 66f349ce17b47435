"""The match of names of files and columns in exports with the tables of Restock."""

from __future__ import annotations

import re
from functools import cache

from schemas import columns as c
from tasks.demand.words import COLUMNS, FILES, bare, languages, phrases, plain

NAME = "name"
_STRONG = 0.5
# The meanings in words.yaml that the name of each column may have.
_MEANINGS: dict[str, dict[str, str]] = {
    "sales": {
        c.DATE: "date",
        c.STORE_ID: "store",
        c.SKU: "sku",
        c.UNITS: "units",
        c.NET_AMOUNT: "net_amount",
    },
    "products": {
        c.SKU: "sku",
        NAME: "name",
        c.BRAND: "brand",
        c.FAMILY: "family",
        c.SUBFAMILY: "subfamily",
        c.CLUSTER: "cluster",
        c.COLLECTION_STATUS: "collection_status",
        c.SIZE: "size",
        c.COLOR: "color",
        c.ARTICLE: "style",
        c.PRICE: "price",
        c.PACK_SIZE: "pack_size",
        c.MIN_PRESENTATION: "min_presentation",
    },
    "stores": {
        c.STORE_ID: "store",
        NAME: "store_name",
        c.STORAGE_CAPACITY: "storage_capacity",
        c.DISPLAY_CAPACITY: "display_capacity",
        c.VISIT_COST: "visit_cost",
        c.STORE_TYPE: "store_type",
        c.OPENED_ON: "opened_on",
        c.CLOSED_ON: "closed_on",
    },
    "stock": {
        c.STORE_ID: "store",
        c.SKU: "sku",
        c.ON_HAND: "stock",
        c.IN_TRANSIT: "in_transit",
        c.DATE: "count_date",
    },
    "dc_stock": {c.SKU: "sku", c.AVAILABLE: "stock", c.DATE: "count_date"},
    "calendar": {
        c.DATE: "date",
        c.STORE_ID: "store",
        c.HOLIDAY: "holiday",
        c.EVENT: "event",
        c.OPEN: "open",
        c.FROZEN: "frozen",
    },
    "availability": {c.DATE: "date", c.STORE_ID: "store", c.SKU: "sku", c.IN_STOCK: "in_stock"},
    "promotions": {
        c.SKU: "sku",
        c.STORE_ID: "store",
        c.DATE_FROM: "date_from",
        c.DATE_TO: "date_to",
        c.PRICE: "promotion_price",
        c.DISCOUNT: "discount",
    },
    "dc_inbound": {c.SKU: "sku", c.DATE: "arrival_date", c.QUANTITY: "units ordered"},
    "bundles": {c.SKU: "bundle sku", c.COMPONENT_SKU: "component", c.QUANTITY: "units"},
    "events": {
        NAME: "event_name",
        c.DATE_FROM: "date_from",
        c.DATE_TO: "date_to",
        c.CATEGORY: "event_category",
        c.UPLIFT: "uplift",
    },
}
# Table to the columns that names can be recognized for, in the order of the settings file.
NAMED = {table: tuple(columns) for table, columns in _MEANINGS.items()}


@cache
def phrase_score(name: str, *meanings: str) -> float:
    """The match of a name with the phrases of some meanings: 1 = equal, 0 = no phrase occurs in it.

    >>> phrase_score("Nom. Marca", "brand"), phrase_score("Article Brand", "brand")
    (1.0, 0.5)
    """
    words = bare(plain(name))
    best = 0.0
    for meaning in meanings:
        for phrase in _phrase_words(meaning):
            if words == phrase:
                return 1.0
            if words and set(phrase) <= set(words):
                best = max(best, len(phrase) / len(words))
    return best


@cache
def _phrase_words(meaning: str) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(bare(plain(phrase)) for phrase in phrases(COLUMNS, meaning)))


def column_score(table: str, column: str, name: str) -> float:
    """The match of a file's column name with a column of a table, 0 to 1."""
    if plain(name) == plain(column):
        return 1.0
    return phrase_score(name, *_MEANINGS[table][column].split())


def file_score(table: str, name: str) -> float:
    """1 if the name of a file or sheet contains a word for the table, else 0."""
    padded = f" {' '.join(re.sub(r'[0-9]+', ' ', plain(name)).split())} "
    return float(any(f" {plain(phrase)} " in padded for phrase in phrases(FILES, table)))


@cache
def is_known_name(name: str) -> bool:
    """Whether any table has a column with this name."""
    words = plain(name).split()
    if not words or any(word.isdigit() for word in words):
        return False
    return any(column_score(table, column, name) >= _STRONG for table, columns in NAMED.items() for column in columns)


def language_of(names: list[str]) -> str | None:
    """Code of the language that most of the column names are in; None without any known word.

    A name that occurs in several languages counts for each of them in part.
    """
    found = dict.fromkeys(languages(), 0.0)
    for name in names:
        words = bare(plain(name))
        of_name = _languages_of(" ".join(words)) or [code for word in words for code in _languages_of(word)]
        for code in of_name:
            found[code] += 1 / len(of_name)
    best = max(found, key=lambda code: found[code])
    return best if found[best] else None


@cache
def _languages_of(phrase: str) -> list[str]:
    return [code for code in languages() if phrase in _phrases_of(code)]


@cache
def _phrases_of(code: str) -> frozenset[str]:
    meanings = {one for columns in _MEANINGS.values() for of_column in columns.values() for one in of_column.split()}
    return frozenset(" ".join(bare(plain(one))) for meaning in meanings for one in phrases(COLUMNS, meaning, code))
