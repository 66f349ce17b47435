"""A driver that asks the lake after every attempt, with a cluster that fails as the test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import EngineError, TrainingError
from tasks.engines.remote import ATTEMPTS, SECONDS_BETWEEN_LOOKS, SECONDS_TO_APPEAR, RemoteEngine
from tasks.engines.work import Work
from tasks.storage.lake import open_lake
from tasks.storage.machine import Cores
from tests.engines.small_work import work

KILLED = "KilledWorker: the worker died"


class Told:
    """A cluster whose attempts do what the test says; the last one is repeated."""

    address = "tcp://cluster:8786"

    def __init__(self, *attempts: Callable[[Work[Any]], str]) -> None:
        self.attempts, self.calls = attempts, 0

    def attempt(self, work: Work[Any]) -> str:
        self.calls += 1
        return self.attempts[min(self.calls, len(self.attempts)) - 1](work)


def compute(work: Work[Any]) -> str:
    work.run(open_lake(work.storage), Cores())
    return ""


def compute_and_die(work: Work[Any]) -> str:
    compute(work)
    return KILLED


def die(work: Work[Any]) -> str:
    return KILLED


def lose(work: Work[Any]) -> str:
    return ""


@pytest.mark.parametrize("attempts", [(compute,), (die, compute), (die, die, compute), (compute_and_die,)])
def test_a_work_is_submitted_while_its_result_is_missing(tmp_path: Path, attempts: tuple[Any, ...]) -> None:
    cluster, given = Told(*attempts), work(tmp_path)
    record, reused = RemoteEngine(cluster).run(given, force=False)
    assert (record, reused, cluster.calls) == (given.stored(open_lake(str(tmp_path))), False, len(attempts))
    assert RemoteEngine(cluster).run(given, force=False) == (record, True)
    assert cluster.calls == len(attempts)
    again, reused = RemoteEngine(Told(compute)).run(given, force=True)
    assert (again.table, reused) == (record.table, False)


def test_a_work_that_stays_missing_is_named(tmp_path: Path) -> None:
    cluster = Told(die)
    with pytest.raises(EngineError) as caught:
        RemoteEngine(cluster).run(work(tmp_path), force=False)
    assert cluster.calls == ATTEMPTS
    assert str(caught.value).startswith(
        "forecast xgboost 2 of 4: the workers of tcp://cluster:8786 did not compute it in 3 attempts. Last reason: "
        f"{KILLED}. "
    )


def test_force_does_not_take_an_old_result_for_a_new_one(tmp_path: Path) -> None:
    given = work(tmp_path)
    compute(given)
    with pytest.raises(EngineError, match="did not compute it"):
        RemoteEngine(Told(die)).run(given, force=True)


def test_a_result_may_appear_late_on_a_network_file_system(tmp_path: Path) -> None:
    given, pauses = work(tmp_path), list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            compute(given)

    cluster = Told(lose)
    RemoteEngine(cluster, pause).run(given, force=False)
    assert (cluster.calls, pauses) == (1, [SECONDS_BETWEEN_LOOKS] * 3)
    other, pauses = work(tmp_path / "other"), []
    with pytest.raises(EngineError, match="this machine does not see it in the lake"):
        RemoteEngine(Told(lose), pauses.append).run(other, force=False)
    assert sum(pauses) == ATTEMPTS * SECONDS_TO_APPEAR


def test_an_expected_error_is_not_tried_again(tmp_path: Path) -> None:
    def fail(work: Work[Any]) -> str:
        raise TrainingError("the model cannot be fitted")

    cluster = Told(fail)
    with pytest.raises(TrainingError, match="cannot be fitted"):
        RemoteEngine(cluster).run(work(tmp_path), force=False)
    assert cluster.calls == 1
