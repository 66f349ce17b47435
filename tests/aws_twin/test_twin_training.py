from __future__ import annotations

import io
import itertools
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_twin.client import BUCKET, TwinClient, training_definition

_numbers = itertools.count(1)


def new_name(word: str = "training") -> str:
    return f"{word}-{next(_numbers)}"


def refused(call: Any, **request: Any) -> tuple[str, str]:
    """Code and message of the refusal."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def statuses(job: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def train(twin: TwinClient, definition: dict[str, Any], **changes: Any) -> str:
    name = new_name()
    twin.client("sagemaker").create_training_job(TrainingJobName=name, **{**definition, **changes})
    return name


SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 3600},
}


def test_a_training_walks_through_the_states_and_leaves_its_archive(
    aws_twin: TwinClient, channels: dict[str, str]
) -> None:
    name = train(aws_twin, training_definition(channels, fake_seconds="0.3"))
    early = aws_twin.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert early["TrainingJobStatus"] == "InProgress"
    assert "S3ModelArtifacts" not in early.get("ModelArtifacts", {})
    assert "FailureReason" not in early

    job = aws_twin.wait_for_training(name)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == pytest.approx(
        {"train:final_loss": 0.001, "test:RMSE": 0.001, "test:mean_wQuantileLoss": 0.001}
    )
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/models/{name}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(aws_twin.read(uri))) as archive:
        content = archive.extractfile("model.json")
        assert content is not None
        assert json.load(content)["prediction_length"] == "7"


def test_the_waiter_of_botocore_ends_with_the_training(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    name = train(aws_twin, training_definition(channels))
    waiter = aws_twin.client("sagemaker").get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def test_a_training_without_a_test_channel_has_no_test_metric(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    job = aws_twin.wait_for_training(train(aws_twin, training_definition({"train": channels["train"]})))
    assert [metric["MetricName"] for metric in job["FinalMetricDataList"]] == ["train:final_loss"]


def test_the_containers_reason_is_the_failure_reason(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    reason = "ClientError: likelihood beta needs targets between 0 and 1"
    job = aws_twin.wait_for_training(train(aws_twin, training_definition(channels, fake_failure=reason)))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"], job["FailureReason"]) == ("Failed", "Failed", reason)
    assert statuses(job) == ["Starting", "Downloading", "Training", "Failed"]
    assert "S3ModelArtifacts" not in job.get("ModelArtifacts", {})


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/nowhere/", "s3://no-such-bucket/train/"])
def test_a_channel_without_data_fails_the_training(aws_twin: TwinClient, uri: str) -> None:
    job = aws_twin.wait_for_training(train(aws_twin, training_definition({"train": uri})))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f'ClientError: No S3 objects found under S3 URL "{uri}"')
    assert statuses(job) == ["Starting", "Downloading", "Failed"]


def test_files_that_sagemaker_skips_are_no_data(aws_twin: TwinClient) -> None:
    for file in ("_SUCCESS", ".hidden.json"):
        aws_twin.put(f"skipped/{file}", "{}")
    job = aws_twin.wait_for_training(train(aws_twin, training_definition({"train": f"s3://{BUCKET}/skipped/"})))
    assert job["FailureReason"].startswith("ClientError: No S3 objects found")


def test_a_name_is_taken_once(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    definition = training_definition(channels)
    name = train(aws_twin, definition)
    code, message = refused(aws_twin.client("sagemaker").create_training_job, TrainingJobName=name, **definition)
    assert code == "ResourceInUse"
    assert message.startswith("Training job names must be unique within an AWS account and region")


def test_a_training_that_takes_too_long_is_stopped_not_failed(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    definition = training_definition(channels, fake_seconds="60")
    job = aws_twin.wait_for_training(train(aws_twin, definition, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "FailureReason" not in job


def test_an_interrupted_spot_training_starts_again(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    aws_twin.disturb("training", "interrupt")
    job = aws_twin.wait_for_training(train(aws_twin, training_definition(channels), **SPOT))
    assert statuses(job) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert job["TrainingJobStatus"] == "Completed"


def test_a_spot_training_that_waits_too_long_is_stopped(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    aws_twin.disturb("training", "max_wait")
    job = aws_twin.wait_for_training(train(aws_twin, training_definition(channels), **SPOT))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    aws_twin.disturb("training", "delay", seconds=60)
    definition = training_definition(channels)
    impatient = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    job = aws_twin.wait_for_training(train(aws_twin, definition, **{**SPOT, "StoppingCondition": impatient}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert statuses(job) == ["Starting", "MaxWaitTimeExceeded"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"TrainingJobName": "under_score"}, "Value 'under_score' at 'trainingJobName' failed to satisfy constraint: "),
        ({"TrainingJobName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"RoleArn": "arn:aws:iam::12:role/restock"}, "at 'roleArn' failed to satisfy constraint: Member must satisfy"),
        ({"InputDataConfig": None}, "Value null at 'inputDataConfig' failed to satisfy constraint: "),
        ({"StoppingCondition": None}, "Value null at 'stoppingCondition' failed to satisfy constraint: "),
        (
            {"ResourceConfig": {"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1}},
            "Value 'ml.huge' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum",
        ),
        (
            {"AlgorithmSpecification": {"TrainingImage": "xgboost:1", "TrainingInputMode": "File"}},
            "plays only the built-in algorithm forecasting-deepar; the image was xgboost:1",
        ),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds. It must be present"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 2}},
            "It is only supported when EnableManagedSpotTraining is set to true",
        ),
        (
            {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 3601}},
            "MaxWaitTimeInSeconds above 3600 is not supported for the given algorithm.",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    aws_twin: TwinClient, channels: dict[str, str], changes: dict[str, Any], expected: str
) -> None:
    request = {"TrainingJobName": new_name(), **training_definition(channels), **changes}
    given = {name: value for name, value in request.items() if value is not None}
    code, message = refused(aws_twin.client("sagemaker").create_training_job, **given)
    assert code == "ValidationException"
    assert expected in message


def test_a_job_that_never_was_is_not_found(aws_twin: TwinClient) -> None:
    sagemaker = aws_twin.client("sagemaker")
    expected = ("ValidationException", "Requested resource not found.")
    assert refused(sagemaker.describe_training_job, TrainingJobName="never-was") == expected
    assert refused(sagemaker.stop_training_job, TrainingJobName="never-was") == expected


def test_jobs_are_listed_page_by_page(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    definition = training_definition(channels)
    for number in range(12):
        aws_twin.client("sagemaker").create_training_job(TrainingJobName=f"listed-{number:02}", **definition)
    sagemaker = aws_twin.client("sagemaker")
    first = sagemaker.list_training_jobs(NameContains="listed")
    assert len(first["TrainingJobSummaries"]) == 10
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed", SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 5}
    )
    names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert names == [f"listed-{number:02}" for number in reversed(range(12))]
    for name in names:
        aws_twin.wait_for_training(name)
    done = sagemaker.list_training_jobs(NameContains="listed", StatusEquals="Completed", MaxResults=100)
    assert len(done["TrainingJobSummaries"]) == 12


def test_tags_are_kept_with_the_job(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    sagemaker = aws_twin.client("sagemaker")
    name = train(aws_twin, training_definition(channels), Tags=[{"Key": "run", "Value": "1"}])
    arn = aws_twin.wait_for_training(name)["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "2"}, {"Key": "store", "Value": "7"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["store"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "2"}]


def test_the_container_s_words_are_in_the_log_stream(aws_twin: TwinClient, channels: dict[str, str]) -> None:
    name = train(aws_twin, training_definition(channels))
    aws_twin.wait_for_training(name)
    logs = aws_twin.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in events] == ["training on 3 series"]
