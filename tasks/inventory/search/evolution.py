"""Genetic algorithm over delivery periods (docs/reference/domain.md#genetic-algorithm), one population per store.

The module uses DEAP's toolbox. DEAP's own operators draw from Python's global ``random``, which other threads also use.
The operators here draw from a separate generator, seeded per store, so that the result depends on the problem and the
seed only. Children are copies: candidates do not share memory.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from deap import base, tools

from schemas.plan import BoolArray, FloatArray, IndexArray
from schemas.protocols import ReportProgress
from schemas.settings import GeneticSettings

TOURNAMENT = 3
# Maximum number of attempts to create a pair of children with at least one that was not evaluated before.
TRIES = 3


class Cost(base.Fitness):  # type: ignore[misc]  # deap has no types
    """Expected cost of a candidate: lower is better."""

    weights = (-1.0,)

    def __init__(self) -> None:
        """Start without a value. DEAP's own method makes checks that take a tenth of the search time."""


class Candidate(list[int]):
    """Genes: 0 or 1 per period (1 = delivery), then one index per option (for example the share of the capacity)."""

    def __init__(self, genes: Sequence[int] = ()) -> None:
        super().__init__(genes)
        self.fitness = Cost()


@dataclass(frozen=True)
class SearchSpace:
    """Search space of one store.

    Attributes:
        allowed: shape (T,), periods in which a delivery is allowed.
        weeks: first periods of the weeks that require a delivery.
        week: periods in a week.
        options: number of values of each option after the delivery genes.
        initial: initial candidates, genes as in :class:`Candidate`.
        seed: seed of the random choices of this store.
        target: lower bound on the cost; the search stops when it is reached.
    """

    allowed: BoolArray
    weeks: IndexArray
    week: int
    options: tuple[int, ...]
    initial: tuple[tuple[int, ...], ...]
    seed: int
    target: float = -math.inf

    @property
    def periods(self) -> int:
        """Number of periods, T."""
        return len(self.allowed)


Evaluate = Callable[[int, Sequence[Candidate]], FloatArray]


@dataclass
class _Population:
    """State of the search of one store."""

    space: SearchSpace
    settings: GeneticSettings
    best: tools.HallOfFame = field(default_factory=lambda: tools.HallOfFame(1))
    members: list[Candidate] = field(default_factory=list)
    evaluated: dict[tuple[int, ...], float] = field(default_factory=dict)
    stale: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.space.seed)  # noqa: S311  # a search, not a secret
        self.open_days = np.flatnonzero(self.space.allowed).tolist()
        self.closed_days = np.flatnonzero(~self.space.allowed).tolist()
        # Start, end and allowed periods of every week that has any.
        spans = [(start, start + self.space.week) for start in self.space.weeks.tolist()]
        weeks = [(start, end, [day for day in self.open_days if start <= day < end]) for start, end in spans]
        self.weeks = [week for week in weeks if week[2]]
        self.toolbox = base.Toolbox()
        self.toolbox.register("clone", Candidate)
        self.toolbox.register("mate", self._swap_halves if self.settings.crossover == "halves" else self._swap_span)
        self.toolbox.register("mutate", self._mutate)
        self.toolbox.register("select", self._tournament)

    @property
    def finished(self) -> bool:
        reached = bool(len(self.best)) and self.best[0].fitness.values[0] <= self.space.target
        return reached or self.stale >= self.settings.patience

    def first_generation(self) -> list[Candidate]:
        """Initial candidates, then random ones with a delivery every 5 to 10 periods (as in the footwear study)."""
        made = [self._repaired(Candidate(genes)) for genes in self.space.initial[: self.settings.population]]
        while len(made) < self.settings.population:
            made.append(self._repaired(self._random_candidate()))
        return made

    def children(self) -> list[Candidate]:
        """Create children for all places of the population that the elite does not take."""
        count = self.settings.population - self._elite_size()
        made: list[Candidate] = []
        while len(made) < count:
            pair = self._pair()
            made.extend(pair[: count - len(made)])
        return made

    def receive(self, candidates: list[Candidate]) -> None:
        """Form the next generation from the elite and the best of the evaluated candidates."""
        before = self.best[0].fitness.values[0] if len(self.best) else math.inf
        self.best.update(candidates)
        elite = tools.selBest(self.members, self._elite_size()) if self.members else []
        room = self.settings.population - len(elite)
        self.members = [*elite, *tools.selBest(candidates, room)]
        after = self.best[0].fitness.values[0]
        self.stale = 0 if after < before - 1e-9 * abs(before) else self.stale + 1

    def _elite_size(self) -> int:
        return max(1, round(self.settings.elitism * self.settings.population))

    def _pair(self) -> list[Candidate]:
        pair: list[Candidate] = []
        for _ in range(TRIES):
            first, second = (self.toolbox.clone(parent) for parent in self.toolbox.select(2))
            self.toolbox.mate(first, second)
            for child in (first, second):
                if self.draw.random() < self.settings.mutation or tuple(child) in self.evaluated:
                    self.toolbox.mutate(child)
            pair = [self._repaired(first), self._repaired(second)]
            if any(tuple(child) not in self.evaluated for child in pair):
                break
        return pair

    def _tournament(self, count: int) -> list[Candidate]:
        drawn = (self.draw.choices(self.members, k=TOURNAMENT) for _ in range(count))
        return [max(group, key=lambda candidate: candidate.fitness) for group in drawn]

    def _swap_halves(self, first: Candidate, second: Candidate) -> None:
        middle = self.space.periods // 2
        first[middle:], second[middle:] = second[middle:], first[middle:]

    def _swap_span(self, first: Candidate, second: Candidate) -> None:
        start, end = sorted(self.draw.choices(range(len(first) + 1), k=2))
        first[start:end], second[start:end] = second[start:end], first[start:end]

    def _mutate(self, child: Candidate) -> None:
        """Swap two periods, move a delivery by one period, add or drop one, or change an option."""
        kind = self.draw.random()
        options = [i for i, size in enumerate(self.space.options) if size > 1]
        if options and kind < 0.3:  # noqa: PLR2004
            option = self.draw.choice(options)
            place = self.space.periods + option
            step = self.draw.choice((-2, -1, 1, 2))
            child[place] = min(max(child[place] + step, 0), self.space.options[option] - 1)
        elif kind < 0.5:  # noqa: PLR2004
            a, b = self.draw.choices(self.open_days, k=2)
            child[a], child[b] = child[b], child[a]
        elif kind < 0.75:  # noqa: PLR2004
            self._move(child)
        else:
            day = self.draw.choice(self.open_days)
            child[day] = 1 - child[day]

    def _move(self, child: Candidate) -> None:
        visited = [day for day in self.open_days if child[day]]
        if not visited:
            return
        day = self.draw.choice(visited)
        other = day + self.draw.choice((-1, 1))
        if 0 <= other < self.space.periods and self.space.allowed[other] and not child[other]:
            child[day], child[other] = 0, 1

    def _random_candidate(self) -> Candidate:
        genes = [0] * self.space.periods
        day = self.draw.randrange(min(5, self.space.periods))
        while day < self.space.periods:
            genes[day] = int(self.space.allowed[day])
            day += self.draw.randint(5, 10)
        return Candidate([*genes, *(self.draw.randrange(size) for size in self.space.options)])

    def _repaired(self, child: Candidate) -> Candidate:
        """Remove deliveries that are not allowed; if ``genetic.repair`` is set, add the missing weekly deliveries."""
        repaired = self.toolbox.clone(child)
        for day in self.closed_days:
            repaired[day] = 0
        if self.settings.repair:
            for start, end, days in self.weeks:
                if 1 not in repaired[start:end]:
                    repaired[self.draw.choice(days)] = 1
        return repaired

    def keeps_weeks(self, candidate: Candidate) -> bool:
        """True if every week with an allowed period has a delivery."""
        return all(1 in candidate[start:end] for start, end, _ in self.weeks)


@dataclass(frozen=True)
class Evolved:
    """Result of the search of one store: its best candidate, its cost, and the best cost after each generation."""

    genes: tuple[int, ...]
    cost: float
    history: tuple[float, ...]


def evolve(
    spaces: Sequence[SearchSpace],
    evaluate: Callable[[Sequence[Sequence[Candidate]]], Sequence[FloatArray]],
    settings: GeneticSettings,
    progress: ReportProgress | None = None,
) -> list[Evolved]:
    """Run the genetic algorithm for all stores, generation by generation.

    Args:
        spaces: one per store.
        evaluate: returns the costs of the candidates of every store (an empty list for finished stores).
        settings: population, generations, mutation, elitism, crossover, repair and patience.
        progress: receives one line per generation.

    Returns:
        One result per store: the best of all evaluated candidates, including the initial ones.
    """
    populations = [_Population(space, settings) for space in spaces]
    histories: list[list[float]] = [[] for _ in spaces]
    batches = [population.first_generation() for population in populations]
    for generation in range(settings.generations + 1):
        _evaluate_batches(populations, batches, evaluate)
        for population, batch, history in zip(populations, batches, histories, strict=True):
            if batch:
                population.receive(batch)
                history.append(float(population.best[0].fitness.values[0]))
        searching = sum(not population.finished for population in populations)
        if progress is not None:
            total = sum(history[-1] for history in histories)
            progress(
                f"generation {generation} of {settings.generations}: cost {total:,.0f}, {searching} of "
                f"{len(populations)} stores are still searched"
            )
        if not searching:
            break
        batches = [[] if population.finished else population.children() for population in populations]
    return [
        Evolved(tuple(population.best[0]), float(population.best[0].fitness.values[0]), tuple(history))
        for population, history in zip(populations, histories, strict=True)
    ]


def _evaluate_batches(
    populations: Sequence[_Population],
    batches: Sequence[list[Candidate]],
    evaluate: Callable[[Sequence[Sequence[Candidate]]], Sequence[FloatArray]],
) -> None:
    """Set the cost of every candidate; only candidates that were not evaluated before are simulated."""
    fresh: list[list[Candidate]] = []
    for population, batch in zip(populations, batches, strict=True):
        new = {tuple(c): c for c in batch if tuple(c) not in population.evaluated and population.keeps_weeks(c)}
        fresh.append(list(new.values()))
    for population, batch, unseen, costs in zip(populations, batches, fresh, evaluate(fresh), strict=True):
        population.evaluated.update({tuple(c): float(cost) for c, cost in zip(unseen, costs, strict=True)})
        for candidate in batch:
            candidate.fitness.values = (population.evaluated.get(tuple(candidate), math.inf),)
