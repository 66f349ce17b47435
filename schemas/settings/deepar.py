"""Settings of DeepAR: one block for both backends, ``models.deepar`` of the settings file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.settings.strict import Strict

DataVariant = Literal["original", "cleaned"]
Likelihood = Literal["student-T", "negative-binomial", "gaussian", "beta", "deterministic-L1"]
Backend = Literal["local", "sagemaker"]
# Seconds that SageMaker lets an algorithm without checkpoints wait and run on spot capacity; DeepAR writes none.
LONGEST_ON_SPOT = 3_600


class DeepArConfiguration(Strict):
    """One training configuration (domain, section 3.1): which data and which likelihood."""

    data: DataVariant = Field(default="cleaned", description="Series as sold, or as cleaned by the run")
    likelihood: Likelihood = Field(default="student-T", description="Distribution of demand in the network")

    @property
    def label(self) -> str:
        """Name in job names, folders and tables.

        >>> DeepArConfiguration(data="cleaned", likelihood="student-T").label
        'cleaned-student-t'
        """
        return f"{self.data}-{self.likelihood}".lower()


class DeepArHyperparameters(Strict):
    """SageMaker's DeepAR hyperparameters by their own names; null = the profile of frequency and backend."""

    context_length: int | None = Field(default=None, ge=1, le=2_000, description="Periods seen before a forecast")
    epochs: int | None = Field(default=None, ge=1, le=10_000, description="Passes over the data at most")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Step of the optimiser")
    mini_batch_size: int | None = Field(default=None, ge=1, le=10_000, description="Series windows per training step")
    num_layers: int | None = Field(default=None, ge=1, le=8, description="Recurrent layers")
    num_cells: int | None = Field(default=None, ge=1, le=1_000, description="Cells per layer")
    dropout_rate: float | None = Field(default=None, ge=0, lt=1, description="Share of cells left out in training")
    early_stopping_patience: int | None = Field(default=None, ge=1, description="Epochs without progress before a stop")
    embedding_dimension: int | None = Field(default=None, ge=1, le=1_000, description="Numbers per categorical feature")
    num_eval_samples: int | None = Field(default=None, ge=1, description="Sample paths behind the test metrics")


class DeepArLocalSettings(Strict):
    """Training here, with GluonTS on torch."""

    batches_per_epoch: int = Field(
        default=10, ge=1, description="Training steps that one epoch means here (on SageMaker a pass over the data)"
    )
    device: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="auto = a GPU where torch finds one")
    parallel_jobs: int | None = Field(default=None, ge=1, description="Trainings side by side; null = compute.workers")


class DeepArInstance(Strict):
    """Machines of a SageMaker job."""

    type: str = Field(default="ml.c5.2xlarge", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", description="Instance type")
    count: int = Field(default=1, ge=1, description="Number of instances")


class DeepArEndpointSettings(Strict):
    """Real-time inference: one endpoint, up to five models as production variants."""

    name: str | None = Field(
        default=None,
        max_length=63,
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$",
        description="Absent: from the settings' name",
    )
    instance: DeepArInstance = DeepArInstance(type="ml.m5.large")
    weights: dict[str, float] = Field(
        default={},
        description="Configuration label: share of the requests that name no variant (A/B); once one is given, "
        "configurations without one get 0; with none given, equal shares",
    )
    max_models: int = Field(default=5, ge=1, le=5, description="Models on the endpoint at most, the best first")

    @field_validator("weights")
    @classmethod
    def _shares_of_something(cls, value: dict[str, float]) -> dict[str, float]:
        for label, weight in value.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{label}: {weight:g} is no share; expected a number from 0")
        if value and not any(value.values()):
            raise ValueError("all are 0; expected at least one above 0, or none for equal shares")
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
    """Training and inference on Amazon SageMaker; credentials come from the environment or a Prefect block."""

    role: str | None = Field(default=None, description="ARN of the execution role of the jobs")
    region: str | None = Field(default=None, description="AWS region; the environment's when absent")
    credentials_block: str | None = Field(default=None, description="Name of a Prefect AwsCredentials block")
    image_uri: str | None = Field(default=None, description="Container image; the region's DeepAR image when absent")
    training_instance: DeepArInstance = DeepArInstance()
    volume_gb: int = Field(default=30, ge=1, description="Disk of a training instance")
    max_runtime_seconds: int = Field(
        default=3_600, ge=60, le=432_000, description="A job that takes longer is stopped; five days: AWS's quota"
    )
    spot: bool = Field(default=False, description="Train on spot capacity (without checkpoints: one hour at most)")
    max_wait_seconds: int | None = Field(default=None, ge=60, description="With spot: longest wait, runtime included")
    subnets: list[str] = Field(default=[], description="VPC subnets of the jobs")
    security_groups: list[str] = Field(default=[], description="VPC security groups of the jobs")
    kms_key: str | None = Field(default=None, description="KMS key for volumes and outputs")
    tags: dict[str, str] = Field(default={}, description="Tags of everything that is created")
    inference: Literal["transform", "endpoint"] = Field(
        default="transform", description="Batch transform, or an endpoint that stands until it has answered"
    )
    transform_instance: DeepArInstance = DeepArInstance(type="ml.m5.large")
    transform_timeout_seconds: int = Field(default=3_600, ge=60, description="A transform that takes longer is stopped")
    max_concurrent_transforms: int = Field(default=10, ge=1, le=100, description="Requests at once per instance")
    model_server_timeout_seconds: int = Field(default=60, ge=1, le=3_600, description="Longest answer to one request")
    endpoint: DeepArEndpointSettings = DeepArEndpointSettings()
    max_parallel_jobs: int = Field(default=4, ge=1, description="Jobs side by side: the account's quota of instances")
    poll_seconds: float = Field(default=20.0, gt=0, description="Pause between two looks at a job")
    max_attempts: int = Field(
        default=2, ge=1, description="Jobs started at most for one piece of work, failures included"
    )

    @field_validator("tags")
    @classmethod
    def _own_tags(cls, value: dict[str, str]) -> dict[str, str]:
        reserved = sorted(key for key in value if key.lower().startswith("aws:"))
        if reserved:
            raise ValueError(f"{', '.join(reserved)}: keys that begin with aws: are Amazon's own; name them otherwise")
        return value

    @model_validator(mode="after")
    def _network_and_spot_are_whole(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups belong together: give both or none")
        if self.max_wait_seconds is not None and self.max_wait_seconds < self.max_runtime_seconds:
            raise ValueError("max_wait_seconds includes the runtime: it must be at least max_runtime_seconds")
        wait = self.max_wait_seconds or self.max_runtime_seconds
        if self.spot and wait > LONGEST_ON_SPOT:
            raise ValueError(
                f"on spot capacity DeepAR, which writes no checkpoints, may wait and run {LONGEST_ON_SPOT} seconds at "
                f"most; max_wait_seconds or max_runtime_seconds say {wait}: lower them, or set spot to false"
            )
        return self


class TuningRange(Strict):
    """A range that tuning draws a hyperparameter from, both ends included."""

    min: float
    max: float
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min < self.max:
            raise ValueError(f"min {self.min:g} must be below max {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError("a log scale needs a min above 0")
        return self


WHOLE_NUMBERS = ("epochs", "context_length", "mini_batch_size", "num_cells", "num_layers", "embedding_dimension")
TUNABLE = (*WHOLE_NUMBERS, "learning_rate", "dropout_rate")


def _check_limits(name: str, end: float) -> None:
    """Whether a hyperparameter may have the value, by its own limits."""
    value = int(end) if name in WHOLE_NUMBERS else end
    try:
        DeepArHyperparameters.model_validate({name: value})
    except ValidationError as error:
        expected = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"{name} cannot be {value:g}, an end of its range; expected {expected}") from error


class DeepArTuningSettings(Strict):
    """Hyperparameter tuning (source A: 20 configurations, two in parallel)."""

    configurations: int = Field(default=20, ge=1, le=500, description="Trainings in all")
    parallel: int = Field(default=2, ge=1, le=100, description="Trainings side by side")
    objective: Literal["test:RMSE", "test:mean_wQuantileLoss", "train:final_loss"] = Field(
        default="test:RMSE", description="Metric of the training jobs to minimise"
    )
    ranges: dict[str, TuningRange] = Field(
        default={
            "learning_rate": TuningRange(min=0.001, max=0.1, scale="log"),
            "epochs": TuningRange(min=50, max=200),
            "num_layers": TuningRange(min=2, max=4),
            "dropout_rate": TuningRange(min=0.1, max=0.3),
        },
        description="Hyperparameter: min, max and scale (linear or log)",
    )

    @field_validator("ranges")
    @classmethod
    def _tunable(cls, value: dict[str, TuningRange]) -> dict[str, TuningRange]:
        for name, given in value.items():
            if name not in TUNABLE:
                raise ValueError(f"'{name}' cannot be tuned; expected some of {', '.join(TUNABLE)}")
            if name in WHOLE_NUMBERS and not (given.min.is_integer() and given.max.is_integer()):
                raise ValueError(f"{name} is a whole number: {given.min:g} to {given.max:g} is no range of it")
            for end in (given.min, given.max):
                _check_limits(name, end)
        if not value:
            raise ValueError(f"is empty; expected some of {', '.join(TUNABLE)}")
        return value


class DeepArSettings(Strict):
    """DeepAR (domain, section 3.1), local or on SageMaker, from the same data channel."""

    backend: Backend = Field(default="local", description="Where it trains: here, or on Amazon SageMaker")
    configurations: list[DeepArConfiguration] = Field(
        default=[
            DeepArConfiguration(data="cleaned", likelihood="student-T"),
            DeepArConfiguration(data="cleaned", likelihood="negative-binomial"),
            DeepArConfiguration(data="original", likelihood="student-T"),
            DeepArConfiguration(data="original", likelihood="negative-binomial"),
        ],
        min_length=1,
        description="Configurations trained in parallel and compared; the best goes on",
    )
    hyperparameters: DeepArHyperparameters = DeepArHyperparameters()
    categorical: list[str] | None = Field(
        default=None, description="Series columns as categorical features; null = store_id and all text columns"
    )
    dynamic: list[str] | None = Field(
        default=None,
        description="Features known in advance to use; null = all that stay in their known range, [] = none",
    )
    num_samples: int = Field(default=200, ge=20, le=10_000, description="Sample paths behind a forecast")
    local: DeepArLocalSettings = DeepArLocalSettings()
    sagemaker: DeepArSageMakerSettings = DeepArSageMakerSettings()
    tuning: DeepArTuningSettings = DeepArTuningSettings()

    @field_validator("configurations")
    @classmethod
    def _different(cls, value: list[DeepArConfiguration]) -> list[DeepArConfiguration]:
        labels = [configuration.label for configuration in value]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"names {', '.join(twice)} twice; each configuration once")
        return value

    @model_validator(mode="after")
    def _weights_of_configurations(self) -> Self:
        labels = [configuration.label for configuration in self.configurations]
        unknown = sorted(set(self.sagemaker.endpoint.weights) - set(labels))
        if unknown:
            raise ValueError(
                f"sagemaker.endpoint.weights names {', '.join(unknown)}; expected some of the configurations "
                f"{', '.join(labels)}"
            )
        return self

    @field_validator("categorical", "dynamic")
    @classmethod
    def _named_once(cls, value: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in value or () if (value or []).count(name) > 1})
        if twice:
            raise ValueError(f"names {', '.join(twice)} twice; each feature once")
        return value

    def read_by_training(self) -> dict[str, Any]:
        """The part that decides what is trained and forecast: what the cache key of a training reads."""
        kept = {"backend", "hyperparameters", "categorical", "dynamic", "num_samples", "configurations"}
        part = self.model_dump(mode="json", include=kept)
        # What else is part of the names of the backend's jobs.
        if self.backend == "local":
            return part | self.local.model_dump(mode="json", include={"batches_per_epoch", "device"})
        return part | self.sagemaker.model_dump(mode="json", include={"image_uri", "training_instance"})
