"""The trainings of a tuning job."""

from __future__ import annotations

import re
from typing import Any

from schemas.deepar import TuningResult, TuningTrial
from schemas.errors import TrainingError
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import calls
from tasks.deepar.sagemaker.jobs import COMPLETED, FAILED
from tasks.deepar.sagemaker.names import DIGEST, WorkName
from tasks.deepar.sagemaker.work import Outcome


def trials_of(job: str, api: SageMakerApi) -> list[TuningTrial]:
    """The trainings of a tuning job, in the order of their start."""
    with calls(f"listing the trainings of {job}"):
        pages = api.client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=job, SortBy="CreationTime", SortOrder="Ascending"
        )
        return [_trial(summary) for page in pages for summary in page["TrainingJobSummaries"]]


def previous_search(name: WorkName, objective: str, api: SageMakerApi) -> str | None:
    """Find the last completed tuning job of this installation with this purpose and objective; None if not found.

    Args:
        name: name of the search that begins: other data have other digits at its end.
        objective: metric that is minimized.
        api: the SDK on its session.
    """
    front = name.stem.rpartition("-")[0]
    pages = api.client.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=front, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
    )
    same = re.compile(rf"{re.escape(front)}-{DIGEST}-\d+")
    for page in pages:
        for summary in page["HyperParameterTuningJobSummaries"]:
            job = str(summary["HyperParameterTuningJobName"])
            if same.fullmatch(job) and not job.startswith(f"{name.stem}-") and _minimizes(job, objective, api):
                return job
    return None


def _minimizes(job: str, objective: str, api: SageMakerApi) -> bool:
    """SageMaker refuses a parent with another objective."""
    found = api.client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
    config = found.get("HyperParameterTuningJobConfig") or {}
    return bool((config.get("HyperParameterTuningJobObjective") or {}).get("MetricName") == objective)


def reasons_of(trials: list[TuningTrial]) -> str:
    """The reasons why the trainings of a tuning job failed, each reason once."""
    return "; ".join(sorted({trial.reason for trial in trials if trial.reason}))


def tuning_result(outcome: Outcome, objective: str, api: SageMakerApi) -> TuningResult:
    """List a finished tuning job's trainings in the order of their start, and name the best.

    Raises:
        TrainingError: no training of it finished.
    """
    trials = trials_of(outcome.job, api)
    finished = {trial.job: trial.value for trial in trials if trial.state == "finished" and trial.value is not None}
    if not finished:
        raise TrainingError(
            f"No training of the tuning job {outcome.job} finished with a value of {objective}: "
            f"{reasons_of(trials) or 'SageMaker gives no reason'}"
        )
    answer = outcome.view.answer
    return TuningResult(
        job=outcome.job,
        objective=objective,
        trials=trials,
        best=min(finished, key=lambda job: finished[job]),
        seconds=_seconds(answer.get("CreationTime"), answer.get("HyperParameterTuningEndTime")),
    )


def _trial(summary: dict[str, Any]) -> TuningTrial:
    status = str(summary["TrainingJobStatus"])
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    return TuningTrial(
        job=str(summary["TrainingJobName"]),
        hyperparameters={str(name): str(value) for name, value in (summary.get("TunedHyperParameters") or {}).items()},
        state="finished" if status == COMPLETED else "failed" if status == FAILED else "stopped",
        value=float(metric["Value"]) if metric.get("Value") is not None else None,
        seconds=_seconds(summary.get("TrainingStartTime"), summary.get("TrainingEndTime")),
        reason=str(summary.get("FailureReason") or ""),
    )


def _seconds(start: Any, end: Any) -> float:
    return (end - start).total_seconds() if start and end else 0.0
