"""Prefect events of a run that trigger automations."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.events import emit_event

from schemas.outputs import REPORT
from schemas.records import IngestRecord, PublicationRecord
from schemas.run import RunContext
from tasks.publication.addresses import web_address

DATA_QUALITY_ALARM = "restock.data-quality.alarm"
PUBLICATION_FINISHED = "restock.publication.finished"


def report_bad_rows(run: RunContext, record: IngestRecord) -> Sequence[str]:
    """Emit an alarm if the share of rejected rows of a table is above ``expert.quality.alarm_share``.

    Returns:
        One message per such table.
    """
    read: dict[str, int] = {}
    bad: dict[str, int] = {}
    for file in record.files:
        read[file.table] = read.get(file.table, 0) + file.rows_read
        bad[file.table] = bad.get(file.table, 0) + file.rows_quarantined
    limit = run.settings.quality.alarm_share
    lines = [
        f"{table}: {bad[table]:,} of {read[table]:,} rows are in quarantine ({bad[table] / read[table]:.2%}), "
        f"more than expert.quality.alarm_share ({limit:.2%})"
        for table in read
        if bad[table] > limit * read[table]
    ]
    if lines:
        _emit(DATA_QUALITY_ALARM, run, "; ".join(lines))
    return lines


def report_warnings(run: RunContext, warnings: Sequence[str]) -> None:
    """Emit an alarm if the data are older than ``as_of``, for example missing recent sales or stock counts."""
    if warnings:
        _emit(DATA_QUALITY_ALARM, run, "; ".join(warnings))


def report_publication(run: RunContext, record: PublicationRecord) -> None:
    """Emit an event for a new publication."""
    changed = "" if record.changed_share is None else f", {record.changed_share:.1%} of the targets changed"
    address = web_address(f"{record.folder}/{REPORT}") or record.folder
    _emit(PUBLICATION_FINISHED, run, f"{address}{changed}")


def _emit(event: str, run: RunContext, message: str) -> None:
    label = f"{run.settings.name}, {run.as_of}"
    resource = {
        "prefect.resource.id": f"restock.{run.settings.name}.{run.as_of}",
        "prefect.resource.name": label,
    }
    emit_event(event, resource=resource, payload={"message": f"{label}: {message}"})
