"""What all worker processes of one test run share: made once, on first use, and ended with the run.

Under pytest-xdist every worker has its own session fixtures. A server or a finished run that takes many seconds to make
is made by the first worker that needs it; the others wait for it and use it as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
SECONDS_TO_WAIT = 240


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> Any:
    """Make something once per test run.

    Args:
        factory: pytest's temporary folders.
        name: of the thing, a folder name.
        make: given an empty folder; returns a JSON value with what the other workers need.

    Returns:
        What ``make`` returned, in this worker or in another one.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with FileLock(f"{folder}.lock"):
        made = folder / "made.json"
        if not made.exists():
            folder.mkdir()
            made.write_text(json.dumps(make(folder)), encoding="utf-8")
        return json.loads(made.read_text("utf-8"))


def start_for_all(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives this worker and ends with the test run, however that ends."""
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    guard = [sys.executable, "-m", "tests.end_with", str(run), *command]
    with log.open("wb") as output:
        return subprocess.Popen(
            guard,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a started process; fail with its log where it ends or does not get ready."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while not ready():
        assert process.poll() is None, log.read_text("utf-8", errors="replace")
        assert time.monotonic() < until, log.read_text("utf-8", errors="replace")
        time.sleep(0.1)
