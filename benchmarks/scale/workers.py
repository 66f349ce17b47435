"""Time of the forecasting stages on one and on more Dask workers of this machine, one thread each.

Usage: .venv/bin/python -m benchmarks.scale.workers [--settings FILE --as-of DATE] [--workers 1,2] [--kill]
                                                    [--set KEY=VALUE ...]

Ingestion and features run once. For each number of workers a cluster starts, imports what the models need, and
computes all shards into a copy of the lake. Printed are wall seconds from the first submission to the last result, the
CPU seconds of the cluster from its start to its end, the sum of the shards' own seconds, the longest shard, the share
of the workers' time in which they computed ("use"), and the ratio of the wall seconds to the first number of workers.
On a busy machine only CPU seconds and "use" are meaningful. The results must be equal.

``--kill`` kills a worker in the last cluster when half of the shards are finished: ``--workers 2,2 --kill`` compares.
Its shard is computed again; the nanny of the worker starts another one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from flows.preparation import prepare_run
from flows.submitting import SHARDS_ON_A_CLUSTER
from schemas.records import ForecastRecord, PanelRecord
from schemas.run import RunContext, ShardSpec
from schemas.settings.slices import FoldsSlice
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.demo.company import write_demo_company
from tasks.demo.timeline import AS_OF
from tasks.engines.dask_cluster import dask_cluster
from tasks.engines.remote import RemoteEngine
from tasks.engines.work import Work
from tasks.forecasting.registry import model_classes, module_of
from tasks.forecasting.shard import ShardInputs
from tasks.forecasting.shards import shards
from tasks.stages.forecast import FORECAST
from tasks.storage.code_version import PACKAGE, code_version
from tasks.storage.lake import open_lake


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--as-of", default=AS_OF.isoformat())
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--kill", action="store_true", help="Kill a worker of the last cluster.")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = given.settings or write_demo_company(Path(folder), "slice", seed=7)
        lake = Path(folder) / "lake"
        overrides = [*given.overrides, f"storage={lake}"]
        options = [option for override in overrides for option in ("--set", override)]
        command = ["-m", "flows", "features", "--settings", str(settings), "--as-of", given.as_of, *options]
        subprocess.run([sys.executable, *command], check=True, stderr=subprocess.DEVNULL)
        first, tables = 0.0, set[str]()
        numbers = [int(text) for text in given.workers.split(",")]
        for position, number in enumerate(numbers, start=1):
            copy = Path(shutil.copytree(lake, Path(folder) / f"lake-{position}"))
            run = prepare_run(str(settings), AS_OF, [*given.overrides, f"storage={copy}"])
            kill, before = given.kill and position == len(numbers), _cpu_of_children()
            wall, records = measure(run.model_copy(update={"as_of": given.as_of}), copy, number, kill)
            own = [record.seconds for record in records]
            made = hashlib.sha256("".join(record.table.sha256 for record in records).encode()).hexdigest()
            first, tables = first or wall, tables | {made}
            print(
                f"{number} workers{', one killed' if kill else ''}: {len(records)} shards, wall {wall:.1f} s, CPU "
                f"{_cpu_of_children() - before:.1f} s, shards {sum(own):.1f} s (longest {max(own):.1f} s), "
                f"use {sum(own) / wall / number:.0%}, {first / wall:.2f} times as fast; tables {made[:12]}",
                flush=True,
            )
        assert len(tables) == 1, "results differ between numbers of workers"


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(run: RunContext, lake: Path, workers: int, kill: bool) -> tuple[float, list[ForecastRecord]]:
    """Wall seconds of all shards on a new cluster, and their results; ``kill``: a worker is killed meanwhile."""
    works = shards_of(run, lake)
    with cluster(workers) as address, dask_cluster(address, {PACKAGE: code_version()}) as connected:
        connected._client.wait_for_workers(workers)
        connected._client.run(import_models)
        engine, begun = RemoteEngine(connected), time.perf_counter()
        with ThreadPoolExecutor(SHARDS_ON_A_CLUSTER) as pool:
            running = [pool.submit(engine.run, work, force=False) for work in works]
            for finished, _ in enumerate(as_completed(running), start=1):
                if kill and finished == len(works) // 2:
                    os.kill(next(iter(connected._client.run(os.getpid).values())), signal.SIGKILL)
        return time.perf_counter() - begun, [future.result()[0] for future in running]


def shards_of(run: RunContext, lake: Path) -> list[Work[ForecastRecord]]:
    """The work of the forecasting stages."""
    (stored,) = (lake / "records" / "features").glob("*.json")
    panel = PanelRecord.model_validate(json.loads(stored.read_text("utf-8"))).panel
    loaded = load_panel(open_lake(str(lake)), panel, run.settings.period)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    return [_work(run, ShardInputs(panel=panel, shard=spec), spec) for spec in shards(run.settings, loaded, folds)]


def _work(run: RunContext, inputs: ShardInputs, spec: ShardSpec) -> Work[ForecastRecord]:
    stage = FORECAST.of(spec.model, module_of(spec.model))
    use = FoldsSlice.of(run.settings, model=run.settings.models.named().get(spec.model))
    key = stage.key(inputs, use)
    return Work(spec.model, run.settings.storage, stage.name, key, ForecastRecord, stage.compute, inputs, use)


def import_models() -> None:
    """Import what the models of a worker need, so that its first shard does not wait for it."""
    model_classes()
    for module in ("prophet", "statsforecast.models", "xgboost", "pyarrow.parquet"):
        importlib.import_module(module)


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of a cluster that ends with the context."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["-m", "deployments.cluster", "--workers", str(workers), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Dask scheduler")
        yield f"tcp://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


if __name__ == "__main__":
    main()
