"""What follows from a job that ended without a result: pure decisions, and a worker over scripted jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from schemas.errors import ConfigError, TrainingError
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.decisions import Cause, Decision, Ended, cause_of, decide
from tasks.deepar.sagemaker.faults import explained
from tasks.deepar.sagemaker.jobs import TrainingJobs
from tasks.deepar.sagemaker.logs import last_lines, place_of
from tasks.deepar.sagemaker.names import WorkName
from tasks.deepar.sagemaker.slots import Slots
from tasks.deepar.sagemaker.under_way import RunningJobs
from tasks.deepar.sagemaker.work import Outcome, Work, Worker
from tasks.storage.lake import open_lake


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("ClientError: Error when parsing json (caused by ValueError)", Cause.DATA),
        ("ClientError: training time series consist of only zeros", Cause.DATA),
        ("ClientError: The train channel holds 40 observations in all series; DeepAR needs at least 300.", Cause.DATA),
        ("ClientError: train.json, line 3: target[4] is -1; the likelihood negative-binomial takes counts", Cause.DATA),
        ("ClientError: Additional hyperparameters are not allowed ('seed' was unexpected)", Cause.DATA),
        ("AlgorithmError: dynamic_feat has 3 rows, expected 2.", Cause.DATA),
        ("ClientError: SageMaker was unable to assume the role arn:aws:iam::1:role/x", Cause.ENVIRONMENT),
        ("ClientError: Data download failed:AccessDenied (403): Access Denied", Cause.ENVIRONMENT),
        ("ClientError: ensure that the subnet's route table has a route to an S3 VPC endpoint", Cause.ENVIRONMENT),
        ("ClientError: The KMS key is not accessible: kms:GenerateDataKey on target", Cause.ENVIRONMENT),
        ("ClientError: Cannot pull the image from the ECR repository", Cause.ENVIRONMENT),
        (
            'ClientError: No S3 objects found under S3 URL "s3://b/train/" given in input data source.',
            Cause.ENVIRONMENT,
        ),
        ("CapacityError: Unable to provision requested ML compute capacity.", Cause.CAPACITY),
        ("InternalServerError: We encountered an internal error. Please try again.", Cause.CAPACITY),
        ("ClientError: See job logs for more information", Cause.OTHER),
        ("AlgorithmError: loss is nan", Cause.OTHER),
        ("", Cause.OTHER),
    ],
)
def test_failures_are_classified_by_content_and_not_by_prefix(reason: str, cause: Cause) -> None:
    assert cause_of(reason) is cause


def view(status: str = "Failed", secondary: str = "", reason: str = "", spot: bool = False) -> Any:
    answer = {"TrainingJobStatus": status, "SecondaryStatus": secondary, "FailureReason": reason}
    return TrainingJobs(SimpleNamespace())._view({**answer, "EnableManagedSpotTraining": spot})  # type: ignore[arg-type]


def decision(kind: str = "training", own: bool = True, failures: int = 0, **values: Any) -> Decision:
    said = {name: values.pop(name) for name in ("status", "secondary", "reason", "spot") if name in values}
    shown = view(**said)
    ended = Ended(kind, "x-1", shown, own, own, failures, cause=cause_of(shown.reason))  # type: ignore[arg-type]
    return decide(ended, DeepArSageMakerSettings(**values))


CAPACITY = "CapacityError: no capacity"


def test_attempts_count_per_run_and_pauses_grow() -> None:
    assert decision(reason=CAPACITY, max_attempts=9) == Decision(counts=True, pause=3.0)
    assert [decision(reason=CAPACITY, max_attempts=9, failures=n).pause for n in range(6)] == [3, 6, 12, 24, 45, 45]
    assert decision(reason="ClientError: unable to assume the role r", max_attempts=9).pause == 3.0
    assert decision(reason="AlgorithmError: loss is nan").pause == 1.0
    last = decision(reason=CAPACITY, failures=1)
    assert "attempt 2 of 2 in this run" in last.error
    assert "Run again later" in last.error
    # What an earlier run failed at blocks nothing, except errors of the data.
    assert decision(own=False, reason=CAPACITY, failures=0, max_attempts=1) == Decision()
    assert "failed on its data and is not tried again" in decision(own=False, reason="ClientError: no series").error
    assert "Check role, bucket, subnets" in decision(reason="ClientError: role trust", max_attempts=1).error


def test_a_tuning_job_has_one_attempt_in_a_run() -> None:
    assert "attempt 1 of 1 in this run" in decision("tuning", reason=CAPACITY, max_attempts=5).error
    assert decision("tuning", own=False, reason=CAPACITY) == Decision()


def test_spot_falls_back_to_on_demand_once_and_only_where_it_may() -> None:
    waited = {"status": "Stopped", "secondary": "MaxWaitTimeExceeded", "spot": True}
    prefer = DeepArSageMakerSettings(spot="prefer")
    assert decide(Ended("training", "x-1", view(**waited), True, True, 0), prefer) == Decision(on_demand=True)
    require = DeepArSageMakerSettings(spot="require", max_runtime_seconds=1_800)
    assert "no spot capacity" in decide(Ended("training", "x-1", view(**waited), True, True, 0), require).error
    gone = Ended("training", "x-1", view(reason=CAPACITY, spot=True), True, True, 0, cause=Cause.CAPACITY)
    assert decide(gone, prefer).on_demand
    # Out of runtime: on demand only where that allows more of it.
    slow = Ended("training", "x-1", view("Stopped", "MaxRuntimeExceeded", spot=True), True, True, 0)
    assert decide(slow, prefer).on_demand
    short = DeepArSageMakerSettings(spot="prefer", max_runtime_seconds=900)
    assert "longer than max_runtime_seconds, 900" in decide(slow, short).error


class Scripted:
    """Jobs that answer what a test says: per job its views in order (the last one stays), or errors."""

    kind = "training"

    def __init__(self, **views: Sequence[Any]) -> None:
        self.views = {name.replace("_", "-"): list(found) for name, found in views.items()}
        self.created: list[tuple[str, bool]] = []
        self.refusals: list[Exception] = []
        self.lines: list[str] = []
        self.after_creation: dict[str, list[Any]] = {}

    def describe(self, name: str) -> Any:
        views = self.views.get(name, [None])
        found = views.pop(0) if len(views) > 1 else views[0]
        if isinstance(found, Exception):
            raise found
        return found

    def create(self, name: str, request: dict[str, Any]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.created.append((name, request["spot"]))
        self.views[name] = self.after_creation.get(name, [view("Completed")])

    def stop(self, name: str) -> None:
        raise AssertionError(name)

    def log(self, name: str) -> list[str]:
        return self.lines


def finish(jobs: Scripted, folder: Path, run: str, pauses: list[float] | None = None, **values: Any) -> Outcome:
    settings = DeepArSageMakerSettings(**values)
    waited = [] if pauses is None else pauses
    running = RunningJobs(open_lake(str(folder)), f"{folder.name}-{run}")
    worker = Worker(settings, running, "eu-west-1", Slots(2), waited.append)
    work = Work(
        jobs=jobs,  # type: ignore[arg-type]
        name=WorkName("x"),
        request=lambda _, spot: {"spot": spot},
        done=lambda _: True,
    )
    return worker.finish(work, lambda _: None)


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, "CreateTrainingJob")


def failed(reason: str, spot: bool = False) -> Any:
    return view(reason=reason, spot=spot)


def test_a_new_run_tries_again_after_any_number_of_failed_ones(tmp_path: Path) -> None:
    jobs = Scripted(x_1=[failed(CAPACITY)], x_2=[failed("ClientError: cannot assume role")], x_3=[failed(CAPACITY)])
    assert finish(jobs, tmp_path, "monday").job == "x-4"
    assert jobs.created == [("x-4", False)]


def test_two_tasks_of_one_run_share_its_attempts(tmp_path: Path) -> None:
    jobs = Scripted()
    jobs.after_creation = {name: [failed(CAPACITY)] for name in ("x-1", "x-2", "x-3")}
    pauses: list[float] = []
    for _ in range(2):
        with pytest.raises(TrainingError, match="attempt 2 of 2 in this run"):
            finish(jobs, tmp_path, "monday", pauses, poll_seconds=20)
    assert [name for name, _ in jobs.created] == ["x-1", "x-2"]
    assert pauses == [60.0, 60.0]
    jobs.after_creation = {}
    assert finish(jobs, tmp_path, "tuesday").job == "x-3"


def test_the_log_decides_where_the_reason_only_points_to_it(tmp_path: Path) -> None:
    jobs = Scripted()
    jobs.after_creation = {"x-1": [failed("ClientError: See job logs for more information")]}
    jobs.lines = ["starting", "CustomerError: train.json.gz, line 7: dynamic_feat has 3 rows, expected 2."]
    with pytest.raises(TrainingError) as raised:
        finish(jobs, tmp_path, "monday")
    said = str(raised.value)
    assert "failed on its data" in said
    assert "group /aws/sagemaker/TrainingJobs, streams x-1/*" in said
    assert "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/x-1" in said
    assert said.endswith("line 7: dynamic_feat has 3 rows, expected 2.")
    assert len(jobs.created) == 1


def test_spot_without_capacity_goes_on_on_demand(tmp_path: Path) -> None:
    jobs = Scripted()
    jobs.after_creation = {"x-1": [view("Stopped", "MaxWaitTimeExceeded", spot=True)]}
    assert finish(jobs, tmp_path, "monday", spot="prefer", max_attempts=1).job == "x-2"
    assert jobs.created == [("x-1", True), ("x-2", False)]


def test_throttled_thirty_times_creates_one_job(tmp_path: Path) -> None:
    throttled = refusal("ThrottlingException")
    jobs = Scripted(x_1=[throttled] * 7 + [None])
    jobs.refusals = [throttled] * 7
    jobs.after_creation = {"x-1": [*[throttled] * 8, view("InProgress"), *[throttled] * 8, view("Completed")]}
    assert finish(jobs, tmp_path, "monday").job == "x-1"
    assert len(jobs.created) == 1


def test_a_model_deleted_by_another_process_and_no_quota(tmp_path: Path) -> None:
    jobs = Scripted()
    jobs.refusals = [refusal("ValidationException", "Could not find model x-model")]
    assert finish(jobs, tmp_path, "monday").job == "x-1"
    none = refusal("ResourceLimitExceeded", "The limit is 0 Instances")
    jobs = Scripted()
    jobs.refusals = [none] * 9
    pauses: list[float] = []
    with pytest.raises(ConfigError, match="Ask AWS for a higher quota"):
        finish(jobs, tmp_path, "tuesday", pauses)
    assert len(pauses) == 3
    assert jobs.created == []


def test_numbers_of_attempts_end(tmp_path: Path) -> None:
    jobs = Scripted(**{f"x_{number}": [failed(CAPACITY)] for number in range(1, 100)})
    with pytest.raises(TrainingError, match=r"names end at number 99\. Set another seed"):
        finish(jobs, tmp_path, "monday")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal("ExpiredTokenException"), "Jobs that are in progress continue, and the next run finds them"),
        (refusal("InvalidSignatureException", "Signature expired: 20260101 is now earlier than"), "clock is wrong"),
        (refusal("AccessDeniedException", "not authorized to perform iam:PassRole"), "rights that are needed"),
    ],
)
def test_errors_of_a_call_say_who_acts(error: ClientError, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        raise explained("starting training job x", error)


def test_a_log_that_cannot_be_read_costs_nothing() -> None:
    class Closed:
        def describe_log_streams(self, **_: str) -> dict[str, Any]:
            raise EndpointConnectionError(endpoint_url="logs")

    assert last_lines(Closed(), "transform", "x") == []
    assert "console.amazonaws.cn" in place_of("transform", "x", "cn-north-1")
