"""Submit tasks: one at a time, to the flow's own runner, or to another runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from schemas.records import ForecastRecord, PanelRecord
from schemas.run import RunContext, ShardSpec
from tasks.stages.engine import connected

Runner = TaskRunner[PrefectFuture[Any]]
# Shards that a cluster gets at the same time: more than it has threads, so that new workers find work. Each takes a
# thread of this process, which waits.
SHARDS_ON_A_CLUSTER = 64


class ModelTasks(NamedTuple):
    """The submitted tasks of a model with separate stages.

    Attributes:
        before: tasks that its shards wait for, in order.
        forecast: submits the forecast of one shard.
    """

    before: Sequence[PrefectFuture[Any]]
    forecast: Callable[[ShardSpec], PrefectFuture[ForecastRecord]]


class OwnStages(NamedTuple):
    """The functions by which a run submits a model with separate stages.

    Attributes:
        forecasting: submits what the shards wait for. Its task runner is open until the shards are done.
        tune: tunes the model.
    """

    forecasting: Callable[[RunContext, PrefectFuture[PanelRecord]], AbstractContextManager[ModelTasks]]
    tune: Callable[[RunContext, PrefectFuture[PanelRecord]], object]


def done(task: Task[..., Any], *arguments: object) -> PrefectFuture[Any]:
    """Submit a stage and wait for it, so that a failed stage ends the run with its own error.

    Results of earlier stages are passed as futures: Prefect resolves them and draws the graph of the run.
    """
    future: PrefectFuture[Any] = task.submit(*arguments)
    future.result()
    return future


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


def titled(work: Task[..., Any], spec: ShardSpec) -> Task[..., Any]:
    """Return the task of a shard, named after it."""
    return work.with_options(task_run_name=spec.title)


def submit(runner: Runner | None, task: Task[..., Any], **parameters: Any) -> PrefectFuture[Any]:
    """Submit a task to a runner; None means the flow's own runner."""
    return task.submit(**parameters) if runner is None else runner.submit(task, parameters)
