"""Progress of the forecasting shards in the Prefect UI and in the log, with an estimate of the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from schemas.records import ForecastRecord
from tasks.forecasting.progress import PROGRESS, duration, remaining_seconds
from tasks.stages.support import say

# The log has at most this number of lines about the progress, and none about the last half minute.
LINES = 10
SECONDS_WORTH_A_LINE = 30


class ForecastProgress:
    """The shards of a run and what is finished of them.

    Attributes:
        waiting: model of each shard that is not finished.
    """

    def __init__(self, models: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        """Create the progress artifact.

        Args:
            models: model of each shard.
            clock: seconds; only shown, never part of a result.
        """
        self.waiting = list(models)
        self._clock, self._started, self._total, self._line = clock, clock(), len(models), 0
        self._finished: list[tuple[str, float]] = []
        self._artifact = cast(UUID, create_progress_artifact(0.0, key=PROGRESS, description="Shards finished"))

    def add(self, record: ForecastRecord, reused: bool) -> None:
        """Count a finished shard. A reused one took no time and is not part of the estimate."""
        self.waiting.remove(record.model)
        if not reused:
            self._finished.append((record.model, record.seconds))
        finished = self._total - len(self.waiting)
        left = remaining_seconds(self.waiting, self._finished, self._clock() - self._started)
        text = f"{finished} of {self._total} shards finished"
        if left is not None and self.waiting:
            text += f", about {duration(left)} remaining"
        update_progress_artifact(self._artifact, 100.0 * finished / self._total, description=text)
        line = LINES * finished // self._total
        if line > self._line and left is not None and left > SECONDS_WORTH_A_LINE:
            say(text)
        self._line = line
