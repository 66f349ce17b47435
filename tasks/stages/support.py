"""What every Prefect task shares: artifacts, log lines, retries and quiet errors."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.tasks import Task

from schemas.errors import PipelineError
from schemas.run import SHARDS_AT_ONCE, RunContext
from tasks.storage.machine import Cores, usable_cores

ARTIFACT_ROWS = 200
# From here on numbers are shown whole and with separators, below with this many digits.
_WHOLE_FROM = 1000
_DIGITS = 4
RETRY_DELAYS_SECONDS = [2.0, 10.0]
_ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.flow_engine", "prefect.task_engine")
# Tells of temporary folders at level INFO, which it sets itself when it is imported.
_CHATTY_LOGGER = "great_expectations.data_context.types.base"


class _NoTraceback(logging.Filter):
    """Errors that a user can act on are shown as their message; a traceback would hide it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], PipelineError):
            record.exc_info = None
            record.exc_text = None
        return True


def quieten_expected_errors() -> None:
    """Keep tracebacks of :class:`PipelineError` out of Prefect's engine logs."""
    for name in _ENGINE_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(existing, _NoTraceback) for existing in logger.filters):
            logger.addFilter(_NoTraceback())
    logging.getLogger(_CHATTY_LOGGER).addFilter(lambda record: record.levelno >= logging.WARNING)


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Whether a failure may pass by itself: a connection or a time-out, never bad input or a bug."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (ConnectionError, TimeoutError))


def artifact_key(*words: str) -> str:
    """An artifact key: lowercase letters, digits and dashes.

    >>> artifact_key("Data quality", "shoes_CL")
    'data-quality-shoes-cl'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def about(run: RunContext) -> str:
    """Whose run it is, of which date and of what part of the network: what descriptions of artifacts end with."""
    scope = [*(f"store {store}" for store in run.stores), *run.categories]
    return ", ".join([run.settings.name, run.as_of.isoformat(), *(["only " + ", ".join(scope)] if scope else [])])


def show_table(run: RunContext, name: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Publish rows as a table artifact; numbers are rounded, a long table shows its head and says so."""
    shown = [{column: legible(value) for column, value in row.items()} for row in rows[:ARTIFACT_ROWS]]
    if len(rows) > ARTIFACT_ROWS:
        description = f"{description} (the first {ARTIFACT_ROWS} of {len(rows):,} rows)"
    create_table_artifact(
        table=shown, key=artifact_key(name, run.settings.name), description=f"{description} · {about(run)}"
    )


def legible(value: Any) -> Any:
    """A number as a reader wants it: whole and with separators, or rounded; anything else as it is.

    >>> legible(18301764.9638), legible(1234), legible(0.123456), legible(12), legible("007"), legible(True)
    ('18,301,765', '1,234', 0.1235, 12, '007', True)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not math.isfinite(value):
        return None
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def with_first(rows: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Rows with these columns in front: a table in the UI is cut off at the right.

    >>> with_first([{"a": 1, "b": 2, "c": 3}], "c", "unknown", "b")
    [{'c': 3, 'b': 2, 'a': 1}]
    """
    return [{**{name: row[name] for name in names if name in row}, **row} for row in rows]


def show_markdown(run: RunContext, name: str, text: str, description: str) -> None:
    """Publish a markdown artifact."""
    create_markdown_artifact(
        markdown=text, key=artifact_key(name, run.settings.name), description=f"{description} · {about(run)}"
    )


def say(message: str) -> None:
    """A line in the run's log."""
    get_run_logger().info(message)


def warn(messages: Sequence[str]) -> None:
    """Warnings in the run's log."""
    for message in messages:
        get_run_logger().warning(message)


def cores_of(run: RunContext) -> Cores:
    """Processes and threads that one shard of a run may use."""
    workers = run.settings.compute.workers or usable_cores()
    return Cores(workers, max(1, workers // SHARDS_AT_ONCE))
