"""`make serve` on the mini company, started once for the tests that use it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deployments.company import company_of
from tests.commands import PrefectHome, Process, Start
from tests.flows import forks, mini_company
from tests.ports import HTTP, free_port, listens
from tests.shared import SECONDS_TO_WAIT

TIMEZONE = "America/Santiago"


class Served(NamedTuple):
    """What `make serve` serves.

    Attributes:
        address: of Prefect's server.
        settings: settings file of the company.
        home: Prefect's home.
        process: `make serve`.
    """

    address: str
    settings: Path
    home: Path
    process: Process

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"{self.address}/api"

    @property
    def lake(self) -> Path:
        """The company's lake."""
        return self.settings.parent / "lake"

    @property
    def log(self) -> str:
        """What `make serve` has printed."""
        return "".join(self.process.output())

    def ask(self, path: str) -> dict[str, Any]:
        """What the server's API returns."""
        return dict(HTTP.get(f"{self.api}/{path}").raise_for_status().json())

    def deployment(self, name: str) -> str:
        """The name of one of the company's deployments."""
        return f"{name}-{company_of(str(self.settings))}"


_running: list[Served] = []


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, prefect_home: PrefectHome, fork: Start) -> Iterator[Served]:
    """`make serve`; after the last test that uses it, Ctrl-C ends everything that it started (`tests/conftest.py`)."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    settings, home = mini_company.write(folder / "company"), prefect_home(folder / "home")
    # A worker that looks for runs takes the server 40 milliseconds of processor time.
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": "2"}
    environment |= {forks.VARIABLE: "1", forks.WITH_ARRAYS: "1"}
    environment.pop("PREFECT_API_URL", None)
    options = ["--settings", settings, "--timezone", TIMEZONE, "--port", port]
    options += ["--files-port", free_port(), "--app-port", free_port()]
    # As a shell starts what runs in the background: deaf to Ctrl-C, until it listens itself.
    process = fork("tests.deaf_serve", *options, environment=environment, seconds=0)
    found = Served(f"http://127.0.0.1:{port}", settings, home, process)
    try:
        until = time.monotonic() + SECONDS_TO_WAIT
        while "Stop with Ctrl-C" not in found.log:
            assert process.poll() is None, found.log
            assert time.monotonic() < until, found.log
            time.sleep(0.1)
    except BaseException:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
        raise
    _running.append(found)
    yield found
    end_served()


def end_served() -> None:
    """Stop `make serve` if it runs: it ends well, and nothing of it is left. Idle, it would take 6 % of a core."""
    while _running:
        found = _running.pop()
        assert found.process.poll() is None, found.log
        os.kill(found.process.pid, signal.SIGINT)
        code, out, err = found.process.wait()
        assert code == 0, out + err
        assert not list(found.home.glob("restock-served*")), "a run would look for a server that is gone"
        assert not listens(int(found.address.rpartition(":")[2])), "the server still listens"
