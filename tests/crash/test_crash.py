"""A sample of the crash sweep; ``make crash`` tries every point."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.disk import Disk, Fault
from tests.crash.scenarios import SCENARIOS, Scenario, publish
from tests.crash.sweep import Point, Sweep

POINTS = 60
pytestmark = pytest.mark.slow


def test_a_sample_of_faults_loses_and_tears_nothing(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    points = list(sweep.points(2))
    for point in random.Random(7).sample(points, POINTS):
        sweep.try_point(point)
    assert sweep.result.failures == []
    assert sum(sweep.result.points.values()) == POINTS
    assert {name for name, _ in sweep.result.points} == {scenario.name for scenario in SCENARIOS}
    assert {fault for _, fault in sweep.result.points} == set(Fault)


def test_the_sweep_finds_a_publication_that_is_not_atomic(tmp_path: Path) -> None:
    """The sweep itself can fail: it finds a publication that writes its files one by one into place."""

    def torn(root: Path, files: int) -> None:
        folder = root / "runs/2025-02-24"
        for file in sorted(folder.iterdir()):
            file.write_bytes(file.read_bytes() + b" ")

    sweep = Sweep(tmp_path)
    scenario = Scenario("torn", lambda root, files: publish(root, 1, files), torn)
    for fault in (Fault.KILL_AFTER, Fault.POWER_DATA):
        sweep.try_point(Point(scenario, 1, 2, fault))
    assert len(sweep.result.failures) >= 2


def test_a_fault_that_did_not_happen_is_a_failure(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    sweep.try_point(Point(SCENARIOS[0], 1, 10_000, Fault.KILL_BEFORE))
    assert any("did not end the process as expected: 98" in line for line in sweep.result.failures)


def test_every_kind_of_call_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    SCENARIOS[1].prepare(root, 2)
    with Disk(root) as disk:
        SCENARIOS[1].act(root, 2)
    assert {"fsync", "rename", "replace", "unlink", "write", "mkdir", "rmdir"} <= set(disk.calls)
