"""Runs whose process ended together with the server that would have been told: found when `make serve` starts again.

Such a run would stay "Running", and a weekly run that is started meanwhile would be cancelled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from deployments.automations import START_AGAIN

SECONDS_TO_ANSWER = 60
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")
MESSAGE = f"Its process was gone when `make serve` started: the machine or all of Restock had stopped. {START_AGAIN}"
# Labels and variables that Prefect gives to a run and to its process.
WORKER = "prefect.worker.name"
RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"


def end_dead_runs(api: str, worker: str) -> list[str]:
    """Mark the runs of a worker of this machine whose process is gone as crashed, and the runs within them.

    Args:
        api: address of the server's API.
        worker: name of the worker, which is not running (yet).

    Returns:
        Their names.
    """
    with httpx.Client(base_url=api, timeout=SECONDS_TO_ANSWER) as client:
        dead = [
            run
            for run in _unfinished(client)
            if run["labels"].get(WORKER) == worker and not is_alive(run["infrastructure_pid"], run["id"])
        ]
        within = _unfinished(client, parents=[run["id"] for run in dead]) if dead else []
        for run in [*within, *dead]:
            state = {"type": "CRASHED", "name": "Crashed", "message": MESSAGE}
            client.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True}).raise_for_status()
    return [str(run["name"]) for run in dead]


def _unfinished(client: httpx.Client, parents: Iterable[str] | None = None) -> list[dict[str, Any]]:
    wanted: dict[str, Any] = {"state": {"type": {"any_": list(UNFINISHED)}}}
    if parents is not None:
        wanted["parent_flow_run_id"] = {"any_": list(parents)}
    return list(client.post("/flow_runs/filter", json={"flow_runs": wanted}).raise_for_status().json())


def is_alive(process: str | None, run: str) -> bool:
    """Whether a run's process is still there; its number may belong to another one by now."""
    if not process:
        return False
    if Path("/proc/self/environ").exists():
        try:
            return f"{RUN_VARIABLE}={run}".encode() in Path(f"/proc/{process}/environ").read_bytes()
        except OSError:
            return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True
