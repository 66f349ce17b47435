"""Settings of the engine and of parallelism: `compute`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.settings.strict import IN_ITS_SECTION, Strict

DASK = "dask"


class ComputeSettings(Strict):
    """Engine and parallelism. Does not affect results."""

    engine: Literal["local", "dask"] = Field(
        default="local",
        description="Where models are fitted: `local` (processes of this machine) or `dask` (workers of the Dask "
        "scheduler at `compute.address`)",
        examples=["dask"],
        json_schema_extra=IN_ITS_SECTION,
    )
    address: str | None = Field(
        default=None,
        description="Address of the Dask scheduler; needed for `compute.engine: dask`",
        examples=["tcp://127.0.0.1:8786"],
        json_schema_extra=IN_ITS_SECTION,
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="Parallel processes of this machine; absent: the number of CPU cores, or fewer if they "
        "would not fit into its memory (0.5 GB per process and 1.5 GB for the run)",
    )
    shard_series: int | None = Field(
        default=None,
        ge=1,
        description="Series per shard of the models that fit each series alone; absent: as many as take about 40 s on "
        "one core, by the measured cost of the model",
        examples=[100],
    )

    @model_validator(mode="after")
    def _dask_has_an_address(self) -> Self:
        if self.engine == DASK and not self.address:
            raise ValueError(
                "compute.engine is dask, but compute.address is absent. Set it to the address of a Dask scheduler, for "
                "example tcp://127.0.0.1:8786 (`make cluster` starts one there), or set compute.engine to local"
            )
        return self
