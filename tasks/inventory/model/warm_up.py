"""A problem of a few series, on which kernels are loaded before planning is timed."""

from __future__ import annotations

import numpy as np

from schemas.plan import PlanProblem
from schemas.settings import EoqSettings, GeneticSettings, InventorySettings


def tiny_problem(settings: InventorySettings, uncertain: bool, limited: bool) -> PlanProblem:
    """Two stores, two categories, a few weeks: takes every branch that a problem of these settings takes.

    Args:
        settings: of the problem to come; its searches are cut short.
        uncertain: with sample paths.
        limited: with limits that stores share.
    """
    periods = settings.lead_time + 6
    short = settings.model_copy(
        update={
            "eoq": EoqSettings(max_coverage=1),
            "genetic": GeneticSettings(population=2, generations=1),
            "max_visits_per_period": None,
        }
    )
    mean = np.ones((4, periods))
    return PlanProblem(
        store_ids=("a", "b"),
        categories=("x", "y"),
        series_store=np.array([0, 0, 1, 1]),
        series_category=np.array([0, 1, 0, 1]),
        mean=mean,
        price=np.full((4, periods), 10.0),
        on_hand=np.ones(4),
        in_transit=np.zeros((4, 1)),
        capacity=np.array([5.0, 7.0]),
        visit_cost=np.full(2, 3.0),
        dc_available=np.array([30.0, np.inf]) if limited else np.full(2, np.inf),
        settings=short,
        periods_per_week=3,
        seed=1,
        paths=np.stack([mean, 2 * mean, 0 * mean]) if uncertain else None,
        max_visits_per_period=2 if limited else None,
    )
