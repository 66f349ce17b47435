"""The machine that this process runs on."""

from __future__ import annotations

import os
from typing import NamedTuple


def usable_cores() -> int:
    """Cores that this process may use; where the system does not say (macOS), all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cores(NamedTuple):
    """What a computation may use of the machine; it changes no result.

    Attributes:
        workers: processes side by side.
        threads: processor threads of one process.
    """

    workers: int = 1
    threads: int = 1
