"""DeepAR in the flows, trained on this machine: configurations, the best one, the weekly run, a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tasks.publication.manifest import PLAN_INPUTS
from tests.commands import Process, Start
from tests.flows import forks, mini_company

pytestmark = pytest.mark.flow

SECONDS_TO_WAIT = 240
TWO = "[{data: cleaned, likelihood: student-T}, {data: original, likelihood: negative-binomial}]"
TINY = (
    "models={deepar: {configurations: %s, num_samples: 20, local: {batches_per_epoch: 2}, "
    "hyperparameters: {epochs: 1, num_cells: 8, num_layers: 1, context_length: 7, mini_batch_size: 16, "
    "embedding_dimension: 2}}}"
)


def options(company: Path, configurations: str = TWO) -> list[str]:
    day = ["--settings", str(company), "--as-of", mini_company.AS_OF]
    return [*day, "--set", "backtest.windows=1", "--set", TINY % configurations]


def jobs(lake: Path) -> set[str]:
    return {archive.parents[1].name for archive in lake.glob("deepar/*/output/*/output/model.tar.gz")}


def test_configurations_are_compared_after_a_kill_and_the_best_serves_the_weekly_run(
    fork_with_networks: Start, prefect_server: dict[str, str], company: Path
) -> None:
    lake = company.parent / "lake"
    start = partial(fork_with_networks, environment={**prefect_server, forks.VARIABLE: "1"})

    def restock(*arguments: str) -> tuple[int, str, str]:
        return start("flows", *arguments).wait()

    _a_killed_training_leaves_no_process(start, company)
    assert jobs(lake) == set()

    code, out, err = restock("train-deepar", *options(company))
    assert code == 0, err
    assert "ingest: reused from the lake" in err
    assert "cleaned-student-t" in out
    assert "original-negative-binomial" in out
    assert "Best: " in out
    trained = jobs(lake)
    assert len(trained) == 3  # two configurations, and the best on everything known
    choice = json.loads(next((lake / "records" / "deepar-choice").glob("*.json")).read_text("utf-8"))
    rows = choice["summary"]["configurations"]
    assert [row["configuration"] for row in rows] == sorted(
        ("cleaned-student-t", "original-negative-binomial"),
        key=lambda label: next(row[c.RMSE] for row in rows if row["configuration"] == label),
    )
    assert all(row[c.N] == 12 * 14 for row in rows)
    best = rows[0]["configuration"]

    chosen = "[{data: cleaned, likelihood: student-T}]"
    if best != "cleaned-student-t":
        chosen = "[{data: original, likelihood: negative-binomial}]"
    code, _, err = restock("weekly", *options(company, chosen))
    assert code == 0, err
    # The run's own forecast takes the model that train-deepar has trained; only the fold is new.
    assert len(jobs(lake)) == len(trained) + 1
    run = lake / "runs" / mini_company.AS_OF
    forecast = pd.read_parquet(run / "forecast.parquet")
    assert len(forecast[forecast[c.MODEL] == "deepar"]) == 12 * 14
    backtest = pd.read_parquet(run / "backtest.parquet")
    assert len(backtest.loc[backtest[c.MODEL] == "deepar", c.CUTOFF].unique()) == 1

    # Its own sample paths of the horizon are kept for the plan.
    (paths,) = json.loads((run / "manifest.json").read_text("utf-8"))[PLAN_INPUTS]["paths"]
    assert paths["rows"] == 12 * 14


def _a_killed_training_leaves_no_process(start: Start, company: Path) -> None:
    slow = [part.replace("epochs: 1,", "epochs: 4000,") for part in options(company, "[{}]")]
    process = start("flows", "train-deepar", *slow)
    children = _descendants_when_training(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 30
    while any(not _is_zombie(child) for child in children):
        assert time.monotonic() < until, f"a training outlives its run: {children}"
        time.sleep(0.2)


def _descendants_when_training(process: Process) -> list[int]:
    """All processes below the run, once one of them is a training: it writes to the log of its job."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while True:
        assert process.poll() is None, "the run ended before a training began"
        assert time.monotonic() < until, "no training began in time"
        found = _descendants(process.pid)
        if any(_output_of(pid).name == "log" for pid in found):
            return found
        time.sleep(0.2)


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _output_of(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/fd/1").readlink()
    except OSError:
        return Path()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
