"""Inventory policies by name, found in the modules of ``tasks/inventory/policies``.

A new policy is one new file there: a class with ``facts`` (:class:`schemas.facts.PolicyFacts`) and ``plan``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from schemas.errors import ConfigError
from schemas.facts import PolicyFacts
from schemas.plan import Plan, PlanProblem
from schemas.protocols import Policy, ReportProgress

if TYPE_CHECKING:
    from tasks.inventory.exact.lagrange import Relaxation

POLICY_PACKAGE = "tasks.inventory.policies"


@runtime_checkable
class WithRelaxation(Policy, Protocol):
    """A policy that can reuse shadow prices of the shared constraints and reports its progress."""

    def with_relaxation(self, relaxation: Relaxation | None, progress: ReportProgress | None = None) -> Policy:
        """The policy with known shadow prices (None: it computes them) and a receiver of its progress."""
        ...


@runtime_checkable
class ImprovedBySku(Policy, Protocol):
    """A search that can improve a plan on simulations by SKU (weekly run)."""

    def improved_by_sku(self, problem: PlanProblem, plans: Sequence[Plan], adjusted: Callable[[Plan], Plan]) -> Plan:
        """Improve the cheapest of some plans (:func:`tasks.inventory.search.moves_by_sku.improved_by_sku`)."""
        ...


@cache
def policy_classes() -> Mapping[str, type[Policy]]:
    """Every policy's class by its name, sorted by name.

    Raises:
        ValueError: two classes have the same name.
    """
    found: dict[str, type[Policy]] = {}
    package = importlib.import_module(POLICY_PACKAGE)
    for module_info in pkgutil.iter_modules(package.__path__, f"{POLICY_PACKAGE}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            facts = value.__dict__.get("facts")
            if not isinstance(facts, PolicyFacts):
                continue
            if facts.name in found:
                raise ValueError(f"{module.__name__}: the name {facts.name} belongs to {found[facts.name].__module__}")
            found[facts.name] = value
    return dict(sorted(found.items()))


def policy_names() -> tuple[str, ...]:
    """Names of all policies, sorted."""
    return tuple(policy_classes())


def policy_facts(name: str) -> PolicyFacts:
    """Facts about the policy of a name.

    Raises:
        ConfigError: no policy has this name.
    """
    return _policy_class(name).facts


def make_policy(name: str) -> Policy:
    """The policy of a name.

    Raises:
        ConfigError: no policy has this name.
    """
    return _policy_class(name)()


def _policy_class(name: str) -> type[Policy]:
    found = policy_classes().get(name)
    if found is None:
        raise ConfigError(f"inventory.policies: unknown policy {name!r}; expected {_expected()}")
    return found


def unknown_policies(values: Mapping[str, Any]) -> list[str]:
    """List unknown names in ``inventory.policies`` of a settings file, one line each.

    Args:
        values: the values of the settings file. The schema checks anything that is not text.
    """
    inventory = values.get("inventory")
    named = inventory.get("policies") if isinstance(inventory, Mapping) else None
    if not isinstance(named, list):
        return []
    return [
        f"inventory.policies.{place}: expected {_expected()}, got {name!r}"
        for place, name in enumerate(named)
        if isinstance(name, str) and name not in policy_classes()
    ]


def _expected() -> str:
    quoted = [repr(name) for name in policy_names()]
    return ", ".join(quoted[:-1]) + f" or {quoted[-1]}"
