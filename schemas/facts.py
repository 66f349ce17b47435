"""Facts about models and policies, stated on their classes, and about alarms.

The registries read them. Nothing else in the system knows a model or a policy by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Scope(StrEnum):
    """The series that one fit of a model serves."""

    BASELINE = "baseline"
    """Every series with any history; always fitted."""
    GLOBAL = "global"
    """All series together: one fit per cutoff, or per group of neighboring cutoffs."""
    SERIES = "series"
    """One series at a time; only the largest series, within the model's budget."""
    COMBINED = "combined"
    """No fit: its forecasts are made from those of the other models."""


class SearchRange(NamedTuple):
    """Values of a parameter that tuning searches. The parameter stays an integer if both bounds are integers."""

    low: float
    high: float
    logarithmic: bool


@dataclass(frozen=True)
class Cost:
    """Core-milliseconds per series: once for its structure, and for every fit; each has a part per period."""

    learn: float
    learn_per_period: float
    fit: float
    fit_per_period: float

    def of_series(self, periods: int, fits: int) -> float:
        """Core-milliseconds of one series over all fits.

        >>> Cost(40, 0.25, 8, 0.035).of_series(200, 4)
        150.0
        """
        return self.learn + self.learn_per_period * periods + fits * (self.fit + self.fit_per_period * periods)


@dataclass(frozen=True)
class ModelFacts:
    """Facts about one model.

    Attributes:
        name: key in the settings (``models.<name>``) and value of the column ``model``.
        label: name for people.
        description: one sentence for help texts and documentation.
        scope: what one fit serves.
        uses_covariates: whether it reads known future covariates (calendar, promotions, prices).
        models_trend: whether it extrapolates a trend.
        replayable: whether one fit can forecast any later cutoff, in the process that made it.
        recursive: whether it forecasts one step at a time, each step reading the one before; otherwise a global model
            learns every step of the horizon at once.
        starts_first: whether its work is submitted before that of other models of its scope, because it takes longest.
        own_stages: whether separate stages train and forecast it (``flows/own_stages.py``). The stage of shards
            forecasts the other models.
        forecasts_aggregates: whether it also forecasts total, stores and categories for the reconciliation.
        tunable: parameters that tuning may search, with their ranges.
        min_known: minimum number of known open periods that a series needs (scope ``series``).
        packages: distributions whose version may change its figures; they go into the manifest.
        cost: cost of a series, from the model's settings (scope ``series``).
        allowance: core-milliseconds that the model may cost per run (scope ``series``); limits the number of series.
        files: SHA-256 by name of files outside the lake that its forecasts depend on, from its settings; they are part
            of the cache key and of the manifest.
        together: whether, with these settings, its series must be in one shard because one fit serves them all (scope
            ``series``).
        least_share: the model is fitted only if its allowance pays for this fraction of the series that it would fit
            (scope ``series``).
    """

    name: str
    label: str
    description: str
    scope: Scope
    uses_covariates: bool = False
    models_trend: bool = False
    replayable: bool = False
    recursive: bool = False
    starts_first: bool = False
    own_stages: bool = False
    forecasts_aggregates: bool = False
    tunable: Mapping[str, SearchRange] = field(default_factory=dict)
    min_known: int = 1
    packages: tuple[str, ...] = ()
    cost: Callable[[Any], Cost] | None = None
    allowance: float = 120_000.0
    files: Callable[[Any], Mapping[str, str]] | None = None
    together: Callable[[Any], bool] | None = None
    least_share: float = 0.0

    @property
    def covariate_free(self) -> bool:
        """Whether it repeats a level or an earlier season: it reads no covariates and extrapolates no trend."""
        return not (self.uses_covariates or self.models_trend or self.scope is Scope.COMBINED)

    @property
    def shares_fits(self) -> bool:
        """Whether one fit serves neighboring folds (:func:`tasks.forecasting.fold_forecasts.fit_groups`)."""
        return self.scope is Scope.GLOBAL and self.replayable

    def __post_init__(self) -> None:
        if self.scope is Scope.SERIES and self.cost is None:
            raise ValueError(f"{self.name}: a model of single series states its cost per series")


class FailureKind(StrEnum):
    """Kind of reason for which a model could not forecast a series."""

    NO_HISTORY = "no_history"
    """No known open period."""
    INSUFFICIENT_HISTORY = "insufficient_history"
    """Fewer known open periods than the model needs."""
    UNSEEN = "unseen"
    """Too short, constant or absent when the model was fitted."""
    NOT_TRAINED = "not_trained"
    """A global model was not trained: too few known periods in all series together."""
    NOT_FINITE = "not_finite"
    """The forecast has values that are not finite."""
    DIVERGED = "diverged"
    """The forecast is far above everything in the history."""
    ERROR = "error"
    """The model raised an error."""

    @property
    def is_insufficient_history(self) -> bool:
        """Whether the series' history is too short for the model. That is normal for new products, not an error."""
        return self in (FailureKind.NO_HISTORY, FailureKind.INSUFFICIENT_HISTORY, FailureKind.UNSEEN)


@dataclass(frozen=True)
class SeriesFailure:
    """Reason for which a model could not forecast a series: the kind, which decides what Restock does, and a text."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True)
class ModelContext:
    """The inputs of a model in addition to its own settings.

    Attributes:
        quantiles: levels to forecast, ascending.
        country: ISO 3166 code of the holiday calendar; None = no holidays.
        workers: processes that a model of single series may use.
        threads: processor threads that a global model may use. Neither changes a result.
    """

    quantiles: tuple[float, ...]
    country: str | None = None
    workers: int = 1
    threads: int = 1


@dataclass(frozen=True)
class PolicyFacts:
    """Facts about one inventory policy.

    Attributes:
        name: value in ``inventory.policies`` and in the column ``policy`` of the cost table.
        label: name for people.
        formula: the rule, in the symbols of docs/reference/domain.md#inventory-formulas.
        source: published work, or the section of the reference pages that derives the formula.
        follows_calibration: whether its levels follow the overstock cost multiplier that the replay of past weeks
            calibrated.
    """

    name: str
    label: str
    formula: str
    source: str
    follows_calibration: bool = False


class Severity(StrEnum):
    """Effect of an alarm on the publication."""

    INFO = "info"
    """Worth knowing; nothing to do."""
    WARNING = "warning"
    """A person should check it; the file is published."""
    HOLD = "hold"
    """The file is held back until `publication.accept` names the alarm."""


@dataclass(frozen=True)
class AlarmFacts:
    """Facts about one alarm.

    Attributes:
        name: stable name; settings, tests and notices refer to it.
        severity: what it does to the publication.
        meaning: what was found, in one sentence.
        remedy: what the reader can do.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str
