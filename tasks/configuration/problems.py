"""Messages for wrong settings: key, what is expected, what was found, how to correct it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from schemas.settings.layout import EXPERT, Tree, all_paths, arrange, group_of, lift, place_of
from schemas.settings.strict import Strict

_KINDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, such as [a, b]",
    "dict": "a mapping (keys with values)",
    "model": "a mapping (keys with values)",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_LENGTHS = {
    "too_short": ("min_length", "a list of at least {} value(s)"),
    "too_long": ("max_length", "a list of at most {} value(s)"),
    "string_too_short": ("min_length", "a text of at least {} character(s)"),
    "string_too_long": ("max_length", "a text of at most {} character(s)"),
}


def lifted(root: type[Strict], tree: Tree) -> tuple[Tree, list[str], list[str]]:
    """Move expert settings to their sections of the typed settings.

    Returns:
        The tree, warnings (settings of models that are not fitted) and problems (keys that are not expert settings).
    """
    given = tree.get(EXPERT)
    if given is not None and not isinstance(given, dict):
        kept = {key: value for key, value in tree.items() if key != EXPERT}
        return kept, [], [f"{EXPERT}: expected {_KINDS['dict']}, found {_shown(given)}"]
    found = lift(root, tree)
    warnings = [
        f"{EXPERT}.{path} has no effect because {path} is not fitted. Add {path}: {{}} to fit it, or remove "
        f"{EXPERT}.{path}."
        for path in found.unused
    ]
    problems = [f"{EXPERT}.{path}: unknown key{_suggestion(root, path)}" for path in found.unknown]
    problems += [f"{EXPERT}.{path}: not an expert setting; move it to {path}" for path in found.misplaced]
    return found.tree, warnings, problems


def arranged(root: type[Strict], tree: Tree, where: str) -> tuple[Tree, list[str], list[str]]:
    """Give keys their current names and places.

    Args:
        root: the model of the whole file.
        tree: keys and values as read from YAML.
        where: what to change, such as ``settings.yaml`` or ``--set a.b=1``.

    Returns:
        The tree, warnings (old names and places) and problems (settings that are set twice).
    """
    found = arrange(root, tree)
    warnings = [
        f"{where}: {old} is now {new}. The old spelling is accepted until the next release; replace it."
        for old, new in found.moved
    ]
    problems = [f"{old}: also set as {new}; remove {old}" for old, new in found.twice]
    return found.tree, warnings, problems


def check_plain_values(root: type[Strict], tree: Tree) -> tuple[Tree, list[str]]:
    """Find values that the model would misinterpret: true as 1, infinity as a number.

    Args:
        root: the model of the tree.
        tree: keys and values in the shape of the model.

    Returns:
        The tree without empty groups (they keep their defaults), and the problems.
    """
    kept, found = _checked(root, tree, "")
    return kept, [f"{place_of(root, path)}: {what}" for path, what in found]


def in_words(root: type[Strict], tree: Tree, error: ValidationError) -> list[str]:
    """One line per wrong value: key path as in the file, what is expected, what was found.

    Args:
        root: the model that rejected the tree.
        tree: the rejected values.
        error: the model's error.
    """
    expected: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        path = _key_path(detail, tree)
        what, value = _explained(root, path, detail)
        expected.setdefault(path, []).append(what)
        found[path] = value
    lines = ((path, " or ".join(what).replace(" or expected ", " or ")) for path, what in expected.items())
    return [f"{place_of(root, path) + ': ' if path else ''}{what}{found[path]}" for path, what in lines]


def _checked(group: type[Strict], tree: Tree, above: str) -> tuple[Tree, list[tuple[str, str]]]:
    kept: Tree = {}
    problems: list[tuple[str, str]] = []
    for key, value in tree.items():
        field = group.model_fields.get(str(key))
        inner = group_of(field)
        if inner and value is None and type(None) not in get_args(field and field.annotation):
            continue
        if inner and isinstance(value, dict):
            kept[key], found = _checked(inner, value, f"{above}{key}.")
            problems += found
            continue
        kept[key] = value
        if field:
            items = value if isinstance(value, list) else [value]
            problems += [(f"{above}{key}", what) for item in items for what in _misread(field, item)]
    return kept, problems


def _misread(field: FieldInfo, value: object) -> Iterator[str]:
    kinds = set(_kinds(field.annotation))
    if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
        yield f"expected a number, found {_shown(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        yield f"expected a finite number, found {value}"


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _key_path(detail: ErrorDetails, tree: object) -> str:
    """The key path of an error, without pydantic's names for the branches of a union."""
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


def _explained(root: type[Strict], path: str, detail: ErrorDetails) -> tuple[str, str]:
    """The expected value, and the found value if that helps."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is required but missing", ""
    if kind == "extra_forbidden":
        return f"unknown key{_suggestion(root, path)}", ""
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        shown = path and not isinstance(detail["input"], dict)
        return message, f" (found {_shown(detail['input'])})" if shown else ""
    value = detail["input"]
    found = f", found {_shown(value)}{_hint(kind, value)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"expected a number {words} {context[name]:g}", found
    if kind in _LENGTHS:
        name, words = _LENGTHS[kind]
        return f"expected {words.format(context[name])}", found
    if kind == "literal_error":
        return f"expected {context['expected']}", found
    return f"expected {_KINDS.get(kind.split('_', maxsplit=1)[0], 'another value')}", found


def _hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float, date)):
        return " (YAML does not read it as text; put it in quotes)"
    return ""


def _shown(value: object) -> str:
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    return repr(value)


def _suggestion(root: type[Strict], path: str) -> str:
    """The closest known key of the same group, else the groups that have the key, else the keys of this group."""
    *above, key = path.split(".")
    here: type[Strict] | None = root
    for part in above:
        here = group_of(here.model_fields.get(part)) if here else None
    known = list(here.model_fields) if here else []
    close = get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {place_of(root, '.'.join([*above, close[0]]))}?"
    elsewhere = [place_of(root, found) for found in all_paths(root) if found.rsplit(".", maxsplit=1)[-1] == key]
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere)}?"
    return f"; known keys here: {', '.join(known)}" if known else ""
