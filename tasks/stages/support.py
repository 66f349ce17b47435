"""Helpers of the Prefect tasks: artifacts, log lines and retries."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.tasks import Task

from schemas.alarms import Alarm, Severity
from schemas.run import SHARDS_AT_ONCE, RunContext
from schemas.secrets import without_secrets
from tasks.publication.addresses import COMPANY_VARIABLE
from tasks.report.artifact_tables import artifact_key, displayed
from tasks.storage.machine import Cores, shard_cores

# Runs of these flows show few artifacts; the report has the other tables.
PUBLISHING = ("weekly_replenishment", "optimize_inventory", "backfill", "prepare_week")
SHOWN = (
    *("report", "publication", "preview", "preview-report", "data-quality", "costs", "backfill"),
    *("deepar-configurations", "deepar-endpoint"),
)
RETRY_DELAYS_SECONDS = [2.0, 10.0]


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Return True for connection errors and timeouts, which a retry may solve."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (ConnectionError, TimeoutError))


def run_label(run: RunContext) -> str:
    """Return name, run date and scope of a run, as shown at the end of artifact descriptions."""
    scope = [*(f"store {store}" for store in run.stores), *run.categories]
    return ", ".join([run.settings.name, run.as_of.isoformat(), *(["only " + ", ".join(scope)] if scope else [])])


def company_of_run(run: RunContext) -> str:
    """Return the company as in the names of its deployments; the setting ``name`` for runs of the command line."""
    return os.environ.get(COMPANY_VARIABLE) or run.settings.name


def key_of(run: RunContext, name: str) -> str:
    """Return the key of an artifact; settings files with the same ``name`` have different ones."""
    company, own = company_of_run(run), run.settings.name
    if company == own or artifact_key(company) == artifact_key(own):
        return artifact_key(name, own)
    if artifact_key(company).startswith(f"{artifact_key(own)}-"):
        return artifact_key(name, company)
    return artifact_key(name, company, own)


def show_table(run: RunContext, name: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Publish rows as a table artifact; numbers are rounded and long tables are cut off.

    A run that publishes shows only the artifacts of :data:`SHOWN`.
    """
    if not _is_shown(name):
        return
    shown, text = displayed(rows, description)
    create_table_artifact(table=shown, key=key_of(run, name), description=f"{text} · {run_label(run)}")


def _is_shown(name: str) -> bool:
    return name in SHOWN or flow_run.get_flow_name() not in PUBLISHING


def show_markdown(run: RunContext, name: str, text: str, description: str) -> None:
    """Publish a markdown artifact, unless :data:`SHOWN` excludes it."""
    if not _is_shown(name):
        return
    create_markdown_artifact(markdown=text, key=key_of(run, name), description=f"{description} · {run_label(run)}")


def say(message: str) -> None:
    """Log a message in the run's log."""
    get_run_logger().info(without_secrets(message))


def warn(messages: Sequence[str]) -> None:
    """Log warnings in the run's log."""
    for message in messages:
        get_run_logger().warning(without_secrets(message))


def log_alarms(alarms: Sequence[Alarm]) -> None:
    """Log alarms with their names; those of severity info are not warnings."""
    for alarm in alarms:
        level = logging.INFO if alarm.severity is Severity.INFO else logging.WARNING
        get_run_logger().log(level, "%s (%s): %s", alarm.name, alarm.severity, alarm.message)


def cores_of(run: RunContext) -> Cores:
    """Return the number of processes and threads that one shard of a run may use."""
    return shard_cores(run.settings.compute.workers, SHARDS_AT_ONCE)
