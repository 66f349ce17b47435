"""Stopping a training whose container is known to listen: its folder says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.aws_twin.client import TwinClient, training_definition, wait_until
from tests.aws_twin.fixture import running_twin


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twin")


@pytest.fixture(scope="module")
def twin(data: Path) -> Iterator[TwinClient]:
    with running_twin(data=data) as running:
        yield running


@pytest.fixture
def begin(twin: TwinClient, data: Path) -> Callable[..., int]:
    """Creates a training of a minute and waits until its container listens; the container's process."""

    def create(name: str, **hyperparameters: str) -> int:
        definition = training_definition({"train": twin.put_series("train")}, fake_seconds="60", **hyperparameters)
        twin.client("sagemaker").create_training_job(TrainingJobName=name, **definition)
        note = data / "us-east-1" / "training" / name / "output" / "process"
        wait_until(lambda: note.exists() and note.read_text() != "")
        return int(note.read_text())

    return create


def test_a_stopped_training_keeps_what_it_had(twin: TwinClient, begin: Callable[..., int]) -> None:
    sagemaker = twin.client("sagemaker")
    begin("stopped")
    sagemaker.stop_training_job(TrainingJobName="stopped")

    job = twin.wait_for_training("stopped")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert twin.read(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert "FailureReason" not in job
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped") as caught:
        sagemaker.stop_training_job(TrainingJobName="stopped")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_container_that_does_not_hear_is_ended_with_nothing(twin: TwinClient, begin: Callable[..., int]) -> None:
    process = begin("deaf", fake_deaf="yes")
    twin.client("sagemaker").stop_training_job(TrainingJobName="deaf")
    assert twin.client("sagemaker").describe_training_job(TrainingJobName="deaf")["TrainingJobStatus"] == "Stopping"
    job = twin.wait_for_training("deaf")
    assert job["TrainingJobStatus"] == "Stopped"
    assert "S3ModelArtifacts" not in job.get("ModelArtifacts", {})
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_reset_ends_the_containers(twin: TwinClient, begin: Callable[..., int]) -> None:
    process = begin("forgotten", fake_deaf="yes")
    twin.reset()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
