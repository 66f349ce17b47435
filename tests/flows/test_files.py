"""The lake's files over HTTP: what is published can be read, nothing else can be seen or changed."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.files import HOST, files_server, serving
from tasks.publication.addresses import FILES_ROOT, FILES_URL, web_address
from tasks.publication.transaction import publish_run
from tasks.storage.lake import open_lake
from tests.publication import fake_run

pytestmark = pytest.mark.slow


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with a run, a preview, and what nobody is to see."""
    files = {
        "runs/2024-07-01/report.html": "<h1>report</h1>",
        "runs/2024-07-01/replenishment.csv": "store_id,sku,target_quantity\n1,2,3\n",
        "runs/2024-07-01/forecast.parquet": "PAR1",
        "previews/2024-07-08/manifest.json": "{}",
        "records/ingest/1.json": "secret",
    }
    for name, text in files.items():
        (tmp_path / "lake" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lake" / name).write_text(text)
    (tmp_path / "settings.yaml").write_text("secret")
    (tmp_path / "runs-of-others").mkdir()
    (tmp_path / "lake/runs/link").symlink_to(tmp_path / "settings.yaml")
    os.mkfifo(tmp_path / "lake/runs/pipe")
    return tmp_path / "lake"


@pytest.fixture
def connection(lake: Path) -> Iterator[http.client.HTTPConnection]:
    server = files_server(lake, port=0)
    with serving(server):
        connected = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
        yield connected
        connected.close()


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and content; the path goes out as it is written."""
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, str(answer.getheader("Content-Type")), answer.read().decode()


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/runs/2024-07-01/report.html", "text/html; charset=utf-8", "<h1>report</h1>"),
        ("/runs/2024-07-01/replenishment.csv", "text/csv; charset=utf-8", "1,2,3"),
        ("/runs/2024-07-01/forecast.parquet", "application/vnd.apache.parquet", "PAR1"),
        ("/previews/2024-07-08/manifest.json", "application/json", "{}"),
        ("/runs/2024-07-01/", "text/html; charset=utf-8", "replenishment.csv"),
    ],
)
def test_what_is_published_can_be_read(
    connection: http.client.HTTPConnection, path: str, kind: str, words: str
) -> None:
    status, came, content = ask(connection, path)
    assert (status, came) == (200, kind)
    assert words in content


@pytest.mark.parametrize(
    "path",
    [
        *("/records/", "/records/ingest/1.json", "/settings.yaml", "/runs-of-others/"),
        *("/runs/../records/ingest/1.json", "/runs/../../settings.yaml", "/runs/%2e%2e/%2e%2e/settings.yaml"),
        *("//runs/..%2f..%2fsettings.yaml", "/runs/link", "/runs/pipe", "/runs/2024-07-01/no.csv"),
    ],
)
def test_nothing_else_can_be_seen(connection: http.client.HTTPConnection, path: str) -> None:
    status, _, content = ask(connection, path)
    assert status == 404
    assert "secret" not in content


def test_the_start_page_leads_to_what_is_published_and_names_nothing_else(
    connection: http.client.HTTPConnection, lake: Path
) -> None:
    status, _, content = ask(connection, "/")
    assert status == 200
    assert '<a href="/runs/">runs</a>' in content
    assert "records" not in content
    shutil.rmtree(lake / "runs")
    status, _, content = ask(connection, "/runs/")
    assert status == 200
    assert "runs: nothing yet" in content
    shutil.rmtree(lake)
    assert f"{lake} is not a lake: no run has written to it, or its disk or share is not" in ask(connection, "/")[2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(connection: http.client.HTTPConnection, lake: Path, method: str) -> None:
    assert ask(connection, "/runs/2024-07-01/report.html", method)[0] == 501
    assert (lake / "runs/2024-07-01/report.html").read_text() == "<h1>report</h1>"


def test_a_path_is_a_link_only_where_its_lake_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/data/lake of us/runs/2024-07-01/report.html"
    monkeypatch.delenv(FILES_URL, raising=False)
    assert web_address(path) is None
    monkeypatch.setenv(FILES_URL, "http://files.example/")
    monkeypatch.setenv(FILES_ROOT, "/data/lake of us")
    assert web_address(path) == "http://files.example/runs/2024-07-01/report.html"
    assert web_address(path.replace("us", "them")) is None
    assert web_address("/data/lake of us and them/runs/1/report.html") is None


def test_the_start_page_lists_publications(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    publish_run(open_lake(str(root)), fake_run.context(), made, fake_run.facts(), "<b>Ana</b>")
    with serving(files_server(root, port=0)) as address:
        connected = http.client.HTTPConnection(HOST, int(address.rsplit(":", 1)[1]), timeout=30)
        status, _, page = ask(connected, "/")
        assert status == 200
        assert "2025-01-02" in page
        assert "in force" in page
        assert " UTC</td>" in page, "the app shows the same time in the time zone of the machine"
        assert "&lt;b&gt;Ana&lt;/b&gt;" in page
        assert "<b>Ana" not in page
        for link in ("/runs/2025-01-02/report.html", "/versions/2025-01-02/0001/report.html"):
            assert ask(connected, link)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4201", "[::", ""])
def test_a_request_for_another_host_is_refused(connection: http.client.HTTPConnection, host: str) -> None:
    connection.putrequest("GET", "/runs/2024-07-01/report.html", skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 421
    assert b"<h1>report</h1>" not in answer.read()


def test_strange_paths_are_not_found_and_answers_have_safe_headers(
    lake: Path, connection: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    (lake / "runs/loop").symlink_to(lake / "runs/loop")
    for path in ("/runs/%00", "/runs/loop/x", "/runs/" + "a" * 5000, "/%2e%2e/settings.yaml", "/runs/%2e%2e/records/"):
        assert ask(connection, path)[0] == 404, path
    connection.request("GET", "/runs/2024-07-01/report.html")
    answer = connection.getresponse()
    answer.read()
    assert answer.getheader("X-Frame-Options") == "DENY"
    assert "default-src 'none'" in str(answer.getheader("Content-Security-Policy"))
    assert "Traceback" not in capfd.readouterr().err
