"""The place of a key in the settings file: in its section, or at the same path below ``expert:``.

The file has two parts: keys that a retailer sets are in their sections, and all other keys are below ``expert:``, under
the same path. ``inventory.genetic.population`` of the typed settings is
``expert.inventory.genetic.population`` in the file. The functions below convert between the two.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from schemas.settings.strict import KEEPS_PLACE, Strict

Tree = dict[str, Any]
EXPERT = "expert"


@dataclass(frozen=True)
class Arranged:
    """A tree with every key under its current name and at its place.

    Attributes:
        tree: the keys, expert keys below ``expert``.
        moved: old key path and new place of every key that was renamed or lay outside ``expert``.
        twice: pairs of key paths that set the same setting.
    """

    tree: Tree
    moved: list[tuple[str, str]] = field(default_factory=list)
    twice: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Lifted:
    """A tree in the shape of the typed settings.

    Attributes:
        tree: the keys, none below ``expert``.
        unknown: paths below ``expert`` (without it) that are not settings.
        misplaced: paths below ``expert`` (without it) that belong in their section.
        unused: paths below ``expert`` (without it) of models that are not fitted.
    """

    tree: Tree
    unknown: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def group_of(info: FieldInfo | None) -> type[Strict] | None:
    """The group of settings that a field holds (``Group`` or ``Group | None``), or None for a single value."""
    if info is None:
        return None
    annotation = info.annotation
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, Strict)), None)


def is_expert(group: type[Strict], name: str) -> bool:
    """Whether a key of a group, with everything in it, lies below ``expert`` in the file."""
    info = group.model_fields[name]
    if group.presence_counts:
        return False
    extra = info.json_schema_extra
    if isinstance(extra, dict) and extra.get(KEEPS_PLACE):
        return False
    inner = group_of(info)
    return inner is None or all(is_expert(inner, key) for key in inner.model_fields)


def place_of(root: type[Strict], path: str) -> str:
    """Return the place in the file of a key path of the typed settings.

    >>> from schemas.settings import Settings
    >>> place_of(Settings, "inventory.genetic.population"), place_of(Settings, "inventory.lead_time")
    ('expert.inventory.genetic.population', 'inventory.lead_time')
    """
    group: type[Strict] | None = root
    for part in path.split("."):
        if group is None or part not in group.model_fields:
            break
        if is_expert(group, part):
            return f"{EXPERT}.{path}"
        group = group_of(group.model_fields[part])
    return path


def all_paths(group: type[Strict], above: str = "") -> Iterator[str]:
    """Every key path of the typed settings, groups before their keys."""
    for name, info in group.model_fields.items():
        yield f"{above}{name}"
        inner = group_of(info)
        if inner is not None:
            yield from all_paths(inner, f"{above}{name}.")


def arrange(root: type[Strict], tree: Mapping[str, Any]) -> Arranged:
    """Give every key its current name and its place: below ``expert`` or in its section.

    Unknown keys and values of a wrong kind stay as they are, for the checks that follow.
    """
    result = Arranged({})
    plain = _with_new_names(root, {key: value for key, value in tree.items() if key != EXPERT}, "", result)
    renamed = [new for _, new in result.moved]
    result.moved[:] = [(old, place_of(root, new)) for old, new in result.moved]
    kept, expert = _split(root, plain, "", renamed, result)
    result.tree.update(kept)
    given = tree.get(EXPERT)
    if isinstance(given, dict):
        given = _with_new_names(root, given, f"{EXPERT}.", result)
        expert = _joined(given, expert, "", result)
    elif given is not None:
        expert = given
    if expert:
        result.tree[EXPERT] = expert
    return result


def lift(root: type[Strict], tree: Mapping[str, Any]) -> Lifted:
    """Move the keys below ``expert`` to their sections, as in the typed settings.

    Settings of a model that is not fitted do not turn the model on; they are left out and listed in ``unused``.
    """
    result = Lifted({})
    plain = {key: value for key, value in tree.items() if key != EXPERT}
    given = tree.get(EXPERT)
    if isinstance(given, dict):
        plain = _overlaid(root, plain, given, "", result)
    elif given is not None:
        plain[EXPERT] = given
    result.tree.update(plain)
    return result


def _with_new_names(group: type[Strict], tree: Tree, above: str, result: Arranged) -> Tree:
    kept: Tree = {}
    for name, value in tree.items():
        new = group.renamed.get(name, name)
        if new != name:
            result.moved.append((f"{above}{name}", f"{above}{new}"))
            if _holds(tree, new):
                result.twice.append((f"{above}{name}", f"{above}{new}"))
        inner = group_of(group.model_fields.get(new))
        if inner is not None and isinstance(value, dict):
            _put(kept, new, _with_new_names(inner, value, f"{above}{new}.", result))
        else:
            _put(kept, new, value)
    return kept


def _holds(tree: object, path: str) -> bool:
    first, _, rest = path.partition(".")
    return isinstance(tree, dict) and first in tree and (not rest or _holds(tree[first], rest))


def _put(tree: Tree, path: str, value: object) -> None:
    first, _, rest = path.partition(".")
    if not rest:
        tree[first] = (
            {**tree[first], **value} if isinstance(tree.get(first), dict) and isinstance(value, dict) else value
        )
        return
    inner = tree.get(first)
    tree[first] = dict(inner) if isinstance(inner, dict) else {}
    _put(tree[first], rest, value)


def _split(group: type[Strict], tree: Tree, above: str, renamed: list[str], result: Arranged) -> tuple[Tree, Tree]:
    """The keys that stay in their section, and those that belong below ``expert``.

    A key that was renamed (``renamed``: new paths) is already in ``result.moved``.
    """
    kept: Tree = {}
    expert: Tree = {}
    for name, value in tree.items():
        inner = group_of(group.model_fields.get(name))
        if name not in group.model_fields:
            kept[name] = value
        elif is_expert(group, name):
            expert[name] = value
            path = f"{above}{name}"
            if not any(new == path or new.startswith(f"{path}.") for new in renamed):
                result.moved.append((path, f"{EXPERT}.{path}"))
        elif inner is not None and isinstance(value, dict):
            stays, moves = _split(inner, value, f"{above}{name}.", renamed, result)
            if stays or not moves or group.presence_counts:
                kept[name] = stays
            if moves:
                expert[name] = moves
        else:
            kept[name] = value
    return kept, expert


def _joined(given: Tree, moved: Tree, above: str, result: Arranged) -> Tree:
    """Merge the keys below ``expert`` with those moved there; the keys below ``expert`` have precedence."""
    joined = dict(given)
    for name, value in moved.items():
        path = f"{above}{name}"
        if name not in given:
            joined[name] = value
        elif isinstance(given[name], dict) and isinstance(value, dict):
            joined[name] = _joined(given[name], value, f"{path}.", result)
        else:
            result.twice.append((path, f"{EXPERT}.{path}"))
    return joined


def _overlaid(group: type[Strict], plain: Tree, expert: Tree, above: str, result: Lifted) -> Tree:
    merged = dict(plain)
    for name, value in expert.items():
        path = f"{above}{name}"
        if name not in group.model_fields:
            result.unknown.append(path)
            continue
        info = group.model_fields[name]
        inner = group_of(info)
        if is_expert(group, name):
            merged[name] = _deep_merged(merged.get(name), value)
        elif inner is None:
            result.misplaced.append(path)
        elif not isinstance(value, dict):
            if value is not None:
                merged[name] = value
        elif group.presence_counts and name not in plain:
            result.unused.append(path)
        else:
            below = merged.get(name)
            if below is None:
                below = _present_by_default(info) if name not in merged and inner.presence_counts else {}
            if isinstance(below, dict):
                merged[name] = _overlaid(inner, below, value, f"{path}.", result)
    return merged


def _present_by_default(info: FieldInfo) -> Tree:
    default = info.default
    names = type(default).model_fields if isinstance(default, Strict) else ()
    return {name: {} for name in names if getattr(default, name) is not None}


def _deep_merged(below: object, above: object) -> object:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: _deep_merged(below.get(name), value) for name, value in above.items()}}
