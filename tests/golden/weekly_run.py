"""Run the golden company's week through the command line, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.golden import company

SECONDS_AT_MOST = 600


def publish_golden_run(folder: Path) -> Path:
    """Write the company below ``folder``, run its week in a separate process and return the published folder.

    Raises:
        AssertionError: the run did not end with exit code 0.
    """
    settings = company.write(folder)
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    for name in ("PREFECT_API_URL", "PREFECT_API_DATABASE_CONNECTION_URL"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "flows", "weekly", "--settings", settings, "--as-of", company.AS_OF],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_AT_MOST,
        check=False,
    )
    assert done.returncode == 0, f"The golden run ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    return folder / "lake" / "runs" / company.AS_OF
