"""Fixtures of the publication's tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def short_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish a page of one line: the figures of the real one take most of a publication's time."""
    monkeypatch.setattr("tasks.publication.transaction.render_report", lambda data: f"<p>{data.run.as_of}</p>")
