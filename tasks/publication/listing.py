"""The list of publications: date, version, time, by whom, totals, alarms, and what is in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tasks.publication.earlier_runs import RUNS, published
from tasks.publication.manifest import ALARMS, APPROVAL, CHANGED_SHARE, TOTALS
from tasks.publication.versions import (
    PUBLISHED,
    ROLLED_BACK,
    VERSIONS,
    WITHDRAWN,
    Event,
    Version,
    dates_of,
    events_of,
    versions_of,
)
from tasks.report.formats import percent
from tasks.storage.lake import Lake

IN_FORCE, REPLACED, INTERRUPTED = "in force", "replaced", "interrupted"


def publication_rows(lake: Lake) -> list[dict[str, Any]]:
    """Return one row per version of every publication, the latest run date and version first.

    Columns: date, version, state (``in force``, ``replaced``, ``withdrawn``, or ``interrupted``: the run was stopped
    before the version came into force), published (time, UTC), by (who published it), approved, rows, units, to_send,
    changed (share of targets changed since the file before), alarms and note (rollbacks and withdrawals, by whom, and
    why).
    """
    rows = []
    for day in sorted({*dates_of(lake, RUNS), *dates_of(lake, VERSIONS)}, reverse=True):
        versions, events = versions_of(lake, day), events_of(lake, day)
        current = published(lake, day)
        if current is not None and not any(version.in_force for version in versions):
            versions.append(Version(day, (versions[-1].number if versions else 0) + 1, current.manifest, in_force=True))
        rows += [_row(version, events) for version in reversed(versions)]
    return rows


def readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the list for people: the time to the minute.

    >>> readable({"published": "2025-02-24T05:12:09+00:00"})
    {'published': '2025-02-24 05:12 UTC'}
    """
    at = str(row["published"])[:16].replace("T", " ")
    return {**row, "published": f"{at} UTC" if at else ""}


def _row(version: Version, events: list[Event]) -> dict[str, Any]:
    own = [event for event in events if event.version == version.number]
    totals = version.manifest.get(TOTALS) or {}
    approval = version.manifest.get(APPROVAL) or {}
    raised = Counter(alarm["name"] for alarm in version.manifest.get(ALARMS) or [])
    return {
        "date": version.as_of.isoformat(),
        "version": version.number,
        "state": _state(version, events),
        "published": own[0].at if own else "",
        "by": own[0].by if own else "",
        "approved": approval.get("by", ""),
        "rows": totals.get("rows"),
        "units": totals.get("units"),
        "to_send": totals.get("to_send"),
        "changed": percent(totals.get(CHANGED_SHARE)),
        "alarms": ", ".join(sorted(raised)),
        "note": "; ".join(_told(event) for event in own if event.action != PUBLISHED),
    }


def _state(version: Version, events: list[Event]) -> str:
    if version.in_force:
        return IN_FORCE
    last = events[-1].version if events else 0
    if version.number > max([0, *(event.version for event in events)]):
        return INTERRUPTED
    return WITHDRAWN if last == version.number and events[-1].action == WITHDRAWN else REPLACED


def _told(event: Event) -> str:
    action = "put back in force" if event.action == ROLLED_BACK else event.action
    return f"{action} by {event.by}" + (f": {event.note}" if event.note else "")
