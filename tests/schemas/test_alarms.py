from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.alarms import ALARMS, NAMED, Alarm, Severity, at_least, raise_alarm
from schemas.settings.publication import PublicationSettings

PAGE = Path(__file__).parents[2] / "docs/reference/alarms.md"
AS_OF = date(2025, 2, 24)


def hold(name: str) -> Alarm:
    return Alarm(name=name, severity=Severity.HOLD, message="found")


def test_the_page_lists_every_alarm_as_the_registry_does() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `[a-z_]+` \| (info|warning|hold) ", line)]
    assert rows == [f"| `{f.name}` | {f.severity} | {f.meaning} | {f.remedy} |" for f in ALARMS.values()]


def test_an_alarm_keeps_the_first_stores_and_the_full_count() -> None:
    alarm = raise_alarm("rejected_rows", "bad rows", stores=range(NAMED + 7), dates=(AS_OF, AS_OF), count=NAMED + 7)
    assert (len(alarm.stores), alarm.count, alarm.stores[:2]) == (NAMED, NAMED + 7, ["0", "1"])
    assert alarm.date_from == alarm.date_to == AS_OF


def test_an_unknown_alarm_cannot_be_raised() -> None:
    with pytest.raises(KeyError, match="no_such_alarm"):
        raise_alarm("no_such_alarm", "text")


def test_severities_are_ordered() -> None:
    alarms = [Alarm(name="x", severity=severity, message="") for severity in Severity]
    assert [a.severity for a in at_least(alarms, Severity.WARNING)] == [Severity.WARNING, Severity.HOLD]


def test_a_hold_is_accepted_for_every_date_or_for_one() -> None:
    name = next(iter(ALARMS))
    for accept, date_of_run, held in (
        ([], AS_OF, True),
        ([name], AS_OF, False),
        ([f"{name}@2025-02-24"], AS_OF, False),
        ([f"{name}@2025-02-24"], date(2025, 3, 3), True),
    ):
        settings = PublicationSettings(accept=accept)
        assert bool(settings.holding([hold(name)], date_of_run)) is held, (accept, date_of_run)
    assert PublicationSettings().holding([raise_alarm(name, "only a warning")], AS_OF) == []


def test_accepting_an_unknown_alarm_or_a_broken_date_is_an_error() -> None:
    with pytest.raises(ValidationError, match="unknown alarm 'rejected_row'; known alarms: rejected_rows"):
        PublicationSettings(accept=["rejected_row"])
    # Other forms of ISO 8601 would be accepted here and never match a run date.
    for day in ("24.02.2025", "20250224", "2025-W09-1", ""):
        with pytest.raises(ValidationError, match="expected rejected_rows, or rejected_rows@YYYY-MM-DD for one run"):
            PublicationSettings(accept=[f"rejected_rows@{day}"])
