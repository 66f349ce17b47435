"""A trained DeepAR model served on this machine, with the HTTP contract of SageMaker's containers.

``GET /ping`` answers 200 once the model is loaded. ``POST /invocations`` takes the request of a SageMaker endpoint
(``{"instances": [...], "configuration": {...}}``) and answers ``{"predictions": [...]}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, cast

from schemas.errors import TrainingError
from tasks.deepar.local.processes import MODULE

LARGEST_REQUEST = 6 * 1024 * 1024  # as of a SageMaker endpoint
# A request as one line of JSON to an answer as one line of JSON.
Answer = Callable[[str], str]


@contextmanager
def serving(answer: Answer, port: int = 0) -> Iterator[str]:
    """Serve a model until the block ends.

    Args:
        answer: the model.
        port: port of this machine; 0 takes a free one.

    Yields:
        The address.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(answer))
    thread = threading.Thread(target=server.serve_forever, name="deepar-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def loaded(archive: Path) -> Iterator[Answer]:
    """Load a model in a process of the container, until the block ends.

    Args:
        archive: ``model.tar.gz``.

    Raises:
        TrainingError: the model cannot be loaded.
    """
    line = [sys.executable, "-m", MODULE, "serve", "--model", str(archive)]
    with subprocess.Popen(  # noqa: S603
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_ROOT
    ) as process:
        requests, responses = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        turn = threading.Lock()

        def answer(request: str) -> str:
            with turn:
                requests.write(f"{request}\n")
                requests.flush()
                return responses.readline()

        if responses.readline().strip() != "ready":
            raise TrainingError(f"The model {archive.name} cannot be served: {cast(IO[str], process.stderr).read()}")
        try:
            yield answer
        finally:
            requests.close()
            process.wait()


_ROOT = Path(__file__).parents[3]


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Health check."""
            self._reply(200 if self.path == "/ping" else 404, b"")

        def do_POST(self) -> None:
            """A request to the model."""
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/invocations":
                self._reply(404, b"")
            elif length > LARGEST_REQUEST:
                self._reply(413, _error(f"The request has {length:,} bytes; at most {LARGEST_REQUEST:,} are possible."))
            else:
                self._reply(*_invoked(answer, self.rfile.read(length)))

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return Handler


def _invoked(answer: Answer, body: bytes) -> tuple[int, bytes]:
    try:
        request = json.dumps(json.loads(body))  # one line
    except ValueError as error:
        return 400, _error(f"The request is not JSON ({error}).")
    found = answer(request)
    if not found:
        return 500, _error("The model's process has ended.")
    return 400 if "error" in json.loads(found) else 200, found.encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()
