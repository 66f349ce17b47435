from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.aws_twin.client import TwinClient, model_definition, training_definition

_numbers = itertools.count(1)


@pytest.fixture
def new_name() -> Callable[[str], str]:
    """Names that no other test of the session takes."""
    return lambda word="thing": f"{word}-{next(_numbers)}"


@pytest.fixture(scope="session")
def channels(aws_twin: TwinClient) -> dict[str, str]:
    """Prefixes of small series for both channels."""
    return {name: aws_twin.put_series(f"channels/{name}") for name in ("train", "test")}


@pytest.fixture(scope="session")
def new_model(aws_twin: TwinClient, channels: dict[str, str]) -> Callable[..., str]:
    """Trains a fake model with hyperparameters and creates it; its name."""

    def create(**hyperparameters: str) -> str:
        name, sagemaker = f"model-{next(_numbers)}", aws_twin.client("sagemaker")
        sagemaker.create_training_job(TrainingJobName=name, **training_definition(channels, **hyperparameters))
        archive = aws_twin.wait_for_training(name)["ModelArtifacts"]["S3ModelArtifacts"]
        sagemaker.create_model(ModelName=name, **model_definition(archive))
        return name

    return create


@pytest.fixture(scope="session")
def model(new_model: Callable[..., str]) -> str:
    """A model that forecasts seven days."""
    return new_model()
