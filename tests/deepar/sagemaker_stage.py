"""Data, requests and a backend on the twin of AWS, for the tests of the SageMaker backend."""

from __future__ import annotations

import functools
import gzip
import json
import time
from typing import Any

import boto3

from schemas.deepar import DeepArChannel, JobProgress, TrainingRequest
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.backend import SageMakerBackend
from tasks.storage.lake import Lake, open_lake
from tests.aws_twin.client import BUCKET, ROLE_ARN

SERIES = 3
LENGTH = 4
PREFIX = "deepar/forecasting-weekly-3-v0123456789ab"
# A look at a job takes 20 milliseconds of processor time, here and in the twin.
SHORT_PAUSE = 0.08


def lake_on_twin() -> Lake:
    return open_lake(f"s3://{BUCKET}/lake")


def settings(**values: Any) -> DeepArSageMakerSettings:
    return DeepArSageMakerSettings(**({"role": ROLE_ARN, "poll_seconds": SHORT_PAUSE} | values))


def pause(seconds: float) -> None:
    """Waits for the twin's threads, however long AWS would be given."""
    time.sleep(min(seconds, 2 * SHORT_PAUSE))


@functools.cache
def session() -> Any:
    """One session for all tests: the SDK makes its clients once for each."""
    return boto3.session.Session()


def backend(
    lake: Lake, run_id: str = "run-1", unchecked: dict[str, Any] | None = None, **values: Any
) -> SageMakerBackend:
    """A backend on the twin; ``unchecked`` sets what no settings file may say."""
    chosen = settings(**values).model_copy(update=unchecked)
    return SageMakerBackend(lake, chosen, "Shoes & Co", session(), run_id, pause)


def channel(lake: Lake, configuration: str = "cleaned-student-t", level: float = 5.0) -> DeepArChannel:
    """Three series of 110 weeks; the last LENGTH are the test's."""
    whole = [
        {"start": "2024-01-01 00:00:00", "target": [level + series] * 110, "cat": [series]} for series in range(SERIES)
    ]
    cut = [{**line, "target": line["target"][:-LENGTH]} for line in whole]
    folder = f"{PREFIX}/data/{configuration}"
    return DeepArChannel(
        prefix=PREFIX,
        configuration=configuration,
        train=lake.write_bytes(f"{folder}/train/train.json.gz", packed(cut)),
        test=lake.write_bytes(f"{folder}/test/test.json.gz", packed(whole)),
        inference=lake.write_bytes(f"{folder}/inference/input.json.gz", packed(whole)),
        key_file=lake.write_bytes(f"{folder}/inference/keys.csv", b"store_id,category\nA,x\nA,y\nB,x\n"),
        time_freq="W",
        prediction_length=LENGTH,
        series=SERIES,
        observations=SERIES * (110 - LENGTH),
        cardinality=(SERIES,),
    )


def packed(lines: list[dict[str, Any]]) -> bytes:
    return gzip.compress("\n".join(json.dumps(line) for line in lines).encode(), mtime=0)


def training(lake: Lake, configuration: str = "cleaned-student-t", **hyperparameters: str) -> TrainingRequest:
    asked = {
        "time_freq": "W",
        "prediction_length": str(LENGTH),
        "context_length": "8",
        "epochs": "20",
        "likelihood": "student-T",
        "learning_rate": "0.001",
    }
    return TrainingRequest(
        purpose=configuration, channel=channel(lake, configuration), hyperparameters=asked | hyperparameters, seed=7
    )


def sagemaker() -> Any:
    return session().client("sagemaker")


def training_jobs() -> list[str]:
    return [job["TrainingJobName"] for job in sagemaker().list_training_jobs(MaxResults=100)["TrainingJobSummaries"]]


class Told:
    """Collects what is reported."""

    def __init__(self) -> None:
        self.steps: list[JobProgress] = []

    def __call__(self, step: JobProgress) -> None:
        self.steps.append(step)
