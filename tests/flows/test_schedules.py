"""The local date for which a run was scheduled, also where the clock changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from flows.schedules import scheduled_date


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        # Midnight of 6 September 2026 does not exist in Santiago.
        ("0 0 * * 0", "America/Santiago", "2026-08-28", ["2026-08-30", "2026-09-06", "2026-09-13"]),
        ("30 0 * * 0", "America/Santiago", "2026-08-28", ["2026-08-30", "2026-09-06", "2026-09-13"]),
        # 23:30 of 3 April 2027 exists twice there.
        ("30 23 * * 6", "America/Santiago", "2027-03-26", ["2027-03-27", "2027-04-03", "2027-04-10"]),
        ("0 5 * * 1", "America/Santiago", "2027-03-26", ["2027-03-29", "2027-04-05", "2027-04-12"]),
        ("30 2 * * 0", "Europe/Madrid", "2027-03-20", ["2027-03-21", "2027-03-28", "2027-04-04"]),
        ("0 23 * * *", "Australia/Lord_Howe", "2026-10-02", ["2026-10-02", "2026-10-03", "2026-10-04"]),
    ],
)
def test_every_run_of_the_scheduler_has_the_date_of_its_cron_expression(
    cron: str, zone: str, start: str, expected: list[str]
) -> None:
    from prefect.server.schemas.schedules import CronSchedule

    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    times = asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(3, start=begin))
    assert [scheduled_date(time, cron, zone).isoformat() for time in times] == expected


def test_without_a_cron_expression_the_local_date_counts() -> None:
    at = datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert scheduled_date(at, None, "America/Santiago") == date(2026, 2, 28)
    assert scheduled_date(at, None, "Europe/Madrid") == date(2026, 3, 1)
    assert scheduled_date(at, "0 12 * * 1", "Europe/Madrid") == date(2026, 3, 1), "edited since: no match near"
