"""One piece of work as SageMaker jobs: found where it was done, taken up where it runs, started where it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from schemas.deepar import JobProgress, Report
from schemas.errors import ConfigError, TrainingError
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.faults import (
    allows_none,
    calls,
    explained,
    is_over_quota,
    is_passing,
    is_present,
)
from tasks.deepar.sagemaker.jobs import COMPLETED, FAILED, OUT_OF_TIME, STOPPED, Jobs, JobView
from tasks.deepar.sagemaker.names import WorkName
from tasks.deepar.sagemaker.slots import Slots
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs

# Beyond the client's own attempts: looks at a job, or starts of one, that may fail in a row.
_TROUBLES = 8
_LONGEST_PAUSE = 8  # in pauses between two looks
_TRIES_AT_NO_QUOTA = 3
_BAD_INPUT = "ClientError"

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        jobs: kind of job that does it.
        name: of its jobs.
        request: arguments of the SDK for a job of a given name.
        done: whether the result of a completed job is still there.
        slots: instances that it takes of the quota.
        before: what a job needs before it starts, such as its model.
        seconds: longest age of a job that SageMaker itself does not stop.
    """

    jobs: Jobs
    name: WorkName
    request: Callable[[str], dict[str, Any]]
    done: Callable[[str], bool]
    slots: int = 1
    before: Callable[[], None] = lambda: None
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A completed job; ``reused`` where it had been started before."""

    job: str
    view: JobView
    reused: bool


@dataclass
class _State:
    """State of the search for a completed job."""

    report: Report
    attempt: int = 1
    failures: int = 0
    refusals: int = 0
    started: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)


class Worker:
    """Sees work through.

    Args:
        settings: attempts and pauses.
        running: where jobs under way are written down.
        region: of the jobs.
        slots: limit on jobs side by side, shared by all threads.
        pause: waits for a number of seconds.
    """

    def __init__(
        self, settings: DeepArSageMakerSettings, running: RunningJobs, region: str, slots: Slots, pause: Pause
    ) -> None:
        self._settings = settings
        self._running = running
        self._region = region
        self._slots = slots
        self._pause = pause

    def finish(self, work: Work, report: Report) -> Outcome:
        """Return when a job of this work is completed; start one only where none was.

        Raises:
            TrainingError: a job was stopped, its input is bad, or all attempts failed.
            ConfigError: AWS refuses the request.
        """
        state = _State(report)
        with ExitStack() as held, calls(f"{work.jobs.kind} job {work.name.attempt(state.attempt)}"):
            slots: AbstractContextManager[None] | None = self._slots.taken(work.slots)
            while True:
                job = work.name.attempt(state.attempt)
                view = work.jobs.describe(job)
                if slots is not None and (view is None or view.under_way):
                    if self._slots.are_busy(work.slots):
                        report(JobProgress(job=job, state="starting", detail=self._waiting))
                    # What was seen may be old by the time that a slot is free: look again.
                    held.enter_context(slots)
                    slots = None
                    continue
                if view is None:
                    self._start(work, job, state)
                    continue
                if view.under_way:
                    view = self._wait(work, job, state)
                self._running.remove(job)
                if view.status == COMPLETED and work.done(job):
                    report(JobProgress(job=job, state="finished", detail=view.detail, share=1.0))
                    return Outcome(job, view, reused=job not in state.started)
                self._go_on_or_refuse(work, job, view, state)

    def _go_on_or_refuse(self, work: Work, job: str, view: JobView, state: _State) -> None:
        """Start the next attempt after a failed job, or say why no attempt is left."""
        own = job in state.started or job in state.watched
        if view.status == COMPLETED and own:
            raise TrainingError(
                f"SageMaker {work.jobs.kind} job {job} is completed, but its result is not where it belongs. Check "
                "that the role may write to the storage, and nothing deletes from it."
            )
        if view.status == STOPPED and own:
            raise TrainingError(_stopped(work, job, view, self._settings))
        if view.status == FAILED and view.reason.startswith(_BAD_INPUT):
            raise TrainingError(
                f"SageMaker {work.jobs.kind} job {job} failed on its input and is not tried again: {view.reason}"
            )
        # What a person stopped, or somebody deleted the result of, is no failed attempt.
        state.failures += view.status == FAILED or view.secondary in OUT_OF_TIME
        if state.failures >= self._settings.max_attempts:
            why = view.reason or _stopped(work, job, view, self._settings)
            raise TrainingError(
                f"SageMaker {work.jobs.kind} job {job} ended without a result, after {state.failures} of at most "
                f"{self._settings.max_attempts} attempts (expert.models.deepar.sagemaker.max_attempts): {why} "
                "Earlier runs' attempts count. Once the reason is gone, raise "
                "expert.models.deepar.sagemaker.max_attempts and run again (--force starts no further attempt)."
            )
        state.attempt += 1

    def _start(self, work: Work, job: str, state: _State) -> None:
        """Start a job; if another process did so, or AWS fails for a moment, the next poll shows it."""
        self._running.add(RunningJob(work.jobs.kind, job, self._region))
        try:
            work.before()
            work.jobs.create(job, work.request(job))
            state.started.add(job)
        except (ClientError, BotoCoreError) as error:
            self._take_refusal(work, job, state, error)

    def _take_refusal(self, work: Work, job: str, state: _State, error: ClientError | BotoCoreError) -> None:
        state.refusals += 1
        if isinstance(error, ClientError) and is_over_quota(error):
            tries = _TRIES_AT_NO_QUOTA if allows_none(error) else self._tries_at_quota
            detail, pauses = "waiting for the quota of instances", 1.0
        elif is_passing(error):
            # The job may have been started all the same, with only the answer lost.
            state.started.add(job)
            tries, detail, pauses = _TROUBLES, "AWS is busy or cannot be reached", _growing(state.refusals)
        elif isinstance(error, ClientError) and is_present(error):
            tries, detail, pauses = _TROUBLES, "started by another process", 0.0
        else:
            tries, detail, pauses = 0, "", 0.0
        if state.refusals > tries:
            self._running.remove(job)
            raise explained(f"starting {work.jobs.kind} job {job}", error) from error
        state.report(JobProgress(job=job, state="starting", detail=detail))
        self._pause(self._settings.poll_seconds * pauses)

    @property
    def _waiting(self) -> str:
        return f"waiting for other jobs: at most {self._slots.number} side by side (max_parallel_jobs)"

    @property
    def _tries_at_quota(self) -> int:
        """Enough polls that another job may run its longest time in the meantime."""
        return max(1, round(self._settings.max_runtime_seconds / self._settings.poll_seconds))

    def _wait(self, work: Work, job: str, state: _State) -> JobView:
        """Look at a job until it is over."""
        state.watched.add(job)
        renew_note = self._running.keep(RunningJob(work.jobs.kind, job, self._region))
        troubles = looks = 0
        while True:
            renew_note()
            try:
                view = work.jobs.describe(job)
                troubles = 0
            except (ClientError, BotoCoreError) as error:
                troubles += 1
                if not is_passing(error) or troubles > _TROUBLES:
                    raise
                self._pause(self._settings.poll_seconds * _growing(troubles))
                continue
            if view is None:
                raise TrainingError(f"SageMaker {work.jobs.kind} job {job} was deleted while it ran. Run again.")
            if not view.under_way:
                return view
            state.report(JobProgress(job=job, state=view.state, detail=view.detail, share=view.share))
            if work.seconds is not None and view.age() > work.seconds:
                work.jobs.stop(job)
            looks += 1
            self._pause(self._settings.poll_seconds * _jitter(job, looks))


def _growing(troubles: int) -> float:
    return float(min(2 ** (troubles - 1), _LONGEST_PAUSE))


def _jitter(job: str, look: int) -> float:
    """A factor from 0.8 to 1.2 that spreads the looks of many jobs, the same in every run."""
    return 0.8 + 0.4 * hashlib.sha256(f"{job} {look}".encode()).digest()[0] / 255


def _stopped(work: Work, job: str, view: JobView, settings: DeepArSageMakerSettings) -> str:
    """Why a job was stopped, and what to do about it."""
    said = f"SageMaker {work.jobs.kind} job {job} was stopped"
    if view.secondary == "MaxRuntimeExceeded":
        return (
            f"{said}: it ran longer than max_runtime_seconds, {settings.max_runtime_seconds}. Raise it, or train less."
        )
    if view.secondary == "MaxWaitTimeExceeded":
        return f"{said}: no spot capacity within max_wait_seconds. Raise it, or set spot to false."
    if work.seconds is not None and view.age() > work.seconds:
        return f"{said}: it took longer than transform_timeout_seconds, {work.seconds:g}. Raise it."
    return f"{said} by somebody, or by the cancellation of a run. Run again to start another one."


def check_spot(settings: DeepArSageMakerSettings, longest: int = 3_600) -> int:
    """Seconds that a spot job may wait and run together.

    Args:
        settings: with ``max_wait_seconds`` or, where that is absent, ``max_runtime_seconds``.
        longest: what SageMaker allows an algorithm without checkpoints, and DeepAR writes none.

    Raises:
        ConfigError: that is too long.
    """
    wait = settings.max_wait_seconds or settings.max_runtime_seconds
    if settings.spot and wait > longest:
        raise ConfigError(
            f"models.deepar.sagemaker: on spot capacity DeepAR, which writes no checkpoints, may wait and run "
            f"{longest} seconds at most; max_wait_seconds or max_runtime_seconds say {wait}. Lower them, or set spot "
            "to false."
        )
    return wait
