"""Events of a run that automations listen to."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.events import emit_event

from schemas.outputs import REPORT
from schemas.records import IngestRecord, PublicationRecord
from schemas.run import RunContext
from tasks.publication.addresses import web_address

DATA_QUALITY_ALARM = "restock.data-quality.alarm"
PUBLICATION_FINISHED = "restock.publication.finished"


def tell_of_bad_rows(run: RunContext, record: IngestRecord) -> Sequence[str]:
    """Raise an alarm where a table has more than ``expert.quality.alarm_share`` of bad rows.

    Returns:
        One line per such table.
    """
    read: dict[str, int] = {}
    bad: dict[str, int] = {}
    for file in record.files:
        read[file.table] = read.get(file.table, 0) + file.rows_read
        bad[file.table] = bad.get(file.table, 0) + file.rows_quarantined
    limit = run.settings.quality.alarm_share
    lines = [
        f"{table}: {bad[table]:,} of {read[table]:,} rows are in quarantine ({bad[table] / read[table]:.2%}); "
        f"above {limit:.2%} is an alarm (expert.quality.alarm_share)"
        for table in read
        if bad[table] > limit * read[table]
    ]
    if lines:
        _emit(DATA_QUALITY_ALARM, run, "; ".join(lines))
    return lines


def tell_of_warnings(run: RunContext, warnings: Sequence[str]) -> None:
    """Raise an alarm where the data are not those of ``as_of``: sales that end early, stock that was not counted."""
    if warnings:
        _emit(DATA_QUALITY_ALARM, run, "; ".join(warnings))


def tell_of_publication(run: RunContext, record: PublicationRecord) -> None:
    """Tell that a new file stands."""
    changed = "" if record.changed_share is None else f", {record.changed_share:.1%} of the targets changed"
    place = web_address(f"{record.folder}/{REPORT}") or record.folder
    _emit(PUBLICATION_FINISHED, run, f"{place}{changed}")


def _emit(event: str, run: RunContext, message: str) -> None:
    about = f"{run.settings.name}, {run.as_of}"
    resource = {
        "prefect.resource.id": f"restock.{run.settings.name}.{run.as_of}",
        "prefect.resource.name": about,
    }
    emit_event(event, resource=resource, payload={"message": f"{about}: {message}"})
