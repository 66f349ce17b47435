"""pytest fixtures: import `aws_twin` or `aws_twin_real` into a conftest.py to have a twin of AWS for the session."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_twin.client import TwinClient
from tests.aws_twin.containers import CONTAINER, CONTAINER_VARIABLE
from tests.commands import Start
from tests.flows import forks
from tests.shared import SECONDS_TO_WAIT

ROOT = Path(__file__).resolve().parents[2]
FAKE_CONTAINER = (sys.executable, str(Path(__file__).with_name("fake_container.py")))
STOP_SECONDS = 30.0


@contextlib.contextmanager
def running_twin(instances: int = 2, stop_grace_seconds: float = 1.0, data: Path | None = None) -> Iterator[TwinClient]:
    """A twin in a separate process on a free port, until the block ends; it also ends if this process dies.

    Args:
        instances: Trainings and transforms at a time.
        stop_grace_seconds: How long a stopped training may take to end.
        data: Folder for the jobs' files; None takes a temporary one.
    """
    line = [sys.executable, "-m", "tests.aws_twin", "--port", "0", "--until-stdin-closes"]
    line += ["--instances", str(instances), "--stop-grace", str(stop_grace_seconds)]
    line += [] if data is None else ["--data", str(data)]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=_environment(FAKE_CONTAINER),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = next(filter(None, map(_address, process.stdout)), None)
            if address is None:
                complaints.seek(0)
                raise RuntimeError(f"the twin of AWS did not start: {complaints.read()[-2000:]}")
            yield TwinClient(address)
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _environment(container: tuple[str, ...]) -> dict[str, str]:
    without_aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**without_aws, CONTAINER_VARIABLE: shlex.join(container)}


def _address(line: str) -> str:
    return line.strip().partition("=")[2] if line.startswith("export AWS_ENDPOINT_URL=") else ""


@pytest.fixture(scope="session")
def aws_twin() -> Iterator[TwinClient]:
    """A twin whose container answers in milliseconds and learns nothing."""
    with running_twin() as twin:
        yield twin


@pytest.fixture(scope="session")
def aws_twin_real(fork_with_networks: Start) -> Iterator[TwinClient]:
    """A twin that trains DeepAR, a little: five batches per epoch, one seed. Its containers are forks."""
    line = ["tests.aws_twin", "--port", "0", "--local", json.dumps({"seed": 7, "batches_per_epoch": 5})]
    environment = {**_environment(CONTAINER), forks.VARIABLE: "1"}
    process = fork_with_networks(*line, "--stop-grace", "1", environment=environment, seconds=0)
    until = time.monotonic() + SECONDS_TO_WAIT
    while not (found := [address for line in process.output()[0].splitlines() if (address := _address(line))]):
        assert process.poll() is None, process.output()
        assert time.monotonic() < until, process.output()
        time.sleep(0.1)
    try:
        yield TwinClient(found[0])
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
