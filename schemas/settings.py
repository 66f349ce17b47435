"""The settings file as one typed model (contract, section 2). Unknown keys are errors."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas import columns as c
from schemas.frequency import FREQUENCIES, Frequency
from schemas.model_settings import (
    ArimaSettings,
    BacktestSettings,
    EnsembleSettings,
    LocalModelSettings,
    ModelsSettings,
    ProphetSettings,
    ReconciliationSettings,
    SelectionSettings,
    XgboostLagsSettings,
    XgboostRecursiveSettings,
    XgboostSettings,
)
from schemas.strict import Strict

# Settings of the models stand in a module of their own; the rest of the code reads them from here.
__all__ = [
    "FLOORS",
    "ArimaSettings",
    "BacktestSettings",
    "EnsembleSettings",
    "LocalModelSettings",
    "ModelsSettings",
    "ProphetSettings",
    "ReconciliationSettings",
    "SelectionSettings",
    "Settings",
    "XgboostLagsSettings",
    "XgboostRecursiveSettings",
    "XgboostSettings",
]

PolicyName = Literal[
    "eoq",
    "eoq_published",
    "periodic_review",
    "s_S",
    "newsvendor",
    "marginal_value",
    "genetic",
    "genetic_static",
]
FLOORS = ("seasonal_naive", "moving_average")


class SourceSettings(Strict):
    """Where one input table lies and how its file is written."""

    path: str = Field(description="Path, glob or s3:// URI of .csv, .csv.gz, .xlsx or .parquet files")
    columns: dict[str, str] = Field(default={}, description="Our column name: the file's name for it")
    delimiter: str | None = Field(default=None, description="CSV delimiter; found from the header when absent")
    encoding: str = Field(default="utf-8", description="CSV encoding")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of numbers written as text")
    date_format: str | None = Field(default=None, description="strptime format of dates; ISO 8601 when absent")
    sheet: str | None = Field(default=None, description="Excel sheet; the first when absent")


class Sources(Strict):
    """The input tables. Sales, products and stores are required."""

    sales: SourceSettings
    products: SourceSettings
    stores: SourceSettings
    stock: SourceSettings | None = None
    dc_stock: SourceSettings | None = None
    calendar: SourceSettings | None = None
    availability: SourceSettings | None = None
    promotions: SourceSettings | None = None
    overrides: SourceSettings | None = None

    def named(self) -> dict[str, SourceSettings]:
        """The tables that are given, by name, in a fixed order."""
        return {name: source for name in type(self).model_fields if (source := getattr(self, name)) is not None}


class QualitySettings(Strict):
    """When bad data stops the run."""

    max_quarantined_share: float = Field(
        default=0.01, ge=0, le=1, description="Largest share of quarantined rows per table, as a fraction"
    )
    alarm_share: float = Field(
        default=0.005, ge=0, le=1, description="Share of quarantined rows per table that raises an alarm, as a fraction"
    )
    max_fallback_share: float = Field(
        default=0.5, ge=0, le=1, description="Largest share of series per model that may fall back, as a fraction"
    )


class CleaningSettings(Strict):
    """Cleaning of accepted rows (domain, section 2.1)."""

    merge_prefixes: dict[str, list[str]] = Field(
        default={}, description="Product column: prefixes; a value that begins with one becomes that prefix"
    )
    drop_outliers: bool = Field(default=True, description="Treat single faulty lines (far-out values) as unknown")
    outlier_factor: float = Field(
        default=20.0,
        gt=1,
        description="A period is faulty above this multiple of the series' own 99th percentile of the other periods",
    )


class SpecialPeriod(Strict):
    """A span of days with a demand of its own, such as source A's V1."""

    date_from: date = Field(description="First day")
    date_to: date = Field(description="Last day")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.date_to < self.date_from:
            raise ValueError(f"date_to {self.date_to} lies before date_from {self.date_from}")
        return self


class EoqSettings(Strict):
    """EOQ / reorder point (domain, section 4.2)."""

    lead_time: int = Field(default=3, ge=0, description="Source B's LD in periods: a reorder parameter, not a delay")
    max_cover: int = Field(default=30, ge=1, description="Longest order horizon h that is searched, in periods")


class GeneticSettings(Strict):
    """Genetic algorithm (domain, section 4.3)."""

    population: int = Field(default=100, ge=2)
    generations: int = Field(default=50, ge=0)
    mutation: float = Field(default=0.2, ge=0, le=1, description="Share of children that mutate, as a fraction")
    elitism: float = Field(default=0.1, ge=0, lt=1, description="Share of the population kept unchanged")
    crossover: Literal["halves", "two_point"] = Field(
        default="two_point", description="Children swap the halves of their parents (source B) or a span of days"
    )
    repair: bool = Field(default=True, description="Give a child that misses a week a visit in it; else it is dropped")
    patience: int = Field(default=10, ge=1, description="Generations without a better plan after which a store stops")


class LifecycleSettings(Strict):
    """Which lifecycle states (``products.collection_status``) may go where."""

    clearance: list[str] = Field(default=["Liquidación"], description="Not sent to stores of type A")
    outlet_only: list[str] = Field(default=["No Colección", "Saldo"], description="Sent to outlets only")
    outlet_types: list[str] = Field(default=["D"], description="Values of stores.store_type that are outlets")


class SizeRunSettings(Strict):
    """No broken size runs where an article is on show."""

    keep: bool = Field(default=True, description="Show an article with all its core sizes, or leave it out")
    core_share: float = Field(
        default=0.5, gt=0, le=1, description="Core sizes are the best ones that make up this share of a size curve"
    )


class FrozenSettings(Strict):
    """Days on which no visit may arrive, beside those that the calendar's column ``frozen`` marks."""

    dates: list[date] = Field(default=[], description="Days (period labels) without any visit in the whole network")
    closed_days: bool = Field(default=False, description="No visit on days with calendar.open = 0 either")


class CalibrationSettings(Strict):
    """Policy parameters chosen by replaying past weeks with the real demand and the costs of this block."""

    enabled: bool = Field(
        default=True, description="Calibrate wherever holding_cost is above 0; without it the service level holds"
    )
    runs: int = Field(
        default=52, ge=1, description="Past weekly runs that are replayed at most, the latest ones of half the history"
    )


class InventorySettings(Strict):
    """Inventory optimisation (contract, sections 2 and 5)."""

    policies: list[PolicyName] = Field(default=["eoq", "genetic"], min_length=1)
    lead_time: int = Field(default=0, ge=0, description="Whole periods from order to shelf")
    review_period: int = Field(default=7, ge=1, description="Periods between weekly runs")
    eoq: EoqSettings = EoqSettings()
    genetic: GeneticSettings = GeneticSettings()
    holding_cost: float = Field(default=0.0, ge=0, description="Per unit left at the end of a period")
    shortage_cost: Literal["price"] | float = Field(default="price", description='"price" or a number per lost unit')
    capacity: Literal["hard", "soft"] = "hard"
    over_capacity_penalty: float = Field(default=1_000_000.0, ge=0, description="Per store and period over capacity")
    service_level: float = Field(default=0.95, gt=0, lt=1)
    max_visits_per_period: int | None = Field(default=None, ge=1, description="Over the whole network")
    sample_paths: int = Field(default=50, ge=2, description="Demand paths a plan is made from, and as many to judge it")
    lifecycle: LifecycleSettings = LifecycleSettings()
    size_runs: SizeRunSettings = SizeRunSettings()
    frozen: FrozenSettings = FrozenSettings()
    calibration: CalibrationSettings = CalibrationSettings()

    @field_validator("shortage_cost")
    @classmethod
    def _not_negative(cls, value: str | float) -> str | float:
        if isinstance(value, (int, float)) and value < 0:
            raise ValueError("must be at least 0")
        return value


class PublicationSettings(Strict):
    """When a new file is held back."""

    max_change: float | None = Field(
        default=None, ge=0, description="Largest share of changed targets against the last file; null only warns"
    )
    approval_timeout_hours: float = Field(
        default=48, gt=0, description="How long a run waits for an approval, in hours; then the last file stands"
    )


class OutputSettings(Strict):
    """How the ERP reads the replenishment file."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    columns: dict[Literal["store_id", "sku", "target_quantity"], str] = Field(
        default={}, description="Our column name: the ERP's"
    )

    @property
    def header(self) -> dict[str, str]:
        """Our column name: the name written, in file order."""
        written: dict[str, str] = {str(name): text for name, text in self.columns.items()}
        return {name: written.get(name, name) for name in (c.STORE_ID, c.SKU, c.TARGET_QUANTITY)}


class ComputeSettings(Strict):
    """How work is cut and spread. Changes no result."""

    workers: int | None = Field(default=None, ge=1, description="Processes side by side; the machine's cores if null")
    shard_series: int = Field(default=100, ge=1, description="Series per shard of the per-series models")


class Settings(Strict):
    """Everything a run depends on besides its inputs, ``as_of`` and the code."""

    name: str = Field(min_length=1)
    frequency: str = "D"
    aggregate: bool = False
    horizon: int = Field(default=28, ge=1)
    quantiles: list[float] = [0.1, 0.25, 0.5, 0.75, 0.9]
    country: str | None = None
    storage: str = "./lake"
    seed: int = Field(default=7, ge=0, lt=2**31)
    sources: Sources
    category: list[str] = Field(default=[c.SKU], min_length=1)
    quality: QualitySettings = QualitySettings()
    cleaning: CleaningSettings = CleaningSettings()
    special_periods: dict[str, list[SpecialPeriod]] = Field(
        default={},
        description="Name: spans of days with a demand of their own; each name is a feature known in advance",
    )
    models: ModelsSettings = ModelsSettings(
        arima=ArimaSettings(),
        prophet=ProphetSettings(),
        xgboost=XgboostSettings(),
        xgboost_lags=XgboostLagsSettings(),
        xgboost_recursive=XgboostRecursiveSettings(),
        tsb=LocalModelSettings(),
        ensemble=EnsembleSettings(),
    )
    backtest: BacktestSettings = BacktestSettings()
    selection: SelectionSettings = SelectionSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    inventory: InventorySettings = InventorySettings()
    publication: PublicationSettings = PublicationSettings()
    output: OutputSettings = OutputSettings()
    compute: ComputeSettings = ComputeSettings()

    @field_validator("frequency")
    @classmethod
    def _known_frequency(cls, value: str) -> str:
        if value not in FREQUENCIES:
            raise ValueError(f"must be one of {', '.join(FREQUENCIES)}")
        return value

    @field_validator("quantiles")
    @classmethod
    def _quantiles_in_order(cls, value: list[float]) -> list[float]:
        if not value or any(not 0 < level < 1 for level in value):
            raise ValueError("must be fractions above 0 and below 1")
        if sorted(set(value)) != value:
            raise ValueError("must rise and not repeat")
        texts = [c.level_text(level) for level in value]
        unclear = next((text for text in texts if texts.count(text) > 1 or not 0 < float(text) < 1), None)
        if unclear is not None:
            raise ValueError(
                f"must differ from each other and from 0 and 1 in their first six digits, which name their columns; "
                f"one is written {unclear}"
            )
        if 0.5 not in value:  # noqa: PLR2004
            raise ValueError("must hold 0.5, the median that planners are shown")
        return value

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if value is None:
            return None
        import holidays

        if value not in holidays.list_supported_countries():
            raise ValueError("is no ISO 3166 country code that the holiday calendar knows, such as CL, DE or US")
        return value

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_frequency(cls, data: Any) -> Any:
        """Horizon, review period and fold step follow from the frequency where they are absent."""
        if not isinstance(data, dict) or data.get("frequency", "D") not in FREQUENCIES:
            return data
        frequency = Frequency(data.get("frequency", "D"))
        filled = {"horizon": frequency.default_horizon, **data}
        for group, key in (("inventory", "review_period"), ("backtest", "step")):
            given = filled.get(group)
            if given is None or isinstance(given, dict):
                filled[group] = {key: frequency.periods_per_week, **(given or {})}
        backtest = data.get("backtest")
        if isinstance(backtest, dict) and backtest.keys() & {"windows", "step"}:
            filled["backtest"].setdefault("further", 0)
        return filled

    @model_validator(mode="after")
    def _horizon_covers_the_order(self) -> Self:
        needed = self.inventory.lead_time + self.inventory.review_period
        if self.horizon < needed:
            raise ValueError(
                f"horizon is {self.horizon}, but inventory.lead_time + inventory.review_period = {needed}: "
                f"an order must be forecast until the next one arrives; set horizon to at least {needed}"
            )
        return self

    @model_validator(mode="after")
    def _costs_can_rank(self) -> Self:
        if self.selection.loss != c.INVENTORY_COST:
            return self
        given = {"holding_cost": self.inventory.holding_cost, "shortage_cost": self.inventory.shortage_cost}
        for name, effect in (("holding_cost", "leftovers"), ("shortage_cost", "lost units")):
            if given[name] == 0:
                raise ValueError(
                    f"selection.loss is {c.INVENTORY_COST}, but inventory.{name} is 0: where {effect} cost nothing, "
                    "the forecast that is furthest off in one direction would rank first; set "
                    f"inventory.{name} above 0, or selection.loss to wape_wql"
                )
        return self

    @model_validator(mode="after")
    def _sagemaker_has_what_it_needs(self) -> Self:
        deepar = self.models.deepar
        if deepar is None or deepar.backend == "local":
            return self
        if not self.storage.startswith("s3://"):
            raise ValueError(
                f"models.deepar.backend is sagemaker, whose jobs read and write a bucket, but storage is "
                f"'{self.storage}'; set storage to s3://bucket/prefix, or the backend to local"
            )
        if not deepar.sagemaker.role:
            raise ValueError(
                "models.deepar.backend is sagemaker, but models.deepar.sagemaker.role is absent; set it to the ARN of "
                "the role that the jobs run under, such as arn:aws:iam::123456789012:role/restock-sagemaker"
            )
        return self

    @property
    def period(self) -> Frequency:
        """The frequency as an object."""
        return Frequency(self.frequency)

    def digest(self) -> str:
        """SHA-256 of the effective settings, in a canonical form."""
        return digest_of(self.model_dump(mode="json"))


def digest_of(value: object) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
