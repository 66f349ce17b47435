"""Run the golden company's week through the command line, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.golden import company

SECONDS_AT_MOST = 600


def publish_golden_run(folder: Path, restock: Callable[..., tuple[int, str, str]] | None = None) -> Path:
    """Write the company below ``folder``, run its week in a separate process and return the published folder.

    Args:
        folder: an empty or absent folder.
        restock: runs a command line; returns its exit code, standard output and standard error. By default it runs
            with a separate Prefect server.

    Raises:
        AssertionError: the run did not end with exit code 0.
    """
    settings = company.write(folder)
    code, out, err = (restock or _alone)("weekly", "--settings", settings, "--as-of", company.AS_OF)
    assert code == 0, f"The golden run ended with exit code {code}:\n{out}{err}"
    return folder / "lake" / "runs" / company.AS_OF


def _alone(*arguments: object) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "PREFECT_HOME": home, "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "WARNING"}
        for name in ("PREFECT_API_URL", "PREFECT_API_DATABASE_CONNECTION_URL"):
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-m", "flows", *map(str, arguments)],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_AT_MOST,
            check=False,
        )
    return done.returncode, done.stdout, done.stderr
