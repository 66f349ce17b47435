"""Compute work items on other machines. The lake shows which results are missing; the cluster is not asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from schemas.errors import EngineError
from schemas.records import Record
from tasks.engines.work import RESUME, Work
from tasks.storage.lake import Lake, open_lake, record_key

R = TypeVar("R", bound=Record)

ATTEMPTS = 3
# A network file system may show a new file to other machines only after it has refreshed its directory (60 s for NFS).
SECONDS_TO_APPEAR = 60.0
SECONDS_BETWEEN_LOOKS = 0.5


class Cluster(Protocol):
    """Machines that compute work items and store the results in the lake.

    Attributes:
        address: address for messages.
    """

    address: str

    def attempt(self, work: Work[Any]) -> str:
        """Let a worker compute a work item, and wait for its end.

        Returns:
            Why the attempt failed; empty if the worker says that the result is stored.

        Raises:
            PipelineError: a further attempt would fail as well.
        """


@dataclass(frozen=True)
class RemoteEngine:
    """Submit a work item while its result is missing from the lake; check the lake after every attempt.

    Attributes:
        cluster: the machines.
        pause: waits for some seconds.
    """

    cluster: Cluster
    pause: Callable[[float], None] = time.sleep

    def run(self, work: Work[R], force: bool) -> tuple[R, bool]:
        """Reuse or compute a result (see :class:`tasks.engines.work.Engine`).

        Raises:
            EngineError: the result is missing after :data:`ATTEMPTS` attempts.
        """
        lake = open_lake(work.storage)
        if force:
            lake.delete(record_key(work.stage, work.key))
        stored = work.stored(lake)
        if stored is not None:
            return stored, True
        reason = ""
        for _ in range(ATTEMPTS):
            reason = self.cluster.attempt(work)
            stored = work.stored(lake) if reason else self._appearing(work, lake)
            if stored is not None:
                return stored, False
        reason = reason or "the worker has stored the result, but this machine does not see it in the lake"
        raise EngineError(
            f"{work.name}: the workers of {self.cluster.address} did not compute it in {ATTEMPTS} attempts. Last "
            f"reason: {reason}. See the logs of the workers. A worker that was killed usually had too little "
            f"memory. {RESUME}"
        )

    def _appearing(self, work: Work[R], lake: Lake) -> R | None:
        """Wait until a result that a worker has stored is visible in the lake."""
        for _ in range(round(SECONDS_TO_APPEAR / SECONDS_BETWEEN_LOOKS)):
            stored = work.stored(lake)
            if stored is not None:
                return stored
            self.pause(SECONDS_BETWEEN_LOOKS)
        return work.stored(lake)
