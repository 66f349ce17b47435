"""Hyperparameter tuning on the twin of AWS."""

from __future__ import annotations

import pytest

from schemas.deepar import TuningRequest
from schemas.errors import ConfigError, TrainingError
from tests.aws_twin.client import TwinClient
from tests.deepar import sagemaker_stage as stage


def request(lake: object, configurations: int = 12, **hyperparameters: str) -> TuningRequest:
    return TuningRequest(
        training=stage.training(lake, **hyperparameters),  # type: ignore[arg-type]
        configurations=configurations,
        parallel=2,
        objective="test:RMSE",
        ranges={
            "learning_rate": (0.00001, 0.1, "log", False),
            "epochs": (50.0, 200.0, "linear", True),
        },
    )


def tunings() -> list[str]:
    found = stage.sagemaker().list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    return [job["HyperParameterTuningJobName"] for job in found]


def test_all_trials_come_back_in_their_order_with_the_best(twin: TwinClient) -> None:
    """The container's metric is the learning rate, so the best trial is the one with the least."""
    lake, told = stage.lake_on_twin(), stage.Told()
    result = stage.backend(lake).tune(request(lake), told)

    assert len(result.job) <= 32
    assert result.job.startswith("shoes")
    assert len(result.trials) == 12
    assert [trial.job for trial in result.trials] == sorted(trial.job for trial in result.trials)
    assert {trial.state for trial in result.trials} == {"finished"}
    rates = {trial.job: float(trial.hyperparameters["learning_rate"]) for trial in result.trials}
    assert result.best == min(rates, key=lambda job: rates[job])
    assert all(trial.value == rates[trial.job] for trial in result.trials)
    assert all(50 <= int(trial.hyperparameters["epochs"]) <= 200 for trial in result.trials)
    assert told.steps[-1].share == 1.0
    assert lake.keys("deepar/running") == []


def test_what_is_asked_is_what_is_sent(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    limits = {"max_runtime_seconds": 600, "stop_without_progress": 3, "stop_at_convergence": True, "warm_start": True}
    asked = request(lake, configurations=2).model_copy(update=limits)
    older = asked.model_copy(update={"training": stage.training(lake, num_cells="30")})
    last_week = stage.backend(lake).tune(older, stage.Told())
    result = stage.backend(lake, max_parallel_jobs=1).tune(asked, stage.Told())
    sent = stage.sagemaker().describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=result.job)
    config = sent["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Bayesian"
    assert config["RandomSeed"] == 7
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "test:RMSE"}
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 2,
        "MaxParallelTrainingJobs": 1,
        "MaxRuntimeInSeconds": 600,
    }
    assert config["TuningJobCompletionCriteria"] == {
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    assert sent["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": last_week.job}],
        "WarmStartType": "TransferLearning",
    }
    assert stage.backend(lake, "run-2").tune(asked, stage.Told()).job == result.job
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [
            {"Name": "epochs", "MinValue": "50", "MaxValue": "200", "ScalingType": "Linear"},
        ],
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.00001", "MaxValue": "0.1", "ScalingType": "Logarithmic"},
        ],
    }
    static = sent["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["context_length"] == "8"
    assert not {"epochs", "learning_rate"} & set(static)


def test_the_same_search_is_found_and_not_paid_twice(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first = stage.backend(lake).tune(request(lake, configurations=2), stage.Told())
    assert stage.backend(lake, "run-2").tune(request(lake, configurations=2), stage.Told()) == first
    assert tunings() == [first.job]
    wider = stage.backend(lake).tune(request(lake, configurations=3), stage.Told())
    assert wider.job != first.job


def test_trials_that_failed_are_listed_with_their_reason(twin: TwinClient) -> None:
    twin.disturb("training", "fail", reason="AlgorithmError: loss is nan")
    lake = stage.lake_on_twin()
    result = stage.backend(lake).tune(request(lake, configurations=3), stage.Told())
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert [(trial.value, trial.reason) for trial in failed] == [(None, "AlgorithmError: loss is nan")]
    assert result.best not in {trial.job for trial in failed}


def test_a_search_of_which_nothing_finished_is_paid_once(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    broken = request(lake, configurations=2, fake_failure="AlgorithmError: loss is nan")
    with pytest.raises(TrainingError, match=r"tuning job .* attempt 1 of 1 .*All training jobs failed.*loss is nan"):
        stage.backend(lake, max_attempts=3).tune(broken, stage.Told())
    assert len(tunings()) == 1


def test_an_objective_without_a_test_channel_is_the_operators(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    asked = request(lake)
    channel = asked.training.channel.model_copy(update={"test": None})
    asked = asked.model_copy(update={"training": asked.training.model_copy(update={"channel": channel})})
    with pytest.raises(ConfigError, match=r"needs a test channel.*train:final_loss"):
        stage.backend(lake).tune(asked, stage.Told())
    assert tunings() == []
