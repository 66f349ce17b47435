"""The sweep over a bucket: let every request of every scenario fail, restart, compare with the undisturbed run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import PipelineError
from schemas.outputs import REPLENISHMENT
from tasks.publication.earlier_runs import published, run_key
from tasks.publication.versions import check_folder_against_manifest
from tasks.storage.lake import open_lake
from tests.crash.bucket import BUCKET, REPEATED, BucketFault, BucketServer, Plan
from tests.crash.scenarios import AS_OF, SCENARIOS, Scenario, comparable

ROOT = f"s3://{BUCKET}/lake"
ERP_FILE = f"lake/{run_key(AS_OF)}/{REPLENISHMENT}"


@dataclass(frozen=True)
class BucketPoint:
    """One planned fault: scenario, number of files, number of the request, and how it fails."""

    scenario: Scenario
    files: int
    request: int
    fault: BucketFault


@dataclass
class BucketResult:
    """Counts of a sweep, and what went wrong.

    Attributes:
        points: points tried, by scenario and fault.
        calls: requests of the undisturbed run, by scenario and method.
        failures: one line per point that did not hold.
    """

    points: Counter[tuple[str, BucketFault]] = field(default_factory=Counter)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """Objects before, requests of the undisturbed run, and what it leaves.

    ``restarted`` has what a restart found, by the objects after the fault: many faults leave the same objects.
    """

    before: dict[str, Any]
    requests: list[str]
    runs: list[dict[str, bytes]]
    all: dict[str, bytes]
    erp: list[bytes | None]
    restarted: dict[object, list[str]] = field(default_factory=dict)


class BucketSweep:
    """Interrupts scenarios in a bucket; every point starts from the same objects."""

    def __init__(self, server: BucketServer) -> None:
        self.result = BucketResult()
        self._server = server
        self._prepared: dict[tuple[str, int], _State] = {}

    def points(self, most_files: int) -> Iterator[BucketPoint]:
        """Every point with 1 to ``most_files`` tables in a publication."""
        for files in range(1, most_files + 1):
            for scenario in SCENARIOS:
                for request in range(1, len(self.state(scenario, files).requests) + 1):
                    for fault in BucketFault:
                        yield BucketPoint(scenario, files, request, fault)

    def state(self, scenario: Scenario, files: int) -> _State:
        """Return the prepared objects of a scenario and what its undisturbed run does."""
        known = self._prepared.get((scenario.name, files))
        if known is not None:
            return known
        server = self._server
        server.restore({})
        scenario.prepare(ROOT, files)
        before, runs = server.objects(), [self._runs()]
        server.plan = Plan()
        scenario.act(ROOT, files)
        requests, server.plan = server.plan.requests, Plan()
        self.result.calls.setdefault(scenario.name, Counter()).update(request.split()[0] for request in requests)
        erp = [found[ERP_FILE][0] if ERP_FILE in found else None for found in (before, server.objects())]
        state = _State(before, requests, [*runs, self._runs()], self._content(scenario.folders), erp)
        self._prepared[(scenario.name, files)] = state
        return state

    def _runs(self) -> dict[str, bytes]:
        return self._content((run_key(AS_OF),))

    def _content(self, folders: tuple[str, ...]) -> dict[str, bytes]:
        found = {name.removeprefix("lake/"): data for name, (data, _, _) in self._server.objects().items()}
        below = tuple(f"{folder}/" for folder in folders)
        return {key: comparable(key, data) for key, data in sorted(found.items()) if key.startswith(below)}

    def try_point(self, point: BucketPoint) -> None:
        """Interrupt, check, restart and compare; what does not hold is added to the failures."""
        state, server = self.state(point.scenario, point.files), self._server
        server.restore(state.before)
        self.result.points[(point.scenario.name, point.fault)] += 1
        plan = server.plan = Plan(point.request, point.fault)
        problems = []
        try:
            point.scenario.act(ROOT, point.files)
        except PipelineError as error:
            if point.fault in REPEATED:
                problems.append(f"the client did not repeat the request: {error}")
        server.plan = Plan()
        if not plan.fired:
            problems.append("the planned fault did not happen")
        after = self._fingerprint(state)
        if after not in state.restarted:
            state.restarted[after] = self._restart(point, state)
        problems += state.restarted[after]
        self.result.failures += [
            f"{point.scenario.name}, {point.files} tables, request {point.request}, {point.fault}: {problem}"
            for problem in problems
        ]

    def _fingerprint(self, state: _State) -> object:
        """All objects with their metadata, without times; a rewritten object differs from an earlier one."""
        times = {name: modified for name, (_, _, modified) in state.before.items()}
        found = set()
        for name, (data, metadata, modified) in self._server.objects().items():
            content = comparable(name.removeprefix("lake/"), data)
            found.add((name, content, str(metadata) if content == data else "", modified == times.get(name)))
        return frozenset(found)

    def _restart(self, point: BucketPoint, state: _State) -> list[str]:
        """Check the publication in force, start the operation again, and compare; one line per problem."""
        problems = []
        try:
            problems += self._after_the_fault(state)
            point.scenario.act(ROOT, point.files)
            if self._content(point.scenario.folders) != state.all:
                problems.append("the restart did not complete the operation")
            if any("/.promote/" in key for key in self._server.objects()):
                problems.append("the restart left temporary objects")
        except (PipelineError, OSError, ValueError, KeyError, IndexError) as error:
            problems.append(f"{type(error).__name__}: {error}")
        return problems

    def _after_the_fault(self, state: _State) -> list[str]:
        """The ERP's file is the old or the new one at any time; the next command finds a whole publication."""
        problems = []
        found = self._server.objects().get(ERP_FILE)
        if (None if found is None else found[0]) not in state.erp:
            problems.append("the file of the ERP is neither the one before nor the one after")
        lake = open_lake(ROOT)
        with lake.exclusive():
            if published(lake, AS_OF) is None:
                return [*problems, *([] if {} in state.runs else ["the publication in force is gone"])]
            problems += check_folder_against_manifest(lake, run_key(AS_OF))
            if self._runs() not in state.runs:
                problems.append("the publication in force is neither the one before nor the one after")
        return problems
