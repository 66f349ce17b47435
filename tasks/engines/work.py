"""A computation that any process can run, and the engine that computes it in the process of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from schemas.records import Record
from schemas.settings import Strict
from tasks.storage.cache import reuse_or_compute, stored_record
from tasks.storage.lake import Lake, open_lake
from tasks.storage.machine import Cores

R = TypeVar("R", bound=Record)

# The end of a message about workers that failed.
RESUME = "Finished shards are kept: start the run again with the same date to resume."


@dataclass(frozen=True)
class Work(Generic[R]):
    """A computation whose result is a record in the lake.

    It contains references instead of data, so that its pickle has only a few kilobytes.

    Attributes:
        name: name for people, such as ``forecast xgboost 2 of 4``.
        storage: the lake.
        stage: name of the stage.
        key: cache key of the result.
        record: type of the result.
        compute: ``(lake, inputs, use, cores) -> record``, a function of a module.
        inputs: references and small values.
        use: the stage's slice of the settings.
    """

    name: str
    storage: str
    stage: str
    key: str
    record: type[R]
    compute: Callable[[Lake, Any, Any, Cores], R]
    inputs: Record
    use: Strict

    def stored(self, lake: Lake) -> R | None:
        """Return the result if the lake has it, with everything that it refers to."""
        return stored_record(lake, self.stage, self.key, self.record)

    def run(self, lake: Lake, cores: Cores, force: bool = False) -> tuple[R, bool]:
        """Reuse or compute the result in this process; returns it, and True if it was reused."""
        return reuse_or_compute(
            lake,
            self.stage,
            self.key,
            self.record,
            lambda: self.compute(lake, self.inputs, self.use, cores),
            force,
        )


class Engine(Protocol):
    """Computes works. Engines differ in where they compute, never in the result."""

    def run(self, work: Work[R], force: bool) -> tuple[R, bool]:
        """Reuse or compute a result, which is then in the lake.

        Args:
            work: what to compute.
            force: compute even if the result is in the lake.

        Returns:
            The result, and True if it was reused.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Compute in this process and its child processes.

    Attributes:
        cores: processes and threads that one work item may use.
    """

    cores: Cores

    def run(self, work: Work[R], force: bool) -> tuple[R, bool]:
        """Reuse or compute a result (see :class:`Engine`)."""
        return work.run(open_lake(work.storage), self.cores, force)
