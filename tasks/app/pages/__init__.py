"""The pages in the order of a planner's Monday. Each module has a path, a title, a layout and its callbacks."""

from __future__ import annotations

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

__all__ = ["PAGES"]
