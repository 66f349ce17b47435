"""Settings of parallelism: `compute`."""

from __future__ import annotations

from pydantic import Field

from schemas.settings.strict import Strict


class ComputeSettings(Strict):
    """Parallelism. Does not affect results."""

    workers: int | None = Field(default=None, ge=1, description="Parallel processes; absent: the number of CPU cores")
    shard_series: int = Field(
        default=100, ge=1, description="Series per shard of the models that fit each series alone"
    )
