"""The weekly run on a scheduler and two workers in separate processes, some of which are killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.outputs import MANIFEST
from tests.commands import Process, Start
from tests.flows import mini_company
from tests.ports import free_port, listens

pytestmark = [pytest.mark.flow, pytest.mark.system]

SECONDS_TO_WAIT = 120


def wait_until(ready: Callable[[], bool], *alive: Process) -> None:
    until = time.monotonic() + SECONDS_TO_WAIT
    while not ready():
        for process in alive:
            assert process.poll() is None, said(process)
        assert time.monotonic() < until
        time.sleep(0.05)


def said(process: Process) -> str:
    return "".join(process.output())


def begin_cluster(fork: Start, port: int) -> list[Process]:
    """A scheduler and two workers, without the nannies that would start a killed worker again."""
    environment = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "info"}
    own = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
    scheduler = fork("dask", "scheduler", *own, "--port", port, environment=environment)
    wait_until(lambda: listens(port), scheduler)
    address = f"tcp://127.0.0.1:{port}"
    given = ("dask", "worker", address, *own, "--no-nanny", "--nthreads", "1")
    workers = [fork(*given, environment=environment) for _ in range(2)]
    wait_until(lambda: all("Registered to" in said(worker) for worker in workers), scheduler, *workers)
    return [scheduler, *workers]


def stop(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)


def files(company: Path) -> dict[str, bytes]:
    """All files but the manifest; the checksum of the settings is left out, as their folders differ."""
    folder = company.parent / "lake" / "runs" / mini_company.AS_OF
    settings = json.loads((folder / MANIFEST).read_bytes())["settings_sha256"].encode()
    return {path.name: path.read_bytes().replace(settings, b"") for path in folder.iterdir() if path.name != MANIFEST}


def test_killed_workers_and_schedulers_cost_no_byte(
    fork: Start, start: Start, published: Path, company: Path, prefect_server: dict[str, str]
) -> None:
    port = free_port()
    on_dask = ("--set", "compute.engine=dask", "--set", f"compute.address=tcp://127.0.0.1:{port}")
    weekly = ("weekly", "--settings", company, "--as-of", mini_company.AS_OF, *on_dask)
    records = company.parent / "lake" / "records"

    scheduler, *workers = begin_cluster(fork, port)
    for worker in workers:
        stop(worker)
    soon = {**prefect_server, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    run = start("flows", *weekly, environment=soon)
    wait_until(lambda: "Shards are computed by the Dask cluster" in said(run), run)
    for process in (scheduler, *workers):
        process.kill_all()
    code, out, err = run.wait()
    assert code == 1
    assert f"The Dask scheduler at tcp://127.0.0.1:{port} has stopped or can no longer be reached" in err
    assert "start the run again with the same date to resume" in err
    assert "Traceback" not in out + err

    scheduler, *workers = begin_cluster(fork, port)
    stop(workers[0])
    run = start("flows", *weekly)
    wait_until(lambda: any(records.glob("forecast-*/*.json")), run)  # by the other worker
    workers[0].kill_all()  # has got a shard, but has not begun
    code, out, err = run.wait()
    assert code == 0, out + err
    assert "ingest: reused from the lake" in err
    assert files(company) == files(published)
    for process in (scheduler, workers[1]):
        process.kill_all()
