"""Settings of parallelism: `compute`."""

from __future__ import annotations

from pydantic import Field

from schemas.settings.strict import Strict


class ComputeSettings(Strict):
    """How work is cut and spread. Changes no result."""

    workers: int | None = Field(default=None, ge=1, description="Processes side by side; the machine's cores if null")
    shard_series: int = Field(default=100, ge=1, description="Series per shard of the per-series models")
