"""Web addresses of files in the lake."""

from __future__ import annotations

from datetime import date

import pytest

from tasks.publication.addresses import APP_ROOT, APP_URL, FILES_ROOT, FILES_URL, app_address, web_address


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


def test_the_app_has_pages_only_for_the_lake_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(APP_URL, "http://host:2/")
    monkeypatch.setenv(APP_ROOT, "/shoes/lake")
    folder, day = "/shoes/lake/previews/2025-02-21", date(2025, 2, 21)
    page = "http://host:2/approve?week=2025-02-21-preview"
    assert app_address(folder, day, preview=True, page="approve") == page
    assert app_address("/shoes/lake2/previews/2025-02-21", day, preview=True) is None, "another company"
    monkeypatch.delenv(APP_ROOT)
    assert app_address("s3://bucket/previews/2025-02-21", day, preview=True, page="approve") == page
