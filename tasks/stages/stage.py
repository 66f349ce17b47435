"""A stage: a function of references and a slice of the settings whose result is cached in the lake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.records import Record
from schemas.run import RunContext
from schemas.settings import Strict
from tasks.engines.work import Work
from tasks.stages.engine import engine_of
from tasks.storage.cache import reuse_or_compute, stage_key
from tasks.storage.lake import Lake, open_lake
from tasks.storage.machine import Cores

I = TypeVar("I", bound=Record)  # noqa: E741
U = TypeVar("U", bound=Strict)
R = TypeVar("R", bound=Record)
P = ParamSpec("P")

# State name of a task whose result was reused from the lake.
REUSED = "Cached"


@dataclass(frozen=True)
class Stage(Generic[I, U, P, R]):
    """A stage of a run.

    The cache key covers everything that ``compute`` receives: the checksums of the inputs, the values of the settings
    slice, and the code of the module of ``compute`` and of all modules that it imports.

    Attributes:
        name: name of the stage, in the lake and in messages.
        record: type of its result.
        compute: ``(lake, inputs, use, **tools) -> record``. Tools do not affect results: number of processes,
            backend of a job, progress report.
        modules: dotted names of modules that ``compute`` loads at run time, for example the module of a model.
    """

    name: str
    record: type[R]
    compute: Callable[Concatenate[Lake, I, U, P], R]
    modules: tuple[str, ...] = ()

    def of(self, part: str, *modules: str) -> Self:
        """Return the stage of one part, for example of one model.

        Args:
            part: name of the part; it is appended to the stage's name.
            *modules: dotted names of the modules of the part.
        """
        return replace(self, name=f"{self.name}-{part}", modules=(*self.modules, *modules))

    def key(self, inputs: I, use: U) -> str:
        """Return the cache key of the result."""
        return stage_key(self.name, inputs, use, (self.compute.__module__, *self.modules))

    def run(self, run: RunContext, inputs: I, use: U, *args: P.args, **tools: P.kwargs) -> tuple[R, State[R]]:
        """Reuse or compute the stage's record.

        Args:
            run: names the lake, and whether to recompute a cached result.
            inputs: references to data and small values.
            use: the stage's slice of the settings.
            *args: tools by position.
            **tools: tools by name.

        Returns:
            The record, and the final state of its task, named :data:`REUSED` if the record was reused.
        """
        lake = open_lake(run.settings.storage)
        return self._ended(
            *reuse_or_compute(
                lake,
                self.name,
                self.key(inputs, use),
                self.record,
                lambda: self.compute(lake, inputs, use, *args, **tools),
                force=run.force,
            )
        )

    def run_as_work(self, run: RunContext, name: str, inputs: I, use: U) -> tuple[R, State[R]]:
        """Reuse or compute the stage's record by the engine of the settings; the only tool of the stage is ``cores``.

        Args:
            run: names the lake and the engine, and whether to recompute a cached result.
            name: name of the work for people.
            inputs: references to data and small values.
            use: the stage's slice of the settings.

        Returns:
            See :meth:`run`.
        """
        storage, key = run.settings.storage, self.key(inputs, use)
        compute = cast(Callable[[Lake, I, U, Cores], R], self.compute)
        work = Work(name, storage, self.name, key, self.record, compute, inputs, use)
        return self._ended(*engine_of(run).run(work, run.force))

    def _ended(self, record: R, reused: bool) -> tuple[R, State[R]]:
        if reused:
            return record, Completed(data=record, name=REUSED, message=f"{self.name}: reused from the lake")
        return record, Completed(data=record, message=f"{self.name}: computed")
