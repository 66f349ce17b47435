"""Malformed requests raise no exception and reveal nothing; ``make fuzz`` sends 5,000 to each server, the tests 200."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from werkzeug.serving import make_server

from deployments import files
from tasks.app.context import AppContext
from tasks.app.data.company import Company
from tasks.app.data.scenarios import Jobs
from tasks.app.server import QuietRequests, create_app
from tasks.deepar.container import commands
from tasks.deepar.container.answers import answer
from tasks.deepar.container.checks import DataShape, check_inference_series
from tests.fuzz.requests import app_request, container_line, http_request

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("RESTOCK_FUZZ_REQUESTS", "200"))
SECRET, REPORT = b"kept-from-readers", b"<h1>the report</h1>"
REFUSED = "ClientError: "


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server of a lake that is full of ways out; the exceptions of its threads are collected in ``failures``."""
    lake = tmp_path / "lake"
    for name in ("runs/2024-07-01", "previews/2024-07-08", "records", "runs-of-others", ".promote"):
        (lake / name).mkdir(parents=True)
        (lake / name / "secret.txt").write_bytes(SECRET)
    for name in ("runs/2024-07-01", "previews/2024-07-08"):
        (lake / name / "secret.txt").unlink()
        (lake / name / "report.html").write_bytes(REPORT)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (lake / "runs/link").symlink_to(tmp_path / "secret.txt")
    (lake / "runs/folder-link").symlink_to(lake / "records")
    (lake / "runs/loop").symlink_to(lake / "runs/loop")
    monkeypatch.setattr(files, "SECONDS_TO_ASK", 1)
    monkeypatch.setattr(files._Handler, "timeout", 1)
    made = files.files_server(lake, port=0)
    failures: list[str] = []
    monkeypatch.setattr(type(made), "failed", lambda _, error: failures.append(repr(error)))
    made.failures = failures  # type: ignore[attr-defined]
    with files.serving(made):
        yield made


def exchange(server: Any, sent: bytes) -> bytes:
    """Send a request and read the whole answer."""
    received = b""
    with socket.create_connection((files.HOST, server.server_port), timeout=30) as connection:
        with suppress(OSError):  # refused before all was sent
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while part := connection.recv(65536):
                received += part
    return received


def test_malformed_requests_to_the_files_server(server: Any, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(11)
    statuses = set()
    for _ in range(REQUESTS):
        request = http_request(chance)
        received = exchange(server, request.sent)
        assert SECRET not in received, request
        assert not (request.foreign and REPORT in received), request
        statuses.add(received[9:12])
    assert {b"200", b"400", b"404", b"421", b"501"} <= statuses
    assert server.failures == []
    assert "Traceback" not in capfd.readouterr().err
    good = b"GET /runs/2024-07-01/report.html HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert exchange(server, good).endswith(REPORT)


def test_half_open_connections_do_not_keep_others_out(server: Any) -> None:
    half = []
    for number in range(files.MOST_CONNECTIONS + 20):
        connection = socket.create_connection((files.HOST, server.server_port), timeout=30)
        connection.sendall(b"GET /runs/2024-07-01/rep"[: number % 25])
        half.append(connection)
    # Every one of them ends by itself: the server closes it, at once or when its time is over.
    for connection in half:
        with suppress(ConnectionError):
            assert SECRET not in connection.recv(65536)
        connection.close()
    assert exchange(server, b"GET /runs/2024-07-01/report.html HTTP/1.1\r\nHost: localhost\r\n\r\n").endswith(REPORT)
    assert server.failures == []


def test_half_open_connections_to_the_app_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(QuietRequests, "timeout", 0.1)
    app = make_server("127.0.0.1", 0, lambda _environment, _start: [], threaded=True, request_handler=QuietRequests)
    threading.Thread(target=app.serve_forever, daemon=True).start()
    for begun in (b"", b"GET /rep", b"GET / HTTP/1.1\r\nHost: x"):
        with socket.create_connection(("127.0.0.1", app.server_port), timeout=30) as connection:
            connection.sendall(begun)
            assert connection.recv(1000) == b""
    app.shutdown()
    app.server_close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.flow
def test_malformed_requests_to_the_app(
    published_company: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(QuietRequests, "timeout", 1)
    computes_nothing = SimpleNamespace(submit=lambda *_: Future())
    jobs = Jobs(computes_nothing)  # type: ignore[arg-type]
    app = create_app(AppContext(Company(published_company), None, ("127.0.0.1",), jobs=jobs))
    server = make_server("127.0.0.1", 0, app.server, threaded=True, request_handler=QuietRequests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    chance = random.Random(13)
    statuses = set()
    for _ in range(REQUESTS):
        request = app_request(chance, app.callback_map)
        received = exchange(server, request)
        while received[9:12] == b"100":
            received = received.partition(b"\r\n\r\n")[2]
        status, text = received[9:12], received.partition(b"\r\n\r\n")[2]
        assert status in (b"200", b"204", b"400", b"405", b"413", b"415"), (request[:3000], received[:3000])
        assert status in (b"200", b"204") or (text.startswith(status) and text.count(b"\n") == 1), text
        statuses.add(status)
    server.shutdown()
    thread.join()
    server.server_close()
    assert {b"200", b"400", b"413", b"415"} <= statuses
    assert "Traceback" not in capfd.readouterr().err + caplog.text
    assert not caplog.records, caplog.text


def test_malformed_requests_to_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shape = DataShape(cardinality=(3,), dynamic_features=1, longest=10, non_negative=True, smallest=1.0)
    given = SimpleNamespace(
        prediction_length=2, cardinality="auto", num_dynamic_feat="auto", likelihood="negative-binomial"
    )

    def answers(model: Any, series: list[Any], asked: Any, _seed: int | None) -> Iterator[dict[str, Any]]:
        for one in series:
            check_inference_series(one, model.network.shape, model.network.given)
            yield answer(np.ones((min(asked.num_samples, 10), 2), dtype=np.float32), asked)

    monkeypatch.setattr(
        commands, "_loaded", lambda _: SimpleNamespace(network=SimpleNamespace(shape=shape, given=given))
    )
    monkeypatch.setattr(commands, "_answers", answers)
    chance = random.Random(12)
    lines = [container_line(chance) for _ in range(REQUESTS)]
    responses = io.StringIO()
    assert commands.serve(tmp_path, 1, io.StringIO("\n".join([*lines, ""]), newline="\n"), responses) == commands.DONE
    ready, *found = responses.getvalue().splitlines()
    assert ready == "ready"
    assert len(found) == len(lines)
    replies = [json.loads(text) for text in found]
    for line, reply in zip(lines, replies, strict=True):
        assert "predictions" in reply or reply["error"].startswith(REFUSED), (line[:300], reply)
    assert {frozenset(reply) for reply in replies} == {frozenset({"predictions"}), frozenset({"error"})}
