"""Task: publish the run as one transaction."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas import columns as c
from schemas.outputs import MANIFEST, REPLENISHMENT, REPORT, RunFacts, RunOutputs
from schemas.panel import Panel
from schemas.records import (
    Approval,
    ComparisonRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanRecord,
    PublicationRecord,
    TableRef,
)
from schemas.run import RunContext
from schemas.tables import OVERRIDES
from tasks.demand.stored import load_panel
from tasks.publication.addresses import web_address
from tasks.publication.earlier_runs import latest_before, published
from tasks.publication.manifest import same_run
from tasks.publication.overrides import apply_overrides, corrected_totals, override_warnings
from tasks.publication.transaction import publish_run
from tasks.stages.events import tell_of_publication
from tasks.stages.support import REUSED, about, run_stage, say, show_markdown, show_table, warn
from tasks.storage.cache import references
from tasks.storage.lake import Lake, open_lake

HORIZONS_SHOWN = 3
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
        PublicationError: an output breaks the contract; nothing was published.
        PublicationHeldError: more targets changed than the settings allow; nothing was published.
    """
    lake = open_lake(run.settings.storage)
    earlier = latest_before(lake, run.as_of)
    parts: dict[str, object] = {
        "tables": sorted(ref.sha256 for record in (ingested, panel, comparison, plan) for ref in references(record)),
        "settings": run.settings.digest(),
        "as_of": run.as_of.isoformat(),
        "scope": [run.stores, run.categories],
        "dry_run": run.dry_run,
        "earlier": None if earlier is None else [earlier.as_of.isoformat(), earlier.manifest],
    }
    record, state = run_stage(
        run,
        "publish",
        parts,
        PublicationRecord,
        lambda: publish_run(
            lake,
            run,
            *_with_overrides(
                lake,
                run,
                ingested,
                _outputs(lake, run, ingested, panel, comparison, plan),
                replace(_facts(ingested, panel, forecasts, comparison, plan), approval=approval),
            ),
        ),
    )
    warn([*record.warnings, *override_warnings(record.overrides, _rejected_overrides(ingested))])
    if run.scoped:
        warn(["The file covers the run's scope only: for the ERP an absent pair means 0."])
    # Those of the data are in the log already; whoever approves or reads the artifact is to see them too.
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


def _outputs(
    lake: Lake,
    run: RunContext,
    ingested: IngestRecord,
    panel: PanelRecord,
    comparison: ComparisonRecord,
    plan: PlanRecord,
) -> RunOutputs:
    stored: dict[str, TableRef] = {
        **{name: ref for name, ref in plan.tables.items() if name != "bounds"},
        "forecast": comparison.forecast,
        "backtest": comparison.backtest,
        "metrics": comparison.metrics,
        "champions": comparison.champions,
        "quarantine": ingested.quarantine,
        "treatments": panel.treatments,
    }
    return RunOutputs(
        **{name: lake.read_table(ref) for name, ref in stored.items()},
        history=_recent(load_panel(lake, run, panel)),
    )


def _with_overrides(
    lake: Lake, run: RunContext, ingested: IngestRecord, outputs: RunOutputs, facts: RunFacts
) -> tuple[RunOutputs, RunFacts]:
    """The planners' overrides applied to the targets, and what to tell of them."""
    given = ingested.tables.get(OVERRIDES.name)
    if given is None:
        return outputs, facts
    result = apply_overrides(outputs.replenishment, lake.read_table(given), run.as_of)
    totals = outputs.category_totals
    if totals is not None:
        totals = corrected_totals(totals, outputs.replenishment, result.targets)
    told = override_warnings(result.rows, _rejected_overrides(ingested))
    return (
        replace(outputs, replenishment=result.targets, category_totals=totals, overridden=result.changed),
        replace(facts, overrides=result.rows, warnings=[*facts.warnings, *told]),
    )


def _rejected_overrides(ingested: IngestRecord) -> int:
    return sum(file.rows_quarantined for file in ingested.files if file.table == OVERRIDES.name)


def _recent(panel: Panel) -> pd.DataFrame:
    """Demand of the last horizons, as the report draws it."""
    shown = min(panel.history, HORIZONS_SHOWN * panel.horizon)
    labels = panel.history_periods[panel.history - shown :]
    keys = panel.series.loc[panel.series.index.repeat(shown), [c.STORE_ID, c.CATEGORY]].reset_index(drop=True)
    return keys.assign(**{c.DATE: list(labels) * panel.n, c.UNITS: panel.demand[:, panel.history - shown :].ravel()})


def _facts(
    ingested: IngestRecord,
    panel: PanelRecord,
    forecasts: list[ForecastRecord],
    comparison: ComparisonRecord,
    plan: PlanRecord,
) -> RunFacts:
    seconds = {"ingest": ingested.seconds, "features": panel.seconds}
    for record in forecasts:
        stage = f"forecast {record.model}"
        seconds[stage] = round(seconds.get(stage, 0.0) + record.seconds, 3)
    seconds |= {"compare": comparison.seconds, "optimise": plan.seconds}
    return RunFacts(
        inputs=ingested.files,
        reasons=ingested.reasons,
        failures=comparison.failures,
        warnings=panel.warnings,
        notes={"Remarks on forecasts": comparison.notes, "Remarks on the plan": plan.notes},
        seconds=seconds,
        stock_given=panel.stock_counted,
        plan_inputs=plan.inputs.model_dump(mode="json"),
        summary={
            "Overfitting": comparison.summary["gap"],
            "Replay cost by service level": plan.summary["calibration"],
            "Treatments": panel.summary["treatments"],
        },
    )


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
