"""The company that ran its week once for all tests, for the app in the browser."""

from __future__ import annotations

from tests.flows.conftest import published

__all__ = ["published"]
