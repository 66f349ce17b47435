"""The company that ran its week once for all tests, for malformed requests to the app."""

from __future__ import annotations

from tests.flows.conftest import published, published_company

__all__ = ["published", "published_company"]
