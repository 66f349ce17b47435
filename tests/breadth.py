"""How many cases of one kind a test run tries: a fixed sample in ``make test``, many more in ``make nightly``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet

NIGHTLY = "RESTOCK_NIGHTLY" in os.environ
TIMES_AT_NIGHT = 10


def examples(count: int) -> int:
    """The number of generated examples: ``count`` in ``make test``, ten times as many at night."""
    return count * TIMES_AT_NIGHT if NIGHTLY else count


def sample(cases: Iterable[Any], by_day: Collection[Any]) -> list[ParameterSet]:
    """Parameters of which only some run in ``make test``.

    Args:
        cases: all of them, tuples where a test takes several.
        by_day: those that always run.
    """
    params = []
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        params.append(pytest.param(*values, marks=() if case in by_day else pytest.mark.nightly))
    assert sum(not param.marks for param in params) == len(by_day), "a case of the sample does not exist"
    return params
