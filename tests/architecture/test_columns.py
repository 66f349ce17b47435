"""Column names are written once, in schemas.columns: elsewhere their constants are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import columns
from schemas.tables import TABLES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAMES = {value for name, value in vars(columns).items() if name.isupper() and isinstance(value, str)}
# Words that settings, records and other mappings use as keys too: flagged only where a frame is meant.
PLAIN = {
    "available", "bias", "brand", "champion", "chosen", "closed", "cluster", "color", "coverage", "date", "demand",
    "discount", "event", "family", "file", "gap", "holding", "holiday", "kind", "level", "mean", "model", "n", "name",
    "open", "policy", "price", "promo", "quantity", "reason", "size", "status", "stock", "t", "table",
    "as_of", "code_version", "cost", "currency", "direction", "effect", "error", "final", "message", "number", "pairs",
    "periods", "publication", "step", "test", "total", "transport", "treatment", "units", "version", "visits", "weeks",
    "why", "window", "endpoint",
}  # fmt: skip
KEYWORDS = {"columns", "by", "on", "left_on", "right_on", "subset", "id_vars", "value_vars", "names"}
METHODS = {"groupby", "sort_values", "set_index", "drop_duplicates", "duplicated", "pivot_table", "explode"}


def _texts(node: ast.expr | None) -> Iterator[ast.Constant]:
    """Text constants of an expression: itself, the items of a list or tuple, the keys of a mapping."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        for item in node.elts:
            yield from _texts(item)
    elif isinstance(node, ast.Dict):
        for key in node.keys:
            yield from _texts(key)


def _column_positions(tree: ast.AST) -> Iterator[tuple[ast.Constant, bool]]:
    """Text where a column name may stand, and whether only a frame takes one there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            surely = isinstance(node.slice, ast.List)
            yield from ((text, surely) for text in _texts(node.slice))
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS:
                    yield from ((text, True) for text in _texts(keyword.value))
            if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and node.args:
                yield from ((text, True) for text in _texts(node.args[0]))


def literal_columns(source: str) -> list[str]:
    """``line: name`` of every column name written as text in Python source."""
    found = (
        (text.lineno, str(text.value))
        for text, surely in _column_positions(ast.parse(source))
        if text.value in NAMES and (surely or text.value not in PLAIN | set(TABLES))
    )
    return [f"{line}: {name}" for line, name in sorted(set(found))]


@pytest.mark.parametrize("package", ["tasks", "flows"])
def test_no_column_is_named_by_a_literal(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): literals
        for path in sorted((ROOT / package).rglob("*.py"))
        if (literals := literal_columns(path.read_text("utf-8")))
    }
    assert not found, f"use the constants of schemas.columns: {found}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('frame["store_id"]', ["1: store_id"]),
        ('frame.loc[:, "order_up_to"]', ["1: order_up_to"]),
        ('frame[["date", "x"]]', ["1: date"]),
        ('frame.groupby("sku").sum()', ["1: sku"]),
        ('frame.merge(other, on=["store_id", "date"])', ["1: date", "1: store_id"]),
        ('frame.rename(columns={"units": "u"})', ["1: units"]),
        ('settings["model"]', []),
        ('frame["own_name"]', []),
        ('log("store_id")', []),
    ],
)
def test_the_check_knows_where_columns_stand(source: str, expected: list[str]) -> None:
    assert literal_columns(source) == expected


def test_plain_words_are_column_names() -> None:
    assert PLAIN <= NAMES
