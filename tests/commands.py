"""One Prefect server for all tests of a test run; commands run as a user would run them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import free_port, healthy, listens
from tests.shared import SECONDS_TO_WAIT, once, start_for_all, wait_until

SECONDS_BETWEEN_LOOKS = 0.02
PrefectHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> PrefectHome:
    """Make a folder a ``PREFECT_HOME`` with an empty database, a copy: migrations take most of a server's start."""

    def migrate(folder: Path) -> str:
        environment = {**os.environ, "PREFECT_HOME": str(folder), "DO_NOT_TRACK": "1"}
        environment.pop("PREFECT_API_URL", None)
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=SECONDS_TO_WAIT)
        return str(folder)

    def copy(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for file in Path(once(tmp_path_factory, "prefect-database", migrate)).glob("prefect.db*"):
            shutil.copy2(file, folder)
        return folder

    return copy


def _start_server(folder: Path) -> str:
    """A Prefect server with its own database; the address of its API."""
    port, log = free_port(), folder / "server.log"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "deployments.prefect_server", "server", "start", "--port", str(port)]
    process = start_for_all(command, environment, log)
    api = f"http://127.0.0.1:{port}/api"
    wait_until(lambda: healthy(api), process, log)
    return api


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, prefect_home: PrefectHome) -> Iterator[dict[str, str]]:
    """The test run's Prefect server: the environment that leads to it. This process uses it as well."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    api = once(tmp_path_factory, "prefect-server", lambda folder: _start_server(prefect_home(folder)))
    with temporary_settings({PREFECT_API_URL: api}):
        yield {**os.environ, "PREFECT_API_URL": api, "DO_NOT_TRACK": "1"}


class Process:
    """A command line at work, in a separate session.

    Attributes:
        pid: id of the process and of its session.
    """

    def __init__(self, port: int, folder: Path, asked: dict[str, object]) -> None:
        self._port, self._streams = port, (folder / "out", folder / "err")
        self._code: int | None = None
        self.pid = int(self._ask({**asked, "out": str(self._streams[0]), "err": str(self._streams[1])}))

    def _ask(self, asked: dict[str, object]) -> str:
        with socket.create_connection(("127.0.0.1", self._port)) as warm, warm.makefile("rw") as stream:
            stream.write(json.dumps(asked) + "\n")
            stream.flush()
            return stream.readline().strip()

    def poll(self) -> int | None:
        """The exit code, below 0 the signal that ended it; None while it runs."""
        if self._code is None:
            code = self._ask({"id": self.pid})
            self._code = int(code) if code else None
        return self._code

    def wait(self) -> tuple[int, str, str]:
        """The exit code, standard output and standard error, once it has ended."""
        while (code := self.poll()) is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        out, err = (stream.read_text(encoding="utf-8") for stream in self._streams)
        return code, out, err

    def kill_all(self) -> None:
        """Kill the process and what it has started, at once, and wait."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


Start = Callable[..., Process]
Restock = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def start(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a module with arguments in a separate process."""

    def warm_up(folder: Path) -> int:
        port, log = free_port(), folder / "warm.log"
        process = start_for_all([sys.executable, "-m", "tests.flows.warm", str(port)], prefect_server, log)
        wait_until(lambda: listens(port), process, log)
        return port

    port, folder = once(tmp_path_factory, "warm", warm_up), tmp_path_factory.mktemp("processes")

    def begin(*arguments: object, environment: dict[str, str] | None = None) -> Process:
        given = {"arguments": list(map(str, arguments)), "environment": environment or prefect_server}
        return Process(port, Path(tempfile.mkdtemp(dir=folder)), given)

    return begin


@pytest.fixture(scope="session")
def restock(start: Start) -> Restock:
    """Run a command line in a separate process: exit code, standard output, standard error."""

    def run(*arguments: object, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        return start("flows", *arguments, environment=environment).wait()

    return run
