"""Types and states of documents: which rows of the sales are not sales, or are returns."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.demand.words import CELLS, COLUMNS, bare, holding, phrases, plain

# A column with more distinct values holds no types.
MOST_TYPES = 15
NO_SALE = "no sale"
RETURN = "return"
_NOTHING = ("", "-", "null", "none", "nan")


def is_document_column(name: str) -> bool:
    """Whether a column holds the types or states of documents, by its name."""
    return _names(name, "document_type") and not _names(name, "other_type")


def document_kinds(name: str, values: Iterable[str]) -> dict[str, str]:
    """Value of a column to NO_SALE or RETURN, for the values that say so; empty if the column is of another kind.

    A column of types or states has such a word in a cell (``cancelled``). A flag has it in its name, and yes in a cell.

    >>> document_kinds("Order status", ["paid", "cancelled", "partially refunded"])
    {'cancelled': 'no sale'}
    >>> document_kinds("Storno", ["ja", "nein"])
    {'ja': 'no sale'}
    """
    filled = [value for value in values if value.strip().lower() not in _NOTHING]
    if len(filled) > MOST_TYPES:
        return {}
    return _of_flag(name, filled) or (_of_types(filled) if is_document_column(name) else {})


def internal_customers(name: str, values: Iterable[str]) -> dict[str, str]:
    """Values of a column of customers that are transfers to another store.

    >>> internal_customers("Customer name", ["walk-in", "Store 2 (internal transfer)"])
    {'Store 2 (internal transfer)': 'no sale'}
    """
    if not _names(name, "customer"):
        return {}
    return {value: NO_SALE for value in values if holding("transfer").fullmatch(plain(value))}


def _of_flag(name: str, filled: list[str]) -> dict[str, str]:
    """The values of a flag other than no; a quantity (``Qty returned``) is not a flag."""
    said, denied = ({phrase.casefold() for phrase in phrases(CELLS, answer)} for answer in ("true", "false"))
    given = {value: value.strip().casefold() for value in filled}
    is_flag = set(given.values()) <= said | denied | {"x"}
    # A flag may also have a code and no, such as C for a document that cancels another one.
    others = set(given.values()) - denied
    is_flag |= len(others) < len(set(given.values())) and all(len(text) == 1 for text in others)
    numbers = any(_names(name, meaning) for meaning in ("units", "net_amount", "stock"))
    if not is_flag or numbers or holding("not_whole").fullmatch(plain(name)):
        return {}
    for kind, meaning in ((NO_SALE, "no_sale"), (RETURN, "return")):
        if holding(meaning).fullmatch(plain(name)):
            return {value: kind for value, text in given.items() if text not in denied}
    return {}


def _of_types(filled: list[str]) -> dict[str, str]:
    texts = {value: plain(value) for value in filled}
    # A purchase is a sale to a customer, unless the column has another type for sales.
    bought = any(holding("sale").fullmatch(text) for text in texts.values())
    found = {}
    for value, text in texts.items():
        if holding("not_whole").fullmatch(text):
            continue
        if holding("no_sale").fullmatch(text) or (bought and holding("purchase").fullmatch(text)):
            found[value] = NO_SALE
        elif holding("return").fullmatch(text):
            found[value] = RETURN
    return found


def _names(name: str, meaning: str) -> bool:
    """Whether a column's name contains a phrase with a meaning."""
    words = set(bare(plain(name)))
    return any(set(bare(plain(phrase))) <= words for phrase in phrases(COLUMNS, meaning))
