"""What a stage is: a function of references and a slice of the settings, with its result kept in the lake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar

from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.records import Record
from schemas.run import RunContext
from schemas.settings import Strict
from tasks.storage.cache import reuse_or_compute, stage_key
from tasks.storage.lake import Lake, open_lake

I = TypeVar("I", bound=Record)  # noqa: E741
U = TypeVar("U", bound=Strict)
R = TypeVar("R", bound=Record)
P = ParamSpec("P")

# Name of the state of a task whose result the lake already held.
REUSED = "Cached"


@dataclass(frozen=True)
class Stage(Generic[I, U, P, R]):
    """A stage of a run.

    The cache key follows from what ``compute`` receives, so that it cannot miss anything: the checksums of the inputs,
    the values of the settings slice, and the code of the module of ``compute`` with everything that it imports.

    Attributes:
        name: of the stage, in the lake and in messages.
        record: type of its result.
        compute: ``(lake, inputs, use, **tools) -> record``. Tools do work and decide no result: numbers of processes,
            the backend of a job, a progress report.
        modules: dotted names of modules that compute the result and that ``compute`` finds at run time, such as the
            module of a model.
    """

    name: str
    record: type[R]
    compute: Callable[Concatenate[Lake, I, U, P], R]
    modules: tuple[str, ...] = ()

    def of(self, part: str, *modules: str) -> Self:
        """The stage for one of several parts, such as a model: part of its name, and the modules of that part."""
        return replace(self, name=f"{self.name}-{part}", modules=(*self.modules, *modules))

    def key(self, inputs: I, use: U) -> str:
        """Key of the result in the lake."""
        return stage_key(self.name, inputs, use, (self.compute.__module__, *self.modules))

    def run(self, run: RunContext, inputs: I, use: U, *args: P.args, **tools: P.kwargs) -> tuple[R, State[R]]:
        """Reuse or compute the stage's record.

        Args:
            run: says where the lake is, and whether to compute again whatever it holds.
            inputs: references and small values.
            use: the stage's slice of the settings.
            *args: tools, by position.
            **tools: what ``compute`` works with.

        Returns:
            The record, and the state in which its task should end: named :data:`REUSED` where it was reused.
        """
        lake = open_lake(run.settings.storage)
        record, reused = reuse_or_compute(
            lake,
            self.name,
            self.key(inputs, use),
            self.record,
            lambda: self.compute(lake, inputs, use, *args, **tools),
            force=run.force,
        )
        if reused:
            return record, Completed(data=record, name=REUSED, message=f"{self.name}: reused from the lake")
        return record, Completed(data=record, message=f"{self.name}: computed")
