"""Settings of DeepAR, local and on SageMaker: `models.deepar`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.settings.sagemaker import DeepArSageMakerSettings
from schemas.settings.strict import IN_ITS_SECTION, Strict

DataVariant = Literal["original", "cleaned"]
Likelihood = Literal["student-T", "negative-binomial", "gaussian", "beta", "deterministic-L1"]
Backend = Literal["local", "sagemaker"]


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
