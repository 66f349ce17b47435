"""Artifacts and events of two companies on one server stay apart."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.publication.addresses import COMPANY_VARIABLE
from tasks.stages import events, support
from tests.publication import fake_run


@pytest.mark.parametrize(
    ("company", "name", "key"),
    [
        ("", "Shoes", "report-shoes"),
        ("shoes", "Shoes", "report-shoes"),
        ("shoes-north", "Shoes", "report-shoes-north"),  # north.yaml and south.yaml have the same name
        ("shoes-south", "Shoes", "report-shoes-south"),
        ("region-sur", "Shoes", "report-region-sur-shoes"),
        ("shoes", "Shoes challenger", "report-shoes-shoes-challenger"),
    ],
)
def test_keys_and_events_carry_the_company(company: str, name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMPANY_VARIABLE, company)
    shown: dict[str, Any] = {}
    monkeypatch.setattr(support, "create_markdown_artifact", shown.update)
    monkeypatch.setattr(support, "create_table_artifact", shown.update)
    run = fake_run.context(name=name)
    support.show_markdown(run, "report", "text", "A report")
    assert shown.pop("key") == key
    support.show_table(run, "report", [{"a": 1}], "A table")
    assert shown.pop("key") == key
    monkeypatch.setattr(events, "emit_event", lambda event, **given: shown.update(given))
    events.report_drift(run, ["inputs"])
    assert shown["payload"]["company"] == (company or name)
