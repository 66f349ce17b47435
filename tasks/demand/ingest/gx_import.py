"""Import Great Expectations without the packages that no suite of Restock uses; half of its import time is theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from tasks.storage.machine import no_garbage_collection

# Great Expectations does without them: sources in databases and on AWS.
OPTIONAL = ("boto3", "sqlalchemy")
# It needs them for charts and for tests of distributions, and imports them in any case.
UNUSED = ("altair", "scipy.stats")


@cache
def great_expectations() -> tuple[Any, Any]:
    """Return Great Expectations and its class ``ProgressBarsConfig``."""
    with no_garbage_collection(), _without(OPTIONAL, UNUSED):
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
    return gx, ProgressBarsConfig


@contextmanager
def _without(optional: tuple[str, ...], unused: tuple[str, ...]) -> Iterator[None]:
    """Hide packages that are not imported yet: optional ones as if not installed, the others by an empty module."""
    hidden: dict[str, Any] = {**dict.fromkeys(optional), **{name: _Empty(name) for name in unused}}
    hidden = {name: module for name, module in hidden.items() if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _Empty(ModuleType):
    """A module whose names are classes without content."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
