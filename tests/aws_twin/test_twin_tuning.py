from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_twin.client import TwinClient, training_definition, tuning_definition
from tests.aws_twin.tuning import sampled

RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "learning_rate", "MinValue": "1e-4", "MaxValue": "1e-1", "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [{"Name": "num_cells", "MinValue": "30", "MaxValue": "60", "ScalingType": "Linear"}],
    "CategoricalParameterRanges": [{"Name": "epochs", "Values": ["2", "4"]}],
}


@pytest.fixture
def tune(aws_twin: TwinClient, channels: dict[str, str], new_name: Callable[..., str]) -> Callable[..., str]:
    """Creates a tuning job; its name."""

    def create(most: int = 4, parallel: int = 2, seed: int = 1, **hyperparameters: str) -> str:
        name = new_name("tuning")
        training = training_definition(channels, **hyperparameters)
        aws_twin.client("sagemaker").create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **tuning_definition(training, RANGES, most, parallel, seed)
        )
        return name

    return create


def children(twin: TwinClient, name: str, **order: str) -> list[dict[str, Any]]:
    pages = twin.client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    found = pages.paginate(HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 2}, **order)
    return [child for page in found for child in page["TrainingJobSummaries"]]


def test_the_best_of_real_trainings_is_named(aws_twin: TwinClient, tune: Callable[..., str]) -> None:
    name = tune(most=5)
    job = aws_twin.wait_for_tuning(name)

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 5,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
    ranked = children(aws_twin, name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    assert len(ranked) == 5
    # The fake container's loss is its learning rate.
    rates = [float(child["TunedHyperParameters"]["learning_rate"]) for child in ranked]
    assert rates == sorted(rates)
    assert job["BestTrainingJob"]["TrainingJobName"] == ranked[0]["TrainingJobName"]
    metric = job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]
    assert (metric["MetricName"], metric["Value"]) == ("test:mean_wQuantileLoss", pytest.approx(rates[0], rel=1e-6))
    best = aws_twin.client("sagemaker").describe_training_job(TrainingJobName=ranked[0]["TrainingJobName"])
    assert best["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert best["HyperParameters"]["num_cells"] == ranked[0]["TunedHyperParameters"]["num_cells"]
    assert best["HyperParameters"]["prediction_length"] == "7"
    assert best["HyperParameters"]["_tuning_objective_metric"] == "test:mean_wQuantileLoss"
    assert "S3ModelArtifacts" in best["ModelArtifacts"]


def test_a_seed_gives_the_same_trainings_again(aws_twin: TwinClient, tune: Callable[..., str]) -> None:
    names = [tune(most=3, seed=11), tune(most=3, seed=11), tune(most=3, seed=12)]
    for name in names:
        aws_twin.wait_for_tuning(name)
    first, again, other = ([child["TunedHyperParameters"] for child in children(aws_twin, name)] for name in names)
    assert first == again != other


def test_no_more_trainings_at_a_time_than_asked_for(aws_twin: TwinClient, tune: Callable[..., str]) -> None:
    name = tune(most=4, parallel=1)
    aws_twin.wait_for_tuning(name)
    spans = sorted((child["CreationTime"], child["TrainingEndTime"]) for child in children(aws_twin, name))
    assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(spans))


def test_samples_stay_within_their_ranges() -> None:
    draw = random.Random(3)
    values = [sampled(RANGES, draw) for _ in range(300)]
    rates = sorted(float(value["learning_rate"]) for value in values)
    assert 1e-4 <= rates[0] <= rates[-1] <= 1e-1
    assert 1e-3 < rates[len(rates) // 2] < 1e-2  # the middle of a logarithmic range is its geometric mean
    assert {int(value["num_cells"]) for value in values} == set(range(30, 61))
    assert {value["epochs"] for value in values} == {"2", "4"}


def test_a_tuning_without_a_training_that_succeeds_fails(aws_twin: TwinClient, tune: Callable[..., str]) -> None:
    job = aws_twin.wait_for_tuning(tune(most=2, fake_failure="ClientError: too few observations"))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("All training jobs failed.")
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 2
    assert "BestTrainingJob" not in job


def test_a_stopped_tuning_stops_its_trainings(aws_twin: TwinClient, tune: Callable[..., str]) -> None:
    sagemaker, name = aws_twin.client("sagemaker"), tune(most=6, fake_seconds="60")
    while not children(aws_twin, name):
        pass
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = aws_twin.wait_for_tuning(name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    ended = children(aws_twin, name)
    assert {child["TrainingJobStatus"] for child in ended} == {"Stopped"}
    assert len(ended) <= 2
    with pytest.raises(ClientError, match=r"ValidationException.*tuning job is in status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_a_taken_name_is_in_use(aws_twin: TwinClient, channels: dict[str, str], tune: Callable[..., str]) -> None:
    sagemaker, name = aws_twin.client("sagemaker"), tune(most=1, parallel=1)
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="tuning job names must be unique"):
        sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **tuning_definition(training_definition(channels), RANGES)
        )
    aws_twin.wait_for_tuning(name)


def without_test_channel(request: dict[str, Any]) -> None:
    request["TrainingJobDefinition"]["InputDataConfig"].pop()


def with_foreign_objective(request: dict[str, Any]) -> None:
    request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = "validation:rmse"


def with_untunable_range(request: dict[str, Any]) -> None:
    ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    ranges["CategoricalParameterRanges"] = [{"Name": "likelihood", "Values": ["gaussian"]}]


def with_inverted_range(request: dict[str, Any]) -> None:
    request["HyperParameterTuningJobConfig"]["ParameterRanges"]["IntegerParameterRanges"][0]["MinValue"] = "90"


def with_long_name(request: dict[str, Any]) -> None:
    request["HyperParameterTuningJobName"] = "t" * 33


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_test_channel, "needs the channel test; the training has train"),
        (with_foreign_objective, r"\[validation:rmse\], isn't valid for the forecasting-deepar algorithm"),
        (with_untunable_range, r"untunable hyperparameters: \[likelihood\]"),
        (with_inverted_range, "The range of num_cells ends at 60, before 90"),
        (with_long_name, "Member must have length less than or equal to 32"),
    ],
)
def test_a_tuning_that_makes_no_sense_is_refused(
    aws_twin: TwinClient, channels: dict[str, str], change: Callable[[dict[str, Any]], None], expected: str
) -> None:
    request = {"HyperParameterTuningJobName": "odd", **tuning_definition(training_definition(channels), RANGES)}
    request = copy.deepcopy(request)
    change(request)
    with pytest.raises(ClientError, match=f"ValidationException.*{expected}"):
        aws_twin.client("sagemaker").create_hyper_parameter_tuning_job(**request)
