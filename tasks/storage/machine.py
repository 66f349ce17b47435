"""CPU cores and memory of the machine."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Memory of the process of a run, and of each process that fits models next to it (docs/scale.md).
_RUN_BYTES = 3 << 29
_WORKER_BYTES = 1 << 29
_LIMITS_OF_CONTAINERS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def usable_cores() -> int:
    """Return the number of cores that this process may use; all cores if the system gives no limit (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory() -> int | None:
    """Return the memory that this process may use in bytes, of the machine or of its container; None if unknown."""
    found = []
    if "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _LIMITS_OF_CONTAINERS:
        try:
            found.append(int(limit.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no container, or no limit ("max")
            continue
    return min(found, default=None)


def usable_workers() -> int:
    """Return the number of parallel processes without the setting ``compute.workers``."""
    return workers_within(usable_cores(), usable_memory())


def workers_within(cores: int, memory: int | None) -> int:
    """Return the number of processes that a machine can hold: one per core, or fewer if memory is small.

    >>> workers_within(2, 8 << 30), workers_within(16, 4 << 30), workers_within(16, 1 << 30), workers_within(4, None)
    (2, 5, 1, 4)
    """
    if memory is None:
        return cores
    return max(1, min(cores, (memory - _RUN_BYTES) // _WORKER_BYTES))


class Cores(NamedTuple):
    """Cores that a computation may use. They do not affect results.

    Attributes:
        workers: number of parallel processes.
        threads: number of threads per process.
    """

    workers: int = 1
    threads: int = 1


def shard_cores(workers: int | None, shards: int) -> Cores:
    """Return the cores of one shard of a run: with more threads than its share, they would wait for each other.

    Args:
        workers: the setting ``compute.workers``; None: as many as the cores and the memory of the machine allow.
        shards: number of shards that are computed at the same time.
    """
    workers = workers or usable_workers()
    return Cores(workers, max(1, workers // shards))


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
