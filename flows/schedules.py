"""The local date for which a schedule started a run."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

# Clocks change by one hour, on Lord Howe Island by half an hour.
CLOCK_CHANGE = timedelta(hours=2)


def schedule_of(run: FlowRun) -> tuple[str | None, str | None]:
    """Return cron expression and time zone of the schedule that started a run; None if they are unknown."""
    from prefect.client.orchestration import get_client

    if run.deployment_id is None:
        return None, None
    with get_client(sync_client=True) as client:
        schedules = client.read_deployment(run.deployment_id).schedules
    by = run.created_by.id if run.created_by is not None else None
    own = [one.schedule for one in schedules if one.id == by] or [one.schedule for one in schedules]
    if not own:
        return None, None
    return getattr(own[0], "cron", None), getattr(own[0], "timezone", None)


def scheduled_date(at: datetime, cron: str | None, timezone: str | None) -> date:
    """Return the local date for which a run was scheduled.

    Where the clock is set forward at midnight, midnight does not exist, and the scheduler starts the run an hour
    earlier, on the day before. The date is that of the cron expression.

    Args:
        at: time for which the scheduler planned the run, with time zone.
        cron: cron expression of the schedule; None = take the local date of ``at``.
        timezone: IANA name of the schedule's time zone; None = the worker's.

    >>> from datetime import UTC
    >>> scheduled_date(datetime(2026, 9, 6, 3, tzinfo=UTC), "0 0 * * 0", "America/Santiago").isoformat()
    '2026-09-06'
    """
    local = (at.astimezone(ZoneInfo(timezone)) if timezone else at.astimezone()).replace(tzinfo=None)
    if cron is None:
        return local.date()
    from cronsim import CronSim

    planned = []
    for moment in CronSim(cron, local - CLOCK_CHANGE - timedelta(minutes=1)):
        if moment > local + CLOCK_CHANGE:
            break
        planned.append(moment)
    nearest = min(planned, key=lambda moment: abs(moment - local), default=local)
    return nearest.date()
