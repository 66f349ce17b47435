"""Dask's answers, with a scheduler and a worker in threads of this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigError, EngineError, TrainingError
from tasks.engines import dask_cluster as module
from tasks.engines.dask_cluster import DaskCluster, dask_cluster
from tasks.engines.remote import RemoteEngine
from tasks.storage.lake import open_lake
from tests.engines.small_work import divide, fail_to_train, work
from tests.engines.test_worker import VERSIONS
from tests.ports import free_port


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Any]:
    """A scheduler without workers."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, processes=False, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture
def cluster(scheduler: Any) -> Iterator[DaskCluster]:
    scheduler.scale(1)
    scheduler.wait_for_workers(1)
    with dask_cluster(scheduler.scheduler_address, VERSIONS) as connected:
        yield connected


def test_without_workers_the_run_ends(scheduler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(module, "SECONDS_WITHOUT_WORKERS", 0.05)
    address = scheduler.scheduler_address
    with dask_cluster(address, VERSIONS) as empty, pytest.raises(EngineError, match=f"{address} has had no worker"):
        empty.attempt(work(tmp_path))


def test_a_worker_computes_on_one_core(cluster: DaskCluster, tmp_path: Path) -> None:
    record, reused = RemoteEngine(cluster).run(work(tmp_path), force=False)
    assert (record.table.rows, reused) == (1, False)
    assert cluster.size() == "1 worker, 1 thread"


def test_errors_of_a_computation(cluster: DaskCluster, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the model cannot be fitted"):
        cluster.attempt(work(tmp_path, fail_to_train))
    assert cluster.attempt(work(tmp_path, divide)) == "ZeroDivisionError: division by zero"


def test_a_refused_worker_ends_all_that_wait(scheduler: Any, cluster: DaskCluster, tmp_path: Path) -> None:
    with dask_cluster(scheduler.scheduler_address, {"restock": "0.1.0+other"}) as other:
        for _ in range(2):
            with pytest.raises(EngineError, match=r"has restock 0.1.0\+\w+; this run has restock 0.1.0\+other"):
                other.attempt(work(tmp_path))
    assert cluster.attempt(work(tmp_path)) == ""


def test_a_run_that_failed_submits_nothing_more(cluster: DaskCluster, tmp_path: Path) -> None:
    cluster.give_up("Stopped")
    with pytest.raises(EngineError, match="Stopped"):
        RemoteEngine(cluster).run(work(tmp_path), force=False)
    assert work(tmp_path).stored(open_lake(str(tmp_path))) is None


def test_no_scheduler_or_no_dask_is_an_error_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(ConfigError, match=f"compute.address: no Dask scheduler answers at {address}"),
        dask_cluster(address, VERSIONS),
    ):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'restock\[dask\]'"), dask_cluster(address, VERSIONS):
        pass
