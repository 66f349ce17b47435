"""CPU cores of the machine."""

from __future__ import annotations

import os
from typing import NamedTuple


def usable_cores() -> int:
    """Return the number of cores that this process may use; all cores if the system gives no limit (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cores(NamedTuple):
    """Cores that a computation may use. They do not affect results.

    Attributes:
        workers: number of parallel processes.
        threads: number of threads per process.
    """

    workers: int = 1
    threads: int = 1
