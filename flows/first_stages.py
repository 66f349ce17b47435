"""Name and task runner of every run, and the stages up to the panel; the other stages import several times as much."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.outcome import name_of_run
from flows.preparation import today
from flows.submitting import Runner, done
from schemas.records import IngestRecord, PanelRecord
from schemas.run import SHARDS_AT_ONCE, RunContext
from tasks.stages.engine_log import hide_expected_tracebacks
from tasks.stages.features import build_features
from tasks.stages.ingest import ingest_tables

hide_expected_tracebacks()

task_runner = cast(Runner, ThreadPoolTaskRunner(max_workers=SHARDS_AT_ONCE))


def flow_run_name() -> str:
    """Return the name of the run: run date, flow, settings and scope. Its outcome replaces the flow at the end."""
    given = flow_run.get_parameters()
    settings = "/".join(Path(given["settings_file"]).parts[-2:])
    what = str(flow_run.get_flow_name()).replace("_", " ")
    return name_of_run(given.get("as_of") or today(), what, settings, given.get("stores"), given.get("categories"))


def ingest_stage(run: RunContext) -> PrefectFuture[IngestRecord]:
    """Read and validate the input tables."""
    return done(ingest_tables, run)


def panel_stage(run: RunContext, ingested: PrefectFuture[IngestRecord]) -> PrefectFuture[PanelRecord]:
    """Build the demand panel and its features."""
    return done(build_features, run, ingested)
