"""The genetic algorithm over visits (domain, section 4.3), one population per store, with DEAP's tools.

DEAP's own operators draw from Python's global ``random``, which other threads of a process draw from too. The
operators here draw from a generator of their own, seeded per store, so that the result depends on nothing but
the problem and the seed. Children are copies: no two candidates share memory.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from deap import base, tools

from schemas.plan import BoolArray, FloatArray, IndexArray
from schemas.protocols import Tell
from schemas.settings import GeneticSettings

TOURNAMENT = 3
# Children that are the copy of one already judged are tried again this often.
TRIES = 3


class Cost(base.Fitness):  # type: ignore[misc]  # deap has no types
    """Expected cost of a candidate: lower is better."""

    weights = (-1.0,)


class Candidate(list[int]):
    """Genes: one 0 or 1 per period (a visit), then one index per option (such as the share of space used)."""

    def __init__(self, genes: Sequence[int] = ()) -> None:
        super().__init__(genes)
        self.fitness = Cost()


@dataclass(frozen=True)
class Ground:
    """What one store's search may do.

    Attributes:
        allowed: shape (T,), periods in which a visit may be.
        weeks: first periods of the weeks that need a visit.
        week: periods in a week.
        options: number of values of each option behind the visits.
        seeds: candidates to start from, genes as in :class:`Candidate`.
        seed: of this store's random choices.
        target: a cost that cannot be undercut; a search that reaches it stops.
    """

    allowed: BoolArray
    weeks: IndexArray
    week: int
    options: tuple[int, ...]
    seeds: tuple[tuple[int, ...], ...]
    seed: int
    target: float = -math.inf

    @property
    def periods(self) -> int:
        """T."""
        return len(self.allowed)


Evaluate = Callable[[int, Sequence[Candidate]], FloatArray]


@dataclass
class _Population:
    """One store's search under way."""

    ground: Ground
    settings: GeneticSettings
    best: tools.HallOfFame = field(default_factory=lambda: tools.HallOfFame(1))
    members: list[Candidate] = field(default_factory=list)
    judged: dict[tuple[int, ...], float] = field(default_factory=dict)
    stale: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.ground.seed)  # noqa: S311  # a search, not a secret
        self.open_days = np.flatnonzero(self.ground.allowed).tolist()
        self.toolbox = base.Toolbox()
        self.toolbox.register("clone", Candidate)
        self.toolbox.register("mate", self._swap_halves if self.settings.crossover == "halves" else self._swap_span)
        self.toolbox.register("mutate", self._mutate)
        self.toolbox.register("select", self._tournament)

    @property
    def finished(self) -> bool:
        reached = bool(len(self.best)) and self.best[0].fitness.values[0] <= self.ground.target
        return reached or self.stale >= self.settings.patience

    def first_generation(self) -> list[Candidate]:
        """Seeds, then random visits every 5 to 10 periods as in source B."""
        made = [self._repaired(Candidate(seed)) for seed in self.ground.seeds[: self.settings.population]]
        while len(made) < self.settings.population:
            made.append(self._repaired(self._random_candidate()))
        return made

    def children(self) -> list[Candidate]:
        """As many children as the population has members besides its elite; none was judged before."""
        count = self.settings.population - self._elite_size()
        made: list[Candidate] = []
        while len(made) < count:
            pair = self._pair()
            made.extend(pair[: count - len(made)])
        return made

    def receive(self, candidates: list[Candidate]) -> None:
        """Take in judged candidates: the elite and the best of the children live on."""
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
                if self.draw.random() < self.settings.mutation or tuple(child) in self.judged:
                    self.toolbox.mutate(child)
            pair = [self._repaired(first), self._repaired(second)]
            if any(tuple(child) not in self.judged for child in pair):
                break
        return pair

    def _tournament(self, count: int) -> list[Candidate]:
        drawn = (self.draw.choices(self.members, k=TOURNAMENT) for _ in range(count))
        return [max(group, key=lambda candidate: candidate.fitness) for group in drawn]

    def _swap_halves(self, first: Candidate, second: Candidate) -> None:
        middle = self.ground.periods // 2
        first[middle:], second[middle:] = second[middle:], first[middle:]

    def _swap_span(self, first: Candidate, second: Candidate) -> None:
        start, end = sorted(self.draw.choices(range(len(first) + 1), k=2))
        first[start:end], second[start:end] = second[start:end], first[start:end]

    def _mutate(self, child: Candidate) -> None:
        """Swap two days (source B), move a visit by a day, add or drop one, or change an option."""
        kind = self.draw.random()
        options = [i for i, size in enumerate(self.ground.options) if size > 1]
        if options and kind < 0.3:  # noqa: PLR2004
            option = self.draw.choice(options)
            place = self.ground.periods + option
            step = self.draw.choice((-2, -1, 1, 2))
            child[place] = min(max(child[place] + step, 0), self.ground.options[option] - 1)
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
        if 0 <= other < self.ground.periods and self.ground.allowed[other] and not child[other]:
            child[day], child[other] = 0, 1

    def _random_candidate(self) -> Candidate:
        genes = [0] * self.ground.periods
        day = self.draw.randrange(min(5, self.ground.periods))
        while day < self.ground.periods:
            genes[day] = int(self.ground.allowed[day])
            day += self.draw.randint(5, 10)
        return Candidate([*genes, *(self.draw.randrange(size) for size in self.ground.options)])

    def _repaired(self, child: Candidate) -> Candidate:
        """The child with every week visited (where the settings ask for it) and no visit where none may be."""
        repaired = self.toolbox.clone(child)
        for day in range(self.ground.periods):
            if repaired[day] and not self.ground.allowed[day]:
                repaired[day] = 0
        if self.settings.repair:
            for start in self.ground.weeks:
                days = [d for d in range(start, start + self.ground.week) if self.ground.allowed[d]]
                if days and not any(repaired[d] for d in days):
                    repaired[self.draw.choice(days)] = 1
        return repaired

    def keeps_weeks(self, candidate: Candidate) -> bool:
        """Whether every week has a visit, as far as it may have one."""
        for start in self.ground.weeks:
            days = range(start, start + self.ground.week)
            if not any(candidate[d] for d in days) and any(self.ground.allowed[d] for d in days):
                return False
        return True


@dataclass(frozen=True)
class Evolved:
    """Result of one store's search: its best candidate, its cost, and the best cost after each generation."""

    genes: tuple[int, ...]
    cost: float
    history: tuple[float, ...]


def evolve(
    grounds: Sequence[Ground],
    evaluate: Callable[[Sequence[Sequence[Candidate]]], Sequence[FloatArray]],
    settings: GeneticSettings,
    tell: Tell | None = None,
) -> list[Evolved]:
    """Evolve all stores side by side, generation by generation.

    Args:
        grounds: one per store.
        evaluate: costs of the candidates of every store (an empty list for stores that are done).
        settings: population, generations, mutation, elitism, crossover, repair and patience.
        tell: told of every generation.

    Returns:
        One result per store; the best candidate ever judged, seeds included, is never lost.
    """
    populations = [_Population(ground, settings) for ground in grounds]
    histories: list[list[float]] = [[] for _ in grounds]
    batches = [population.first_generation() for population in populations]
    for generation in range(settings.generations + 1):
        _judge(populations, batches, evaluate)
        for population, batch, history in zip(populations, batches, histories, strict=True):
            if batch:
                population.receive(batch)
                history.append(float(population.best[0].fitness.values[0]))
        searching = sum(not population.finished for population in populations)
        if tell is not None:
            total = sum(history[-1] for history in histories)
            tell(
                f"generation {generation} of {settings.generations}: cost {total:,.0f}, {searching} of "
                f"{len(populations)} stores still searched"
            )
        if not searching:
            break
        batches = [[] if population.finished else population.children() for population in populations]
    return [
        Evolved(tuple(population.best[0]), float(population.best[0].fitness.values[0]), tuple(history))
        for population, history in zip(populations, histories, strict=True)
    ]


def _judge(
    populations: Sequence[_Population],
    batches: Sequence[list[Candidate]],
    evaluate: Callable[[Sequence[Sequence[Candidate]]], Sequence[FloatArray]],
) -> None:
    """Give every candidate its cost; only those not judged before are simulated."""
    fresh: list[list[Candidate]] = []
    for population, batch in zip(populations, batches, strict=True):
        new = {tuple(c): c for c in batch if tuple(c) not in population.judged and population.keeps_weeks(c)}
        fresh.append(list(new.values()))
    for population, batch, unseen, costs in zip(populations, batches, fresh, evaluate(fresh), strict=True):
        population.judged.update({tuple(c): float(cost) for c, cost in zip(unseen, costs, strict=True)})
        for candidate in batch:
            candidate.fitness.values = (population.judged.get(tuple(candidate), math.inf),)
