"""Task: publish the run as one transaction."""

from __future__ import annotations

import json

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas.outputs import MANIFEST, REPLENISHMENT, REPORT
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
from tasks.publication.addresses import web_address
from tasks.publication.earlier_runs import published
from tasks.publication.manifest import same_run
from tasks.publication.overrides import override_warnings
from tasks.publication.publish_week import PublicationInputs, earlier_publication, publish_week
from tasks.stages.events import tell_of_publication
from tasks.stages.stage import REUSED, Stage
from tasks.stages.support import about, say, show_markdown, show_table, warn
from tasks.storage.lake import open_lake

PUBLISH = Stage("publish", PublicationRecord, publish_week)

_READERS = {REPORT: "planners", REPLENISHMENT: "the ERP"}


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
    """All output files, the manifest and the report in ``runs/<as_of>``; links as artifacts.

    Raises:
        PublicationError: an output breaks its rules; nothing was published.
        PublicationHeldError: more targets changed than the settings allow; nothing was published.
    """
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
        earlier=earlier_publication(open_lake(run.settings.storage), run.as_of),
    )
    record, state = PUBLISH.run(run, inputs, run.settings, approval)
    warn([*record.warnings, *override_warnings(record.overrides, inputs.rejected_overrides)])
    if run.scoped:
        warn(["The file covers the run's scope only: for the ERP an absent pair means 0."])
    # Warnings about the data are in the log already; who approves or reads the artifact must see them as well.
    data_warnings = [text for text in panel.warnings if text not in record.warnings]
    record = record.model_copy(
        update={
            "warnings": [*data_warnings, *record.warnings],
            "written": record.written and state.name != REUSED,
        }
    )
    say(f"{_outcome(record).lower()}: {record.folder}")
    if record.written and not run.dry_run:
        tell_of_publication(run, record)
    _show(run, record, plan)
    return Completed(data=record, name=state.name, message=state.message)


def _outcome(record: PublicationRecord) -> str:
    """What became of the files, in a few words."""
    if record.dry_run:
        return "Preview, nothing was published"
    return "Published" if record.written else "Published before, unchanged"


def _show(run: RunContext, record: PublicationRecord, plan: PlanRecord) -> None:
    outcome = _outcome(record)
    # A preview is no later version of what was published: its artifacts have keys of their own.
    prefix = "preview-" if record.dry_run else ""
    for name, file, words in (("report", REPORT, "The report"), ("replenishment-file", REPLENISHMENT, "The file")):
        text = _link(f"{record.folder}/{file}", file)
        show_markdown(run, f"{prefix}{name}", text, f"{words} for {_READERS[file]}. {outcome}")
    changed = "no earlier file" if record.changed_share is None else f"{record.changed_share:.1%} of the targets"
    lines = [
        f"# {outcome}: {about(run)}",
        f"- Report: {report_link(record)}",
        f"- File for the ERP: {_link(f'{record.folder}/{REPLENISHMENT}', REPLENISHMENT)}",
        f"- All files: {_link(f'{record.folder}/', record.folder)}",
        f"- Chosen policy: **{plan.chosen}**",
        f"- Changed against the last file: {changed}",
        *(f"- Warning: {text}" for text in record.warnings),
    ]
    if record.overrides:
        show_table(run, "overrides", record.overrides, "Planners' overrides: what they say, and what they changed")
    name = "preview" if record.dry_run else "publication"
    show_markdown(run, name, "\n".join(lines), f"{outcome}: links to the files, policy and changes")


def report_link(record: PublicationRecord) -> str:
    """A link to the report, or its path."""
    return _link(f"{record.folder}/{REPORT}", REPORT)


def _link(path: str, text: str) -> str:
    """A link that a browser follows, or the path where nobody serves the files."""
    address = web_address(path)
    return f"`{path}`" if address is None else f"[{text}]({address})"


def what_stands(run: RunContext, preview: PublicationRecord) -> str:
    """What the answer means for a file of the same date that is published already."""
    lake = open_lake(run.settings.storage)
    standing = published(lake, run.as_of)
    if standing is None:
        return "Nothing of this date is published yet."
    manifest = next(file.key for file in preview.files if file.key.endswith(f"/{MANIFEST}"))
    if same_run(standing.manifest, json.loads(lake.read_bytes(manifest))):
        return "The same files are published already: approving changes nothing."
    return (
        f"**A file of {run.as_of} is published already: approving replaces it, rejecting leaves it as it is.** "
        "The manifest names what was replaced."
    )
