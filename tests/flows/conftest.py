"""One Prefect server for all flow tests, started on first use; commands run as a user would run them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows import mini_company


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[dict[str, str]]:
    """A local server with a database of its own: the environment that leads to it."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), "DO_NOT_TRACK": "1"}


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Settings file of a fresh mini company."""
    return mini_company.write(tmp_path / "company")


class Process:
    """A command line at work, in a session of its own.

    Attributes:
        pid: id of the process and of its session.
    """

    def __init__(self, ask: Callable[[dict[str, object]], str], folder: Path, asked: dict[str, object]) -> None:
        self._ask, self._streams = ask, (folder / "out", folder / "err")
        self._code: int | None = None
        self.pid = int(ask({**asked, "out": str(self._streams[0]), "err": str(self._streams[1])}))

    def poll(self, wait: bool = False) -> int | None:
        """The exit code, below 0 the signal that ended it; None while it runs."""
        if self._code is None:
            code = self._ask({"id": self.pid, "wait": wait})
            self._code = int(code) if code else None
        return self._code

    def wait(self) -> tuple[int, str, str]:
        """The exit code, standard output and standard error, once it has ended."""
        code = self.poll(wait=True)
        assert code is not None
        out, err = (stream.read_text(encoding="utf-8") for stream in self._streams)
        return code, out, err

    def kill_all(self) -> None:
        """Kill the process and what it has started, at once, and wait."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


Start = Callable[..., Process]
Restock = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def start(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a module with arguments in a process of its own."""
    folder = tmp_path_factory.mktemp("processes")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flows.warm"],
        env=prefect_server,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as warm:
        assert warm.stdin is not None
        assert warm.stdout is not None
        asked, answers = warm.stdin, warm.stdout
        assert answers.readline() == "ready\n"

        def ask(for_what: dict[str, object]) -> str:
            print(json.dumps(for_what), file=asked, flush=True)
            return answers.readline().strip()

        def begin(*arguments: object, environment: dict[str, str] | None = None) -> Process:
            given = {"arguments": list(map(str, arguments)), "environment": environment or prefect_server}
            return Process(ask, Path(tempfile.mkdtemp(dir=folder)), given)

        yield begin
        asked.close()


@pytest.fixture(scope="session")
def restock(start: Start) -> Restock:
    """Run a command line in a process of its own: exit code, standard output, standard error."""

    def run(*arguments: object, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        return start("flows", *arguments, environment=environment).wait()

    return run


@pytest.fixture(scope="session")
def published(restock: Restock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings file of a mini company after its weekly run; to be read, not changed."""
    settings = mini_company.write(tmp_path_factory.mktemp("published") / "company")
    code, out, err = restock("weekly", "--settings", settings, "--as-of", mini_company.AS_OF)
    assert code == 0, out + err
    return settings


@pytest.fixture
def published_company(published: Path, tmp_path: Path) -> Path:
    """Settings file of a copy of the company after its weekly run."""
    return shutil.copytree(published.parent, tmp_path / "company") / published.name


@pytest.fixture
def planned_company(published_company: Path) -> Path:
    """Settings file of a copy of the company whose week is planned, and not published."""
    shutil.rmtree(published_company.parent / "lake" / "runs")
    return published_company
