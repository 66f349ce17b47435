"""One Prefect server for all tests of a test run; commands run as a user would run them."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.forecasting.pretrained.worker import ENVIRONMENT
from tests.flows.forks import PLACE, WITH_ARRAYS, WITHOUT_FIGURES
from tests.ports import free_port, healthy, listens
from tests.shared import SECONDS_TO_WAIT, once, start_for_all, wait_until

SECONDS_BETWEEN_LOOKS = 0.02
SECONDS_AT_MOST = 600
# Importing them takes seven seconds of processor time in every process that is not a fork.
NETWORKS = ("tasks.deepar.container.network", "torch._dynamo", "chronos.chronos2.trainer", "peft")
# What no test on the shared server asks for; they would look at the database all the time.
IDLE_SERVICES = ("CANCELLATION_CLEANUP", "EVENT_PERSISTER", "FOREMAN", "LATE_RUNS", "SCHEDULER", "TRIGGERS")
# Most of a server's start is the registration of all block types; a block that is saved registers its own.
WITHOUT_BLOCK_TYPES = {
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}
# For the command lines that use it. Their logs are read from their streams. Arrays reject the same rows as Great
# Expectations (tests/demand/ingest/test_judges.py), which takes a second more; the golden run takes Great Expectations
# and draws the figures of the page.
LIGHT = {"PREFECT_LOGGING_TO_API_ENABLED": "false", WITH_ARRAYS: "1", WITHOUT_FIGURES: "1"}


class Process:
    """A command line at work, in a separate session.

    Attributes:
        pid: id of the process and of its session.
    """

    def __init__(self, port: int, folder: Path, asked: dict[str, object]) -> None:
        self._port, self._streams = port, (folder / "out", folder / "err")
        for stream in self._streams:
            stream.touch()
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
            self._wait_for_end()
        return (code, *self.output())

    def _wait_for_end(self) -> None:
        """Wait without asking the warm process fifty times per second, where the system can."""
        if not hasattr(os, "pidfd_open"):
            time.sleep(SECONDS_BETWEEN_LOOKS)
            return
        process = os.pidfd_open(self.pid)
        try:
            select.select([process], [], [])
        finally:
            os.close(process)

    def output(self) -> tuple[str, str]:
        """Standard output and standard error so far."""
        out, err = (stream.read_text(encoding="utf-8", errors="replace") for stream in self._streams)
        return out, err

    def kill_all(self) -> None:
        """Kill the process and what it has started, at once, and wait."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


Start = Callable[..., Process]
Restock = Callable[..., tuple[int, str, str]]
PrefectHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a module with arguments and an environment in a fork of the warm process (see ``tests/flows/warm.py``)."""

    def warm_up(folder: Path) -> int:
        port, log = free_port(), folder / "warm.log"
        environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | PLACE
        process = start_for_all([sys.executable, "-m", "tests.flows.warm", str(port)], environment, log)
        wait_until(lambda: listens(port), process, log)
        return port

    return _forks_of(once(tmp_path_factory, "warm", warm_up), tmp_path_factory.mktemp("processes"))


def _forks_of(port: int, folder: Path) -> Start:
    """Start processes in forks of the process that serves a port; ``folder`` takes their streams."""

    def begin(*arguments: object, environment: dict[str, str], seconds: int = SECONDS_AT_MOST) -> Process:
        given = {"arguments": list(map(str, arguments)), "environment": environment, "seconds": seconds}
        return Process(port, Path(tempfile.mkdtemp(dir=folder)), given)

    return begin


@pytest.fixture(scope="session")
def fork_with_networks(tmp_path_factory: pytest.TempPathFactory, fork: Start) -> Start:
    """The same in forks of a process that has also imported torch, GluonTS and Chronos.

    With :data:`tests.flows.forks.VARIABLE`, the trainings that such a process starts are forks, too.
    """

    def warm_up(_: Path) -> int:
        port, modules = free_port(), [name for name in NETWORKS if find_spec(name.partition(".")[0])]
        environment = {**os.environ, **PLACE, **ENVIRONMENT}
        process = fork("tests.flows.warm", port, *modules, environment=environment, seconds=0)
        until = time.monotonic() + SECONDS_TO_WAIT
        while not listens(port):
            assert process.poll() is None, "".join(process.output())
            assert time.monotonic() < until, "".join(process.output())
            time.sleep(0.1)
        return port

    return _forks_of(once(tmp_path_factory, "warm-networks", warm_up), tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory, fork: Start) -> PrefectHome:
    """Make a folder a ``PREFECT_HOME`` with an empty database, a copy: migrations take most of a server's start."""

    def migrate(folder: Path) -> str:
        environment = {**os.environ, "PREFECT_HOME": str(folder), "DO_NOT_TRACK": "1"}
        environment.pop("PREFECT_API_URL", None)
        code, out, err = fork("prefect", "server", "database", "upgrade", "--yes", environment=environment).wait()
        assert code == 0, out + err
        return str(folder)

    def copy(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for file in Path(once(tmp_path_factory, "prefect-database", migrate)).glob("prefect.db*"):
            shutil.copy2(file, folder)
        return folder

    return copy


def start_server(fork: Start, environment: dict[str, str], module: str = "prefect") -> tuple[str, Process]:
    """Start a Prefect server in a fork; the address of its API, and its process, which ends with the test run."""
    port = free_port()
    given = {**environment, **WITHOUT_BLOCK_TYPES, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    given.pop("PREFECT_API_URL", None)
    arguments = ("server", "start", "--host", "127.0.0.1", "--port", port)
    process = fork(module, *arguments, environment=given, seconds=0)
    api = f"http://127.0.0.1:{port}/api"
    until = time.monotonic() + SECONDS_TO_WAIT
    while not healthy(api):
        assert process.poll() is None, "".join(process.output())
        assert time.monotonic() < until, "".join(process.output())
        time.sleep(0.1)
    return api, process


@pytest.fixture(scope="session")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, prefect_home: PrefectHome, fork: Start
) -> Iterator[dict[str, str]]:
    """The test run's Prefect server: the environment that leads to it. This process uses it as well."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    def begin(folder: Path) -> str:
        off = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE_SERVICES}
        own = {"PREFECT_HOME": str(prefect_home(folder)), **off}
        return start_server(fork, {**os.environ, **own}, "deployments.prefect_server")[0]

    api = once(tmp_path_factory, "prefect-server", begin)
    with temporary_settings({PREFECT_API_URL: api}):
        yield {**os.environ, **LIGHT, "PREFECT_API_URL": api, "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="session")
def start(prefect_server: dict[str, str], fork: Start) -> Start:
    """Start a module with arguments in a separate process, by default with the test run's Prefect server."""

    def begin(*arguments: object, environment: dict[str, str] | None = None) -> Process:
        return fork(*arguments, environment=environment or prefect_server)

    return begin


@pytest.fixture(scope="session")
def restock(start: Start) -> Restock:
    """Run a command line in a separate process: exit code, standard output, standard error."""

    def run(*arguments: object, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        return start("flows", *arguments, environment=environment).wait()

    return run
