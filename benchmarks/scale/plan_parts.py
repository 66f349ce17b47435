"""CPU seconds of each part of the planning stage, for ``benchmarks.scale.plan --parts``.

The functions below are replaced by versions that add up the CPU seconds of the process. The time of a part does not
contain that of the parts that it calls. Threads would share the seconds, so the stage runs on one core.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import tasks.inventory

# Part to its functions: module below tasks, and function or Class.method.
PARTS = {
    "reading": ("inventory.inputs:weekly_inputs",),
    "problem and shares": ("inventory.model.weekly_problem:build_problem", "inventory.weekly:with_text_ids"),
    "dependence of errors": ("inventory.model.demand_paths:correlation_of",),
    "sample paths": ("inventory.model.demand_paths:draw_paths",),
    "arrays of the kernels": ("inventory.model.network:Network.of",),
    "lower bound": ("inventory.exact.bounds:bound_of",),
    "EOQ": ("inventory.policies.eoq:EoqPolicy.plan",),
    "newsvendor": ("inventory.policies.newsvendor:NewsvendorPolicy.plan",),
    "marginal value": ("inventory.policies.marginal_value:MarginalValuePolicy.plan",),
    "demand distributions": ("inventory.model.loss_function:outlook_of",),
    "genetic search: rest": ("inventory.policies.genetic:GeneticPolicy.plan",),
    "genetic search: guides": ("inventory.policies.genetic:guides_of",),
    "genetic search: candidates, bookkeeping": ("inventory.search.evolution:evolve",),
    "genetic search: candidates, cost": ("inventory.search.store_search:StoreModel.costs",),
    "genetic search: local search": ("inventory.search.store_search:improve",),
    "best of all plans": ("inventory.search.starts:best_of",),
    "limits": ("inventory.model.level_limits:within_limits",),
    "levels for SKUs": ("inventory.allocation.sku_needs:SkuMix.raised",),
    "simulation by SKU": ("inventory.model.sku_simulation:simulate_skus", "inventory.model.simulator:by_sku"),
    "allocation": ("inventory.allocation.sku_targets:sku_targets",),
    "explanations": ("inventory.allocation.explanations:explanations",),
    "shortages": ("inventory.allocation.shortages:find_shortages",),
    "tables": (
        *(f"inventory.outputs:{name}" for name in ("days_of_policy", "visit_frame", "level_frame", "deliveries_frame")),
        "inventory.allocation.sku_targets:category_totals",
    ),
    "alarms": ("inventory.weekly:_alarms",),
    "writing": ("storage.lake:Lake.write_table",),
}


class _Clock:
    """CPU seconds of nested parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open: list[str] = []
        self._since = time.process_time()

    def enter(self, part: str) -> None:
        self._charge()
        self._open.append(part)
        self.calls[part] += 1

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1] if self._open else "rest"] += now - self._since
        self._since = now


class measured_parts(AbstractContextManager["_Clock"]):  # noqa: N801  # used like a function
    """Measure the parts of what runs inside; one core."""

    def __enter__(self) -> _Clock:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
        for module in pkgutil.walk_packages(tasks.inventory.__path__, "tasks.inventory."):
            importlib.import_module(module.name)
        clock = _Clock()
        for part, places in PARTS.items():
            for place in places:
                _replace(place, clock, part)
        return clock

    def __exit__(self, *_: object) -> None:
        """The process ends; nothing is put back."""


def _replace(place: str, clock: _Clock, part: str) -> None:
    """Replace a function wherever a module has it by a version that is measured."""
    module_name, path = place.split(":")
    owner: Any = importlib.import_module(f"tasks.{module_name}")
    *outer, name = path.split(".")
    for one in outer:
        owner = getattr(owner, one)
    own = vars(owner)[name]
    if isinstance(own, classmethod):
        setattr(owner, name, classmethod(_timed(own.__func__, clock, part)))
        return
    timed = _timed(own, clock, part)
    setattr(owner, name, timed)
    for module in [module for key, module in sys.modules.items() if key.startswith("tasks.")]:
        for key, value in list(vars(module).items()):
            if value is own:
                setattr(module, key, timed)


def _timed(function: Callable[..., Any], clock: _Clock, part: str) -> Callable[..., Any]:
    @wraps(function)
    def timed(*given: Any, **named: Any) -> Any:
        clock.enter(part)
        try:
            return function(*given, **named)
        finally:
            clock.leave()

    return timed


def table_of(clock: _Clock, stores: int) -> str:
    """A table: part, calls, CPU seconds, and per store; the largest first."""
    rows = sorted(clock.seconds.items(), key=lambda row: -row[1])
    lines = [f"| {part} | {clock.calls[part]} | {spent:.1f} | {spent / stores:.3f} |" for part, spent in rows]
    return "\n".join(["| part | calls | CPU s | per store |", "|---|---|---|---|", *lines])
