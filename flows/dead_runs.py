"""Detect runs whose process died while the server was down.

Such a run would stay in state Running, and block the next weekly run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from flows.environment import RUN

SECONDS_TO_ANSWER = 60
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")
# What to do about a run that died.
START_AGAIN = "Start the weekly run (or the backfill) again with the same date. Finished stages are reused."
MESSAGE = f"The run's process no longer existed when `make serve` started. {START_AGAIN}"
# A label that Prefect sets for a run of a worker.
WORKER = "prefect.worker.name"


def end_dead_runs(api: str, worker: str) -> list[str]:
    """Mark the runs of a worker whose process no longer exists as crashed, together with their subflow runs.

    Args:
        api: Address of the server's API.
        worker: Name of a worker of this machine. It must not be running.

    Returns:
        The names of the crashed runs, without their subflow runs.
    """
    with httpx.Client(base_url=api, timeout=SECONDS_TO_ANSWER) as client:
        dead = [
            run
            for run in _unfinished(client)
            if run["labels"].get(WORKER) == worker and not is_alive(run["infrastructure_pid"], run["id"])
        ]
        subflow_runs = _unfinished(client, parents=[run["id"] for run in dead]) if dead else []
        for run in [*subflow_runs, *dead]:
            state = {"type": "CRASHED", "name": "Crashed", "message": MESSAGE}
            client.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True}).raise_for_status()
    return [str(run["name"]) for run in dead]


def _unfinished(client: httpx.Client, parents: Iterable[str] | None = None) -> list[dict[str, Any]]:
    filters: dict[str, Any] = {"state": {"type": {"any_": list(UNFINISHED)}}}
    if parents is not None:
        filters["parent_flow_run_id"] = {"any_": list(parents)}
    return list(client.post("/flow_runs/filter", json={"flow_runs": filters}).raise_for_status().json())


def is_alive(process: str | None, run: str) -> bool:
    """Return whether the process of a run exists. Another process may use its number by now."""
    if not process:
        return False
    if Path("/proc/self/environ").exists():
        try:
            return f"{RUN}={run}".encode() in Path(f"/proc/{process}/environ").read_bytes()
        except OSError:
            return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True
