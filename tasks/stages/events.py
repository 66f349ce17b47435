"""Prefect events of a run that trigger automations."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from schemas.alarms import ALARMS, Alarm, Severity, at_least
from schemas.outputs import REPORT
from schemas.records import PublicationRecord
from schemas.run import RunContext
from tasks.publication.addresses import FORMER_RUN_PAGE, RUN_PAGE, web_address
from tasks.stages.support import company_of_run

DATA_QUALITY_ALARM = "restock.data-quality.alarm"
PUBLICATION_FINISHED = "restock.publication.finished"
DRIFT_DETECTED = "restock.drift.detected"


def report_alarms(run: RunContext, alarms: Sequence[Alarm]) -> None:
    """Emit an event for the alarms of severity warning and hold that the settings do not accept."""
    new = run.settings.publication.not_accepted(at_least(alarms, Severity.WARNING), run.as_of)
    texts = [f"{alarm.name}: {alarm.message.rstrip('.')}. To do: {ALARMS[alarm.name].remedy}" for alarm in new]
    if texts:
        _emit(DATA_QUALITY_ALARM, run, "; ".join(texts))


def report_publication(run: RunContext, record: PublicationRecord) -> None:
    """Emit an event for a new publication."""
    changed = "" if record.changed_share is None else f", {record.changed_share:.1%} of the targets changed"
    address = web_address(f"{record.folder}/{REPORT}") or record.folder
    _emit(PUBLICATION_FINISHED, run, f"{address}{changed}")


def report_drift(run: RunContext, findings: Sequence[str]) -> None:
    """Emit an event for drift of inputs or forecast errors; an automation notifies and starts the retraining."""
    if findings:
        _emit(DRIFT_DETECTED, run, "; ".join(findings))


def _emit(event: str, run: RunContext, message: str) -> None:
    label = f"{run.settings.name}, {run.as_of}"
    resource = {
        "prefect.resource.id": f"restock.{company_of_run(run)}.{run.as_of}",
        "prefect.resource.name": label,
    }
    own = flow_run.get_id()
    link = "" if own is None else (url_for("flow-run", obj_id=own) or "").replace(FORMER_RUN_PAGE, RUN_PAGE)
    payload = {"message": f"{label}: {message}", "company": company_of_run(run), "link": link}
    emit_event(event, resource=resource, payload=payload)
