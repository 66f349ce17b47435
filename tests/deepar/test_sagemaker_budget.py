"""Limits on paid jobs, what exists in AWS, and what dead runs leave: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.errors import ConfigError
from schemas.records import BilledJob
from schemas.settings import DeepArConfiguration, DeepArSageMakerSettings, DeepArSettings, Settings
from tasks.deepar.sagemaker.budget import Ledger, billed_job, over_limit, weekly_estimate
from tasks.deepar.sagemaker.endpoint_parts import PERMANENT, TEMPORARY, UNKNOWN_STORAGE, owner_of
from tasks.deepar.sagemaker.holdings import Holding, is_left_by_dead_run
from tasks.deepar.sagemaker.models import ENDPOINT_TAG
from tasks.deepar.sagemaker.requests import INSTALLATION_TAG, PURPOSE_TAG, RUN_TAG
from tasks.stages.deepar_tools import refuse_unwanted_payment

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
HERE = "s3://bucket/restock"


def test_estimate_counts_comparison_folds_and_horizon() -> None:
    settings = DeepArSettings(sagemaker={"training_instance": {"count": 2}, "max_runtime_seconds": 1_800})
    weekly = weekly_estimate(settings, folds=5)
    assert (weekly.trainings, weekly.forecasts, weekly.jobs) == (10, 10, 20)
    assert weekly.hours == {"ml.c5.2xlarge": 10.0, "ml.m5.large": 10.0}
    assert weekly_estimate(settings, folds=5, compares=False).trainings == 6
    one = DeepArSettings(configurations=[DeepArConfiguration()], sagemaker={"inference": "endpoint"})
    assert weekly_estimate(one, folds=2).trainings == 3
    assert weekly.times(52).jobs == 1_040
    assert over_limit(DeepArSageMakerSettings(max_jobs_per_run=20), weekly) == ""
    assert "may need 20 jobs" in over_limit(DeepArSageMakerSettings(max_jobs_per_run=19), weekly)


def test_ledger_holds_a_run_at_its_limits() -> None:
    ledger, settings = Ledger(), DeepArSageMakerSettings(max_jobs_per_run=2, max_billed_hours=1.0)
    for job in ("a", "a", "b"):
        ledger.start(job, settings)
    with pytest.raises(ConfigError, match=r"started 2 jobs .*max_jobs_per_run is 2"):
        ledger.start("c", settings)
    ledger.end(BilledJob(job="of another run", kind="training", instance="ml.c5.2xlarge", seconds=9_999))
    ledger.end(BilledJob(job="a", kind="training", instance="ml.c5.2xlarge", seconds=3_600))
    assert [one.job for one in ledger.jobs()] == ["a"]
    with pytest.raises(ConfigError, match=r"charged for 1\.00 instance hours .*max_billed_hours is 1"):
        ledger.start("b", settings)


@pytest.mark.parametrize(
    ("kind", "answer", "seconds"),
    [
        ("training", {"BillableTimeInSeconds": 90, "ResourceConfig": {"InstanceType": "x", "InstanceCount": 2}}, 180),
        ("training", {"ResourceConfig": {}, "ModelArtifacts": {}}, 0),
        (
            "transform",
            {
                "TransformStartTime": NOW,
                "TransformEndTime": NOW + timedelta(seconds=70),
                "TransformResources": {"InstanceType": "x", "InstanceCount": 1},
            },
            70,
        ),
        ("transform", {"TransformResources": {"InstanceType": "x", "InstanceCount": 1}}, 0),
    ],
)
def test_seconds_that_a_job_is_charged_for(kind: Any, answer: dict[str, Any], seconds: float) -> None:
    assert billed_job(kind, "j", "Failed", answer).seconds == seconds


def test_dry_runs_and_backfills_pay_only_if_somebody_agrees() -> None:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    deepar = {"backend": "sagemaker", "sagemaker": {"role": "arn:aws:iam::1:role/r"}}
    tree = {"name": "x", "sources": sources, "storage": HERE, "models": {"deepar": deepar}}
    settings = Settings.model_validate(tree)
    with pytest.raises(
        ConfigError, match=r"A backfill pays for SageMaker jobs: at most 520 trainings and 520 forecasts"
    ):
        refuse_unwanted_payment(settings, 52, "A backfill", pay=False)
    refuse_unwanted_payment(settings, 52, "A backfill", pay=True)
    refuse_unwanted_payment(Settings.model_validate(tree | {"models": {"arima": {}}}), 52, "A backfill", pay=False)


def test_each_role_of_an_instance_keeps_its_type() -> None:
    given = DeepArSageMakerSettings(endpoint={"instance": {"count": 2}}, tuning_instance={"type": "ml.m5.xlarge"})
    assert (given.endpoint.instance.type, given.endpoint.instance.count) == ("ml.m5.large", 2)
    assert given.transform_instance.type == "ml.m5.large"
    assert (given.training_instance.type, given.tuning_instance.type) == ("ml.c5.2xlarge", "ml.m5.xlarge")
    with pytest.raises(ValueError, match="only one instance processes the one input file"):
        DeepArSageMakerSettings(transform_instance={"count": 2})


def test_owner_of_an_endpoint() -> None:
    assert owner_of({}, "x") == owner_of({ENDPOINT_TAG: "y", INSTALLATION_TAG: HERE}, "x") == ""
    assert owner_of({ENDPOINT_TAG: "x"}, "x") == UNKNOWN_STORAGE


def holding(kind: str, hours: float, **tags: str) -> Holding:
    own = {INSTALLATION_TAG: HERE, RUN_TAG: "r"}
    return Holding(kind, f"{kind}-1", "arn", "", NOW - timedelta(hours=hours), tags=own | tags)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (holding("endpoint", 0.6, **{PURPOSE_TAG: TEMPORARY}), True),
        (holding("endpoint", 0.4, **{PURPOSE_TAG: TEMPORARY}), False),
        (holding("endpoint", 900, **{PURPOSE_TAG: PERMANENT}), False),
        (holding("endpoint", 900, **{PURPOSE_TAG: TEMPORARY, INSTALLATION_TAG: "s3://other"}), False),
        (holding("model", 25), True),
        (holding("model", 23), False),
        (holding("model", 900, **{ENDPOINT_TAG: "x"}), False),
        (holding("training", 900), False),
        (holding("tuning", 900), False),
    ],
)
def test_remains_of_dead_runs(found: Holding, left: bool) -> None:
    assert is_left_by_dead_run(found, HERE, set(), 0, NOW) is left
    assert not is_left_by_dead_run(found, HERE, {found.name}, 1, NOW)
