"""Child processes of `make serve` and `make cluster`: start, watch and stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import click

ROOT = Path(__file__).parents[1]
SECONDS_OF_GOOD_HEALTH = 600
LONGEST_PAUSE = 60.0


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt in this process on Ctrl-C and SIGTERM.

    A shell makes background processes ignore Ctrl-C. Server and worker would inherit this, and running flows would
    outlive them.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_interrupt)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def start(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run a module in a process with a separate session: Ctrl-C does not reach it, so that it is stopped in order."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)  # noqa: S603


def wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end of a process of :func:`start`; after some seconds, kill it and the processes of its session."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def how_it_ended(code: int) -> str:
    """Return the end of a process in words.

    >>> how_it_ended(-9), how_it_ended(1)
    ('killed by signal 9, SIGKILL; often because memory ran out', 'exit code 1; its message is above')
    """
    if code >= 0:
        return f"exit code {code}; its message is above"
    why = "; often because memory ran out" if -code == signal.SIGKILL else ""
    return f"killed by signal {-code}, {signal.Signals(-code).name}{why}"


class Child:
    """A process that is started again when it ends: a run that used all memory may have ended the worker, too.

    Args:
        name: for messages.
        module: Python module to run.
        arguments: its arguments.
        environment: its environment variables.
        before: called before each further start.
    """

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], environment: dict[str, str], before: Callable[[], None]
    ) -> None:
        self._name, self._command, self._environment, self._before = name, (module, arguments), environment, before
        self._failures, self._started, self._begin_at = 0, 0.0, 0.0
        self.process = self._start()

    def look_after(self) -> None:
        """Start the process again if it ended, after a pause that doubles with every end in a row."""
        if self.process.poll() is None:
            if self._failures and time.monotonic() - self._started > SECONDS_OF_GOOD_HEALTH:
                self._failures = 0
            return
        if not self._begin_at:
            pause = min(2.0**self._failures, LONGEST_PAUSE)
            self._failures += 1
            self._begin_at = time.monotonic() + pause
            click.echo(
                f"The {self._name} stopped unexpectedly ({how_it_ended(self.process.returncode)}). The server "
                f"and the UI keep running; the {self._name} starts again in {pause:.0f} s."
            )
        if time.monotonic() >= self._begin_at:
            self._begin_at = 0.0
            self._before()
            self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        return start(*self._command, self._environment)
