"""Decides what to do after a job without a result: another attempt (when, and on which capacity), or an error.

Nothing here calls AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.jobs import COMPLETED, FAILED, OUT_OF_TIME, JobView
from tasks.deepar.sagemaker.under_way import Kind

MOST_ATTEMPTS = 99  # names have room for two digits
_LONGEST_PAUSE = 45.0  # in polling intervals: 15 minutes with the default of 20 seconds


class Cause(Enum):
    """Cause of a job's failure, from SageMaker's reason; value: the first pause before the next attempt, in polls."""

    DATA = ("data", 0.0)
    """The series or hyperparameters: the same job would fail again."""
    CAPACITY = ("capacity", 3.0)
    """No instance, throttling, or an error of AWS: a temporary problem."""
    ENVIRONMENT = ("environment", 3.0)
    """Role, network, key or image: a person must act, or a new role is not known everywhere yet."""
    OTHER = ("other", 1.0)
    """Anything else."""

    @property
    def pause(self) -> float:
        """Polling intervals before the next attempt."""
        return self.value[1]


# AWS begins all these reasons with "ClientError", so the prefix does not distinguish them.
_ENVIRONMENT = re.compile(
    r"access ?denied|not authorized|forbidden|permission|assume (the|this)? ?role|trust|credential|\bVPC\b|subnet|"
    r"security group|route table|network|\bKMS\b|\bECR\b|repository|pull|No S3 objects|data download|download(ing)? "
    r"(the )?(data|image|model)|does not exist|bucket",
    re.IGNORECASE,
)
_CAPACITY = re.compile(
    r"capacity|throttl|rate exceeded|internal ?server|internal error|service ?unavailable|limit ?exceeded|timed? ?out",
    re.IGNORECASE,
)
# What SageMaker's DeepAR and the local container say about series and hyperparameters.
_DATA = re.compile(
    r"failed to validate|unable to initialize the algorithm|pars(e|ing) json|no(t)? (a )?(valid )?json|observations|"
    r"only zeros|too short|time series|\btarget\b|\bcat\b|cat\[|dynamic_feat|cardinality|likelihood|hyperparameter|"
    r"prediction_length|context_length|time_freq|no series|\bseries\b|\brecord\b",
    re.IGNORECASE,
)
_OF_THE_CONTAINER = re.compile(r"^\s*(ClientError|CustomerError|AlgorithmError)\b")
_VAGUE = re.compile(r"job logs|see logs|check the logs", re.IGNORECASE)


def cause_of(reason: str) -> Cause:
    """Classify the failure of a job by the content of its reason.

    >>> cause_of("ClientError: Unable to initialize the algorithm. Failed to validate input data configuration.").name
    'DATA'
    >>> cause_of("ClientError: SageMaker was unable to assume the role arn:aws:iam::1:role/x").name
    'ENVIRONMENT'
    >>> cause_of("ClientError: See job logs for more information").name
    'OTHER'
    """
    if _ENVIRONMENT.search(reason):
        return Cause.ENVIRONMENT
    if _CAPACITY.search(reason):
        return Cause.CAPACITY
    if _OF_THE_CONTAINER.search(reason) and _DATA.search(reason):
        return Cause.DATA
    return Cause.OTHER


def is_vague(reason: str) -> bool:
    """Whether a reason only points to the job's log."""
    return bool(_VAGUE.search(reason)) or not reason


@dataclass(frozen=True)
class Ended:
    """A job that has ended without a result.

    Attributes:
        kind: kind of the job.
        job: its name.
        view: what SageMaker says about it.
        own: this piece of work started it or waited for it.
        in_run: some work of this run started it or waited for it.
        failures: failed attempts of this run before this job.
        overdue: it was stopped because it took longer than ``transform_timeout_seconds``.
        cause: cause of its failure.
    """

    kind: Kind
    job: str
    view: JobView
    own: bool
    in_run: bool
    failures: int
    overdue: bool = False
    cause: Cause = Cause.OTHER


@dataclass(frozen=True)
class Decision:
    """What to do next.

    Attributes:
        error: why there is no further attempt; empty = the next one starts.
        counts: the job was a failed attempt of this run.
        pause: before the next attempt, in polling intervals.
        on_demand: further attempts of this run do not use spot capacity.
    """

    error: str = ""
    counts: bool = False
    pause: float = 0.0
    on_demand: bool = False


def decide(ended: Ended, settings: DeepArSageMakerSettings) -> Decision:
    """Decide what follows from a job that has ended without a result.

    Attempts count per run: failures of an earlier run do not block a new one, except for errors in the data.

    Args:
        ended: the job.
        settings: attempts and spot capacity.
    """
    view, said = ended.view, f"SageMaker {ended.kind} job {ended.job}"
    if view.status == COMPLETED:
        return Decision() if not ended.own else Decision(_lost_result(said))
    if view.status == FAILED and ended.cause is Cause.DATA:
        return Decision(
            f"{said} failed on its data and is not tried again, because the same data would fail again: {view.reason}"
        )
    if view.status == FAILED and not ended.in_run:
        return Decision()
    falls_back = view.on_spot and settings.spot == "prefer"
    if view.status == FAILED:
        if falls_back and ended.cause is Cause.CAPACITY:
            return Decision(on_demand=True)
        return _next_attempt(ended, settings, said)
    if not ended.own:
        return Decision()
    if falls_back and view.secondary in OUT_OF_TIME and _has_more_time(view, settings):
        return Decision(on_demand=True)
    return Decision(_stopped(ended, settings, said))


def _next_attempt(ended: Ended, settings: DeepArSageMakerSettings, said: str) -> Decision:
    """A tuning job gets one attempt, because it has paid for all of its trainings."""
    failures = ended.failures + 1
    allowed = 1 if ended.kind == "tuning" else settings.max_attempts
    if failures >= allowed:
        setting = "" if ended.kind == "tuning" else " (expert.models.deepar.sagemaker.max_attempts)"
        return Decision(
            f"{said} failed; attempt {failures} of {allowed} in this run{setting}: "
            f"{(ended.view.reason or 'SageMaker gives no reason').rstrip('. ')}. {_REMEDIES[ended.cause]}".rstrip(),
            counts=True,
        )
    return Decision(counts=True, pause=min(ended.cause.pause * 2.0 ** (failures - 1), _LONGEST_PAUSE))


def _has_more_time(view: JobView, settings: DeepArSageMakerSettings) -> bool:
    """Whether a job on demand may run longer than the one on spot capacity that ran out of time."""
    return view.secondary == "MaxWaitTimeExceeded" or settings.max_runtime_seconds > settings.spot_seconds[0]


def _lost_result(said: str) -> str:
    return (
        f"{said} is completed, but its result is not at its address in the storage. Check that the role may "
        "write to the storage, and that nothing deletes from it."
    )


_REMEDIES = {
    Cause.DATA: "",
    Cause.CAPACITY: "AWS has no capacity or is busy. Run again later, or set another instance type.",
    Cause.ENVIRONMENT: (
        "The data are not the reason. Check role, bucket, subnets, KMS key and image (docs/sagemaker.md#failures), "
        "then run again."
    ),
    Cause.OTHER: "Read the job's log. A new run tries again.",
}


def _stopped(ended: Ended, settings: DeepArSageMakerSettings, said: str) -> str:
    """Explain why a job was stopped, and what to do about it."""
    said = f"{said} was stopped"
    if ended.view.secondary == "MaxRuntimeExceeded":
        return f"{said}: it ran longer than max_runtime_seconds, {settings.max_runtime_seconds}. Raise it."
    if ended.view.secondary == "MaxWaitTimeExceeded":
        return f"{said}: no spot capacity within max_wait_seconds. Raise it, or set spot to prefer or never."
    if ended.overdue:
        seconds = settings.transform_timeout_seconds
        return f"{said}: it took longer than transform_timeout_seconds, {seconds:g}. Raise it."
    return f"{said} by somebody, or by the cancellation of a run. Run again to start another one."
