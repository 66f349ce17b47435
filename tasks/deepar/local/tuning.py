"""Hyperparameter search on this machine: rounds of parallel trainings; unpromising trainings end early.

A round draws all its hyperparameters before it trains and reports its results as a whole, in order, so that neither the
search nor a pruning depends on which training was faster. Training losses can be compared within a search, since
all its trainings have one likelihood.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from schemas.deepar import JobProgress, Report, TrainedModel, TrainingRequest, TuningRequest, TuningResult, TuningTrial
from schemas.errors import TrainingError
from tasks.deepar.local.jobs import Job, OnEpoch, Running, name_of, output_key
from tasks.storage.lake import Lake

if TYPE_CHECKING:
    import optuna

# Longest name of a tuning job on SageMaker.
LONGEST_NAME = 32
# Number of trainings that must end before one is pruned, and number of epochs before a training can be pruned.
_TRUSTED_TRIALS = 4
_FIRST_EPOCHS = 10
_POLL_SECONDS = 0.2

Range = tuple[float, float, Literal["linear", "log"], bool]


class Trainer(Protocol):
    """The local backend, as far as a trial needs it."""

    def name_of(self, request: TrainingRequest) -> str:
        """The name of the request's job."""
        ...

    def train_watched(
        self, request: TrainingRequest, report: Report, on_epoch: OnEpoch
    ) -> tuple[TrainedModel | None, list[float]]:
        """Train under a watch."""
        ...

    def stop(self, job: str) -> None:
        """Stop a job."""
        ...


@dataclass(frozen=True)
class _Outcome:
    """A trial as it is kept, with the losses that later prunings compare with."""

    record: TuningTrial
    losses: list[float]


def tune(trainer: Trainer, lake: Lake, request: TuningRequest, report: Report, running: Running) -> TuningResult:
    """Search hyperparameters; an interrupted search resumes with the trials in the lake.

    Args:
        trainer: trains the trials.
        lake: keeps the result at ``<prefix>/output/<tuning job>/tuning.json``.
        request: what to search.
        report: receives every finished round.
        running: where the search can be stopped by its name.

    Raises:
        TrainingError: no training finished, or the search was stopped.
    """
    name = name_of(f"tune-{request.training.purpose}", _parts(trainer, request), LONGEST_NAME)
    folder = output_key(request.training.channel, name)
    with running.job(name) as job:
        known = _result(lake, f"{folder}/tuning.json")
        if known is not None:
            report(JobProgress(job=name, state="finished", detail="found in the lake", share=1.0))
            return known
        report(JobProgress(job=name, state="starting", detail=f"{request.configurations} trainings", share=0.0))
        started = time.monotonic()
        trials = _Search(trainer, lake, request, folder, job, report).run()
        finished = [trial for trial in trials if trial.value is not None]
        if not finished:
            reasons = "; ".join(sorted({trial.reason for trial in trials}))
            raise TrainingError(f"Tuning job {name}: none of {len(trials)} trainings finished ({reasons}).")
        best = min(finished, key=lambda trial: trial.value if trial.value is not None else float("inf"))
        seconds = round(time.monotonic() - started, 3)
        result = TuningResult(job=name, objective=request.objective, trials=trials, best=best.job, seconds=seconds)
        lake.write_bytes(f"{folder}/tuning.json", result.model_dump_json(indent=1).encode())
        report(JobProgress(job=name, state="finished", share=1.0))
        return result


class _Search:
    """One search: draws, trains and reports, round by round."""

    def __init__(
        self, trainer: Trainer, lake: Lake, request: TuningRequest, folder: str, job: Job, report: Report
    ) -> None:
        self._trainer = trainer
        self._lake = lake
        self._request = request
        self._folder = folder
        self._job = job
        self._report = report

    def run(self) -> list[TuningTrial]:
        """All trials, in the order of their start."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="minimize",
            sampler=optuna.samplers.TPESampler(seed=self._request.training.seed, constant_liar=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_TRUSTED_TRIALS, n_warmup_steps=_FIRST_EPOCHS),
        )
        done: list[TuningTrial] = []
        with ThreadPoolExecutor(self._request.parallel) as threads:
            while len(done) < self._request.configurations:
                count = min(self._request.parallel, self._request.configurations - len(done))
                asked = [study.ask() for _ in range(count)]
                requests = [self._trial_request(trial) for trial in asked]
                outcomes = self._round(threads, asked, requests)
                if self._job.stopping.is_set():
                    raise TrainingError(f"Tuning job {self._job.name} was stopped. Run again to resume it.")
                for trial, outcome in zip(asked, outcomes, strict=True):
                    _tell(study, trial, outcome)
                    done.append(outcome.record)
                self._tell_progress(done)
        return done

    def _round(
        self, threads: ThreadPoolExecutor, trials: Sequence[optuna.Trial], requests: Sequence[TrainingRequest]
    ) -> list[_Outcome]:
        """Train in parallel; a stop of the search also stops its trainings."""
        running = [threads.submit(self._outcome, *one) for one in zip(trials, requests, strict=True)]
        while wait(running, _POLL_SECONDS).not_done:
            if self._job.stopping.is_set():
                for request in requests:
                    self._trainer.stop(self._trainer.name_of(request))
        return [done.result() for done in running]

    def _trial_request(self, trial: optuna.Trial) -> TrainingRequest:
        drawn = {name: _drawn(trial, name, given) for name, given in sorted(self._request.ranges.items())}
        training = self._request.training
        return training.model_copy(update={"hyperparameters": training.hyperparameters | drawn})

    def _outcome(self, trial: optuna.Trial, request: TrainingRequest) -> _Outcome:
        name = self._trainer.name_of(request)
        drawn = {key: request.hyperparameters[key] for key in self._request.ranges}
        key = f"{self._folder}/trials/{name}.json"
        kept = _outcome_of(self._lake, key)
        if kept is not None:
            for epoch, loss in enumerate(kept.losses, start=1):
                trial.report(loss, epoch)
            return kept
        losses: list[float] = []

        def watch(epoch: int, _of: int, loss: float) -> bool:
            losses.append(loss)
            trial.report(loss, epoch)
            return trial.should_prune()

        try:
            model, found = self._trainer.train_watched(request, lambda _progress: None, watch)
        except TrainingError as error:
            state: Literal["stopped", "failed"] = "stopped" if self._job.stopping.is_set() else "failed"
            record = TuningTrial(job=name, hyperparameters=drawn, state=state, reason=str(error))
            return _Outcome(record, losses)
        pruned = model is None
        # A training that was found finished was not watched; whether it would have been pruned is decided here.
        if model is not None and not losses:
            for epoch, loss in enumerate(found, start=1):
                if watch(epoch, len(found), loss):
                    pruned = True
                    break
        outcome = _Outcome(self._judged(name, drawn, None if pruned else model), losses)
        self._keep(key, outcome)
        return outcome

    def _judged(self, name: str, drawn: dict[str, str], model: TrainedModel | None) -> TuningTrial:
        if model is None:
            return TuningTrial(job=name, hyperparameters=drawn, state="pruned", reason="worse than the median")
        value = model.metrics.get(self._request.objective)
        if value is None:
            reason = f"the training measured no {self._request.objective}"
            return TuningTrial(job=name, hyperparameters=drawn, state="failed", seconds=model.seconds, reason=reason)
        return TuningTrial(job=name, hyperparameters=drawn, state="finished", value=value, seconds=model.seconds)

    def _keep(self, key: str, outcome: _Outcome) -> None:
        record = {"trial": outcome.record.model_dump(mode="json"), "losses": outcome.losses}
        self._lake.write_bytes(key, json.dumps(record).encode())

    def _tell_progress(self, done: Sequence[TuningTrial]) -> None:
        values = [trial.value for trial in done if trial.value is not None]
        best = f", best {self._request.objective} {min(values):.4g}" if values else ""
        detail = f"{len(done)} of {self._request.configurations} trainings{best}"
        share = len(done) / self._request.configurations
        self._report(JobProgress(job=self._job.name, state="running", detail=detail, share=share))


def _drawn(trial: optuna.Trial, name: str, given: Range) -> str:
    low, high, scale, whole = given
    if whole:
        return str(trial.suggest_int(name, int(low), int(high), log=scale == "log"))
    return f"{trial.suggest_float(name, low, high, log=scale == 'log'):.6g}"


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: _Outcome) -> None:
    from optuna.trial import TrialState

    state = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(outcome.record.state, TrialState.FAIL)
    study.tell(trial, outcome.record.value if state is TrialState.COMPLETE else None, state=state)


def _parts(trainer: Trainer, request: TuningRequest) -> dict[str, object]:
    return {
        "training": trainer.name_of(request.training),
        "request": hashlib.sha256(request.model_dump_json(exclude={"training"}).encode()).hexdigest(),
    }


def _result(lake: Lake, key: str) -> TuningResult | None:
    if not lake.exists(key):
        return None
    try:
        return TuningResult.model_validate_json(lake.read_bytes(key))
    except ValueError:
        return None


def _outcome_of(lake: Lake, key: str) -> _Outcome | None:
    if not lake.exists(key):
        return None
    try:
        record = json.loads(lake.read_bytes(key))
        return _Outcome(TuningTrial.model_validate(record["trial"]), [float(loss) for loss in record["losses"]])
    except (ValueError, KeyError, TypeError):
        return None
