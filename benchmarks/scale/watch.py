"""Run a command and measure it from outside: CPU seconds, wall seconds, peak memory of its process tree."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """What a command used.

    Attributes:
        code: its exit code.
        output: its standard output and error.
        cpu: CPU seconds, of all its processes.
        wall: wall seconds.
        peak: largest sum of the resident memory of its processes at one moment, bytes.
    """

    code: int
    output: str
    cpu: float
    wall: float
    peak: int


def watch(command: Sequence[str]) -> Measured:
    """Run a command to its end. Works on Linux, where /proc shows the memory of a process."""
    begun = time.perf_counter()
    peak = 0
    with tempfile.TemporaryFile("w+") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)))
            time.sleep(_INTERVAL_SECONDS)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        written.seek(0)
        output = written.read()
    # The kernel's own peak of the largest process catches what falls between two looks.
    peak = max(peak, used.ru_maxrss * 1024)
    return Measured(process.returncode, output, used.ru_utime + used.ru_stime, wall, peak)


def _tree(root: int) -> list[int]:
    """A process and its descendants."""
    found, position = [root], 0
    while position < len(found):
        pid = found[position]
        position += 1
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
