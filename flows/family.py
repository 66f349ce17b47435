"""Processes that a run starts end with it, also after ``kill -9``.

A run marks its environment, which its processes inherit, and starts a watchdog that holds one end of a pipe. When the
run ends in any way, the system closes the other end, and the watchdog ends every process with the mark. It reads
``/proc`` and therefore works on Linux; on macOS processes may outlive a killed run (docs/runbook.md).
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

FAMILY_VARIABLE = "RESTOCK_FAMILY"
SECONDS_TO_STOP = 7.0
EXIT_CODE = 1
RESUME = "Stopping. Finished stages are kept. Start the same command again to resume."
STOPPING = "Stopping ..."
_WATCHDOG = Path(__file__).with_name("watchdog.py")
_guarded: set[int] = set()
_pipes: list[int] = []


def end_children_with_this_process() -> None:
    """Start the watchdog of this process, once."""
    if os.getpid() in _guarded or not Path("/proc/self/environ").exists():
        return
    _guarded.add(os.getpid())
    mark = uuid.uuid4().hex
    os.environ[FAMILY_VARIABLE] = mark
    reads, writes = os.pipe()  # the other end stays open until this process ends
    _pipes.append(writes)
    os.register_at_fork(after_in_child=_close_pipes)
    without_mark = {name: value for name, value in os.environ.items() if name != FAMILY_VARIABLE}
    subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", str(_WATCHDOG), f"{FAMILY_VARIABLE}={mark}"],
        stdin=reads,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=without_mark,
        start_new_session=True,
    )
    os.close(reads)


def _close_pipes() -> None:
    """Let go of the parent's watchdog; once, because a fork of this process may use the numbers for other files."""
    while _pipes:
        os.close(_pipes.pop())


def end_soon_after_a_signal(line: str | None = None) -> None:
    """Let SIGTERM and Ctrl-C end this process within :data:`SECONDS_TO_STOP`, whatever it computes.

    The earlier handlers run first: Prefect reports the end of the run. Threads that still compute after that time
    end with the process. Their unfinished work is lost; stored results are kept. Prefect replaces the handler of
    SIGTERM when a flow starts, therefore a flow calls this again. Without a line, Prefect's handler stays in its place:
    Prefect records a run as crashed, not as cancelled, if another handler is there.

    Args:
        line: the last line on the terminal; empty = nothing more is printed; None = the line of an earlier call, else
            logs and tracebacks are printed as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _end.line = _end.line if line is None else line
    _end.listen()
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number)
        if getattr(earlier, "ends_soon", False) or earlier is signal.SIG_IGN:
            continue
        if _end.line is None and callable(earlier):
            continue  # the thread that listens limits the time
        signal.signal(number, _handler(earlier))


def ends_soon_after_a_signal() -> bool:
    """Whether this process belongs to a command on a terminal that has called :func:`end_soon_after_a_signal`."""
    return _end.line is not None


def say_at_the_end(outcome: Callable[[], tuple[str, int]]) -> None:
    """After a signal, end this process with a line and an exit code that are known only then.

    Args:
        outcome: called last, when nothing else of this process may change the outcome; returns line and exit code.
    """
    _end.outcome = outcome


def end_at_the_latest_with_this_process(process: BaseProcess) -> None:
    """Kill a process if this one is ended because it did not stop in time."""
    _end.processes.append(process)


class _End:
    """The end of this process after a signal."""

    def __init__(self) -> None:
        self.line: str | None = None
        self.outcome: Callable[[], tuple[str, int]] | None = None
        self.begun = False
        self.processes: list[BaseProcess] = []
        self._lock = threading.RLock()
        self._last = threading.Lock()
        self._terminal = 2
        self._listens = False

    def listen(self) -> None:
        """Notice signals at once: a handler waits until the main thread leaves compiled code."""
        if self._listens:
            return
        self._listens = True
        atexit.register(self._skip_the_teardown)
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        threading.Thread(target=self._wait_for_a_signal, args=(reads,), name="signals", daemon=True).start()

    def _wait_for_a_signal(self, reads: int) -> None:
        while got := os.read(reads, 1):
            if got[0] in (signal.SIGTERM, signal.SIGINT):
                self.begin()

    def begin(self) -> None:
        """Print the line, and limit the time that the process has left."""
        with self._lock:
            if self.begun:
                return
            self.begun = True
        if self.line is not None:
            self._say_and_be_quiet(self.line if self.outcome is None else STOPPING)
        timer = threading.Timer(SECONDS_TO_STOP, self._now)
        timer.daemon = True
        timer.start()

    def _say_and_be_quiet(self, line: str) -> None:
        """Print a line; what the interrupted libraries print after it would hide it."""
        clear = "\r\x1b[K" if os.isatty(2) else ""
        self._terminal = os.dup(2)
        with suppress(OSError):
            os.write(2, f"{clear}{line}\n".encode() if line else b"")
        nothing = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nothing, number)
        os.close(nothing)

    def _skip_the_teardown(self) -> None:
        """End without freeing every object, which takes seconds on a busy machine. Registered first, it runs last."""
        if self.begun and self.line is not None:
            self._now()

    def _now(self) -> None:
        self._last.acquire()  # the first of the main thread and the timer ends the process
        for process in self.processes:
            process.kill()
        code = EXIT_CODE
        if self.outcome is not None and self.line is not None:
            try:
                line, code = self.outcome()
            except Exception as error:
                line = f"What is in force is not known ({type(error).__name__}: {error}). Run `restock verify`."
            with suppress(OSError):
                os.write(self._terminal, f"{line}\n".encode())
        os._exit(code)


_end = _End()


def _handler(earlier: Any) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        _end.begin()
        if callable(earlier):
            earlier(number, frame)
        else:
            raise KeyboardInterrupt

    handle.ends_soon = True  # type: ignore[attr-defined]
    return handle
