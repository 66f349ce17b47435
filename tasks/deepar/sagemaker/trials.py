"""The trainings of a tuning job."""

from __future__ import annotations

from typing import Any

from schemas.deepar import TuningResult, TuningTrial
from schemas.errors import TrainingError
from tasks.deepar.sagemaker.api import SageMakerApi, given
from tasks.deepar.sagemaker.faults import calls
from tasks.deepar.sagemaker.jobs import COMPLETED, FAILED
from tasks.deepar.sagemaker.work import Outcome


def tuning_result(outcome: Outcome, objective: str, api: SageMakerApi) -> TuningResult:
    """List a finished tuning job's trainings in the order of their start, and name the best.

    Raises:
        TrainingError: no training of it finished.
    """
    with calls(f"listing the trainings of {outcome.job}"):
        found = list(
            outcome.view.resource.get_all_training_jobs(sort_by="CreationTime", sort_order="Ascending", **api.where)
        )
    trials = [_trial(summary) for summary in found]
    finished = {trial.job: trial.value for trial in trials if trial.state == "finished" and trial.value is not None}
    if not finished:
        reasons = sorted({trial.reason for trial in trials if trial.reason})
        raise TrainingError(
            f"No training of the tuning job {outcome.job} finished with a value of {objective}: "
            f"{'; '.join(reasons) or 'SageMaker gives no reason'}"
        )
    return TuningResult(
        job=outcome.job,
        objective=objective,
        trials=trials,
        best=min(finished, key=lambda job: finished[job]),
        seconds=_seconds(
            outcome.view.resource.creation_time, given(outcome.view.resource.hyper_parameter_tuning_end_time)
        ),
    )


def _trial(summary: Any) -> TuningTrial:
    status = str(summary.training_job_status)
    metric = given(summary.final_hyper_parameter_tuning_job_objective_metric)
    return TuningTrial(
        job=str(summary.training_job_name),
        hyperparameters={str(name): str(value) for name, value in summary.tuned_hyper_parameters.items()},
        state="finished" if status == COMPLETED else "failed" if status == FAILED else "stopped",
        value=float(metric.value) if metric else None,
        seconds=_seconds(given(summary.training_start_time), given(summary.training_end_time)),
        reason=str(given(summary.failure_reason, "")),
    )


def _seconds(start: Any, end: Any) -> float:
    return (end - start).total_seconds() if start and end else 0.0
