"""Tree models on lags tuned by Optuna, on windows that end before the first fold of the backtest begins.

A trial is one fit, at the earliest of the windows, that forecasts all of them. The settings' own parameters are the
first trial and stand unless another is clearly better, so that what is chosen is never worse on these windows. How
many trials there are follows from the size of the data (:func:`trials_for`). Optuna's sampler (TPE; Bergstra et al.
2011) draws with the run's seed, one trial after the other, so that the same data, settings and seed choose the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.model_settings import TREE_RANGES
from schemas.panel import FloatArray, Fold, Panel
from schemas.records import TreeTrial, TreeTuningRecord
from schemas.settings import Settings, XgboostLagsSettings
from tasks.forecasting import xgb_recursive
from tasks.forecasting.registry import make_forecaster
from tasks.forecasting.xgb_boost import NOTHING_LEARNT
from tasks.forecasting.xgboost_ import held_out_origins

if TYPE_CHECKING:
    import optuna

# Loss of every row, shape (N,), from actuals (N,), quantiles (N, Q) and their Q levels.
RowLoss = Callable[[FloatArray, FloatArray, Sequence[float]], FloatArray]
# Core-microseconds, measured on one core of a small x86 server on grocery, sports and departments: 0.18 to 0.23 for a
# row, round and output that is learnt, up to 10 for a series, period and output that is forecast step by step.
LEARN_MICROSECONDS, FORECAST_MICROSECONDS = 0.25, 10.0
# What the tuning of a model may cost, in core-seconds, and the bounds of what follows from it.
ALLOWANCE = 600.0
FEWEST_TRIALS, MOST_TRIALS = 10, 40
# Parameters replace those of the settings only with a loss lower by this share: less is the luck of a few windows.
LEAST_GAIN = 0.01
# Parameters are drawn so that what is shown is what was used.
SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Windows:
    """What trials are judged on.

    Attributes:
        panel: the history before the first fold; nothing behind it can be read.
        origins: cutoffs, ascending, at least one; their horizons lie in the panel's history.
        loss: of single rows.
    """

    panel: Panel
    origins: tuple[int, ...]
    loss: RowLoss

    @classmethod
    def before(cls, folds: Sequence[Fold], panel: Panel, loss: RowLoss) -> Windows | None:
        """The windows whose last horizon ends where the first fold begins; None where the history is too short.

        They follow each other and span 13 weeks, 56 days or 6 months, and two horizons at least, as far as half of
        the history before the first fold lies before them. Example: 96 weeks before the first fold, a horizon of 3:
        81, 84, 87, 90 and 93 weeks are known. 29 days before it and a horizon of 28: None.

        Args:
            folds: of the backtest, by rising cutoff; without any, the windows end with the history.
            panel: the whole history.
            loss: of single rows.
        """
        known = panel.until(folds[0].known_periods) if folds else panel
        origins = held_out_origins(known)
        return cls(known, tuple(origins), loss) if origins else None

    def judge(self, name: str, settings: Settings) -> float | None:
        """Loss of a model over all windows, per unit sold; None where there is too little to learn from."""
        fitted = make_forecaster(name, settings).fit(self.panel.until(self.origins[0]), settings.seed)
        lost = sold = 0.0
        for origin in self.origins:
            forecast = fitted.predict(self.panel.until(origin), settings.quantiles)
            if len(forecast.failed) == self.panel.n:
                return None
            actual = self.panel.demand[:, origin : origin + self.panel.horizon]
            known = np.isfinite(actual)
            lost += float(self.loss(actual[known], forecast.quantiles[known], settings.quantiles).sum())
            sold += float(actual[known].sum())
        return lost / max(sold, np.finfo(float).tiny)


def tune(name: str, settings: Settings, panel: Panel, folds: Sequence[Fold], loss: RowLoss) -> TreeTuningRecord:
    """The parameters of a model with the least loss on the windows before the first fold, if it is 1 % less at least.

    Args:
        name: of a model on lags.
        settings: of the run.
        panel: the whole history; what lies behind the first fold's cutoff is not read.
        folds: of the backtest, by rising cutoff.
        loss: of single rows.

    Returns:
        The trials, the best one's parameters, and a note; no parameters where the settings' own stand.
    """
    windows = Windows.before(folds, panel, loss)
    if windows is None:
        first = folds[0].known_periods if folds else panel.history
        return TreeTuningRecord(
            model=name,
            note=f"{name}: not tuned, the settings' own parameters stand: the {first} periods before the first fold "
            f"hold no window of {panel.horizon} with as many periods before it",
        )
    trials = search(name, settings, windows)
    if not trials:
        return TreeTuningRecord(
            model=name, note=f"{name}: not tuned, the settings' own parameters stand: {NOTHING_LEARNT}"
        )
    own, best = trials[0], min(trials, key=lambda trial: trial.loss)
    taken = best.loss < (1.0 - LEAST_GAIN) * own.loss
    outcome = f"the best has {best.loss:.4g}" + ("" if taken else f", not {LEAST_GAIN:.0%} less: the settings stand")
    return TreeTuningRecord(
        model=name,
        parameters=best.parameters if taken else {},
        trials=trials,
        note=f"{name}: tuned by {len(trials)} trials on windows of {panel.horizon} periods behind the first "
        f"{_listed(windows.origins)}; loss {own.loss:.4g} with the settings' own parameters, {outcome}",
    )


def with_parameters(settings: Settings, name: str, parameters: Mapping[str, float]) -> Settings:
    """The settings with parameters of a model replaced, and without its tuning."""
    model = getattr(settings.models, name).model_copy(update={**parameters, "tuning": None})
    return settings.model_copy(update={"models": settings.models.model_copy(update={name: model})})


def trials_for(name: str, settings: Settings, windows: Windows) -> int:
    """Trials of a tuning: the set number, else what 600 core-seconds pay for, at least 10 and at most 40.

    A trial costs 0.25 us for every row, round and output that is learnt, and 10 us for every series, period and
    output that is forecast. Example, of the model step by step: 1,000 series known for 100 weeks before two windows
    of 8 weeks, 120 rounds, 6 outputs (the mean and five quantiles). 100,000 rows cost 18 s, 96,000 forecasts 0.96 s,
    so 31 trials.

    Args:
        name: of a model on lags; the direct one learns every step of the horizon from every origin.
        settings: rows, rounds, quantiles and, where set, the number itself.
        windows: what is forecast, and what is known before.
    """
    model: XgboostLagsSettings = getattr(settings.models, name)
    if model.tuning is not None and model.tuning.trials is not None:
        return model.tuning.trials
    panel, outputs = windows.panel, 1 + len(settings.quantiles)
    steps = 1 if name == xgb_recursive.NAME else panel.horizon
    rows = min(model.max_rows, steps * int(np.isfinite(panel.demand[:, : windows.origins[0]]).sum()))
    learning = LEARN_MICROSECONDS * rows * model.max_rounds * outputs
    forecasting = FORECAST_MICROSECONDS * panel.n * panel.horizon * len(windows.origins) * outputs
    return int(np.clip(ALLOWANCE * 1e6 / (learning + forecasting), FEWEST_TRIALS, MOST_TRIALS))


def search(name: str, settings: Settings, windows: Windows) -> list[TreeTrial]:
    """All trials in their order, the settings' own parameters first; none where there is too little to learn from.

    Parameters that the settings change from their defaults are kept, the others are searched within
    :data:`schemas.model_settings.TREE_RANGES`.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=settings.seed))
    model: XgboostLagsSettings = getattr(settings.models, name)
    searched = model.searched()
    study.enqueue_trial({parameter: getattr(model, parameter) for parameter in searched})
    done: list[TreeTrial] = []
    for number in range(trials_for(name, settings, windows)):
        trial = study.ask()
        parameters = {parameter: _drawn(trial, parameter) for parameter in searched}
        loss = windows.judge(name, with_parameters(settings, name, parameters))
        if loss is None:
            return []
        study.tell(trial, loss)
        done.append(TreeTrial(number=number, parameters=parameters, loss=loss))
    return done


def _drawn(trial: optuna.Trial, parameter: str) -> int | float:
    low, high, logarithmic = TREE_RANGES[parameter]
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(parameter, low, high, log=logarithmic)
    return float(f"{trial.suggest_float(parameter, low, high, log=logarithmic):.{SIGNIFICANT_DIGITS}g}")


def _listed(numbers: Sequence[int]) -> str:
    """``81, 84 and 87``."""
    *some, last = map(str, numbers)
    return f"{', '.join(some)} and {last}" if some else last
