"""Settings of the published file: `publication` and `output`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import Field, field_validator

from schemas import columns as c
from schemas.alarms import ALARMS, Alarm, Severity
from schemas.settings.strict import Strict, first_page


class PublicationSettings(Strict):
    """When a new replenishment file is held back."""

    max_change: float | None = Field(
        default=None,
        ge=0,
        description="Maximum fraction of targets that may change against the previous file; absent: only a warning",
        examples=[0.3],
        json_schema_extra=first_page("fraction", "Above it the new file is held back"),
    )
    accept: list[str] = Field(
        default=[],
        description="Alarms that do not hold a publication back: `NAME` for every run date, `NAME@DATE` for one "
        "(docs/reference/alarms.md)",
        examples=[["rejected_rows@2025-02-24"]],
        json_schema_extra=first_page("list of alarms", "The file is published although this alarm was raised"),
    )
    approval_timeout_hours: float = Field(
        default=48,
        gt=0,
        description="Hours that a run waits for an approval",
        examples=[12],
        json_schema_extra=first_page("hours", "After this time the previous file stays in force"),
    )

    @field_validator("accept")
    @classmethod
    def _known_alarms(cls, value: list[str]) -> list[str]:
        for entry in value:
            name, _, day = entry.partition("@")
            if name not in ALARMS:
                raise ValueError(f"unknown alarm '{name}'; known alarms: {', '.join(ALARMS)}")
            if "@" in entry:
                date.fromisoformat(day)
        return value

    def holding(self, alarms: Sequence[Alarm], as_of: date) -> list[Alarm]:
        """The alarms that hold back the publication of a run date because `accept` does not name them."""
        accepted = {entry for entry in self.accept if "@" not in entry}
        accepted |= {entry.partition("@")[0] for entry in self.accept if entry.endswith(f"@{as_of}")}
        return [alarm for alarm in alarms if alarm.severity is Severity.HOLD and alarm.name not in accepted]


class OutputSettings(Strict):
    """Format of the replenishment file."""

    delimiter: str = Field(
        default=",",
        min_length=1,
        max_length=1,
        description="Delimiter of the replenishment file",
        examples=[";"],
        json_schema_extra=first_page("character", "Must be what the ERP expects"),
    )
    encoding: str = Field(
        default="utf-8",
        description="Text encoding of the replenishment file",
        examples=["cp1252"],
        json_schema_extra=first_page("name", "Must be what the ERP expects"),
    )
    columns: dict[Literal["store_id", "sku", "target_quantity"], str] = Field(
        default={},
        description="Maps Restock column names to the column names of the ERP",
        examples=[{"store_id": "Shop", "target_quantity": "Min"}],
        json_schema_extra=first_page("mapping", "Columns that are not listed keep their name"),
    )

    @property
    def header(self) -> dict[str, str]:
        """Our column name: the name written, in file order."""
        written: dict[str, str] = {str(name): text for name, text in self.columns.items()}
        return {name: written.get(name, name) for name in (c.STORE_ID, c.SKU, c.TARGET_QUANTITY)}
