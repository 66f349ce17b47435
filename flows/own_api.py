"""Prefect's API in memory, for a run that no server records.

Prefect's engine needs an API: it creates the run, sets its states and shows artifacts. A Prefect server that starts for
one run takes more processor time than a small run itself. This module has the answers that the engine needs about its
own run, and nothing else (docs/decisions/0027-no-server-for-a-single-run.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import prefect
from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_UI_URL,
    temporary_settings,
)

Json = dict[str, Any]
Answer = tuple[HTTPStatus, Any]
_ID = "([0-9a-f-]{36})"


@contextmanager
def own_api() -> Iterator[None]:
    """Run flows without a server while the context is open. What happens is logged, and not recorded."""
    handler = type("Handler", (_Handler,), {"answers": Answers()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, name="Prefect API in memory", daemon=True).start()
        settings = {
            PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api",
            PREFECT_UI_URL: "",  # or the log would name a page that there is not
            PREFECT_LOGGING_TO_API_ENABLED: False,
            PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
        }
        EventsWorker.set_client_override(NullEventsClient)
        try:
            with temporary_settings(settings):
                yield
        finally:
            EventsWorker.set_client_override(None)
            server.shutdown()


class Answers:
    """The answers of the API, and the runs they are about."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}
        self._routes: list[tuple[str, Callable[..., Answer]]] = [
            ("GET /health", lambda _: (HTTPStatus.OK, True)),
            ("GET /admin/version", lambda _: (HTTPStatus.OK, prefect.__version__)),
            ("GET /admin/storage", lambda _: (HTTPStatus.OK, {"default_result_storage_block_id": None})),
            ("POST /(?:flows|flow_runs|artifacts)/", self._create),
            (f"GET /(?:flows|flow_runs)/{_ID}", self._read),
            (f"PATCH /(?:flow_runs|artifacts)/{_ID}", self._update),
            (f"POST /flow_runs/{_ID}/set_state", self._set_state),
        ]

    def to(self, asked: str, content: Json) -> Answer:
        """Answer a request.

        Args:
            asked: method and path, such as ``GET /health``.
            content: body of the request.
        """
        for route, answer in self._routes:
            if found := re.fullmatch(route, asked):
                return answer(content, *found.groups())
        return HTTPStatus.NOT_FOUND, {"detail": f"{asked} needs a Prefect server. Start one with `make serve`."}

    def _create(self, content: Json) -> Answer:
        now = _now()
        given = {name: value for name, value in content.items() if value is not None}
        made = {"id": str(uuid4()), "created": now, "updated": now, **given}
        if "state" in made:
            made |= {**_in_state(_stored(made["state"])), "expected_start_time": now}
        self._known[made["id"]] = made
        return HTTPStatus.CREATED, made

    def _read(self, _content: Json, key: str) -> Answer:
        return (HTTPStatus.OK, self._known[key]) if key in self._known else (HTTPStatus.NOT_FOUND, {})

    def _update(self, content: Json, key: str) -> Answer:
        self._known.get(key, {}).update(content)
        return HTTPStatus.NO_CONTENT, None

    def _set_state(self, content: Json, key: str) -> Answer:
        state = _stored(content["state"])
        if state["type"] == "RUNNING":
            self._known[key].setdefault("start_time", state["timestamp"])
        self._known[key] |= _in_state(state)
        return HTTPStatus.CREATED, {"state": state, "status": "ACCEPT", "details": {"type": "accept_details"}}


def _stored(state: Json) -> Json:
    return {"id": str(uuid4()), "timestamp": _now(), **state}


def _in_state(state: Json) -> Json:
    return {"state": state, "state_type": state["type"], "state_name": state["name"]}


def _now() -> str:
    return datetime.now(UTC).isoformat()


class _Handler(BaseHTTPRequestHandler):
    """Reads a request of Prefect's client and writes the answer."""

    protocol_version = "HTTP/1.1"  # the client keeps its connection
    wbufsize = -1  # one packet per answer
    answers: Answers

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = f"{self.command} {self.path.removeprefix('/api')}"
        code, answer = self.answers.to(asked, json.loads(content) if content else {})
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Write no line per request."""
