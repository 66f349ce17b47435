"""Sweep: interrupt every scenario at every call, in every way, restart it, and compare with the undisturbed run."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import PipelineError
from tasks.publication.earlier_runs import published
from tasks.publication.versions import check_folder_against_manifest
from tasks.storage.lake import open_lake
from tests.crash.disk import ERRORS, KILLED, Disk, Fault, lose_power
from tests.crash.scenarios import AS_OF, SCENARIOS, Scenario, content

RUN = f"runs/{AS_OF}"


@dataclass(frozen=True)
class Point:
    """One planned fault: scenario, number of files, number of the call, and how it fails."""

    scenario: Scenario
    files: int
    call: int
    fault: Fault


@dataclass
class Result:
    """Counts of a sweep, and what went wrong.

    Attributes:
        points: points tried, by scenario and fault.
        calls: calls of the undisturbed run, by scenario and name.
        failures: one line per point that did not hold.
    """

    points: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Sweep:
    """Interrupts scenarios in a work folder; every point starts from a copy of the prepared state."""

    def __init__(self, work: Path) -> None:
        self.result = Result()
        self._work = work
        self._prepared: dict[tuple[str, int], tuple[Path, list[str], dict[str, object]]] = {}

    def points(self, most_files: int) -> Iterator[Point]:
        """Every point with 1 to ``most_files`` tables in a publication."""
        for files in range(1, most_files + 1):
            for scenario in SCENARIOS:
                _, calls, _ = self._state(scenario, files)
                for call in range(1, len(calls) + 1):
                    for fault in Fault:
                        yield Point(scenario, files, call, fault)

    def _state(self, scenario: Scenario, files: int) -> tuple[Path, list[str], dict[str, object]]:
        """Prepared folder, calls of the undisturbed run, and its content before and after."""
        known = self._prepared.get((scenario.name, files))
        if known is not None:
            return known
        base = self._work / f"{scenario.name.replace(' ', '-')}-{files}"
        before, after = base / "before", base / "after" / "lake"
        scenario.prepare(before, files)
        shutil.copytree(before, after)
        with Disk(after) as disk:
            scenario.act(after, files)
        self.result.calls.setdefault(scenario.name, Counter()).update(disk.calls)
        contents: dict[str, object] = {
            "before": content(before, (RUN,)),
            "after": content(after, (RUN,)),
            "all": content(after, scenario.folders),
        }
        self._prepared[(scenario.name, files)] = before, disk.calls, contents
        return self._prepared[(scenario.name, files)]

    def try_point(self, point: Point) -> None:
        """Interrupt, check, restart and compare; what does not hold is added to the failures."""
        before, _, contents = self._state(point.scenario, point.files)
        base = self._work / "point"
        shutil.rmtree(base, ignore_errors=True)
        root, lost = base / "lake", base / "lost.json"
        shutil.copytree(before, root)
        self.result.points[(point.scenario.name, point.fault)] += 1
        ended = self._interrupt(point, root, lost)
        expected = (0, 1) if point.fault in ERRORS else (KILLED,)
        problems = [] if ended in expected else [f"the planned fault did not end the process as expected: {ended}"]
        if point.fault in (Fault.POWER_DATA, Fault.POWER_NAMES) and lost.exists():
            lose_power(lost, point.fault)
        try:
            problems += self._after_the_crash(root, contents)
            point.scenario.act(root, point.files)
            if content(root, point.scenario.folders) != contents["all"]:
                problems.append("the restart did not complete the operation")
            if any((root / ".tmp").iterdir()):
                problems.append("the restart left temporary files of the killed process")
        except (PipelineError, OSError, ValueError, KeyError, IndexError) as error:
            problems.append(f"{type(error).__name__}: {error}")
        self.result.failures += [
            f"{point.scenario.name}, {point.files} tables, call {point.call}, {point.fault}: {problem}"
            for problem in problems
        ]

    @staticmethod
    def _interrupt(point: Point, root: Path, lost: Path) -> int:
        """Run the operation in a fork with the fault; its exit code: 0 done, 1 an error was raised, 137 killed."""
        child = os.fork()
        if child == 0:
            code = 99
            try:
                disk = Disk(root, point.call, point.fault, lost)
                with disk:
                    try:
                        point.scenario.act(root, point.files)
                        code = 0
                    except (PipelineError, OSError):
                        code = 1
                if not disk.fired:
                    code = 98
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    @staticmethod
    def _after_the_crash(root: Path, contents: dict[str, object]) -> list[str]:
        """What readers see is the publication before or after, whole, or a withdrawn one."""
        lake = open_lake(str(root))
        if published(lake, AS_OF) is None:
            allowed = not contents["before"] or not contents["after"]
            return [] if allowed else ["the publication in force is gone"]
        problems = check_folder_against_manifest(lake, RUN)
        if content(root, (RUN,)) not in (contents["before"], contents["after"]):
            problems.append("the publication in force is neither the one before nor the one after")
        return problems
