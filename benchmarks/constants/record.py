"""The records of the list of constants.

A group is one frozen dataclass, whose fields are constants that its docstring describes, or one constant of a module.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Limits = tuple[float, float]


@dataclass(frozen=True)
class Group:
    """Constants that are defined together.

    Attributes:
        room: heading on the page.
        path: ``module:NAME``: a rule class that is constructed where it is used, an instance of one, or a constant.
        data: on which data the numbers were chosen, in Markdown.
        units: unit of each field; of a constant without fields under ``""``. Default: none.
        meaning: meaning of a constant without fields.
        limits: lowest and highest permitted value of a field, where a quarter more or less would not be valid.
        sources: data of single fields, if they differ from ``data``.
        unmeasured: why the accuracy guard cannot exercise these constants; empty if it can.
        not_numbers: fields that are not varied.
    """

    room: str
    path: str
    data: str
    units: Mapping[str, str] = field(default_factory=dict)
    meaning: str = ""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    unmeasured: str = ""
    not_numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Constant:
    """One number, tuple or dict of numbers.

    Attributes:
        path: ``module:NAME`` or ``module:NAME.field``.
        group: where it is defined.
        field: name of the field; empty for a constant without fields.
    """

    path: str
    group: Group
    field: str

    @property
    def owner(self) -> str:
        """Path of the rule, or of the constant itself."""
        return self.group.path

    @property
    def value(self) -> Any:
        """The value in the code."""
        owner = resolve(self.owner)
        return plain(getattr(_instance(owner), self.field) if self.field else owner)

    @property
    def meaning(self) -> str:
        """What it is, from the docstring of its rule."""
        return _meanings(_rule_of(resolve(self.owner)))[self.field] if self.field else self.group.meaning

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return self.group.units.get(self.field, "")

    @property
    def data(self) -> str:
        """On which data it was chosen, in Markdown."""
        return self.group.sources.get(self.field, self.group.data)

    @property
    def limits(self) -> Limits | None:
        """Lowest and highest permitted value."""
        return self.group.limits.get(self.field)

    @property
    def measured(self) -> bool:
        """Whether the accuracy guard can measure it."""
        return not self.group.unmeasured and self.field not in self.group.not_numbers


def resolve(path: str) -> Any:
    """The object at ``module:NAME``.

    Raises:
        AttributeError: the module has no such name.
    """
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _instance(owner: Any) -> Any:
    return owner() if isinstance(owner, type) else owner


def _rule_of(owner: Any) -> type:
    return owner if isinstance(owner, type) else type(owner)


def _meanings(rule: type) -> dict[str, str]:
    """Descriptions of the fields, from the section ``Attributes`` of the docstring."""
    text = inspect.getdoc(rule) or ""
    lines = text.partition("Attributes:\n")[2].split("\n")
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        start = re.match(r"    (\w+): (.*)", line)
        if start:
            name = start.group(1)
            found[name] = start.group(2)
        elif name and line.strip():
            found[name] += " " + line.strip()
    return {key: re.sub(r":\w+:`[\w.]*?(\w+)`", r"`\1`", value).replace("``", "`") for key, value in found.items()}


def plain(value: Any) -> Any:
    """A value as numbers, texts, tuples and dicts: arrays and sets become tuples."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return tuple(sorted(value)) if isinstance(value, frozenset) else value
