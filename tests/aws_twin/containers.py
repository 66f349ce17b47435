"""Processes of the container of DeepAR, started and ended by the twin."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTAINER = (sys.executable, "-m", "tasks.deepar.container")
CONTAINER_VARIABLE = "AWS_TWIN_CONTAINER"
PARENT_VARIABLE = "DEEPAR_PARENT"  # the real container dies with the process of this number
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Containers:
    """Starts container processes and leaves none running.

    Args:
        command: The container's command line, before its arguments.
        local: What SageMaker has not: content of `local.json` of every training (seed, batches_per_epoch, ...).
    """

    def __init__(self, command: tuple[str, ...] = CONTAINER, local: Mapping[str, Any] | None = None) -> None:
        self.command = command
        self.local = dict(local or {})
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def seed_arguments(self) -> list[str]:
        return ["--seed", str(self.local["seed"])] if "seed" in self.local else []

    def write_local(self, config: Path) -> None:
        if self.local:
            (config / "local.json").write_text(json.dumps(self.local))

    def start(
        self, arguments: list[str], log: Path, environment: Mapping[str, str] | None = None, talks: bool = False
    ) -> subprocess.Popen[str]:
        """Start the container.

        Args:
            arguments: Its arguments.
            log: File for its standard error, and its standard output unless it talks.
            environment: Variables in addition to the twin's own.
            talks: Its standard input and output are pipes.
        """
        pipe = subprocess.PIPE
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=pipe if talks else subprocess.DEVNULL,
                stdout=pipe if talks else sink,
                stderr=sink,
                text=True,
                env={**os.environ, **ONE_THREAD, PARENT_VARIABLE: str(os.getpid()), **(environment or {})},
                start_new_session=True,
            )
        with self._lock:
            self._running.add(process)
        return process

    def forget(self, process: subprocess.Popen[str]) -> None:
        """A process that ended."""
        with self._lock:
            self._running.discard(process)

    def end(self, process: subprocess.Popen[str], grace_seconds: float = 0.0) -> None:
        """End a process and its children: asked first, then forced."""
        _signal(process, signal.SIGTERM)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
        self.forget(process)

    def end_all(self) -> None:
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            self.end(process, grace_seconds=1.0)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def last_line(log: Path) -> str:
    """The last line that a container wrote."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1].strip() if lines else "the container wrote nothing"
