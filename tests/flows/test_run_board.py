"""The runs that the app shows, on a server with another company that has many more."""

from __future__ import annotations

from typing import Any

import pytest

from flows.run_board import MOST_PAGES, PAGE, RunBoard

OWN, OTHER = "/shoes/settings.yaml", "/toys/settings.yaml"


@pytest.mark.parametrize(("others", "pages"), [(0, 1), (PAGE - 2, 1), (2 * PAGE, 3), (PAGE * MOST_PAGES, MOST_PAGES)])
def test_a_waiting_run_is_found_among_those_of_another_company(
    others: int, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [*[OTHER] * others, OWN]
    runs = [{"id": file, "name": "2025-02-24", "parameters": {"settings_file": file}} for file in files]
    asked: list[dict[str, Any]] = []

    def post(_: RunBoard, path: str, content: dict[str, Any]) -> list[dict[str, Any]]:
        assert path == "/flow_runs/filter"
        asked.append(content)
        return runs[content["offset"] : content["offset"] + content["limit"]]

    monkeypatch.setattr(RunBoard, "_post", post)
    found = [one.id for one in RunBoard(OWN).waiting()]
    assert found == ([OWN] if others < PAGE * MOST_PAGES else [])
    assert len(asked) == pages
