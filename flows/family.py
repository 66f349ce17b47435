"""Processes that a run starts end with it, also after ``kill -9``.

A run marks its environment, which its processes inherit, and starts a watchdog that holds one end of a pipe. When the
run ends in any way, the system closes the other end, and the watchdog ends every process with the mark. It reads
``/proc`` and therefore works on Linux; on macOS processes may outlive a killed run (docs/runbook.md).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

FAMILY_VARIABLE = "RESTOCK_FAMILY"
SECONDS_TO_STOP = 8.0
EXIT_CODE = 1
RESUME = "Finished stages are kept. Start the same command again to resume."
_WATCHDOG = Path(__file__).with_name("watchdog.py")
_guarded: set[int] = set()


def end_children_with_this_process() -> None:
    """Start the watchdog of this process, once."""
    if os.getpid() in _guarded or not Path("/proc/self/environ").exists():
        return
    _guarded.add(os.getpid())
    mark = uuid.uuid4().hex
    os.environ[FAMILY_VARIABLE] = mark
    reads, _writes = os.pipe()  # the other end stays open until this process ends
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


def end_soon_after_a_signal(say: Callable[[str], None] | None = None) -> None:
    """Let SIGTERM and Ctrl-C end this process within :data:`SECONDS_TO_STOP`, whatever it computes.

    The earlier handlers run first: Prefect reports the end of the run. Threads that still compute after the time are
    ended with the process; what they computed is lost, nothing that is stored is.

    Args:
        say: prints one line for the user; None prints nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number)
        if getattr(earlier, "ends_soon", False) or earlier is signal.SIG_IGN:
            continue
        signal.signal(number, _handler(earlier, say))


def _handler(earlier: Any, say: Callable[[str], None] | None) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if say is not None:
            say(f"Stopping. {RESUME}")
        timer = threading.Timer(SECONDS_TO_STOP, os._exit, [EXIT_CODE])
        timer.daemon = True
        timer.start()
        if callable(earlier):
            earlier(number, frame)
        else:
            raise KeyboardInterrupt

    handle.ends_soon = True  # type: ignore[attr-defined]
    return handle
