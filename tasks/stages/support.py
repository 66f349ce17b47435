"""Helpers of the Prefect tasks: artifacts, log lines, retries and error logging."""

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

from schemas.alarms import Alarm, Severity
from schemas.errors import PipelineError
from schemas.run import SHARDS_AT_ONCE, RunContext
from tasks.storage.machine import Cores, usable_cores

ARTIFACT_ROWS = 200
# Numbers from this value on are rounded to integers with thousands separators; smaller ones have 4 significant digits.
_WHOLE_FROM = 1000
_DIGITS = 4
RETRY_DELAYS_SECONDS = [2.0, 10.0]
_ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.flow_engine", "prefect.task_engine")
# Logs temporary folders at level INFO, which it sets itself on import.
_CHATTY_LOGGER = "great_expectations.data_context.types.base"


# An engine's record about a PipelineError: words before it, class, and the beginning of its message.
_FAILURE = re.compile(r"(?P<before>.*?)(?P<name>\w+Error)[:(]\s*[\"']?(?P<text>.{1,60})", re.DOTALL)


class _MessageOnce(logging.Filter):
    """Log the message of a :class:`PipelineError` once and without its traceback.

    Prefect's engine repeats the message of a failed task up to five times. Later records name the class of the error.

    Attributes:
        shown_at_end: the command line prints the message at its end, so that no record needs it.
    """

    def __init__(self, shown_at_end: bool = False) -> None:
        super().__init__()
        self.shown_at_end = shown_at_end
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; all records pass."""
        if record.exc_info and isinstance(record.exc_info[1], PipelineError):
            record.exc_info = None
            record.exc_text = None
        found = _FAILURE.match(record.getMessage())
        if found and found["name"] in _names(PipelineError):
            text = " ".join(found["text"].replace("\\n", " ").split()).rstrip("\"')")[:40]
            if self.shown_at_end or text in self._seen:
                where = "below" if self.shown_at_end else "above"
                record.msg, record.args = f"{found['before']}{found['name']} (message {where})", None
            self._seen.add(text)
        return True


_MESSAGE_ONCE = _MessageOnce()


def _names(root: type[Exception]) -> set[str]:
    return {root.__name__, *(name for child in root.__subclasses__() for name in _names(child))}


def hide_expected_tracebacks() -> None:
    """Remove tracebacks and repetitions of :class:`PipelineError` from the logs of Prefect's engine."""
    for name in _ENGINE_LOGGERS:
        logger = logging.getLogger(name)
        if _MESSAGE_ONCE not in logger.filters:
            logger.addFilter(_MESSAGE_ONCE)
    logging.getLogger(_CHATTY_LOGGER).addFilter(lambda record: record.levelno >= logging.WARNING)


def show_errors_at_end() -> None:
    """Leave the messages of errors to the command line, which prints them at its end."""
    _MESSAGE_ONCE.shown_at_end = True


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Return True for connection errors and timeouts, which a retry may solve."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (ConnectionError, TimeoutError))


def artifact_key(*words: str) -> str:
    """Return an artifact key of lowercase letters, digits and dashes.

    >>> artifact_key("Data quality", "shoes_CL")
    'data-quality-shoes-cl'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def run_label(run: RunContext) -> str:
    """Return name, run date and scope of a run, as shown at the end of artifact descriptions."""
    scope = [*(f"store {store}" for store in run.stores), *run.categories]
    return ", ".join([run.settings.name, run.as_of.isoformat(), *(["only " + ", ".join(scope)] if scope else [])])


def show_table(run: RunContext, name: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Publish rows as a table artifact; numbers are rounded and long tables are cut off after 200 rows."""
    shown = [{column: display_value(value) for column, value in row.items()} for row in rows[:ARTIFACT_ROWS]]
    if len(rows) > ARTIFACT_ROWS:
        description = f"{description} (the first {ARTIFACT_ROWS} of {len(rows):,} rows)"
    create_table_artifact(
        table=shown, key=artifact_key(name, run.settings.name), description=f"{description} · {run_label(run)}"
    )


def display_value(value: Any) -> Any:
    """Round a number for display; return other values unchanged.

    >>> [display_value(value) for value in (18301764.9638, 1234, 0.123456, 12, "007", True)]
    ['18,301,765', '1,234', 0.1235, 12, '007', True]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not math.isfinite(value):
        return None
    if abs(value) >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def with_first(rows: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Move columns to the front of rows, because the UI cuts off the last columns of a table.

    >>> with_first([{"a": 1, "b": 2, "c": 3}], "c", "unknown", "b")
    [{'c': 3, 'b': 2, 'a': 1}]
    """
    return [{**{name: row[name] for name in names if name in row}, **row} for row in rows]


def show_markdown(run: RunContext, name: str, text: str, description: str) -> None:
    """Publish a markdown artifact."""
    create_markdown_artifact(
        markdown=text, key=artifact_key(name, run.settings.name), description=f"{description} · {run_label(run)}"
    )


def say(message: str) -> None:
    """Log a message in the run's log."""
    get_run_logger().info(message)


def warn(messages: Sequence[str]) -> None:
    """Log warnings in the run's log."""
    for message in messages:
        get_run_logger().warning(message)


def log_alarms(alarms: Sequence[Alarm]) -> None:
    """Log alarms with their names; those of severity info are not warnings."""
    for alarm in alarms:
        level = logging.INFO if alarm.severity is Severity.INFO else logging.WARNING
        get_run_logger().log(level, "%s (%s): %s", alarm.name, alarm.severity, alarm.message)


def cores_of(run: RunContext) -> Cores:
    """Return the number of processes and threads that one shard of a run may use."""
    workers = run.settings.compute.workers or usable_cores()
    return Cores(workers, max(1, workers // SHARDS_AT_ONCE))
