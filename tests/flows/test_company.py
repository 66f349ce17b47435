"""The name of a company in its deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.company import company_of


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
