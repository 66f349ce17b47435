"""The settings file as one typed model. Unknown keys are errors."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from schemas import columns as c
from schemas.frequency import FREQUENCIES, Frequency
from schemas.settings.backtest import BacktestSettings, ReconciliationSettings, SelectionSettings
from schemas.settings.compute import ComputeSettings
from schemas.settings.inventory import InventorySettings
from schemas.settings.models import (
    ArimaSettings,
    EnsembleSettings,
    LocalModelSettings,
    ModelsSettings,
    ProphetSettings,
    XgboostLagsSettings,
    XgboostRecursiveSettings,
    XgboostSettings,
)
from schemas.settings.publication import OutputSettings, PublicationSettings
from schemas.settings.quality import CleaningSettings, QualitySettings, SpecialPeriod
from schemas.settings.sources import Sources
from schemas.settings.strict import Strict


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
