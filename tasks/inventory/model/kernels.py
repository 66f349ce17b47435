"""Compile numeric kernels with numba, cache them on disk, and run them over stores in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numba

from tasks.storage.machine import usable_cores

P = ParamSpec("P")
R = TypeVar("R")

# Fast-math flags: reordered sums, no signed zeros, fused multiply-add. Infinities and NaN are handled as usual.
FAST = ("reassoc", "nsz", "contract")
# Items go to the threads in at most this many blocks per thread: a block costs as much as a short item.
BLOCKS_PER_THREAD = 64
Item = TypeVar("Item")
Result = TypeVar("Result")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel on its first call. It releases Python's global lock, so that threads run in parallel.

    Sums may be reordered for vectorization. Results can differ in the last bits between processor types.
    """
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=set(FAST))(function)
    except RuntimeError:  # numba has no writable cache folder
        kernel = numba.njit(nogil=True, fastmath=set(FAST))(function)
    return kernel


def compiled_exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel as :func:`compiled` does, with every operation in the order of the code, like numpy."""
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba has no writable cache folder
        kernel = numba.njit(nogil=True)(function)
    return kernel


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply ``work`` to every item in threads and return the results in the order of the items.

    The number of threads does not affect the results.
    """
    threads = min(usable_cores(), len(items))
    if threads <= 1:
        return [work(item) for item in items]
    size = -(-len(items) // (BLOCKS_PER_THREAD * threads))
    blocks = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(threads) as pool:
        return [result for found in pool.map(lambda block: [work(item) for item in block], blocks) for result in found]
