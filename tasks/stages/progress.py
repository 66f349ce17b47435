"""Progress of forecasting shards and of the weeks of a backfill, with an estimate of the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from schemas.records import ForecastRecord
from schemas.run import RunContext
from tasks.forecasting.progress import PROGRESS, duration, remaining_seconds
from tasks.stages.support import key_of, say

# The log has at most this number of lines about the progress, and none about the last half minute.
LINES = 10
SECONDS_WORTH_A_LINE = 30
_WEEK = "week"


class ForecastProgress:
    """The shards of a run and what is finished of them.

    Attributes:
        waiting: model of each shard that is not finished.
    """

    def __init__(self, run: RunContext, models: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        """Create the progress artifact.

        Args:
            run: the run; its company is part of the artifact's key.
            models: model of each shard.
            clock: seconds; only shown, never part of a result.
        """
        self.waiting = list(models)
        self._clock, self._started, self._total, self._line = clock, clock(), len(models), 0
        self._finished: list[tuple[str, float]] = []
        self._artifact = cast(
            UUID, create_progress_artifact(0.0, key=key_of(run, PROGRESS), description="Shards finished")
        )

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


class WeeksProgress:
    """The weeks of a backfill and how long the others will take, by the weeks that were computed."""

    def __init__(self, weeks: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            weeks: number of weeks.
            clock: seconds; only shown, never part of a result.
        """
        self._weeks, self._clock = weeks, clock
        self._started = self._last = clock()
        self._ended = 0
        self._computed: list[tuple[str, float]] = []

    def add(self, computed: bool) -> str:
        """Count a week that has ended, and return the progress as text.

        Args:
            computed: False if the week was skipped, because it had been published before.
        """
        now, self._ended = self._clock(), self._ended + 1
        if computed:
            self._computed.append((_WEEK, now - self._last))
        else:
            self._started += now - self._last
        self._last = now
        left = remaining_seconds([_WEEK] * (self._weeks - self._ended), self._computed, now - self._started)
        text = f"{self._ended} of {self._weeks} weeks"
        return f"{text}, about {duration(left)} remaining" if left else text
