"""Settings of DeepAR on Amazon SageMaker: `models.deepar.sagemaker`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.settings.strict import IN_ITS_SECTION, Strict

Spot = Literal["never", "prefer", "require"]
# SageMaker limit in seconds for waiting plus running on spot capacity without checkpoints; DeepAR writes none.
LONGEST_ON_SPOT = 3_600
# Part of that time that is left for waiting, if the settings do not say how long a job may wait.
LEFT_FOR_WAITING = 600
_INSTANCE_TYPE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"


class DeepArInstance(Strict):
    """Instances of a training job."""

    type: str = Field(default="ml.c5.2xlarge", pattern=_INSTANCE_TYPE, description="Instance type")
    count: int = Field(default=1, ge=1, description="Number of instances")


class DeepArTransformInstance(Strict):
    """The instance of a batch transform job."""

    type: str = Field(default="ml.m5.large", pattern=_INSTANCE_TYPE, description="Instance type")
    count: int = Field(default=1, ge=1, description="Number of instances; must be 1")

    @field_validator("count")
    @classmethod
    def _one(cls, value: int) -> int:
        if value > 1:
            raise ValueError(
                f"is {value}, but only one instance processes the one input file of a forecast, and the others are "
                "idle. Set it to 1, and choose a larger type"
            )
        return value


class DeepArEndpointInstance(Strict):
    """Instances of a production variant of an endpoint."""

    type: str = Field(default="ml.m5.large", pattern=_INSTANCE_TYPE, description="Instance type")
    count: int = Field(default=1, ge=1, description="Number of instances per variant")


class DeepArEndpointScaling(Strict):
    """Number of instances of each variant by its number of requests (Application Auto Scaling, target tracking)."""

    most_instances: int = Field(
        default=2, ge=2, description="Largest number of instances per variant; `instance.count` is the smallest"
    )
    requests_per_minute: float = Field(
        default=100.0, gt=0, description="Requests per instance and minute to which the number of instances is adjusted"
    )


class DeepArEndpointSettings(Strict):
    """Real-time inference: one endpoint, up to five models as production variants."""

    name: str | None = Field(
        default=None,
        max_length=63,
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$",
        description="Name of the endpoint; absent: derived from `name`",
    )
    instance: DeepArEndpointInstance = DeepArEndpointInstance()
    scaling: DeepArEndpointScaling | None = Field(
        default=None, description="Adjusts the number of instances to the requests; absent: it is constant"
    )
    captured_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        multiple_of=0.01,
        description="Share of the requests that SageMaker stores with their answers below `deepar/captured/` of the "
        "storage; 0: none",
    )
    weights: dict[str, float] = Field(
        default={},
        description="Maps a configuration label to its share of the requests that name no variant (A/B test). If any "
        "weight is given, configurations without a weight get 0; if none is given, all shares are equal",
    )
    max_models: int = Field(
        default=5, ge=1, le=5, description="Maximum number of models on the endpoint, the best first"
    )

    @model_validator(mode="after")
    def _more_than_the_fewest(self) -> Self:
        if self.scaling and self.scaling.most_instances <= self.instance.count:
            raise ValueError(
                f"scaling.most_instances is {self.scaling.most_instances}; expected more than instance.count "
                f"({self.instance.count})"
            )
        return self

    @field_validator("weights")
    @classmethod
    def _shares_of_something(cls, value: dict[str, float]) -> dict[str, float]:
        for label, weight in value.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"the weight of {label} is {weight:g}; expected a finite number of at least 0")
        if value and not any(value.values()):
            raise ValueError("all weights are 0; set at least one above 0, or remove all for equal shares")
        return value

    def shares(self, labels: Iterable[str]) -> dict[str, float]:
        """Weight of each label.

        The given weight; 0 for labels without one if others have one; equal weights if none is above 0.

        >>> DeepArEndpointSettings(weights={"a": 0.9}).shares(["a", "b"])
        {'a': 0.9, 'b': 0.0}
        >>> DeepArEndpointSettings(weights={"a": 0.9}).shares(["b", "c"])
        {'b': 1.0, 'c': 1.0}
        """
        shares = {label: self.weights.get(label, 0.0) for label in labels}
        return shares if any(shares.values()) else dict.fromkeys(shares, 1.0)


class DeepArSageMakerSettings(Strict):
    """Training and inference on Amazon SageMaker. Credentials come from the environment or from a Prefect block."""

    role: str | None = Field(
        default=None, description="ARN of the execution role of the jobs", json_schema_extra=IN_ITS_SECTION
    )
    region: str | None = Field(
        default=None, description="AWS region; absent: from the environment", json_schema_extra=IN_ITS_SECTION
    )
    credentials_block: str | None = Field(
        default=None,
        description="Old place of `aws.credentials_block`, which applies to storage and sources too",
        json_schema_extra=IN_ITS_SECTION,
    )
    image_uri: str | None = Field(default=None, description="Container image; absent: the DeepAR image of the region")
    training_instance: DeepArInstance = DeepArInstance()
    tuning_instance: DeepArInstance = DeepArInstance()
    volume_gb: int = Field(default=30, ge=1, description="Disk of a training instance in GB")
    max_runtime_seconds: int = Field(
        default=3_600, ge=60, le=432_000, description="A training job that takes longer is stopped, in seconds"
    )
    spot: Spot = Field(
        default="never",
        description="Spot capacity for trainings; there a job may wait and run for one hour in total. `prefer`: if "
        "capacity or time runs out, the next attempt runs on demand. `require`: that is an error. `true` means "
        "`prefer`, `false` means `never`",
    )
    max_wait_seconds: int | None = Field(
        default=None,
        ge=60,
        description="With `spot`: maximum waiting time plus runtime, in seconds; absent: one hour",
    )
    subnets: list[str] = Field(default=[], description="VPC subnets of the jobs")
    security_groups: list[str] = Field(default=[], description="VPC security groups of the jobs")
    kms_key: str | None = Field(default=None, description="KMS key for volumes and outputs")
    tags: dict[str, str] = Field(default={}, description="Tags of all created AWS resources")
    inference: Literal["transform", "endpoint"] = Field(
        default="transform",
        description="`transform`: batch transform. `endpoint`: a temporary endpoint that is deleted after the forecast",
    )
    transform_instance: DeepArTransformInstance = DeepArTransformInstance()
    transform_timeout_seconds: int = Field(
        default=3_600, ge=60, description="A transform job that takes longer is stopped, in seconds"
    )
    max_concurrent_transforms: int = Field(default=10, ge=1, le=100, description="Parallel requests per instance")
    model_server_timeout_seconds: int = Field(
        default=60, ge=1, le=3_600, description="Timeout of one request, in seconds"
    )
    endpoint: DeepArEndpointSettings = DeepArEndpointSettings()
    max_parallel_jobs: int = Field(
        default=4, ge=1, description="Maximum number of parallel jobs; must fit the instance quota of the AWS account"
    )
    max_jobs_per_run: int | None = Field(
        default=None,
        ge=1,
        description="A run that may need more jobs (trainings, transforms, endpoints) starts none; absent: no limit",
    )
    max_billed_hours: float | None = Field(
        default=None,
        gt=0,
        description="A run starts no further job once its ended jobs are charged for this many instance hours; absent: "
        "no limit",
    )
    poll_seconds: float = Field(default=20.0, gt=0, description="Seconds between two status requests of a job")
    max_attempts: int = Field(
        default=2,
        ge=1,
        description="Maximum number of attempts of one training or transform in a run; a new run tries again",
    )

    @field_validator("tags")
    @classmethod
    def _own_tags(cls, value: dict[str, str]) -> dict[str, str]:
        reserved = sorted(key for key in value if key.lower().startswith("aws:"))
        if reserved:
            raise ValueError(
                f"{', '.join(reserved)}: tag keys that begin with aws: are reserved by Amazon; choose other keys"
            )
        return value

    @field_validator("spot", mode="before")
    @classmethod
    def _yes_or_no(cls, value: object) -> object:
        return {True: "prefer", False: "never"}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _network_and_spot_are_whole(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups must be set together; set both or remove both")
        wait = self.max_wait_seconds
        if wait is not None and wait <= self.max_runtime_seconds and self.spot != "prefer":
            raise ValueError(
                f"max_wait_seconds is {wait}, but it includes the runtime; it must be larger than max_runtime_seconds "
                f"({self.max_runtime_seconds})"
            )
        if self.spot != "never" and (wait or 0) > LONGEST_ON_SPOT:
            raise ValueError(
                f"on spot capacity a DeepAR job may wait and run for at most {LONGEST_ON_SPOT} seconds because it "
                f"writes no checkpoints, but max_wait_seconds is {wait}; lower it, or set spot to never"
            )
        if self.spot == "require" and self.max_runtime_seconds >= LONGEST_ON_SPOT:
            raise ValueError(
                f"on spot capacity a DeepAR job may wait and run for at most {LONGEST_ON_SPOT} seconds because it "
                f"writes no checkpoints, but max_runtime_seconds alone is {self.max_runtime_seconds}; lower it, or set "
                "spot to prefer"
            )
        return self

    @property
    def spot_seconds(self) -> tuple[int, int]:
        """Longest runtime, and longest waiting time plus runtime, of a job on spot capacity.

        >>> DeepArSageMakerSettings(spot="prefer").spot_seconds
        (3000, 3600)
        """
        wait = self.max_wait_seconds or LONGEST_ON_SPOT
        if self.spot == "require":
            return self.max_runtime_seconds, wait
        return min(self.max_runtime_seconds, wait - min(LEFT_FOR_WAITING, wait // 4)), wait
