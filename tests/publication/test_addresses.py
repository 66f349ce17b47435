"""Web addresses of files in the lake."""

from __future__ import annotations

import pytest

from tasks.publication.addresses import FILES_ROOT, FILES_URL, web_address


@pytest.mark.parametrize("absent", [FILES_URL, FILES_ROOT])
def test_a_file_has_an_address_only_if_a_server_and_its_folder_are_known(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    monkeypatch.setenv(FILES_URL, "http://host:1/")
    monkeypatch.setenv(FILES_ROOT, "/lake")
    assert web_address("/lake/runs/a b.html") == "http://host:1/runs/a%20b.html"
    assert web_address("/lakes/runs/a.html") is None
    monkeypatch.delenv(absent)
    assert web_address("/lake/runs/a b.html") is None
    assert web_address("/runs/a.html") is None
