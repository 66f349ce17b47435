"""Settings of DeepAR: one block for both backends, ``models.deepar`` of the settings file."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.strict import Strict

DataVariant = Literal["original", "cleaned"]
Likelihood = Literal["student-T", "negative-binomial", "gaussian", "beta", "deterministic-L1"]
Backend = Literal["local", "sagemaker"]


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

    context_length: int | None = Field(default=None, ge=1, description="Periods seen before a forecast")
    epochs: int | None = Field(default=None, ge=1, description="Passes over the data at most")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Step of the optimiser")
    mini_batch_size: int | None = Field(default=None, ge=1, description="Series windows per training step")
    num_layers: int | None = Field(default=None, ge=1, le=8, description="Recurrent layers")
    num_cells: int | None = Field(default=None, ge=1, description="Cells per layer")
    dropout_rate: float | None = Field(default=None, ge=0, lt=1, description="Share of cells left out in training")
    early_stopping_patience: int | None = Field(default=None, ge=1, description="Epochs without progress before a stop")
    embedding_dimension: int | None = Field(default=None, ge=1, description="Numbers per categorical feature")
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
        default={}, description="Configuration label: share of the traffic (A/B); equal shares where absent"
    )
    max_models: int = Field(default=5, ge=1, le=5, description="Models on the endpoint at most, the best first")


class DeepArSageMakerSettings(Strict):
    """Training and inference on Amazon SageMaker; credentials come from the environment or a Prefect block."""

    role: str | None = Field(default=None, description="ARN of the execution role of the jobs")
    region: str | None = Field(default=None, description="AWS region; the environment's when absent")
    credentials_block: str | None = Field(default=None, description="Name of a Prefect AwsCredentials block")
    image_uri: str | None = Field(default=None, description="Container image; the region's DeepAR image when absent")
    training_instance: DeepArInstance = DeepArInstance()
    volume_gb: int = Field(default=30, ge=1, description="Disk of a training instance")
    max_runtime_seconds: int = Field(default=3_600, ge=60, description="A job that takes longer is stopped")
    spot: bool = Field(default=False, description="Train on spot capacity (without checkpoints: one hour at most)")
    max_wait_seconds: int | None = Field(default=None, ge=60, description="With spot: longest wait, runtime included")
    subnets: list[str] = Field(default=[], description="VPC subnets of the jobs")
    security_groups: list[str] = Field(default=[], description="VPC security groups of the jobs")
    kms_key: str | None = Field(default=None, description="KMS key for volumes and outputs")
    tags: dict[str, str] = Field(default={}, description="Tags of everything that is created")
    inference: Literal["transform", "endpoint"] = Field(
        default="transform", description="Batch transform, or an endpoint that stands for the time of the run"
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

    @model_validator(mode="after")
    def _network_and_spot_are_whole(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups belong together: give both or none")
        if self.max_wait_seconds is not None and self.max_wait_seconds < self.max_runtime_seconds:
            raise ValueError("max_wait_seconds includes the runtime: it must be at least max_runtime_seconds")
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
    num_samples: int = Field(default=200, ge=20, description="Sample paths behind a forecast")
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

    def read_by_training(self) -> dict[str, Any]:
        """The part that decides what is trained and forecast: what the cache key of a training reads."""
        kept = {"backend", "hyperparameters", "categorical", "dynamic", "num_samples", "configurations"}
        part = self.model_dump(mode="json", include=kept)
        return part | {"batches_per_epoch": self.local.batches_per_epoch if self.backend == "local" else None}
