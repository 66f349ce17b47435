from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.aws_twin.client import BUCKET, TwinClient, training_definition, wait_until
from tests.aws_twin.containers import CONTAINER_VARIABLE
from tests.aws_twin.fixture import FAKE_CONTAINER, ROOT, running_twin


@pytest.fixture(scope="module")
def twin() -> TwinClient:
    """A separate twin, because these tests count calls and empty it."""
    with running_twin() as running:
        yield running


@pytest.fixture
def definition(twin: TwinClient) -> dict[str, object]:
    twin.reset()
    return training_definition({"train": twin.put_series("data/train")})


def code_of(call: object, **request: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"]


def test_a_throttled_call_is_repeated_by_the_client_and_makes_one_job(
    twin: TwinClient, definition: dict[str, object]
) -> None:
    twin.refuse("CreateTrainingJob", "ThrottlingException", times=2)
    patient = twin.client("sagemaker", attempts=4)
    patient.create_training_job(TrainingJobName="throttled", **definition)
    assert twin.asked("CreateTrainingJob") == 3
    assert twin.accepted("CreateTrainingJob") == 1
    assert twin.wait_for_training("throttled")["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("error", "status"), [("ResourceLimitExceeded", 400), ("InternalFailure", 500), ("ServiceUnavailable", 503)]
)
def test_an_error_on_demand_has_its_code_and_status(
    twin: TwinClient, definition: dict[str, object], error: str, status: int
) -> None:
    twin.refuse("CreateTrainingJob", error)
    with pytest.raises(ClientError) as caught:
        twin.client("sagemaker").create_training_job(TrainingJobName="refused", **definition)
    assert caught.value.response["Error"]["Code"] == error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert code_of(twin.client("sagemaker").describe_training_job, TrainingJobName="refused") == "ValidationException"


def test_a_lost_answer_leaves_a_job_behind(twin: TwinClient, definition: dict[str, object]) -> None:
    twin.refuse("CreateTrainingJob", "InternalFailure", performed=True)
    assert code_of(twin.client("sagemaker").create_training_job, TrainingJobName="lost", **definition) == (
        "InternalFailure"
    )
    assert twin.wait_for_training("lost")["TrainingJobStatus"] == "Completed"
    assert twin.accepted("CreateTrainingJob") == 1


def test_the_next_training_of_a_name_fails_for_the_given_reason(
    twin: TwinClient, definition: dict[str, object]
) -> None:
    twin.disturb("training", "fail", reason="InternalServerError: We encountered an internal error.", name="unlucky")
    sagemaker = twin.client("sagemaker")
    for name in ("lucky", "unlucky", "unlucky-again"):
        sagemaker.create_training_job(TrainingJobName=name, **definition)
    assert twin.wait_for_training("lucky")["TrainingJobStatus"] == "Completed"
    ended = [twin.wait_for_training(name) for name in ("unlucky", "unlucky-again")]
    assert sorted(job["TrainingJobStatus"] for job in ended) == ["Completed", "Failed"]
    assert {job.get("FailureReason") for job in ended} == {
        None,
        "InternalServerError: We encountered an internal error.",
    }


def test_a_delayed_training_waits_in_starting_and_can_be_stopped_there(
    twin: TwinClient, definition: dict[str, object]
) -> None:
    twin.disturb("training", "delay", seconds=60)
    sagemaker = twin.client("sagemaker")
    sagemaker.create_training_job(TrainingJobName="delayed", **definition)
    assert sagemaker.describe_training_job(TrainingJobName="delayed")["SecondaryStatus"] == "Starting"
    sagemaker.stop_training_job(TrainingJobName="delayed")
    job = twin.wait_for_training("delayed")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == ["Starting", "Stopping", "Stopped"]
    assert "TrainingTimeInSeconds" not in job


def test_an_upload_that_s3_refuses_at_first_arrives_in_the_end(twin: TwinClient, definition: dict[str, object]) -> None:
    twin.refuse("PutObject", "SlowDown", times=2)
    s3 = twin.client("s3", attempts=4)
    s3.put_object(Bucket=BUCKET, Key="late.txt", Body=b"at last")
    assert twin.read(f"s3://{BUCKET}/late.txt") == b"at last"
    assert twin.asked("PutObject") == 4  # the series of the definition, and three times this one
    twin.refuse("GetObject", "AccessDenied")
    assert code_of(twin.client("s3").get_object, Bucket=BUCKET, Key="late.txt") == "AccessDenied"


def test_a_fault_that_makes_no_sense_is_refused(twin: TwinClient) -> None:
    with pytest.raises(ValueError, match="names either an operation or a job"):
        twin.refuse("CreateTrainingJob", job="training", fault="fail")
    with pytest.raises(ValueError, match="job is one of training, transform, endpoint"):
        twin.disturb("lunch", "fail")


def test_a_reset_ends_the_jobs_and_empties_the_bucket(twin: TwinClient, definition: dict[str, object]) -> None:
    slow = {**definition, "HyperParameters": {**definition["HyperParameters"], "fake_seconds": "60"}}
    twin.client("sagemaker").create_training_job(TrainingJobName="forgotten", **slow)
    twin.reset()
    assert "Contents" not in twin.client("s3").list_objects_v2(Bucket=BUCKET)
    assert code_of(twin.client("sagemaker").describe_training_job, TrainingJobName="forgotten") == "ValidationException"
    assert twin.asked("CreateTrainingJob") == 0


def test_an_operation_that_the_twin_does_not_play_is_motos(twin: TwinClient) -> None:
    assert twin.client("sagemaker").list_pipelines()["PipelineSummaries"] == []
    assert twin.client("sts").get_caller_identity()["Account"] == "123456789012"
    role = twin.client("iam").get_role(RoleName="restock-twin")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/restock-twin"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_twin_and_what_it_started(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.aws_twin", "--port", "0", "--data", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, CONTAINER_VARIABLE: shlex.join(FAKE_CONTAINER)},
    )
    try:
        lines = [process.stdout.readline() for _ in range(6)]
        address = lines[1].strip().partition("=")[2]
        with urllib.request.urlopen(f"{address}/twin/health", timeout=10) as answer:
            assert answer.status == 200
        twin = TwinClient(address)
        slow = training_definition({"train": twin.put_series("data")}, fake_seconds="60", fake_deaf="yes")
        twin.client("sagemaker").create_training_job(TrainingJobName="deaf", **slow)
        note = tmp_path / "us-east-1" / "training" / "deaf" / "output" / "process"
        wait_until(lambda: note.exists() and note.read_text() != "")
        process.send_signal(number)
        assert process.wait(20) == 0
        with pytest.raises(EndpointConnectionError):
            twin.client("s3").list_buckets()
        with pytest.raises(ProcessLookupError):
            os.kill(int(note.read_text()), 0)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
