"""Fixtures of the report's tests."""

from __future__ import annotations

import pytest

from tests.publication import fake_run


@pytest.fixture
def page_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without the figures of deliveries and forecasts, which take most of their time."""
    fake_run.draw_no_figures(monkeypatch)
