"""Policies by the names of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from schemas.errors import ConfigError
from schemas.protocols import Policy
from schemas.settings import PolicyName


def make_policy(name: str) -> Policy:
    """The policy of a name (contract, section 2).

    Raises:
        ConfigError: no policy has this name.
    """
    makers: dict[str, Callable[[], Policy]] = {
        "eoq": _eoq,
        "eoq_published": _eoq_published,
        "periodic_review": _periodic_review,
        "s_S": _s_s,
        "newsvendor": _newsvendor,
        "marginal_value": _marginal_value,
        "genetic": _genetic,
        "genetic_static": _genetic_static,
    }
    if name not in makers:
        raise ConfigError(f"inventory.policies: unknown policy {name!r}; known are {', '.join(get_args(PolicyName))}")
    return makers[name]()


def _eoq() -> Policy:
    from tasks.inventory.policies.eoq import EoqPolicy

    return EoqPolicy()


def _eoq_published() -> Policy:
    from tasks.inventory.policies.eoq import EoqPolicy

    return EoqPolicy("eoq_published", published=True)


def _periodic_review() -> Policy:
    from tasks.inventory.policies.periodic_review import PeriodicReviewPolicy

    return PeriodicReviewPolicy()


def _s_s() -> Policy:
    from tasks.inventory.policies.s_s import MinMaxPolicy

    return MinMaxPolicy()


def _newsvendor() -> Policy:
    from tasks.inventory.policies.newsvendor import NewsvendorPolicy

    return NewsvendorPolicy()


def _marginal_value() -> Policy:
    from tasks.inventory.policies.marginal_value import MarginalValuePolicy

    return MarginalValuePolicy()


def _genetic() -> Policy:
    from tasks.inventory.policies.genetic import GeneticPolicy

    return GeneticPolicy()


def _genetic_static() -> Policy:
    from tasks.inventory.policies.genetic_static import GeneticStaticPolicy

    return GeneticStaticPolicy()
