"""One Prefect server for all flow tests, started on first use; commands run as a user would run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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


Restock = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def restock(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restock]:
    """Run a command line in a process of its own: exit code, standard output, standard error."""
    folder = tmp_path_factory.mktemp("restock")
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

        def run(*arguments: object) -> tuple[int, str, str]:
            streams = folder / "out", folder / "err"
            asked_for = {
                "arguments": list(map(str, arguments)),
                "environment": prefect_server,
                "out": str(streams[0]),
                "err": str(streams[1]),
            }
            print(json.dumps(asked_for), file=asked, flush=True)
            code = int(answers.readline())
            out, err = (stream.read_text(encoding="utf-8") for stream in streams)
            return code, out, err

        yield run
        asked.close()


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
