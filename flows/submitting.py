"""Submit tasks: one at a time, to the flow's own runner, or to a runner for tasks that only wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from schemas.run import RunContext
from tasks.stages.engine import connected

Runner = TaskRunner[PrefectFuture[Any]]
# Shards that a cluster gets at the same time: more than it has threads, so that new workers find work. Each takes a
# thread of this process, which waits.
SHARDS_ON_A_CLUSTER = 64
# SageMaker jobs to wait for at the same time. The backend limits how many of them run.
WAITING_AT_ONCE = 16


def done(task: Task[..., Any], *arguments: object) -> PrefectFuture[Any]:
    """Submit a stage and wait for it, so that a failed stage ends the run with its own error.

    Results of earlier stages are passed as futures: Prefect resolves them and draws the graph of the run.
    """
    future: PrefectFuture[Any] = task.submit(*arguments)
    future.result()
    return future


@contextmanager
def deepar_runner(run: RunContext) -> Iterator[Runner | None]:
    """Yield a task runner for SageMaker jobs, which only wait; None if training runs on this machine."""
    settings = run.settings.models.deepar
    if settings is None or settings.backend == "local":
        yield None
    else:
        with cast(Runner, ThreadPoolTaskRunner(max_workers=WAITING_AT_ONCE)) as runner:
            yield runner


@contextmanager
def shard_runner(run: RunContext) -> Iterator[Runner | None]:
    """Yield a task runner for shards that a cluster computes; None if this machine computes them.

    Raises:
        ConfigError: the cluster of the settings cannot be reached.
    """
    with connected(run) as give_up:
        if run.settings.compute.engine == "local":
            yield None
            return
        with cast(Runner, ThreadPoolTaskRunner(max_workers=SHARDS_ON_A_CLUSTER)) as runner:
            try:
                yield runner
            except BaseException as error:
                give_up(f"Stopped, because another task of the run has failed ({type(error).__name__}).")
                raise


def submit(runner: Runner | None, task: Task[..., Any], **parameters: Any) -> PrefectFuture[Any]:
    """Submit a task to a runner; None means the flow's own runner."""
    return task.submit(**parameters) if runner is None else runner.submit(task, parameters)
