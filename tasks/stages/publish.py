"""Task: publish the run as one transaction."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

from schemas.errors import PublicationHeldError
from schemas.outputs import REPORT
from schemas.records import (
    Approval,
    ComparisonRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanRecord,
    PublicationRecord,
)
from schemas.run import RunContext
from tasks.performance.drift_alarms import SUMMARY, forecast_changes
from tasks.publication.announcement import file_link, publication_outcome, publication_summary
from tasks.publication.overrides import override_warnings
from tasks.publication.publish_week import PublicationInputs, earlier_publication, publish_week
from tasks.publication.transaction import COMMAND_LINE
from tasks.stages.events import report_publication
from tasks.stages.stage import REUSED, Stage
from tasks.stages.support import log_alarms, run_label, say, show_markdown, warn
from tasks.storage.lake import open_lake

# Tag of the runs that Prefect's scheduler starts.
AUTO_SCHEDULED = "auto-scheduled"
PUBLISH = Stage("publish", PublicationRecord, publish_week)


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)
def publish(
    run: RunContext,
    ingested: IngestRecord,
    panel: PanelRecord,
    forecasts: list[ForecastRecord],
    comparison: ComparisonRecord,
    plan: PlanRecord,
    approval: Approval | None = None,
) -> State[PublicationRecord]:
    """Publish all output files, the manifest and the report in ``runs/<as_of>``, and show links as artifacts.

    Raises:
        PublicationError: an output is invalid; nothing was published.
        PublicationHeldError: an alarm holds the file back, or it is not the approved one; nothing was published.
    """
    lake = open_lake(run.settings.storage)
    alarms, changes = forecast_changes(lake, run.as_of)
    log_alarms(alarms)
    inputs = PublicationInputs(
        ingested=ingested,
        panel=panel,
        forecasts=forecasts,
        comparison=comparison,
        plan=plan,
        as_of=run.as_of,
        stores=run.stores,
        categories=run.categories,
        dry_run=run.dry_run,
        promotion=run.promotion,
        earlier=earlier_publication(lake, run.as_of),
        alarms=tuple(alarms),
        changes=(*panel.summary.get(SUMMARY, []), *changes),
    )
    try:
        record, state = PUBLISH.run(run, inputs, run.settings, approval, by=_by(approval))
    except PublicationHeldError as error:
        text = f"# Held back: {run_label(run)}\n\n{error}"
        show_markdown(run, "preview", text, "Held back, nothing was published: why, and how to publish")
        raise
    warn([*record.warnings, *override_warnings(record.overrides, inputs.rejected_overrides)])
    if run.scoped:
        warn(["A run with --stores or --categories is a preview: it never replaces the network's file."])
    record = record.model_copy(update={"written": record.written and state.name != REUSED})
    say(f"{publication_outcome(record).lower()}: {record.folder}")
    if record.written and not run.dry_run:
        report_publication(run, record)
    _show(run, record, plan.chosen)
    return Completed(data=record, name=state.name, message=state.message)


def _by(approval: Approval | None) -> str:
    """The name of the publisher: the person who approved, the schedule, the Prefect UI, or the command line."""
    if approval is not None:
        return approval.by
    if AUTO_SCHEDULED in (flow_run.get_tags() or []):
        return "schedule"
    return COMMAND_LINE if deployment.get_id() is None else "Prefect UI"


def _show(run: RunContext, record: PublicationRecord, policy: str) -> None:
    outcome = publication_outcome(record)
    # A preview has its own artifact keys, so that it is not shown as a later version of a publication.
    name, report = ("preview", "preview-report") if record.dry_run else ("publication", "report")
    show_markdown(run, report, file_link(record, REPORT), f"The report for planners. {outcome}")
    summary = publication_summary(record, run_label(run), policy)
    show_markdown(run, name, summary, f"{outcome}: links to the files, policy, changes and alarms")
