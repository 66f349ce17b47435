"""Genetic search: seeded, independent of the global generator, keeps the best candidate."""

from __future__ import annotations

import random

import numpy as np
import pytest

from schemas.settings import GeneticSettings
from tasks.inventory.search.evolution import Candidate, SearchSpace, evolve

WEEKS = np.array([0, 7])


def space(seed: int = 1, initial: tuple = (), target: float = -np.inf, options: tuple = (3,)) -> SearchSpace:
    return SearchSpace(np.ones(14, dtype=bool), WEEKS, 7, options, initial, seed, target)


def distance(batches):
    """Cost: distance from deliveries on days 2, 5 and 9 with option 1."""
    requested = np.zeros(14)
    requested[[2, 5, 9]] = 1
    return [np.array([np.abs(np.array(g[:14]) - requested).sum() + abs(g[14] - 1) for g in batch]) for batch in batches]


@pytest.mark.parametrize("crossover", ["halves", "two_point"])
def test_finds_a_simple_optimum(crossover):
    settings = GeneticSettings(population=40, generations=60, mutation=0.6, crossover=crossover, patience=60)
    (found,) = evolve([space()], distance, settings)
    assert found.cost == 0
    assert np.flatnonzero(found.genes[:14]).tolist() == [2, 5, 9]


@pytest.mark.parametrize("elitism", [0.0, 0.3])
def test_never_loses_its_best(elitism):
    noise = np.random.default_rng(0)
    settings = GeneticSettings(population=10, generations=20, elitism=elitism, patience=30)
    (found,) = evolve([space()], lambda batches: [noise.random(len(b)) for b in batches], settings)
    assert (np.diff(found.history) <= 0).all()
    assert found.cost == min(found.history)


def test_a_seed_survives_where_nothing_is_better():
    best = (*[1, 0, 0, 0, 0, 0, 0] * 2, 2)
    settings = GeneticSettings(population=6, generations=5)

    def only_the_initial_one_is_good(batches):
        return [np.array([0.0 if tuple(c) == best else 1.0 for c in batch]) for batch in batches]

    (found,) = evolve([space(initial=(best,))], only_the_initial_one_is_good, settings)
    assert found.genes == best


def test_depends_on_the_seed_alone_and_leaves_the_global_generator():
    settings = GeneticSettings(population=8, generations=6)
    random.seed(5)
    state = random.getstate()
    first = evolve([space(3), space(4)], distance, settings)
    assert random.getstate() == state
    random.seed(99)
    assert evolve([space(3), space(4)], distance, settings) == first
    # A store's search does not depend on other stores.
    assert evolve([space(4)], distance, settings)[0] == first[1]


def test_every_week_has_a_delivery_and_forbidden_days_have_none():
    allowed = np.ones(14, dtype=bool)
    allowed[[0, 1, 7]] = False
    seen = []

    def record(batches):
        seen.extend(tuple(c) for batch in batches for c in batch)
        return [np.random.default_rng(1).random(len(b)) for b in batches]

    place = SearchSpace(allowed, WEEKS, 7, (1,), ((0,) * 15,), 1)
    evolve([place], record, GeneticSettings(population=12, generations=6, mutation=1.0))
    visits = np.array(seen)[:, :14].astype(bool)
    assert not visits[:, ~allowed].any()
    assert visits[:, :7].any(axis=1).all()
    assert visits[:, 7:].any(axis=1).all()


def test_without_repair_children_that_miss_a_week_are_dropped():
    judged = []

    def record(batches):
        judged.extend(tuple(c) for batch in batches for c in batch)
        return distance(batches)

    (found,) = evolve([space()], record, GeneticSettings(population=12, generations=6, repair=False))
    assert all(any(c[:7]) and any(c[7:14]) for c in judged)
    assert any(found.genes[:7])


def test_children_do_not_share_memory():
    parent = Candidate([0, 1, 0])
    child = Candidate(parent)
    child[0] = 1
    assert parent == [0, 1, 0]
    assert child.fitness is not parent.fitness


def test_stops_when_the_lower_bound_is_reached():
    settings = GeneticSettings(population=40, generations=50, patience=50)
    (found,) = evolve([space(target=2.0)], distance, settings)
    assert found.cost <= 2
    assert len(found.history) < 51


def test_reports_the_cost_of_every_generation():
    explained = []
    (found,) = evolve([space()], distance, GeneticSettings(population=8, generations=4, patience=9), explained.append)
    assert len(explained) == len(found.history) == 5
    assert explained[-1] == f"generation 4 of 4: cost {found.cost:,.0f}, 1 of 1 stores are still searched"
