"""One Prefect server for all flow tests, started on first use; commands run as a user would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows import mini_company

SECONDS_AT_MOST = 600


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
def restock(prefect_server: dict[str, str]) -> Restock:
    """Run a command line in a process of its own: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "flows", *map(str, arguments)],
            env=prefect_server,
            capture_output=True,
            text=True,
            timeout=SECONDS_AT_MOST,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run
