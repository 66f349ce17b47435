"""Training jobs on the twin of AWS: what is sent, what comes back, and that nothing is paid twice."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest

from schemas.deepar import TrainedModel
from schemas.errors import ConfigError, TrainingError
from tasks.deepar.sagemaker.running import stop_jobs_of
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs
from tasks.storage.lake import open_lake
from tests.aws_twin.client import BUCKET, ROLE_ARN, TwinClient
from tests.commands import Start
from tests.deepar import sagemaker_stage as stage
from tests.deepar import waiting_run

ENDLESS = {"fake_seconds": "600"}
BAD_DATA = {"fake_failure": "ClientError: the series are too short for DeepAR"}


def test_a_training_ends_as_an_archive_with_metrics(twin: TwinClient) -> None:
    lake, told = stage.lake_on_twin(), stage.Told()
    trained = stage.backend(lake).train(stage.training(lake, learning_rate="0.25"), told)

    assert re.fullmatch(r"shoes-co-cleaned-student-t-[0-9a-f]{12}-1", trained.job)
    assert trained.archive.key == f"{stage.PREFIX}/output/{trained.job}/output/model.tar.gz"
    assert lake.holds(trained.archive)
    assert trained.metrics == {"train:final_loss": 0.25, "test:RMSE": 0.25, "test:mean_wQuantileLoss": 0.25}
    assert trained.billable_seconds > 0
    assert not trained.reused
    with tarfile.open(fileobj=BytesIO(lake.read_bytes(trained.archive.key))) as archive:
        model = json.load(archive.extractfile("model.json"))  # type: ignore[arg-type]
    assert model["context_length"] == "8"
    assert told.steps[-1].state == "finished"
    assert {step.job for step in told.steps} == {trained.job}
    assert lake.keys("deepar/running") == []


def test_what_the_settings_say_is_what_is_sent(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(
        lake,
        training_instance={"type": "ml.m5.xlarge", "count": 2},
        volume_gb=50,
        max_runtime_seconds=1_800,
        max_wait_seconds=3_000,
        spot=True,
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        kms_key="key-1",
        tags={"team": "planning"},
    )
    trained = backend.train(stage.training(lake), stage.Told())
    sent = stage.sagemaker().describe_training_job(TrainingJobName=trained.job)

    assert sent["AlgorithmSpecification"]["TrainingImage"].endswith("us-east-1.amazonaws.com/forecasting-deepar:1")
    assert sent["RoleArn"] == ROLE_ARN
    assert sent["ResourceConfig"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 50,
        "VolumeKmsKeyId": "key-1",
    }
    assert sent["StoppingCondition"] == {"MaxRuntimeInSeconds": 1_800, "MaxWaitTimeInSeconds": 3_000}
    assert sent["EnableManagedSpotTraining"] is True
    assert sent["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert sent["OutputDataConfig"] == {
        "S3OutputPath": f"s3://{BUCKET}/lake/{stage.PREFIX}/output",
        "KmsKeyId": "key-1",
    }
    folders = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in sent["InputDataConfig"]}
    data = f"s3://{BUCKET}/lake/{stage.PREFIX}/data/cleaned-student-t"
    assert folders == {"train": f"{data}/train/", "test": f"{data}/test/"}
    tags = stage.sagemaker().list_tags(ResourceArn=sent["TrainingJobArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "team": "planning",
        "restock:installation": f"s3://{BUCKET}/lake",
        "restock:name": "Shoes - Co",
        "restock:run": "run-1",
        "restock:purpose": "cleaned-student-t",
    }


def test_without_a_test_part_only_the_train_channel_is_sent(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    request = stage.training(lake)
    request = request.model_copy(update={"channel": request.channel.model_copy(update={"test": None})})
    trained = stage.backend(lake).train(request, stage.Told())
    sent = stage.sagemaker().describe_training_job(TrainingJobName=trained.job)
    assert [part["ChannelName"] for part in sent["InputDataConfig"]] == ["train"]


def test_the_same_request_finds_its_finished_job(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first = stage.backend(lake).train(stage.training(lake), stage.Told())
    # Limits, tags and spot do not change a model.
    again = stage.backend(lake, "run-2", max_runtime_seconds=600, spot=True, tags={"a": "b"}).train(
        stage.training(lake), stage.Told()
    )
    assert again.job == first.job
    assert again.archive == first.archive
    assert again.reused
    assert stage.training_jobs() == [first.job]


@pytest.mark.parametrize(
    "change",
    [
        lambda request, lake: request.model_copy(update={"seed": 8}),
        lambda request, lake: request.model_copy(
            update={"hyperparameters": request.hyperparameters | {"epochs": "21"}}
        ),
        lambda request, lake: request.model_copy(update={"channel": stage.channel(lake, level=6.0)}),
    ],
    ids=["seed", "hyperparameter", "data"],
)
def test_another_request_is_another_job(twin: TwinClient, change: Callable) -> None:
    lake = stage.lake_on_twin()
    first = stage.backend(lake).train(stage.training(lake), stage.Told())
    second = stage.backend(lake).train(change(stage.training(lake), lake), stage.Told())
    assert second.job != first.job
    assert len(stage.training_jobs()) == 2


def test_a_model_that_was_deleted_is_trained_again_under_the_next_number(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first = stage.backend(lake, max_attempts=1).train(stage.training(lake), stage.Told())
    lake.delete(first.archive.key)
    second = stage.backend(lake, max_attempts=1).train(stage.training(lake), stage.Told())
    assert second.job == first.job.removesuffix("-1") + "-2"
    assert lake.holds(second.archive)


def test_a_run_that_was_killed_takes_up_its_job(twin: TwinClient, fork: Start) -> None:
    """A process that waits for its job is killed; the next one finds the job under way and starts none."""
    lake = stage.lake_on_twin()
    process = fork("tests.deepar.waiting_run", environment=dict(os.environ))
    while not stage.training_jobs():
        assert process.poll() is None, process.output()
        time.sleep(stage.SHORT_PAUSE)
    process.kill_all()
    (job,) = stage.training_jobs()
    assert lake.keys("deepar/running") == [f"deepar/running/run-1/{job}.json"]

    trained = stage.backend(lake, "run-2").train(stage.training(lake, fake_seconds=waiting_run.SECONDS), stage.Told())
    assert trained.job == job
    assert trained.reused
    assert twin.asked("CreateTrainingJob") == 1
    # What the dead run has written down is struck off with it.
    assert stop_jobs_of(lake, stage.settings(), "run-1") == [job]
    assert lake.keys("deepar/running") == []


def test_threads_that_ask_the_same_share_one_job(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    request = stage.training(lake)
    found: list[TrainedModel] = []
    backend = stage.backend(lake)
    threads = [threading.Thread(target=lambda: found.append(backend.train(request, stage.Told()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({trained.job for trained in found}) == 1
    assert len(found) == 4
    assert len(stage.training_jobs()) == 1


def test_no_more_jobs_run_side_by_side_than_the_settings_allow(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    requests = [stage.training(lake, epochs=str(epochs), fake_seconds="0.3") for epochs in (10, 11, 12)]
    backends = [stage.backend(lake, max_parallel_jobs=1) for _ in requests]
    told = stage.Told()
    threads = [
        threading.Thread(target=backend.train, args=(request, told))
        for backend, request in zip(backends, requests, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = [stage.sagemaker().describe_training_job(TrainingJobName=job) for job in stage.training_jobs()]
    assert len(jobs) == 3
    assert "waiting for other jobs: at most 1 in parallel (max_parallel_jobs)" in {step.detail for step in told.steps}
    spans = sorted((job["CreationTime"], job["TrainingEndTime"]) for job in jobs)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_bad_data_is_not_tried_again(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    said = (
        r"failed on its data and is not tried again, .*: ClientError: the series are(.|\n)*Last lines of the log:\n  \w"
    )
    with pytest.raises(TrainingError, match=said):
        stage.backend(lake).train(stage.training(lake, **BAD_DATA), stage.Told())
    with pytest.raises(TrainingError, match="too short"):
        stage.backend(lake, "run-2").train(stage.training(lake, **BAD_DATA), stage.Told())
    assert len(stage.training_jobs()) == 1
    assert lake.keys("deepar/running") == []


def test_what_aws_got_wrong_is_tried_again(twin: TwinClient) -> None:
    twin.disturb("training", "fail", reason="CapacityError: no ml.c5.2xlarge is free")
    lake = stage.lake_on_twin()
    trained = stage.backend(lake).train(stage.training(lake), stage.Told())
    assert trained.job.endswith("-2")
    assert not trained.reused
    assert len(stage.training_jobs()) == 2


def test_throttling_only_delays(twin: TwinClient) -> None:
    for operation in ("CreateTrainingJob", "DescribeTrainingJob"):
        twin.refuse(operation, "ThrottlingException")
    lake = stage.lake_on_twin()
    assert stage.backend(lake).train(stage.training(lake), stage.Told()).job.endswith("-1")
    assert len(stage.training_jobs()) == 1


def test_a_lost_answer_to_a_start_starts_no_second_job(twin: TwinClient) -> None:
    """The job was created, but the answer did not arrive: the next look finds it."""
    twin.refuse("CreateTrainingJob", "InternalFailure", performed=True)
    lake = stage.lake_on_twin()
    assert stage.backend(lake).train(stage.training(lake), stage.Told()).job.endswith("-1")
    assert len(stage.training_jobs()) == 1


def test_a_used_up_quota_is_waited_for(twin: TwinClient) -> None:
    said = "The account-level service limit is 2 Instances, with current utilization of 2 Instances."
    twin.refuse("CreateTrainingJob", "ResourceLimitExceeded", times=5, message=said)
    lake, told = stage.lake_on_twin(), stage.Told()
    assert stage.backend(lake).train(stage.training(lake), told).job.endswith("-1")
    assert "waiting for the quota of instances" in [step.detail for step in told.steps]


def test_a_quota_of_zero_is_the_operators(twin: TwinClient) -> None:
    twin.refuse("CreateTrainingJob", "ResourceLimitExceeded", times=9)
    lake = stage.lake_on_twin()
    with pytest.raises(ConfigError, match=r"is 0 Instances.*higher quota"):
        stage.backend(lake).train(stage.training(lake), stage.Told())
    assert lake.keys("deepar/running") == []


def test_missing_rights_are_the_operators(twin: TwinClient) -> None:
    twin.refuse("CreateTrainingJob", "AccessDeniedException")
    lake = stage.lake_on_twin()
    with pytest.raises(ConfigError, match=r"not authorized.*docs/sagemaker.md"):
        stage.backend(lake).train(stage.training(lake), stage.Told())


def start_endless(
    lake: Any, run_id: str = "run-1", number: int = 1, seed: int = 7, **values: Any
) -> tuple[threading.Thread, list[Exception]]:
    """A training that does not end by itself, waited for in a thread; returns when this number of jobs was started."""
    errors: list[Exception] = []
    request = stage.training(lake, **ENDLESS).model_copy(update={"seed": seed})

    def wait() -> None:
        try:
            stage.backend(lake, run_id, **values).train(request, stage.Told())
        except TrainingError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while len(stage.training_jobs()) < number:
        time.sleep(stage.SHORT_PAUSE)
    return thread, errors


def test_a_job_that_a_person_stops_is_an_error_and_may_run_again(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    thread, errors = start_endless(lake, max_attempts=1)
    (job,) = stage.training_jobs()
    stage.backend(lake).stop(job)
    thread.join()
    assert re.search(rf"training job {job} was stopped by somebody.*Run again", str(errors[0]))
    stage.backend(lake).stop(job)
    stage.backend(lake).stop("never-there")

    thread, errors = start_endless(lake, number=2, max_attempts=1)
    assert sorted(stage.training_jobs())[1].endswith("-2")
    stage.backend(lake).stop(sorted(stage.training_jobs())[1])
    thread.join()


def test_another_process_stops_what_a_run_has_under_way(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    thread, errors = start_endless(lake, "run-of-today")
    jobs = stage.training_jobs()
    assert stop_jobs_of(stage.lake_on_twin(), stage.settings(), "another-run") == []
    assert stop_jobs_of(stage.lake_on_twin(), stage.settings(), "run-of-today") == jobs
    thread.join()
    assert "was stopped" in str(errors[0])
    assert stop_jobs_of(stage.lake_on_twin(), stage.settings(), "run-of-today") == []


def test_a_cancelled_run_leaves_the_job_that_another_run_waits_for(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first, errors = start_endless(lake, "run-1")
    second, _ = start_endless(lake, "run-2")
    (job,) = stage.training_jobs()
    while len(lake.keys("deepar/running")) < 2:
        time.sleep(stage.SHORT_PAUSE)
    assert stop_jobs_of(lake, stage.settings(), "run-2") == [job]
    assert twin.asked("StopTrainingJob") == 0
    assert lake.keys("deepar/running") == [f"deepar/running/run-1/{job}.json"]
    # A note that nobody has renewed for hours is a killed run's, and saves no job.
    RunningJobs(lake, "dead").restore(RunningJob("training", job, "us-east-1", noted=time.time() - 10_000.0))
    assert stop_jobs_of(lake, stage.settings(), "run-1") == [job]
    first.join()
    second.join()
    assert "was stopped" in str(errors[0])


def test_without_spot_capacity_the_next_attempt_runs_on_demand(twin: TwinClient) -> None:
    twin.disturb("training", "max_wait", times=2)
    lake = stage.lake_on_twin()
    with pytest.raises(TrainingError, match="no spot capacity within max_wait_seconds"):
        stage.backend(lake, spot="require", max_runtime_seconds=3_000).train(stage.training(lake), stage.Told())
    trained = stage.backend(lake, "run-2", spot=True, max_runtime_seconds=7_200).train(
        stage.training(lake), stage.Told()
    )
    sent = [stage.sagemaker().describe_training_job(TrainingJobName=job) for job in sorted(stage.training_jobs())]
    assert [job["EnableManagedSpotTraining"] for job in sent] == [True, True, False]
    assert [job["StoppingCondition"] for job in sent[1:]] == [
        {"MaxRuntimeInSeconds": 3_000, "MaxWaitTimeInSeconds": 3_600},
        {"MaxRuntimeInSeconds": 7_200},
    ]
    assert trained.job.endswith("-3")


def test_settings_that_cannot_serve_are_told_before_anything_starts(twin: TwinClient, tmp_path: object) -> None:
    lake = stage.lake_on_twin()
    with pytest.raises(ConfigError, match=r"models\.deepar\.sagemaker\.role is required but absent"):
        stage.backend(lake, role=None)
    with pytest.raises(ConfigError, match=r"needs storage in a bucket.*Set storage to s3://"):
        stage.backend(open_lake(str(tmp_path)))
    with pytest.raises(ConfigError, match="DeepAR's image in the region mars-north-1 is unknown"):
        stage.backend(lake, region="mars-north-1")


def test_one_job_that_cannot_be_stopped_does_not_save_the_others(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first, _ = start_endless(lake)
    second, _ = start_endless(lake, number=2, seed=8)
    twin.refuse("StopTrainingJob", "AccessDeniedException")
    with pytest.raises(ConfigError, match="not authorized"):
        stop_jobs_of(lake, stage.settings(), "run-1")
    assert twin.accepted("StopTrainingJob") == 1
    assert stop_jobs_of(lake, stage.settings(), "run-1") != []
    first.join()
    second.join()
    assert twin.accepted("StopTrainingJob") == 2


def test_without_the_aws_packages_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.deepar.sagemaker as package

    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(ConfigError, match=r"restock\[aws\].*Or set backend to local"):
        importlib.reload(package)
