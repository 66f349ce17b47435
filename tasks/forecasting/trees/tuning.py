"""Tree models on lags tuned by Optuna, on windows that end before the first fold of the backtest begins.

A trial is evaluated on the last windows before the first fold and, if two years precede it, on the coming season a year
before: parameters that are best only in autumn may fail after Christmas. The settings' own parameters are the first
trial and are kept unless another trial is clearly better: on these windows, the choice is never worse. The number of
trials follows from the size of the data (:func:`trials_for`). Optuna's sampler (TPE; Bergstra et al. 2011) draws with
the run's seed, one trial after the other: the same data, settings and seed give the same choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from schemas.facts import SearchRange
from schemas.panel import FloatArray, Fold, Panel
from schemas.records import TreeTrial, TreeTuningRecord
from schemas.settings import XgboostLagsSettings
from schemas.settings.slices import ModelSlice
from tasks.demand.folds import minimum_history
from tasks.forecasting.registry import facts
from tasks.forecasting.shard import create_model
from tasks.forecasting.trees.booster import NOT_TRAINED
from tasks.forecasting.trees.direct import held_out_blocks
from tasks.storage.machine import Cores

if TYPE_CHECKING:
    import optuna

S = TypeVar("S", bound=ModelSlice)
# Loss of every row, shape (N,), from actuals (N,), quantiles (N, Q) and their Q levels.
RowLoss = Callable[[FloatArray, FloatArray, Sequence[float]], FloatArray]
# Core-microseconds, measured on one core of a small x86 server on grocery, sports and departments: 0.18 to 0.23 for a
# row, round and output that is learned, up to 10 for a series, period and output that is forecast step by step.
LEARN_MICROSECONDS, FORECAST_MICROSECONDS = 0.25, 10.0
# What the tuning of a model may cost, in core-seconds, and the bounds of what follows from it.
ALLOWANCE = 600.0
FEWEST_TRIALS, MOST_TRIALS = 10, 40
# After this number of complete trials, a trial is stopped early if its loss on the first windows is above the median.
TRUSTED_TRIALS = 4
# Parameters replace those of the settings only with a loss lower by this share: smaller gains (0.7 % on grocery, 2.2 %
# on sports) made the next horizon worse.
LEAST_GAIN = 0.05
# Drawn parameters are rounded to this number of digits, so that the displayed values are the used ones.
SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Windows:
    """The windows on which trials are evaluated.

    Attributes:
        panel: the history before the first fold; nothing after it can be read.
        blocks: cutoffs, ascending, whose horizons lie in the panel's history, by the fit that forecasts them: one at
            the first of them. At least one block of at least one cutoff.
        loss: of single rows.
    """

    panel: Panel
    blocks: tuple[tuple[int, ...], ...]
    loss: RowLoss

    @classmethod
    def before(cls, folds: Sequence[Fold], panel: Panel, loss: RowLoss) -> Windows | None:
        """The windows whose last horizon ends where the first fold begins; None if the history is too short.

        The windows are consecutive and span at least two horizons and 13 weeks, 56 days or 6 months, if half of the
        history before the first fold, and the minimum history of a fold, lie before them. If a year more lies before
        it, the horizon that begins a year before the first fold is another window. Example: with 163 weeks before the
        first fold and a horizon of 8, the windows follow 147 and 155 weeks, and one follows 111. With 29 days and a
        horizon of 28: None.

        Args:
            folds: folds of the backtest, by rising cutoff; without any, the windows end with the history.
            panel: the whole history.
            loss: of single rows.
        """
        known = panel.until(folds[0].known_periods) if folds else panel
        least = minimum_history(known)
        long_enough = (tuple(cutoff for cutoff in block if cutoff >= least) for block in held_out_blocks(known))
        blocks = tuple(block for block in long_enough if block)
        return cls(known, blocks, loss) if blocks else None

    def losses(self, name: str, use: ModelSlice, cores: Cores) -> Iterator[float | None]:
        """Loss of a model per unit sold, over all windows up to each block; None if it can learn nothing."""
        lost = sold = 0.0
        for block in self.blocks:
            fitted = create_model(name, use, cores).fit(self.panel.until(block[0]), use.seed)
            for cutoff in block:
                forecast = fitted.predict(self.panel.until(cutoff), use.quantiles)
                if len(forecast.failed) == self.panel.n:
                    yield None
                    return
                actual = self.panel.demand[:, cutoff : cutoff + self.panel.horizon]
                known = np.isfinite(actual)
                lost += float(self.loss(actual[known], forecast.quantiles[known], use.quantiles).sum())
                sold += float(actual[known].sum())
            yield lost / max(sold, np.finfo(float).tiny)


def tune(
    name: str, use: ModelSlice, panel: Panel, folds: Sequence[Fold], loss: RowLoss, cores: Cores | None = None
) -> TreeTuningRecord:
    """The parameters of a model with the least loss on the windows before the first fold, if it is 5 % less.

    Args:
        name: name of a model on lags.
        use: the model's settings, quantiles and seed.
        panel: the whole history; periods after the first fold's cutoff are not read.
        folds: folds of the backtest, by rising cutoff.
        loss: of single rows.
        cores: processes and threads that a fit may use.

    Returns:
        The trials, the best one's parameters, and a note; no parameters if those of the settings are kept.
    """
    windows = Windows.before(folds, panel, loss)
    if windows is None:
        first = folds[0].known_periods if folds else panel.history
        return TreeTuningRecord(
            model=name,
            note=f"{name}: not tuned, the settings are used: the {first} periods before the first fold "
            f"contain no window of {panel.horizon} in their second half with {minimum_history(panel)} before it",
        )
    trials = search(name, use, windows, cores or Cores())
    if not trials:
        return TreeTuningRecord(model=name, note=f"{name}: not tuned, the settings are used: {NOT_TRAINED.reason}")
    losses = [float("inf") if trial.loss is None else trial.loss for trial in trials]
    own, least = losses[0], min(losses)
    taken = least < (1.0 - LEAST_GAIN) * own
    outcome = f"the best has {least:.4g}" + ("" if taken else f", not {LEAST_GAIN:.0%} less: the settings are used")
    cutoffs = sorted(cutoff for block in windows.blocks for cutoff in block)
    return TreeTuningRecord(
        model=name,
        parameters=trials[losses.index(least)].parameters if taken else {},
        trials=trials,
        note=f"{name}: tuned by {len(trials)} trials on windows of {panel.horizon} periods after the first "
        f"{_listed(cutoffs)}; loss {own:.4g} with the settings' own parameters, {outcome}",
    )


def with_parameters(use: S, parameters: Mapping[str, float]) -> S:
    """The slice with parameters of the model replaced, and without its tuning."""
    own = _settings_of(use)
    params = own.params.model_copy(update=dict(parameters))
    return use.model_copy(update={"model": own.model_copy(update={"params": params, "tuning": None})})


def _settings_of(use: ModelSlice) -> XgboostLagsSettings:
    assert isinstance(use.model, XgboostLagsSettings)
    return use.model


def trials_for(name: str, use: ModelSlice, windows: Windows) -> int:
    """Trials of a tuning: the set number, else what 600 core-seconds pay for, at least 10 and at most 40.

    A trial costs 0.25 us for every row, round and output that is learned, by every block of windows, and 10 us for
    every series, period and output that is forecast. Example, of the model step by step: 1,000 series known for 100
    weeks before two windows of 8 weeks, 120 rounds, 6 outputs (the mean and five quantiles). 100,000 rows cost 18 s,
    96,000 forecasts 0.96 s, so 31 trials.

    Args:
        name: name of a model on lags; the direct one learns every step of the horizon from every origin.
        use: rows, rounds, quantiles and, if set, the number itself.
        windows: what is forecast, and what is known before.
    """
    model = _settings_of(use)
    if model.tuning is not None and model.tuning.trials is not None:
        return model.tuning.trials
    panel, outputs = windows.panel, 1 + len(use.quantiles)
    steps = 1 if facts()[name].recursive else panel.horizon
    known = [steps * int(np.isfinite(panel.demand[:, : block[0]]).sum()) for block in windows.blocks]
    learning = LEARN_MICROSECONDS * sum(min(model.max_rows, rows) for rows in known) * model.max_rounds * outputs
    forecast = panel.n * panel.horizon * sum(map(len, windows.blocks))
    forecasting = FORECAST_MICROSECONDS * forecast * outputs
    return int(np.clip(ALLOWANCE * 1e6 / (learning + forecasting), FEWEST_TRIALS, MOST_TRIALS))


def search(name: str, use: ModelSlice, windows: Windows, cores: Cores) -> list[TreeTrial]:
    """All trials in their order, the settings' own parameters first; none if there is too little to learn from.

    Parameters that the settings change from their defaults are kept, the others are searched within
    the ranges of the model's facts.
    """
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=use.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=TRUSTED_TRIALS),
    )
    model = _settings_of(use)
    searched = {parameter: facts()[name].tunable[parameter] for parameter in model.searched()}
    study.enqueue_trial({parameter: getattr(model.params, parameter) for parameter in searched})
    done: list[TreeTrial] = []
    for number in range(trials_for(name, use, windows)):
        trial = study.ask()
        parameters = {parameter: _drawn(trial, parameter, among) for parameter, among in searched.items()}
        loss, pruned = None, False
        for block, loss in enumerate(windows.losses(name, with_parameters(use, parameters), cores), start=1):
            if loss is None:
                return []
            trial.report(loss, block)
            pruned = block < len(windows.blocks) and trial.should_prune()
            if pruned:
                break
        study.tell(trial, None if pruned else loss, TrialState.PRUNED if pruned else TrialState.COMPLETE)
        done.append(TreeTrial(number=number, parameters=parameters, loss=None if pruned else loss))
    return done


def _drawn(trial: optuna.Trial, parameter: str, among: SearchRange) -> int | float:
    low, high, logarithmic = among
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(parameter, low, high, log=logarithmic)
    return float(f"{trial.suggest_float(parameter, low, high, log=logarithmic):.{SIGNIFICANT_DIGITS}g}")


def _listed(numbers: Sequence[int]) -> str:
    """``81, 84 and 87``."""
    *some, last = map(str, numbers)
    return f"{', '.join(some)} and {last}" if some else last
