"""The name of a company in its deployments."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from deployments.company import company_of
from deployments.serve import _own_deployments


@pytest.mark.parametrize(
    ("file", "content", "company"),
    [
        ("settings.yaml", "name: Zapatería Ñandú", "zapateria-nandu"),
        ("north.yaml", "name: shoes", "shoes-north"),
        ("shoes.yaml", "name: shoes", "shoes"),
        ("settings.yaml", "no name here", "folder"),
        ("settings.yaml", "[broken", "folder"),
        ("settings.yaml", "name: 靴屋", "folder"),
        ("settings.yaml", "name: ../../x", "x"),
        ("north.yaml", None, "folder-north"),
    ],
)
def test_the_name_comes_from_settings_and_file(tmp_path: Path, file: str, content: str | None, company: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if content is not None:
        (folder / file).write_text(content, encoding="utf-8")
    assert company_of(str(folder / file)) == company


def test_the_environment_overrides_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOCK_COMPANY", "Region Sur")
    assert company_of("s3://bucket/settings.yaml") == "region-sur"


def test_a_company_whose_name_ends_like_another_one_keeps_its_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        {"name": f"{flow}-{company}", "work_queue_name": company}
        for company in ("shop", "toy-shop")
        for flow in ("weekly", "backfill")
    ]
    request = httpx.Request("POST", "http://127.0.0.1")
    monkeypatch.setattr(httpx, "post", lambda *_, **__: httpx.Response(200, json=found, request=request))
    assert sorted(_own_deployments("http://127.0.0.1", "shop")) == ["backfill", "weekly"]


@pytest.mark.parametrize("other", ["ZAPATERÍA ÑANDÚ", "zapateria nandu", "Zapateri\u0301a N\u0303andu\u0301"])
def test_names_that_differ_in_case_or_accents_are_the_same_company(tmp_path: Path, other: str) -> None:
    for folder, name in (("one", "Zapatería Ñandú"), ("two", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "settings.yaml").write_text(f"name: {name}", encoding="utf-8")
    assert len({company_of(str(tmp_path / folder / "settings.yaml")) for folder in ("one", "two")}) == 1
