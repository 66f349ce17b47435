"""CPU cores and memory of the machine."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


def release_memory() -> None:
    """Return freed memory to the system: after work in parts, the C library of Linux keeps a part of it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage while modules are imported, and never search what they created.

    Otherwise every collection walks all imported modules, which takes a fourth of the processor time of a small run.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
