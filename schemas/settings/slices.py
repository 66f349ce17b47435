"""Typed slices of the settings: what each stage may read, and nothing else.

A stage receives references to data and one slice. The slice's values are part of the stage's cache key, so a result
cannot depend on a setting that is not in its key: reading a setting outside the slice is an ``AttributeError`` at run
time and an error of the type checker before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import SerializeAsAny

from schemas import columns as c
from schemas.frequency import END, Frequency
from schemas.settings.backtest import BacktestSettings, ReconciliationSettings, SelectionSettings
from schemas.settings.deepar import Backend, DeepArHyperparameters, DeepArSettings, DeepArTuningSettings
from schemas.settings.inventory import InventorySettings
from schemas.settings.quality import CleaningSettings, SpecialPeriod
from schemas.settings.root import Settings
from schemas.settings.sagemaker import DeepArInstance
from schemas.settings.sources import Sources
from schemas.settings.strict import Strict


class Slice(Strict):
    """A part of the settings.

    Attributes:
        PATHS: dotted path in the settings of a field that has another name there.
    """

    PATHS: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of(cls, settings: Strict, **given: Any) -> Self:
        """Take the slice's fields out of the settings.

        Args:
            settings: the whole settings, or a section of them for a nested slice.
            **given: fields that are not read from the settings.
        """
        taken = {name: cls._taken(name, settings) for name in cls.model_fields if name not in given}
        return cls(**taken, **given)

    @classmethod
    def _taken(cls, name: str, settings: Strict) -> Any:
        value: Any = settings
        for part in cls.PATHS.get(name, name).split("."):
            value = getattr(value, part)
        nested = cls.model_fields[name].annotation
        return nested.of(value) if isinstance(nested, type) and issubclass(nested, Slice) else value


class PeriodSlice(Slice):
    """A slice of a stage that works on periods."""

    frequency: str
    period_label: Literal["start", "end"] | None = None

    @property
    def period(self) -> Frequency:
        """The frequency as an object."""
        return Frequency(self.frequency, ends=self.period_label == END)


class CategorySlice(Slice):
    """The settings of a product's forecast category."""

    category: list[str]
    cleaning: CleaningSettings


class QuarantineLimit(Slice):
    """The share of bad rows that stops the run."""

    max_quarantined_share: float | dict[str, float]
    alarm_share: float


class IngestSlice(PeriodSlice):
    """The settings that reading and validation depend on."""

    sources: Sources
    aggregate: bool
    category: list[str]
    quality: QuarantineLimit


class PanelSlice(CategorySlice, PeriodSlice):
    """The settings that the demand panel and its features depend on."""

    aggregate: bool
    horizon: int
    country: str | None
    special_periods: dict[str, list[SpecialPeriod]]


class QuantileSlice(PeriodSlice):
    """The settings that a comparison of forecasts depends on."""

    quantiles: list[float]


class ModelSlice(PeriodSlice):
    """The settings that the forecasts of one model depend on.

    Attributes:
        model: the model's own settings; None for a baseline, which has none.
    """

    country: str | None
    quantiles: list[float]
    seed: int
    model: SerializeAsAny[Strict] | None


class ReplaySlice(ModelSlice):
    """The settings that the forecasts of replayed weeks depend on.

    Attributes:
        review_period: periods between two replayed weeks.
        runs: weeks that are replayed at most.
    """

    PATHS: ClassVar[Mapping[str, str]] = {
        "review_period": "inventory.review_period",
        "runs": "inventory.calibration.runs",
    }

    review_period: int
    runs: int


class FoldsSlice(ModelSlice):
    """The settings that the forecasts of one model on the folds depend on."""

    backtest: BacktestSettings


class NamedModels(Slice):
    """The settings of some models.

    Attributes:
        settings: name of the model to its own settings.
    """

    settings: dict[str, SerializeAsAny[Strict]]

    def named(self) -> dict[str, Strict]:
        """Return the settings by model, as ``ModelsSettings.named`` does."""
        return self.settings


class RankingCosts(Slice):
    """The settings that the simulated cost of a forecast depends on."""

    lead_time: int
    review_period: int
    holding_cost: float
    holding_cost_per_year: float | None
    shortage_cost: Literal["price"] | float
    sample_paths: int


class CompareSlice(PeriodSlice):
    """The settings that comparison, selection and reconciliation depend on.

    Attributes:
        country: its holidays may move a season; so may the special periods.
        models: those that the comparison itself makes (:func:`tasks.forecasting.registry.compared_models`).
        inventory: None if models are not ranked by cost.
    """

    quantiles: list[float]
    seed: int
    backtest: BacktestSettings
    reconciliation: ReconciliationSettings
    selection: SelectionSettings
    models: NamedModels
    inventory: RankingCosts | None
    country: str | None
    special_periods: dict[str, list[SpecialPeriod]]

    @classmethod
    def of(cls, settings: Strict, **given: Any) -> Self:
        """Leave out the costs if they do not rank the models."""
        assert isinstance(settings, Settings)
        by_cost = settings.selection.loss == c.INVENTORY_COST
        return super().of(settings, inventory=RankingCosts.of(settings.inventory) if by_cost else None, **given)


class PlanSlice(PeriodSlice):
    """The settings that the replay of past weeks and the plan depend on."""

    horizon: int
    quantiles: list[float]
    seed: int
    inventory: InventorySettings


class LocalTraining(Slice):
    """The settings that a training on this machine depends on."""

    batches_per_epoch: int
    device: Literal["auto", "cpu", "gpu"]


class SageMakerTraining(Slice):
    """The settings that a training on SageMaker depends on."""

    image_uri: str | None
    training_instance: DeepArInstance


class DeepArTraining(Slice):
    """The settings that DeepAR's training and forecasts depend on.

    Attributes:
        local: None if the jobs run on SageMaker.
        sagemaker: None if they run on this machine.
    """

    backend: Backend
    hyperparameters: DeepArHyperparameters
    categorical: list[str] | None
    dynamic: list[str] | None
    num_samples: int
    local: LocalTraining | None
    sagemaker: SageMakerTraining | None

    @classmethod
    def of(cls, settings: Strict, **given: Any) -> Self:
        """Leave out the block of the backend that is not used."""
        assert isinstance(settings, DeepArSettings)
        here = settings.backend == "local"
        local = LocalTraining.of(settings.local) if here else None
        sagemaker = None if here else SageMakerTraining.of(settings.sagemaker)
        return super().of(settings, local=local, sagemaker=sagemaker, **given)


class DeepArSlice(PeriodSlice):
    """The settings that DeepAR's configurations depend on."""

    quantiles: list[float]
    seed: int
    deepar: DeepArTraining


class DeepArTuningSlice(DeepArSlice):
    """The settings that the tuning of DeepAR depends on."""

    tuning: DeepArTuningSettings
