"""What is wrong with settings, in an operator's words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Tree = dict[str, Any]

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, such as [a, b]",
    "dict": "keys with values below it",
    "model": "keys with values below it",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_LENGTHS = {
    "too_short": ("min_length", "at least {} in the list"),
    "too_long": ("max_length", "at most {} in the list"),
    "string_too_short": ("min_length", "a text of at least {} characters"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
}


def check_plain_values(group: type[BaseModel], tree: Tree, at: str = "") -> tuple[Tree, list[str]]:
    """Find values that the model would take in a wrong sense: true as 1, infinity as a number.

    Args:
        group: the model of the tree.
        tree: keys and values as YAML gave them.
        at: key path of the tree, with a dot behind it.

    Returns:
        The tree, without groups that have nothing behind their key (they keep their defaults), and
        the problems in words.
    """
    kept: Tree = {}
    problems: list[str] = []
    for key, value in tree.items():
        field = group.model_fields.get(str(key))
        inner = _group_of(field)
        if inner and value is None and type(None) not in get_args(field and field.annotation):
            continue
        if inner and isinstance(value, dict):
            kept[key], found = check_plain_values(inner, value, f"{at}{key}.")
            problems += found
            continue
        kept[key] = value
        if field:
            items = value if isinstance(value, list) else [value]
            problems += [f"{at}{key}: {what}" for item in items for what in _misread(field, item)]
    return kept, problems


def in_words(group: type[BaseModel], tree: Tree, error: ValidationError) -> list[str]:
    """One line per wrong value: key path, what is expected, what was got.

    Args:
        group: the model that refused the tree.
        tree: the refused values.
        error: what the model said.
    """
    expected: dict[str, list[str]] = {}
    got: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        path = _key_path(detail, tree)
        what, value = _explained(group, path, detail)
        expected.setdefault(path, []).append(what)
        got[path] = value
    return [
        f"{path + ': ' if path else ''}{' or '.join(what).replace(' or expected ', ' or ')}{got[path]}"
        for path, what in expected.items()
    ]


def _misread(field: FieldInfo, value: object) -> Iterator[str]:
    kinds = set(_kinds(field.annotation))
    if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
        yield f"expected a number, got {_shown(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        yield f"expected a finite number, got {value}"


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _group_of(field: FieldInfo | None) -> type[BaseModel] | None:
    kinds = _kinds(field.annotation) if field else ()
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _key_path(detail: ErrorDetails, tree: object) -> str:
    """The key path of an error, without the marks for the branches of a choice."""
    parts: list[str] = []
    at: Any = tree
    for part in detail["loc"]:
        inside = part in at if isinstance(at, Mapping) else isinstance(at, list)
        if inside:
            at = at[part]
        elif detail["type"] != "missing":
            continue
        parts.append(str(part))
    return ".".join(parts)


def _explained(group: type[BaseModel], path: str, detail: ErrorDetails) -> tuple[str, str]:
    """What is expected, and what was got where that helps."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is required but absent", ""
    if kind == "extra_forbidden":
        return f"unknown key{_suggestion(group, path)}", ""
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, "), f" (got {_shown(detail['input'])})" if path else ""
    value = detail["input"]
    got = f", got {_shown(value)}{_hint(kind, value)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"expected a number {words} {context[name]:g}", got
    if kind in _LENGTHS:
        name, words = _LENGTHS[kind]
        return f"expected {words.format(context[name])}", got
    if kind == "literal_error":
        return f"expected {context['expected']}", got
    return f"expected {_KINDS.get(kind.split('_', maxsplit=1)[0], 'another value')}", got


def _hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float, date)):
        return " (YAML reads it so; put it in quotes)"
    return ""


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "keys with values below it"
    return repr(value)


def _suggestion(group: type[BaseModel], path: str) -> str:
    """The closest known key of the same group, else where the key is known, else the group's keys."""
    *above, key = path.split(".")
    here: type[BaseModel] | None = group
    for part in above:
        here = _group_of(here.model_fields.get(part)) if here else None
    known = list(here.model_fields) if here else []
    close = get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {'.'.join([*above, close[0]])}?"
    elsewhere = [found for found in _all_keys(group) if found.rsplit(".", maxsplit=1)[-1] == key]
    if elsewhere:
        return f"; it belongs at {' or '.join(elsewhere)}"
    return f"; known here: {', '.join(known)}"


def _all_keys(group: type[BaseModel], at: str = "") -> Iterator[str]:
    for name, field in group.model_fields.items():
        yield f"{at}{name}"
        inner = _group_of(field)
        if inner:
            yield from _all_keys(inner, f"{at}{name}.")
