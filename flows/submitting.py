"""How tasks are submitted: one after the other, in the flow's own runner, or in one for jobs that only wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from schemas.run import RunContext

Runner = TaskRunner[PrefectFuture[Any]]
# Jobs on SageMaker that are waited for at once; the backend limits how many of them run.
WAITING_AT_ONCE = 16


def done(task: Task[..., Any], *arguments: object) -> PrefectFuture[Any]:
    """Submit a stage and wait: its own error ends the run, not that of a later one which never began.

    Earlier stages are handed on as futures, which Prefect resolves and draws as the run's graph.
    """
    future: PrefectFuture[Any] = task.submit(*arguments)
    future.result()
    return future


@contextmanager
def deepar_runner(run: RunContext) -> Iterator[Runner | None]:
    """A task runner for jobs on SageMaker, which only wait; trainings on this machine share the flow's own (None)."""
    settings = run.settings.models.deepar
    if settings is None or settings.backend == "local":
        yield None
    else:
        with cast(Runner, ThreadPoolTaskRunner(max_workers=WAITING_AT_ONCE)) as runner:
            yield runner


def submit(runner: Runner | None, task: Task[..., Any], **parameters: Any) -> PrefectFuture[Any]:
    """Submit a task to a runner, or to the flow's own where it is None."""
    return task.submit(**parameters) if runner is None else runner.submit(task, parameters)
