"""pytest fixtures: import `aws_twin` or `aws_twin_real` into a conftest.py to have a twin of AWS for the session."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws_twin.client import TwinClient
from tests.aws_twin.containers import CONTAINER, CONTAINER_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
FAKE_CONTAINER = (sys.executable, str(Path(__file__).with_name("fake_container.py")))
STOP_SECONDS = 30.0


@contextlib.contextmanager
def running_twin(
    container: tuple[str, ...] = FAKE_CONTAINER,
    local: dict[str, Any] | None = None,
    instances: int = 2,
    stop_grace_seconds: float = 1.0,
    data: Path | None = None,
) -> Iterator[TwinClient]:
    """A twin in a separate process on a free port, until the block ends; it also ends if this process dies.

    Args:
        container: Command line of the container; `CONTAINER` trains for real.
        local: Content of `local.json` of every training, such as seed and batches_per_epoch.
        instances: Trainings and transforms at a time.
        stop_grace_seconds: How long a stopped training may take to end.
        data: Folder for the jobs' files; None takes a temporary one.
    """
    line = [sys.executable, "-m", "tests.aws_twin", "--port", "0", "--until-stdin-closes"]
    line += ["--instances", str(instances), "--stop-grace", str(stop_grace_seconds), "--local", json.dumps(local or {})]
    line += [] if data is None else ["--data", str(data)]
    without_aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**without_aws, CONTAINER_VARIABLE: shlex.join(container)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield TwinClient(_address(process, complaints))
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _address(process: subprocess.Popen[str], complaints: Any) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("export AWS_ENDPOINT_URL="):
            return line.strip().partition("=")[2]
    complaints.seek(0)
    raise RuntimeError(f"the twin of AWS did not start: {complaints.read()[-2000:]}")


@pytest.fixture(scope="session")
def aws_twin() -> Iterator[TwinClient]:
    """A twin whose container answers in milliseconds and learns nothing."""
    with running_twin() as twin:
        yield twin


@pytest.fixture(scope="session")
def aws_twin_real() -> Iterator[TwinClient]:
    """A twin that trains DeepAR, a little: five batches per epoch, one seed."""
    with running_twin(CONTAINER, local={"seed": 7, "batches_per_epoch": 5}) as twin:
        yield twin
