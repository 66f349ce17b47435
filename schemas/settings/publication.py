"""The conditions that hold a publication back: section `publication`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pydantic import Field, field_validator

from schemas.alarms import ALARMS, Alarm, Severity
from schemas.settings.strict import IN_ITS_SECTION, Strict, first_page

HOURS_PER_YEAR = 8760


class PublicationSettings(Strict):
    """The conditions that hold a new replenishment file back."""

    max_change: float | None = Field(
        default=None,
        ge=0,
        description="Maximum fraction of targets that may change against the previous file; absent: no limit",
        examples=[0.3],
        json_schema_extra=first_page("fraction", "Above it the new file is held back (alarm `changed_targets`)"),
    )
    max_total_change: float | None = Field(
        default=0.5,
        gt=0,
        description="Maximum relative change of the sum of targets, and of the units to send, against the previous "
        "file; null: no limit",
        examples=[0.8],
        json_schema_extra=IN_ITS_SECTION,
    )
    accept: list[str] = Field(
        default=[],
        description="Alarms that neither hold a publication back nor send a notification: `NAME` for every run date, "
        "`NAME@DATE` for one "
        "(docs/reference/alarms.md)",
        examples=[["stale_sales@2025-02-24"]],
        json_schema_extra=IN_ITS_SECTION,
    )
    approval_timeout_hours: float = Field(
        default=48,
        gt=0,
        le=HOURS_PER_YEAR,
        description="Hours that a run waits for an approval",
        examples=[12],
        json_schema_extra=IN_ITS_SECTION,
    )

    @field_validator("accept")
    @classmethod
    def _known_alarms(cls, value: list[str]) -> list[str]:
        for entry in value:
            name, _, day = entry.partition("@")
            if name not in ALARMS:
                raise ValueError(f"unknown alarm '{name}'; known alarms: {', '.join(ALARMS)}")
            if "@" in entry and not _is_date(day):
                raise ValueError(f"'{entry}': expected {name}, or {name}@YYYY-MM-DD for one run date")
        return value

    def holding(self, alarms: Sequence[Alarm], as_of: date) -> list[Alarm]:
        """The alarms that hold back the publication of a run date because `accept` does not name them."""
        return [alarm for alarm in self.not_accepted(alarms, as_of) if alarm.severity is Severity.HOLD]

    def not_accepted(self, alarms: Sequence[Alarm], as_of: date) -> list[Alarm]:
        """The alarms that `accept` does not name for a run date: they are notified."""
        accepted = {entry for entry in self.accept if "@" not in entry}
        accepted |= {entry.partition("@")[0] for entry in self.accept if entry.endswith(f"@{as_of}")}
        return [alarm for alarm in alarms if alarm.name not in accepted]


def _is_date(text: str) -> bool:
    """Return whether a text is a date as run dates are written; ISO 8601 has other forms."""
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False
