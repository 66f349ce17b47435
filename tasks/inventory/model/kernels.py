"""Numeric kernels: compiled by numba, cached on disk, and run over stores in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numba

from tasks.storage.machine import usable_cores

P = ParamSpec("P")
R = TypeVar("R")

# Sums in any order, no signed zeros, multiply and add in one; infinities and NaN keep their meaning.
FAST = ("reassoc", "nsz", "contract")
Item = TypeVar("Item")
Result = TypeVar("Result")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel on its first call, without Python's lock, so that threads run side by side.

    Sums may be reordered (they vectorise then), so two machines may differ in the last bits.
    """
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=set(FAST))(function)
    except RuntimeError:  # numba finds no folder that it may write
        kernel = numba.njit(nogil=True, fastmath=set(FAST))(function)
    return kernel


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results in the order of the items; the number of threads changes nothing but the time."""
    threads = min(usable_cores(), len(items))
    if threads <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
