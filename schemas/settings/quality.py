"""Settings of data quality: `quality`, `cleaning` and `special_periods`."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from schemas.settings.strict import Strict


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
