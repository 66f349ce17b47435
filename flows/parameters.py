"""Descriptions of the parameters that all flows share, as the Prefect UI shows them.

Prefect reads a flow's form from its signature and from the ``Args`` of its docstring, so each flow needs an explicit
signature. The descriptions are written once, here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

DESCRIPTIONS = {
    "settings_file": "Path of the settings file (YAML) on the machine that runs the flow.",
    "as_of": 'Run date (YYYY-MM-DD): data before this date are used. Press "date" to choose one; "None" means today.',
    "force": "Recompute everything; do not reuse stored results. Rarely needed, because changed data and settings are "
    "detected.",
    "overrides": "Settings to change for this run, one key.path=value each, for example horizon=14. This is not the "
    "planners' table of the same name, which corrects targets.",
}


def describe_parameters(function: Callable[P, R]) -> Callable[P, R]:
    """Add the shared descriptions to the ``Args`` of a flow's docstring; its own descriptions take precedence.

    Returns:
        The same function, with the longer docstring.
    """
    text = inspect.getdoc(function) or ""
    missing = [name for name in inspect.signature(function).parameters if f"\n    {name}:" not in text]
    lines = [f"    {name}: {DESCRIPTIONS[name]}" for name in missing if name in DESCRIPTIONS]
    if "\nArgs:" not in text:
        lines = ["", "Args:", *lines]
    function.__doc__ = "\n".join([text.rstrip(), *lines])
    return function
