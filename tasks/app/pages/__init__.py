"""The pages, in the order in which a planner uses them on a Monday.

Each module has a path, a title, a layout and its callbacks.
"""

from __future__ import annotations

from types import ModuleType

from tasks.app.context import AppContext
from tasks.app.pages import (
    approve,
    exceptions,
    operations,
    overrides,
    performance,
    series,
    this_week,
    what_if,
)

PAGES = (this_week, exceptions, series, overrides, what_if, approve, performance, operations)


def pages_of(context: AppContext) -> list[ModuleType]:
    """Return the pages; approvals need a Prefect server to resume runs on."""
    return [page for page in PAGES if page is not approve or context.runs is not None]


__all__ = ["PAGES", "pages_of"]
