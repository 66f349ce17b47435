"""One piece of work as SageMaker jobs: a finished job is found, a running one is joined, a missing one is started."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from schemas.deepar import JobProgress, Report
from schemas.errors import TrainingError
from schemas.records import BilledJob
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.budget import billed_job, ledger_of
from tasks.deepar.sagemaker.decisions import MOST_ATTEMPTS, Cause, Ended, cause_of, decide, is_vague
from tasks.deepar.sagemaker.faults import (
    allows_none,
    calls,
    explained,
    is_absent,
    is_over_quota,
    is_passing,
    is_present,
)
from tasks.deepar.sagemaker.jobs import COMPLETED, FAILED, Jobs, JobView
from tasks.deepar.sagemaker.logs import place_of
from tasks.deepar.sagemaker.names import WorkName
from tasks.deepar.sagemaker.slots import Slots
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs

# In addition to the client's own attempts: polls or starts of a job that may fail in a row.
_TROUBLES = 8
_LONGEST_PAUSE = 8  # in polling intervals
_TRIES_AT_NO_QUOTA = 3
LINES_READ = 5  # of a log, to find out whether the data are at fault

# Jobs that a run of this process has started or waited for: attempts count per run, whichever task makes them.
_OF_RUNS: dict[str, set[str]] = {}

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        jobs: kind of job that does it.
        name: name of its jobs.
        request: arguments of the SDK for a job of a given name, on spot capacity or not.
        done: whether the result of a completed job is still there.
        slots: instances that it takes of the quota.
        before: what a job needs before it starts, such as its model.
        seconds: longest time of a job that SageMaker itself does not stop.
        explain: why a failed job of a given name failed, if its own reason does not say so.
    """

    jobs: Jobs
    name: WorkName
    request: Callable[[str, bool], dict[str, Any]]
    done: Callable[[str], bool]
    slots: int = 1
    before: Callable[[], None] = lambda: None
    seconds: float | None = None
    explain: Callable[[str], str] = lambda _: ""


@dataclass(frozen=True)
class Outcome:
    """A completed job; ``reused`` if it had been started before."""

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
    on_demand: bool = False
    started: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    overdue: set[str] = field(default_factory=set)


class Worker:
    """Runs work until its job is completed.

    Args:
        settings: attempts and pauses.
        running: where running jobs are recorded.
        region: region of the jobs.
        slots: limit on parallel jobs, shared by all threads.
        pause: waits for a number of seconds.
    """

    def __init__(
        self, settings: DeepArSageMakerSettings, running: RunningJobs, region: str, slots: Slots, pause: Pause
    ) -> None:
        self._settings = settings
        self._running = running
        self._ledger = ledger_of(running.run_id)
        self.billed: dict[str, BilledJob] = {}
        self._of_run = _OF_RUNS.setdefault(running.run_id, set())
        self._region = region
        self._slots = slots
        self._pause = pause

    def finish(self, work: Work, report: Report) -> Outcome:
        """Wait until a job of this work is completed; start a job only if none exists.

        Raises:
            TrainingError: a job was stopped, its data are bad, or all attempts of this run failed.
            ConfigError: AWS refuses the request.
        """
        state = _State(report)
        with ExitStack() as held, calls(f"{work.jobs.kind} job {work.name.attempt(state.attempt)}"):
            slots: AbstractContextManager[None] | None = self._slots.taken(work.slots)
            while True:
                job = work.name.attempt(state.attempt)
                view = self._look(work, job)
                if slots is not None and (view is None or view.under_way):
                    if self._slots.are_busy(work.slots):
                        report(JobProgress(job=job, state="starting", detail=self._waiting))
                    # The job's state may have changed by the time that a slot is free, so poll again.
                    held.enter_context(slots)
                    slots = None
                    continue
                if view is None:
                    self._start(work, job, state)
                    continue
                if view.under_way:
                    view = self._wait(work, job, state)
                self._running.remove(job)
                self.book(billed_job(work.jobs.kind, job, view.status, view.answer))
                if view.status == COMPLETED and work.done(job):
                    report(JobProgress(job=job, state="finished", detail=view.detail, share=1.0))
                    return Outcome(job, view, reused=job not in state.started)
                self._go_on_or_refuse(work, job, view, state)

    def book(self, job: BilledJob) -> None:
        """Record what an ended job is charged for."""
        self.billed[job.job] = job
        self._ledger.end(job)

    def is_under_way(self, work: Work) -> bool:
        """Whether a job of this work runs.

        Raises:
            ConfigError: credentials or rights are missing.
            TrainingError: AWS cannot be reached.
        """
        with calls(f"{work.jobs.kind} job {work.name.stem}"):
            for number in range(1, MOST_ATTEMPTS + 1):
                view = self._look(work, work.name.attempt(number))
                if view is None or view.under_way:
                    return view is not None
        return False

    def _go_on_or_refuse(self, work: Work, job: str, view: JobView, state: _State) -> None:
        """Start the next attempt after a job without a result, or raise the reason against a further attempt.

        Raises:
            TrainingError: no attempt is left, or another one would fail the same way.
        """
        ended = Ended(
            kind=work.jobs.kind,
            job=job,
            view=view,
            own=job in state.started | state.watched,
            in_run=job in self._of_run,
            failures=state.failures,
            overdue=job in state.overdue,
        )
        if view.status == FAILED:
            # If the reason only refers to the log, read in the log whether the data caused the failure.
            text = work.explain(job)
            lines = work.jobs.log(job) if ended.in_run and is_vague(text or view.reason) else []
            causes = [cause_of(part) for part in (text or view.reason, *lines[-LINES_READ:])]
            cause = next((found for found in causes if found is not Cause.OTHER), Cause.OTHER)
            reason = ". ".join(part for part in (view.reason, text) if part)
            ended = replace(ended, cause=cause, view=replace(view, reason=reason))
        decision = decide(ended, self._settings)
        state.failures += decision.counts
        state.on_demand = state.on_demand or decision.on_demand
        if decision.error:
            raise TrainingError(_with_log(decision.error, work, job, self._region, ended))
        if state.attempt >= MOST_ATTEMPTS:
            raise TrainingError(
                f"SageMaker {work.jobs.kind} job {job} ended without a result, and names end at number "
                f"{MOST_ATTEMPTS}. Set another seed, or another name."
            )
        state.attempt += 1
        if decision.pause:
            detail = f"failed ({ended.view.reason}); the next attempt starts after a pause"
            state.report(JobProgress(job=job, state="failed", detail=detail))
            self._pause(self._settings.poll_seconds * decision.pause)

    def _start(self, work: Work, job: str, state: _State) -> None:
        """Start a job; if another process did so, or AWS fails for a moment, the next poll shows it."""
        self._running.add(RunningJob(work.jobs.kind, job, self._region))
        try:
            self._ledger.start(job, self._settings)
            work.before()
            spot = self._settings.spot != "never" and not state.on_demand
            work.jobs.create(job, work.request(job, spot))
            self._mark(state.started, job)
        except (ClientError, BotoCoreError) as error:
            self._take_refusal(work, job, state, error)

    def _take_refusal(self, work: Work, job: str, state: _State, error: ClientError | BotoCoreError) -> None:
        state.refusals += 1
        if isinstance(error, ClientError) and is_over_quota(error):
            tries = _TRIES_AT_NO_QUOTA if allows_none(error) else self._tries_at_quota
            detail, pauses = "waiting for the quota of instances", 1.0
        elif is_passing(error):
            # The job may have been started although the answer was lost.
            self._mark(state.started, job)
            tries, detail, pauses = _TROUBLES, "AWS is busy or cannot be reached", _growing(state.refusals)
        elif isinstance(error, ClientError) and is_present(error):
            tries, detail, pauses = _TROUBLES, "started by another process", 0.0
        elif isinstance(error, ClientError) and is_absent(error):
            # Another process that did the same work has deleted the model of its finished transform.
            tries, detail, pauses = _TROUBLES, "what the job needs was deleted by another process", 1.0
        else:
            tries, detail, pauses = 0, "", 0.0
        if state.refusals > tries:
            self._running.remove(job)
            raise explained(f"starting {work.jobs.kind} job {job}", error) from error
        state.report(JobProgress(job=job, state="starting", detail=detail))
        self._pause(self._settings.poll_seconds * pauses)

    @property
    def _waiting(self) -> str:
        return f"waiting for other jobs: at most {self._slots.number} in parallel (max_parallel_jobs)"

    @property
    def _tries_at_quota(self) -> int:
        """Enough polls that another job may run its longest time in the meantime."""
        return max(1, round(self._settings.max_runtime_seconds / self._settings.poll_seconds))

    def _look(self, work: Work, job: str) -> JobView | None:
        """Describe a job; repeat the call while AWS is busy."""
        troubles = 0
        while True:
            try:
                return work.jobs.describe(job)
            except (ClientError, BotoCoreError) as error:
                troubles += 1
                if not is_passing(error) or troubles > _TROUBLES:
                    raise
                self._pause(self._settings.poll_seconds * _growing(troubles))

    def _mark(self, jobs: set[str], job: str) -> None:
        """Remember that this piece of work, and so its run, started a job or waited for it."""
        jobs.add(job)
        self._of_run.add(job)

    def _wait(self, work: Work, job: str, state: _State) -> JobView:
        """Poll a job until it is over."""
        self._mark(state.watched, job)
        renew_note = self._running.keep(RunningJob(work.jobs.kind, job, self._region))
        # Of this process's own clock: AWS's and this machine's may differ.
        begun, looks = time.monotonic(), 0
        while True:
            renew_note()
            view = self._look(work, job)
            if view is None:
                raise TrainingError(f"SageMaker {work.jobs.kind} job {job} was deleted while it ran. Run again.")
            if not view.under_way:
                return view
            state.report(JobProgress(job=job, state=view.state, detail=view.detail, share=view.share))
            if work.seconds is not None and time.monotonic() - begun > work.seconds:
                state.overdue.add(job)
                work.jobs.stop(job)
            looks += 1
            self._pause(self._settings.poll_seconds * _jitter(job, looks))


def _growing(troubles: int) -> float:
    return float(min(2 ** (troubles - 1), _LONGEST_PAUSE))


def _jitter(job: str, look: int) -> float:
    """A factor from 0.8 to 1.2 that spreads the polls of many jobs; the same in every run."""
    return 0.8 + 0.4 * hashlib.sha256(f"{job} {look}".encode()).digest()[0] / 255


def _with_log(error: str, work: Work, job: str, region: str, ended: Ended) -> str:
    """An error with the place of the job's log and, if the rights allow it, the log's last lines."""
    lines = work.jobs.log(job) if ended.in_run else []
    shown = "\nLast lines of the log:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
    return f"{error.rstrip()}\n{place_of(work.jobs.kind, job, region)}{shown}"
