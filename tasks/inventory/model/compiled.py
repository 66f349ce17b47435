"""Compilation of numeric kernels: cached on disk where the package's folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

# Sums in any order, no signed zeros, multiply and add in one; infinities and NaN keep their meaning.
FAST = ("reassoc", "nsz", "contract")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel on its first call, without Python's lock, so that threads run side by side.

    Sums may be reordered (they vectorise then), so two machines may differ in the last bits.
    """
    try:
        kernel: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=set(FAST))(function)
    except RuntimeError:  # numba finds no folder that it may write
        kernel = numba.njit(nogil=True, fastmath=set(FAST))(function)
    return kernel
