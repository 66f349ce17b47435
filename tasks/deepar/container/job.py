"""A training job on a folder laid out as SageMaker's training container has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.deepar.container.checks import DataShape, check_training_series, shape_of
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.hyperparameters import Hyperparameters, parse_hyperparameters
from tasks.deepar.container.series import Series, read_channel

DEVICES = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class LocalOptions:
    """Options that SageMaker's container does not have.

    Attributes:
        seed: seed of the training and, if no other is given, of the forecasts.
        batches_per_epoch: training steps per epoch.
        device: ``auto`` = a GPU if torch finds one.
    """

    seed: int = 0
    batches_per_epoch: int = 10
    device: Literal["auto", "cpu", "gpu"] = "auto"


@dataclass(frozen=True)
class Folders:
    """The folders of a job."""

    root: Path

    @property
    def model(self) -> Path:
        """The trained model's files."""
        return self.root / "model"

    @property
    def metrics(self) -> Path:
        """Metrics by SageMaker's names, written last."""
        return self.root / "output" / "metrics.json"

    @property
    def progress(self) -> Path:
        """One JSON line per epoch."""
        return self.root / "output" / "progress.jsonl"

    @property
    def failure(self) -> Path:
        """The reason of a failure, one line."""
        return self.root / "output" / "failure"

    @property
    def stopped(self) -> Path:
        """Exists if the job was stopped."""
        return self.root / "output" / "stopped"

    @property
    def config(self) -> Path:
        """Hyperparameters and local options."""
        return self.root / "input" / "config"

    def channel(self, name: str) -> Path:
        """The data of a channel."""
        return self.root / "input" / "data" / name


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a training reads, checked.

    Attributes:
        texts: the hyperparameters as given.
        given: the same, typed.
        shape: properties of the data that the model depends on.
        training: the train channel.
        test: the test channel; empty if none exists.
    """

    texts: dict[str, str]
    given: Hyperparameters
    local: LocalOptions
    shape: DataShape
    training: list[Series]
    test: list[Series]


def read_job(folders: Folders) -> TrainingJob:
    """Read and check a job; torch is not needed for it.

    Raises:
        ClientError: hyperparameters or data are invalid.
    """
    texts = _mapping(folders.config / "hyperparameters.json")
    given = parse_hyperparameters(texts)
    local = parse_local(_mapping(folders.config / "local.json") if (folders.config / "local.json").exists() else {})
    training = read_channel(folders.channel("train"))
    shape = shape_of(training, given)
    test = read_channel(folders.channel("test")) if folders.channel("test").is_dir() else []
    for series in test:
        check_training_series(series, shape, given)
    return TrainingJob(dict(texts), given, local, shape, training, test)


def parse_local(given: Mapping[str, Any]) -> LocalOptions:
    """The content of ``local.json``.

    Raises:
        ClientError: an unknown name or an invalid value.
    """
    unknown = sorted(set(given) - set(LocalOptions.__dataclass_fields__))
    if unknown:
        raise ClientError(f"local.json does not know {', '.join(unknown)}.")
    options = LocalOptions(**given)
    for name, least in (("seed", 0), ("batches_per_epoch", 1)):
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ClientError(f"local.json: {name} must be a whole number of at least {least}, not {value!r}.")
    if options.device not in DEVICES:
        raise ClientError(f"local.json: device must be one of {', '.join(DEVICES)}, not {options.device!r}.")
    return options


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ClientError(f"input/config/{file.name} is missing.") from error
    except ValueError as error:
        raise ClientError(f"input/config/{file.name} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ClientError(f"input/config/{file.name} must be a JSON object.")
    return content
