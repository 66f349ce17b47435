"""Forecast a panel with a model of single series: in parallel, with seasonal naive if it fails.

The rule: a series with too few known open periods, an exception, a non-finite value or a forecast far
beyond everything known is a failure; seasonal naive takes over and the reason goes into
``Forecast.failed``. A failure never stops the other series.
"""

from __future__ import annotations

import re
import signal
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from schemas.facts import FailureKind, ModelContext, ModelFacts, SeriesFailure
from schemas.panel import FloatArray, Forecast, IndexArray, Panel
from schemas.protocols import Forecaster
from tasks.forecasting.baselines import NO_HISTORY, SeasonalNaive, open_demand
from tasks.forecasting.quantiles import tidy
from tasks.forecasting.statistical.series import Key, SeriesTask, series_keys, series_tasks

# Series per unit of work of a process.
CHUNK = 20
# A mean beyond this multiple of the largest known value has diverged.
DIVERGED = 10.0
REASON_LENGTH = 160
UNSEEN = SeriesFailure(FailureKind.UNSEEN, "too short, constant or absent when the model was fitted")
STRUCTURES_SHOWN = 5

S = TypeVar("S")
R = TypeVar("R")
Curve = tuple[FloatArray, FloatArray]


class SeriesSettings(Protocol):
    """The settings that every model of single series has."""

    @property
    def max_series(self) -> int:
        """Series to fit at most."""
        ...

    @property
    def max_history(self) -> int:
        """Periods of history that a fit reads."""
        ...


class SeriesModel(ABC, Generic[S]):
    """A model of one series, in two steps: choose a structure, then estimate its coefficients and forecast.

    A subclass states its facts and implements :meth:`forecast`; if the choice of a structure (orders, priors) is
    costly, it sets ``learns`` and implements :meth:`learn` and :meth:`describe` too.

    Args:
        max_history: periods up to the last known one that it reads.
    """

    facts: ClassVar[ModelFacts]
    learns: ClassVar[bool] = False

    def __init__(self, max_history: int) -> None:
        self.max_history = max_history

    @classmethod
    def from_settings(cls, settings: Any, context: ModelContext) -> Forecaster:
        """The model as a forecaster; its settings are a :class:`SeriesSettings`."""
        return LocalForecaster(cls(settings.max_history), context.workers)

    def learn(self, task: SeriesTask) -> S:
        """Choose the structure of a series; later folds reuse it."""
        raise NotImplementedError(f"{self.facts.name} chooses no structure")

    @abstractmethod
    def forecast(self, task: SeriesTask, levels: Sequence[float], structure: S | None) -> Curve:
        """Estimate coefficients on the history and forecast: mean (lead,) and quantiles (lead, Q)."""

    def describe(self, structure: S) -> str:  # noqa: ARG002
        """A structure in a few characters, for the run's notes."""
        return ""


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """The result of one series: a value, or the reason why it failed."""

    value: R | None
    failure: SeriesFailure | None = None


class UnusableForecastError(Exception):
    """A model returned a forecast that must not be used."""

    def __init__(self, failure: SeriesFailure) -> None:
        super().__init__(failure)
        self.failure = failure


class LocalForecaster(Generic[S]):
    """A :class:`SeriesModel` as a forecaster.

    ``fit`` chooses a structure for every series. :meth:`FittedLocal.refit` keeps the structures found so far and
    chooses only the missing ones, so that an order is searched once over all folds. ``predict`` estimates the
    coefficients on the history of the panel that it is given. The forecast of a series does not depend on which
    others are computed with it, nor on the number of processes.

    Args:
        model: the model of one series.
        workers: parallel processes.
    """

    def __init__(self, model: SeriesModel[S], workers: int = 1) -> None:
        self.name = model.facts.name
        self._model = model
        self._workers = workers

    def fit(self, panel: Panel, seed: int) -> FittedLocal[S]:
        """Choose the structure of every series."""
        return _fit(self._model, panel, seed, self._workers, {})


@dataclass(frozen=True)
class FittedLocal(Generic[S]):
    """A per-series forecaster with its structures by series key, or the reasons why series failed."""

    model: SeriesModel[S]
    structures: Mapping[Key, S]
    errors: Mapping[Key, SeriesFailure]
    seed: int
    workers: int

    def refit(self, panel: Panel, seed: int) -> FittedLocal[S]:
        """Choose the structure of the series that have none yet; the others keep theirs."""
        return _fit(self.model, panel, seed, self.workers, self.structures)

    def predict(self, panel: Panel, quantiles: Sequence[float]) -> Forecast:
        """Forecast every series of the panel; seasonal naive if the model fails."""
        shape = (panel.n, panel.horizon)
        mean, levels = np.full(shape, np.nan), np.full((*shape, len(quantiles)), np.nan)
        triage = _Triage.of(panel, self.model)
        for i, value in triage.flat.items():
            mean[i], levels[i] = value, value
        failed = triage.short | self._without_structure(panel, triage.moving)
        served = [i for i in triage.moving if i not in failed]
        tasks = _tasks(panel, served, self.model, self.seed)
        work = _Forecast(self.model, tuple(quantiles), self.structures, panel.horizon)
        for i, outcome in zip(served, run_each(work, tasks, self.workers), strict=True):
            if outcome.failure is not None:
                failed[i] = outcome.failure
            elif outcome.value is not None:
                mean[i], levels[i] = outcome.value
        _take_over(panel, sorted(failed), quantiles, mean, levels)
        tidied = tidy(mean, levels, panel.closed[:, panel.history : panel.history + panel.horizon])
        return Forecast(*tidied, failed=dict(sorted(failed.items())), notes=self._notes(panel, served))

    def _notes(self, panel: Panel, served: Sequence[int]) -> tuple[str, ...]:
        """One line with the structures found most often, and for how many of the panel's series."""
        if not (self.model.learns and served):
            return ()
        keys = series_keys(panel)
        found = Counter(self.model.describe(self.structures[keys[i]]) for i in served)
        ranked = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:STRUCTURES_SHOWN]
        most = ", ".join(f"{structure} {count}" for structure, count in ranked)
        return (f"{self.model.facts.name}: {len(found)} structures over {len(served)} series; most often {most}",)

    def _without_structure(self, panel: Panel, indices: Sequence[int]) -> dict[int, SeriesFailure]:
        if not self.model.learns:
            return {}
        keys = series_keys(panel)
        return {i: self.errors.get(keys[i], UNSEEN) for i in indices if keys[i] not in self.structures}


def _fit(model: SeriesModel[S], panel: Panel, seed: int, workers: int, known: Mapping[Key, S]) -> FittedLocal[S]:
    structures: dict[Key, S] = dict(known)
    errors: dict[Key, SeriesFailure] = {}
    if model.learns:
        keys = series_keys(panel)
        new = [i for i in _Triage.of(panel, model).moving if keys[i] not in structures]
        tasks = _tasks(panel, new, model, seed)
        for task, outcome in zip(tasks, run_each(model.learn, tasks, workers), strict=True):
            if outcome.failure is not None:
                errors[task.key] = outcome.failure
            elif outcome.value is not None:
                structures[task.key] = outcome.value
    return FittedLocal(model, structures, errors, seed, workers)


class _Forecast(Generic[S]):
    """Forecast of one task, cut to the horizon and checked."""

    def __init__(self, model: SeriesModel[S], levels: tuple[float, ...], found: Mapping[Key, S], horizon: int) -> None:
        self._model, self._levels, self._found, self._horizon = model, levels, found, horizon

    def __call__(self, task: SeriesTask) -> Curve:
        mean, quantiles = self._model.forecast(task, self._levels, self._found.get(task.key))
        mean, quantiles = mean[-self._horizon :], quantiles[-self._horizon :]
        if not (np.isfinite(mean).all() and np.isfinite(quantiles).all()):
            raise UnusableForecastError(SeriesFailure(FailureKind.NOT_FINITE, "the forecast is not finite"))
        largest = float(np.nanmax(task.values))
        if float(mean.max()) > DIVERGED * max(largest, 1.0):
            reason = f"the forecast diverged: {mean.max():.3g} against {largest:.3g} at most in the history"
            raise UnusableForecastError(SeriesFailure(FailureKind.DIVERGED, reason))
        return mean, quantiles


def run_each(function: Callable[[SeriesTask], R], tasks: Sequence[SeriesTask], workers: int) -> list[Outcome[R]]:
    """Apply a function to every task, in order; an exception becomes the task's failure.

    Args:
        function: picklable; must depend only on its task.
        tasks: any number.
        workers: processes; chunks of 20 series are spread over them. 1 = this process.
    """
    chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    if workers <= 1 or len(chunks) <= 1:
        done = [_run_chunk(function, chunk) for chunk in chunks]
    else:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=workers, backend="loky", max_nbytes=None, initializer=_leave_ctrl_c_to_the_run)
        done = pool(delayed(_run_chunk)(function, chunk) for chunk in chunks)
    return [outcome for chunk in done for outcome in chunk]


def _leave_ctrl_c_to_the_run() -> None:
    """Ctrl-C reaches every process of a terminal; the run ends its processes without their tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_chunk(function: Callable[[SeriesTask], R], tasks: Sequence[SeriesTask]) -> list[Outcome[R]]:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One BLAS thread: on matrices this small more of them only wait for each other (tenfold on a busy
    # machine), and the bits of a sum must not depend on their number.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [_run_one(function, task) for task in tasks]


def _run_one(function: Callable[[SeriesTask], R], task: SeriesTask) -> Outcome[R]:
    try:
        return Outcome(function(task))
    except UnusableForecastError as error:
        return Outcome(None, error.failure)
    except Exception as error:
        return Outcome(None, SeriesFailure(FailureKind.ERROR, reason_of(error)))


def reason_of(error: Exception) -> str:
    """An error as one line without paths and addresses, which would differ from run to run.

    >>> reason_of(ValueError("no such file /tmp/x1/data.csv"))
    'ValueError: no such file ...'
    """
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {re.sub(r'(/|0x)[^ ]+', '...', first)}"[:REASON_LENGTH]


def _tasks(panel: Panel, indices: Sequence[int], model: SeriesModel[S], seed: int) -> list[SeriesTask]:
    chosen: IndexArray = np.asarray(indices, dtype=np.int64)
    return series_tasks(panel, chosen, model.max_history, model.facts.uses_covariates, seed)


@dataclass(frozen=True)
class _Triage:
    """Series by what can be done with them, as far back as a model reads.

    Attributes:
        short: index to the failure: too few known open periods.
        flat: index to the value that all known periods have; its forecast is that value.
        moving: indices of the others, for the model.
    """

    short: dict[int, SeriesFailure]
    flat: dict[int, float]
    moving: list[int]

    @classmethod
    def of(cls, panel: Panel, model: SeriesModel[S]) -> _Triage:
        history = open_demand(panel)
        last = np.where(np.isfinite(history), np.arange(panel.history), -1).max(axis=1)
        read = np.where(np.arange(panel.history) > last[:, None] - model.max_history, history, np.nan)
        count = np.isfinite(read).sum(axis=1)
        low, high = (
            np.where(np.isnan(read), np.inf, read).min(axis=1),
            np.where(np.isnan(read), -np.inf, read).max(axis=1),
        )
        needed = model.facts.min_known
        enough = count >= needed
        short = {int(i): _too_short(int(count[i]), needed) for i in np.flatnonzero(~enough)}
        flat = {int(i): float(low[i]) for i in np.flatnonzero(enough & (low == high))}
        return cls(short, flat, [int(i) for i in np.flatnonzero(enough & (low < high))])


def _too_short(known: int, needed: int) -> SeriesFailure:
    if not known:
        return NO_HISTORY
    return SeriesFailure(FailureKind.INSUFFICIENT_HISTORY, f"{known} known open periods, {needed} needed")


def _take_over(panel: Panel, failed: list[int], levels: Sequence[float], mean: FloatArray, found: FloatArray) -> None:
    """Write seasonal naive into the rows of failed series."""
    if failed:
        rows = np.asarray(failed, dtype=np.int64)
        naive = SeasonalNaive("fixed").fit(panel.take(rows), 0).predict(panel.take(rows), levels)
        mean[rows], found[rows] = naive.mean, naive.quantiles
