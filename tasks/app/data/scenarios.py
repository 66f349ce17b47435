"""What-if scenarios of a published run, and the trade-off between stock and lost sales.

Planning takes seconds of computing, so it runs in a worker process, and the pages stay responsive. Functions that the
worker runs take and return plain values.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, PipelineError
from schemas.run import RunContext
from schemas.settings import Settings
from tasks.configuration.settings_file import load_settings

if TYPE_CHECKING:
    from tasks.answers.what_if import Replanned

MEASURES = (
    c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY, c.TOTAL, c.LOWER_BOUND, c.GAP, c.FILL_RATE, c.VISITS,
)  # fmt: skip
CHANGES_SHOWN = 20
JOBS_KEPT = 60
# The searching policies take minutes. The others take seconds, and their plans are similar in most weeks.
SEARCHING = ("genetic", "genetic_static")
# The points of the curve: factors of the holding cost, or service levels if holding costs nothing.
HOLDING_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
SERVICE_LEVELS = (0.8, 0.9, 0.95, 0.98, 0.995)
_LARGEST_FACTOR = 100.0


@dataclass(frozen=True)
class Scenario:
    """Other limits, costs or demand.

    Attributes:
        capacity: factor of every storage capacity.
        visit_cost: factor of every delivery cost.
        dc_stock: factor of the DC stock.
        demand: factor of every forecast.
        holding: factor of the holding cost.
        service_level: cycle service level; None = of the settings.
        lead_time: lead time in periods; None = of the settings.
        category: category of a further promotion; empty = none.
        first: its first day, ISO.
        last: its last day, ISO.
        uplift: its factor on the forecast.
    """

    capacity: float = 1.0
    visit_cost: float = 1.0
    dc_stock: float = 1.0
    demand: float = 1.0
    holding: float = 1.0
    service_level: float | None = None
    lead_time: int | None = None
    category: str = ""
    first: str = ""
    last: str = ""
    uplift: float = 1.0

    def check(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: a factor is not a positive number.
        """
        for name in ("capacity", "visit_cost", "dc_stock", "demand", "holding", "uplift"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value <= _LARGEST_FACTOR:
                raise ConfigError(f"{name}: expected a factor above 0 and up to {_LARGEST_FACTOR:g}; found {value}.")


def compute(settings_file: str, as_of: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a published run again; runs in the worker.

    Args:
        settings_file: path of the settings file.
        as_of: run date, ISO.
        given: fields of a :class:`Scenario`.

    Returns:
        ``problem`` (a message; the other values are missing then), or: ``policy``, ``before`` and ``after`` (measures
        of the published run and of the scenario under the same policy), ``units_before``, ``units``, ``changes``
        (rows), ``changed`` (number of targets that change) and ``seconds``.
    """
    from tasks.answers.what_if import Factors, Promotion, plan_again, target_changes

    started, scenario = time.perf_counter(), Scenario(**given)
    try:
        scenario.check()
        settings = load_settings(Path(settings_file))
        day = date.fromisoformat(as_of)
        run = RunContext(settings=settings, as_of=day)
        policy = _policy(run)
        changed = RunContext(
            settings=load_settings(Path(settings_file), _overrides(settings, scenario, policy)), as_of=day
        )
        promotion = None
        if scenario.category:
            dates = date.fromisoformat(scenario.first), date.fromisoformat(scenario.last)
            promotion = Promotion(scenario.category, *dates, scenario.uplift)
        factors = Factors(scenario.capacity, scenario.visit_cost, scenario.dc_stock, scenario.demand, promotion)
        found = plan_again(run, changed, factors)
        before, changes, units_before = found.before, found.changes, found.units_before
        if policy != _chosen(before):
            # The published targets come from another policy: the scenario is compared with its own policy's targets.
            base = _base(settings_file, day, policy, settings.digest())
            changes, units_before = target_changes(base.targets, found.targets), base.units
    except (PipelineError, ValueError) as error:
        return {"problem": str(error)}
    after = _measures(found.plan.costs, policy)
    held = after[c.HOLDING]
    # Holding at the costs of the settings, so that scenarios are comparable.
    return {
        "policy": policy,
        "before": _measures(before, policy),
        "after": after,
        "holding_at_cost": None if held is None else held / scenario.holding,
        "units_before": units_before,
        "units": found.units,
        "changes": changes.head(CHANGES_SHOWN).to_dict("records"),
        "changed": len(changes),
        "settings_changed": found.settings_changed,
        "seconds": round(time.perf_counter() - started, 1),
    }


def curve_scenarios(settings: Settings) -> list[tuple[str, Scenario]]:
    """Return the points of the trade-off curve: a name and a scenario each."""
    if settings.inventory.has_holding_cost:
        return [(f"× {factor:g}", Scenario(holding=factor)) for factor in HOLDING_FACTORS]
    return [(f"{level:.1%}", Scenario(service_level=level)) for level in SERVICE_LEVELS]


def _policy(run: RunContext) -> str:
    """The policy of the scenarios: the published one, unless it searches; then the cheapest that does not."""
    from tasks.answers.what_if import published_costs

    costs = published_costs(run)
    quick = costs[~costs[c.POLICY].isin(SEARCHING)]
    chosen = _chosen(costs)
    if chosen not in SEARCHING or quick.empty:
        return chosen
    return str(quick.loc[quick[c.TOTAL].astype(float).idxmin(), c.POLICY])


def _chosen(costs: pd.DataFrame) -> str:
    return str(costs.loc[costs[c.CHOSEN].astype(bool), c.POLICY].iloc[0])


@lru_cache(maxsize=4)
def _base(settings_file: str, day: date, policy: str, _digest: str) -> Replanned:
    """The plan of a policy without changes; the digest of the settings is a part of the cache key."""
    from tasks.answers.what_if import Factors, plan_again

    settings = load_settings(Path(settings_file))
    own = load_settings(Path(settings_file), _overrides(settings, Scenario(), policy))
    return plan_again(RunContext(settings=settings, as_of=day), RunContext(settings=own, as_of=day), Factors())


def _overrides(settings: Settings, scenario: Scenario, policy: str) -> list[str]:
    inventory = settings.inventory
    found = [f"inventory.policies=[{policy}]"]
    if scenario.service_level is not None:
        found.append(f"inventory.service_level={scenario.service_level}")
    if scenario.lead_time is not None:
        found.append(f"inventory.lead_time={scenario.lead_time}")
    if scenario.holding != 1.0:
        if inventory.holding_cost_per_year is not None:
            found.append(f"inventory.holding_cost_per_year={inventory.holding_cost_per_year * scenario.holding}")
        elif inventory.holding_cost > 0:
            found.append(f"inventory.holding_cost={inventory.holding_cost * scenario.holding}")
        else:
            raise ConfigError(
                "The settings have no holding cost to multiply. Set inventory.holding_cost_per_year, for example 0.25."
            )
    return found


def _measures(costs: pd.DataFrame, policy: str) -> dict[str, float | None]:
    rows = costs[costs[c.POLICY].astype(str) == policy]
    if rows.empty:
        return dict.fromkeys(MEASURES)
    row = rows.iloc[0]
    found = {name: float(row[name]) if name in rows.columns and pd.notna(row[name]) else None for name in MEASURES}
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}


def _import() -> None:
    import tasks.answers.what_if  # noqa: F401


class Jobs:
    """Scenarios in progress, in one worker process that starts with the first of them."""

    def __init__(self, executor: Executor | None = None) -> None:
        """Use an executor; None = a process that is started when it is needed."""
        self._executor = executor
        self._jobs: OrderedDict[str, Future[dict[str, Any]]] = OrderedDict()

    def submit(self, settings_file: Path, as_of: date, scenario: Scenario) -> str:
        """Start a scenario; return the id of the job."""
        job = uuid.uuid4().hex
        self._jobs[job] = self._worker().submit(compute, str(settings_file), as_of.isoformat(), asdict(scenario))
        while len(self._jobs) > JOBS_KEPT:
            self._jobs.popitem(last=False)[1].cancel()
        return job

    def warm(self) -> None:
        """Start the worker, and let it import what planning needs, so that the first scenario is quick."""
        if self._executor is None:
            self._worker().submit(_import)

    def _worker(self) -> Executor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        return self._executor

    def result(self, job: str) -> dict[str, Any] | None:
        """Return the result of a job; None while it is in progress."""
        future = self._jobs.get(job)
        if future is None:
            return {"problem": "The app was started again meanwhile. Compute the scenario again."}
        if not future.done():
            return None
        try:
            return future.result()
        except Exception as error:  # the worker died, often because memory ran out
            self._executor = None
            return {"problem": f"The scenario could not be computed ({type(error).__name__}: {error})."}
