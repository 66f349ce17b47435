"""Fixtures of the publication's tests."""

from __future__ import annotations

import pytest

from tests.publication import fake_run


@pytest.fixture
def whole_page() -> None:
    """Publish the real page, in a test with :func:`short_page`."""


@pytest.fixture
def page_without_figures() -> None:
    """Publish the real page but for its figures, in a test with :func:`short_page`."""


@pytest.fixture
def short_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish a page of one line, except where a test asks for more of it."""
    if "page_without_figures" in request.fixturenames:
        fake_run.draw_no_figures(monkeypatch)
    elif "whole_page" not in request.fixturenames:
        fake_run.draw_no_page(monkeypatch)
