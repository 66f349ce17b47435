"""Prefect server of a run from the command line: that of ``make serve`` if one is running here, else a temporary one.

Two servers on one SQLite file block each other, therefore a running server is used. Prefect can start the temporary
server, too. It would import the whole server into the run, which costs seconds, and the run would wait for its start.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.environment import ANNOUNCEMENT, API
from flows.family import end_at_the_latest_with_this_process
from flows.server_process import serve
from schemas.errors import PipelineError

SECONDS_TO_ANSWER = 2
SECONDS_TO_STOP = 5
STARTS = 3  # another process can take the free port first
# A fork of the run has already imported Prefect. On macOS, a fork that uses system libraries can crash.
_PROCESSES = get_context("fork") if sys.platform == "linux" else get_context("spawn")


def _file() -> Path:
    """Return the path of the announcement, next to the database: users of one database share the server."""
    return Path(get_current_settings().home) / ANNOUNCEMENT


@contextmanager
def announced(variables: Mapping[str, str]) -> Iterator[None]:
    """Announce a server to runs from the command line while the context is open.

    Args:
        variables: ``PREFECT_API_URL``, and other environment variables for such a run.
    """
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict(variables)), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def on_the_served_server() -> Iterator[str | None]:
    """Use the announced server while the context is open, unless PREFECT_API_URL is set.

    Yields:
        The address of the server's API; None if no announced server is used.
    """
    variables = _announcement() if get_current_settings().api.url is None else {}
    api = variables.pop(API, None)
    if api is None or not _answers(api):
        yield None
        return
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    with temporary_settings({PREFECT_API_URL: api}):
        yield api


@contextmanager
def server_of_this_run() -> Iterator[Callable[[], str | None]]:
    """Provide a Prefect server for the flow that runs in the context.

    A temporary server starts at once, in a separate process, while the caller imports the flow. It ends with this
    process.

    Yields:
        A function to call before the flow starts. It waits until the server responds, and returns the address of the
        API if it is the server of ``make serve``, else None.
    """
    with ExitStack() as stack:
        served = stack.enter_context(on_the_served_server())
        if served is not None or get_current_settings().api.url is not None:
            yield lambda: served
            return
        server = _TemporaryServer()
        atexit.register(server.stop)  # at exit: before that, Prefect sends the last log lines

        def ready() -> None:
            stack.enter_context(temporary_settings({PREFECT_API_URL: server.wait()}))

        yield ready


class _TemporaryServer:
    """Prefect's server in a child process, on the database of the current profile."""

    def __init__(self) -> None:
        self._seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
        self._start()

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{self._port}/api"
        self._process = _PROCESSES.Process(target=serve, args=(self._port,), name="prefect server", daemon=True)
        self._process.start()
        end_at_the_latest_with_this_process(self._process)

    def _listens(self) -> bool:
        """Return whether a process listens on the port. This check costs far less than a request to the server."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def wait(self) -> str:
        """Return the address of the API once the server responds.

        Raises:
            PipelineError: The server ended, or does not respond in the time that Prefect's settings allow.
        """
        until, starts = time.monotonic() + self._seconds, 1
        while not (self._listens() and _answers(self._address)):
            code = self._process.exitcode
            if code is not None and starts == STARTS:
                raise PipelineError(
                    f"The temporary Prefect server ended with exit code {code} before it was ready. The lines above "
                    "name the reason. If its database is damaged, set PREFECT_HOME to a new folder."
                )
            if code is not None:
                starts += 1
                self._start()
            if time.monotonic() > until:
                raise PipelineError(
                    f"The temporary Prefect server did not respond within {self._seconds} seconds. On a busy machine, "
                    "set PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS to a larger number."
                )
            time.sleep(0.1)
        return self._address

    def stop(self) -> None:
        self._process.terminate()
        self._process.join(SECONDS_TO_STOP)
        self._process.kill()
        self._process.join()


def _announcement() -> dict[str, str]:
    try:
        return dict(json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _answers(api: str) -> bool:
    """Return whether a server responds: after a crash the announcement of a stopped server remains."""
    address = urlsplit(api)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=SECONDS_TO_ANSWER)
    try:
        connection.request("GET", f"{address.path}/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
