"""Settings of DeepAR, local and on SageMaker: `models.deepar`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.settings.strict import IN_ITS_SECTION, Strict

DataVariant = Literal["original", "cleaned"]
Likelihood = Literal["student-T", "negative-binomial", "gaussian", "beta", "deterministic-L1"]
Backend = Literal["local", "sagemaker"]
Spot = Literal["never", "prefer", "require"]
# SageMaker limit in seconds for waiting plus running on spot capacity without checkpoints; DeepAR writes none.
LONGEST_ON_SPOT = 3_600
# Part of that time that is left for waiting, where the settings do not say how long a job may wait.
LEFT_FOR_WAITING = 600


class DeepArConfiguration(Strict):
    """One training configuration: data variant and likelihood."""

    data: DataVariant = Field(
        default="cleaned", description="`original`: sales as recorded. `cleaned`: without outliers and stock-outs"
    )
    likelihood: Likelihood = Field(default="student-T", description="Distribution of demand in the network")

    @property
    def label(self) -> str:
        """Name in job names, folders and tables.

        >>> DeepArConfiguration(data="cleaned", likelihood="student-T").label
        'cleaned-student-t'
        """
        return f"{self.data}-{self.likelihood}".lower()


class DeepArHyperparameters(Strict):
    """DeepAR hyperparameters by their SageMaker names. Absent: a profile that depends on frequency and backend."""

    context_length: int | None = Field(
        default=None, ge=1, le=2_000, description="Periods of history that the network reads before a forecast"
    )
    epochs: int | None = Field(default=None, ge=1, le=10_000, description="Maximum number of passes over the data")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Step size of the optimizer")
    mini_batch_size: int | None = Field(default=None, ge=1, le=10_000, description="Training examples per step")
    num_layers: int | None = Field(default=None, ge=1, le=8, description="Recurrent layers")
    num_cells: int | None = Field(default=None, ge=1, le=1_000, description="Cells per layer")
    dropout_rate: float | None = Field(
        default=None, ge=0, lt=1, description="Fraction of cells that are ignored in a training step"
    )
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="Stop after this many epochs without an improvement"
    )
    embedding_dimension: int | None = Field(
        default=None, ge=1, le=1_000, description="Size of the vector of a categorical feature"
    )
    num_eval_samples: int | None = Field(default=None, ge=1, description="Sample paths for the test metrics")


class DeepArLocalSettings(Strict):
    """Training on this machine, with GluonTS on torch."""

    batches_per_epoch: int = Field(
        default=10, ge=1, description="Training steps per epoch (on SageMaker an epoch is one pass over the data)"
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="`auto`: a GPU if torch finds one, else the CPU"
    )
    parallel_jobs: int | None = Field(
        default=None, ge=1, description="Parallel trainings; absent: `expert.compute.workers`"
    )


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


class DeepArEndpointSettings(Strict):
    """Real-time inference: one endpoint, up to five models as production variants."""

    name: str | None = Field(
        default=None,
        max_length=63,
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$",
        description="Name of the endpoint; absent: derived from `name`",
    )
    instance: DeepArEndpointInstance = DeepArEndpointInstance()
    weights: dict[str, float] = Field(
        default={},
        description="Maps a configuration label to its share of the requests that name no variant (A/B test). If any "
        "weight is given, configurations without a weight get 0; if none is given, all shares are equal",
    )
    max_models: int = Field(
        default=5, ge=1, le=5, description="Maximum number of models on the endpoint, the best first"
    )

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
        """Each label's weight: as given, 0 where others are given; equal where none of these has one above 0.

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


class TuningRange(Strict):
    """Range of a hyperparameter in tuning, both ends included."""

    min: float
    max: float
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min < self.max:
            raise ValueError(f"min {self.min:g} must be below max {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"min {self.min:g} must be above 0 on a log scale")
        return self


WHOLE_NUMBERS = ("epochs", "context_length", "mini_batch_size", "num_cells", "num_layers", "embedding_dimension")
TUNABLE = (*WHOLE_NUMBERS, "learning_rate", "dropout_rate")


def _check_limits(name: str, end: float) -> None:
    """Check an end of a range against the limits of the hyperparameter."""
    value = int(end) if name in WHOLE_NUMBERS else end
    try:
        DeepArHyperparameters.model_validate({name: value})
    except ValidationError as error:
        expected = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"the range of {name} ends at {value:g}; expected a value {expected}") from error


class DeepArTuningSettings(Strict):
    """Hyperparameter tuning with `restock tune-deepar`."""

    configurations: int = Field(default=20, ge=1, le=500, description="Number of trainings")
    parallel: int = Field(default=2, ge=1, le=100, description="Parallel trainings")
    objective: Literal["test:RMSE", "test:mean_wQuantileLoss", "train:final_loss"] = Field(
        default="test:RMSE", description="Metric of the training jobs that tuning minimizes"
    )
    max_runtime_seconds: int = Field(
        default=36_000,
        ge=120,
        le=15_768_000,
        description="On SageMaker: the search ends after this time with what it has found, in seconds",
    )
    stop_without_progress: int | None = Field(
        default=None,
        ge=3,
        description="On SageMaker: the search ends after this many trainings without an improvement by more than 1 %; "
        "absent: it runs all trainings",
    )
    stop_at_convergence: bool = Field(
        default=False, description="On SageMaker: the search ends when SageMaker detects that it has converged"
    )
    warm_start: Literal["none", "previous"] = Field(
        default="none",
        description="On SageMaker: with `previous` the search learns from the last completed search of the same name "
        "and objective, for example last week's",
    )
    ranges: dict[str, TuningRange] = Field(
        default={
            "learning_rate": TuningRange(min=0.001, max=0.1, scale="log"),
            "epochs": TuningRange(min=50, max=200),
            "num_layers": TuningRange(min=2, max=4),
            "dropout_rate": TuningRange(min=0.1, max=0.3),
        },
        description="Maps a hyperparameter to `min`, `max` and `scale` (`linear` or `log`)",
    )

    @field_validator("ranges")
    @classmethod
    def _tunable(cls, value: dict[str, TuningRange]) -> dict[str, TuningRange]:
        for name, given in value.items():
            if name not in TUNABLE:
                raise ValueError(f"unknown hyperparameter '{name}'; expected one of {', '.join(TUNABLE)}")
            if name in WHOLE_NUMBERS and not (given.min.is_integer() and given.max.is_integer()):
                raise ValueError(f"{name} must be an integer; the range {given.min:g} to {given.max:g} is not valid")
            for end in (given.min, given.max):
                _check_limits(name, end)
        if not value:
            raise ValueError(f"must not be empty; expected at least one of {', '.join(TUNABLE)}")
        return value


class DeepArSettings(Strict):
    """DeepAR, trained on this machine or on SageMaker with the same data."""

    backend: Backend = Field(
        default="local",
        description="`local`: train on this machine. `sagemaker`: train on Amazon SageMaker",
        json_schema_extra=IN_ITS_SECTION,
    )
    required: bool = Field(
        default=False,
        description="If DeepAR fails in a weekly run (quota, capacity, outage, data): `false`: publish with the other "
        "models and raise the alarm `deepar_failed`. `true`: stop the run",
        json_schema_extra=IN_ITS_SECTION,
    )
    configurations: list[DeepArConfiguration] = Field(
        default=[
            DeepArConfiguration(data="cleaned", likelihood="student-T"),
            DeepArConfiguration(data="cleaned", likelihood="negative-binomial"),
            DeepArConfiguration(data="original", likelihood="student-T"),
            DeepArConfiguration(data="original", likelihood="negative-binomial"),
        ],
        min_length=1,
        description="Configurations that are trained in parallel and compared; the best one is used",
    )
    hyperparameters: DeepArHyperparameters = DeepArHyperparameters()
    categorical: list[str] | None = Field(
        default=None, description="Series columns to use as categorical features; absent: store_id and all text columns"
    )
    dynamic: list[str] | None = Field(
        default=None,
        description="Known future covariates to use; absent: all whose future values stay in their past range; "
        "`[]`: none",
    )
    num_samples: int = Field(default=200, ge=20, le=10_000, description="Sample paths per forecast")
    local: DeepArLocalSettings = DeepArLocalSettings()
    sagemaker: DeepArSageMakerSettings = DeepArSageMakerSettings()
    tuning: DeepArTuningSettings = DeepArTuningSettings()

    @field_validator("configurations")
    @classmethod
    def _different(cls, value: list[DeepArConfiguration]) -> list[DeepArConfiguration]:
        labels = [configuration.label for configuration in value]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"contains {', '.join(twice)} twice; list each configuration once")
        return value

    @model_validator(mode="after")
    def _weights_of_configurations(self) -> Self:
        labels = [configuration.label for configuration in self.configurations]
        unknown = sorted(set(self.sagemaker.endpoint.weights) - set(labels))
        if unknown:
            raise ValueError(
                f"sagemaker.endpoint.weights contains {', '.join(unknown)}; expected labels of the configurations: "
                f"{', '.join(labels)}"
            )
        return self

    @field_validator("categorical", "dynamic")
    @classmethod
    def _named_once(cls, value: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in value or () if (value or []).count(name) > 1})
        if twice:
            raise ValueError(f"contains {', '.join(twice)} twice; list each feature once")
        return value
