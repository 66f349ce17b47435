"""The pages in the order of a planner's Monday. Each module has a path, a title, a layout and its callbacks."""

from __future__ import annotations

from tasks.app.pages import exceptions, series, this_week

PAGES = (this_week, exceptions, series)

__all__ = ["PAGES"]
