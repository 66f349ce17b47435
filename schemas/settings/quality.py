"""Settings of data quality: `quality`, `cleaning` and `special_periods`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from schemas.settings.strict import Strict, first_page
from schemas.tables import TABLES

Share = Annotated[float, Field(ge=0, le=1)]
DEFAULT_SHARE = 0.01


class QualitySettings(Strict):
    """Limits above which bad data stop the run."""

    max_quarantined_share: Share | dict[str, Share] = Field(
        default=DEFAULT_SHARE,
        description="Maximum fraction of rejected rows per input table; the run stops above it. A number, or a "
        "mapping from table to number (0.01 for the others)",
        examples=[{"stock": 0.05}],
        json_schema_extra=first_page("fraction", "A higher value accepts files with more bad rows"),
    )
    max_age_days: int = Field(
        default=10,
        ge=0,
        description="Maximum age of the latest sales in days before the run date",
        examples=[3],
        json_schema_extra=first_page("days", "With older sales the file is held back (alarm `stale_sales`)"),
    )
    alarm_share: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Fraction of rejected rows per input table above which an alarm is raised",
    )
    max_fallback_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Maximum fraction of a model's series that may use the fallback forecast; the run stops above it",
    )

    @field_validator("max_quarantined_share")
    @classmethod
    def _known_tables(cls, value: Share | dict[str, Share]) -> Share | dict[str, Share]:
        unknown = sorted(value.keys() - TABLES.keys()) if isinstance(value, dict) else []
        if unknown:
            raise ValueError(f"unknown table {', '.join(unknown)}; expected {', '.join(TABLES)}")
        return value


class CleaningSettings(Strict):
    """Cleaning of accepted rows."""

    merge_prefixes: dict[str, list[str]] = Field(
        default={},
        description="Maps a product column to prefixes. A value that begins with a prefix is replaced by the prefix",
        examples=[{"subfamily": ["SANDALIA"]}],
        json_schema_extra=first_page("mapping", "Merges small categories such as SANDALIA PLANA and SANDALIA TACO"),
    )
    drop_outliers: bool = Field(default=True, description="Treat periods with implausibly high sales as unknown")
    outlier_factor: float = Field(
        default=20.0,
        gt=1,
        description="A period is an outlier above this multiple of the 99th percentile of the series' other periods",
    )
    suspect_stock_outs: bool = Field(
        default=True,
        description="Without the table `availability`, treat periods in which a SKU was probably not in stock as "
        "unknown",
    )


class SpecialPeriod(Strict):
    """A range of days with unusual demand."""

    date_from: date = Field(description="First day")
    date_to: date = Field(description="Last day")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.date_to < self.date_from:
            raise ValueError(f"date_to {self.date_to} is before date_from {self.date_from}; swap or correct them")
        return self
