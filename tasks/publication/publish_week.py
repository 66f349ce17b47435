"""Publish a run: read its tables from the lake, apply overrides, write and publish the files."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.outputs import RunFacts, RunOutputs
from schemas.records import (
    Approval,
    ComparisonRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanRecord,
    PublicationRecord,
    Record,
    TableRef,
)
from schemas.run import RunContext
from schemas.settings import Settings
from schemas.tables import OVERRIDES, PRODUCTS, SALES
from tasks.demand.stored import load_demand, recent_demand, sales_last_year
from tasks.publication.earlier_runs import latest_before
from tasks.publication.guards import latest_sale
from tasks.publication.overrides import apply_overrides, corrected_totals, override_warnings
from tasks.publication.product_names import product_table
from tasks.publication.transaction import COMMAND_LINE, publish_run
from tasks.report.language import Language
from tasks.storage.lake import Lake


class PublicationInputs(Record):
    """Inputs of the publication.

    Attributes:
        ingested: validated tables and quarantine.
        panel: the demand panel.
        forecasts: all shards of all models.
        comparison: backtest, metrics, champions and live forecasts.
        plan: deliveries, levels and targets.
        as_of: run date.
        stores: only these stores; empty = all.
        categories: only these categories; empty = all.
        dry_run: write a preview instead of publishing.
        earlier: date and manifest of the last earlier publication; None if it does not exist.
        promotion: the promoted challenger whose settings are in effect; empty = none.
        alarms: further alarms, on the forecasts of earlier weeks.
        changes: drift of inputs and of forecast errors: rows of the table ``drift``.
    """

    ingested: IngestRecord
    panel: PanelRecord
    forecasts: list[ForecastRecord]
    comparison: ComparisonRecord
    plan: PlanRecord
    as_of: date
    stores: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dry_run: bool = False
    earlier: tuple[date, dict[str, Any]] | None = None
    promotion: str = ""
    alarms: tuple[Alarm, ...] = ()
    changes: tuple[dict[str, Any], ...] = ()

    @property
    def rejected_overrides(self) -> int:
        """Number of rows of the overrides table in quarantine."""
        return sum(file.rows_quarantined for file in self.ingested.files if file.table == OVERRIDES.name)


def earlier_publication(lake: Lake, as_of: date) -> tuple[date, dict[str, Any]] | None:
    """Return date and manifest of the last publication before a date; None if it does not exist."""
    found = latest_before(lake, as_of)
    return None if found is None else (found.as_of, dict(found.manifest))


def publish_week(
    lake: Lake, inputs: PublicationInputs, use: Settings, approval: Approval | None = None, by: str = COMMAND_LINE
) -> PublicationRecord:
    """Publish the files of a run, or store them as a preview.

    Args:
        lake: has the tables of the run and receives the files.
        inputs: tables and facts of the run.
        use: all settings, because the manifest lists them.
        approval: approval of the publication; exactly the approved files are published.
        by: who publishes, for the list of publications.

    Raises:
        PublicationError: an output is invalid; nothing was published.
        PublicationHeldError: an alarm holds the file back; nothing was published.
    """
    run = RunContext(
        settings=use,
        as_of=inputs.as_of,
        dry_run=inputs.dry_run,
        stores=inputs.stores,
        categories=inputs.categories,
        promotion=inputs.promotion,
    )
    facts = replace(_facts(inputs), sales_end=_sales_end(lake, inputs))
    outputs, facts = _with_overrides(lake, inputs, _outputs(lake, inputs, use), facts, Language.of(use))
    return publish_run(lake, run, outputs, replace(facts, approval=approval), by)


def _sales_end(lake: Lake, inputs: PublicationInputs) -> date | None:
    """Date of the latest accepted sale before the run date."""
    blocks = lake.read_blocks(inputs.ingested.tables[SALES.name], [c.DATE])
    return max(filter(None, (latest_sale(block[c.DATE], inputs.as_of) for block in blocks)), default=None)


def _outputs(lake: Lake, inputs: PublicationInputs, use: Settings) -> RunOutputs:
    comparison, plan = inputs.comparison, inputs.plan
    stored: dict[str, TableRef] = {
        **{name: ref for name, ref in plan.tables.items() if name != "bounds"},
        "forecast": comparison.forecast,
        "backtest": comparison.backtest,
        "metrics": comparison.metrics,
        "champions": comparison.champions,
        "quarantine": inputs.ingested.quarantine,
    }
    panel = load_demand(lake, inputs.panel.panel, use.period)
    return RunOutputs(
        **{name: lake.read_table(ref) for name, ref in stored.items()},
        products=product_table(
            lake.read_table(inputs.ingested.tables[PRODUCTS.name]),
            lake.read_table(inputs.panel.sku_facts, [c.SKU, c.UNIT_PRICE]),
        ),
        # The report counts its rows.
        cleaning_log=lake.read_table(inputs.panel.cleaning_log, [c.TREATMENT, c.REASON]),
        history=recent_demand(panel),
        last_year=sales_last_year(panel),
    )


def _with_overrides(
    lake: Lake, inputs: PublicationInputs, outputs: RunOutputs, facts: RunFacts, say: Language
) -> tuple[RunOutputs, RunFacts]:
    """Apply the planners' overrides to the targets and add the warnings about them."""
    given = inputs.ingested.tables.get(OVERRIDES.name)
    if given is None:
        return outputs, facts
    result = apply_overrides(outputs.replenishment, lake.read_table(given), inputs.as_of, outputs.explanations)
    totals = outputs.category_totals
    if totals is not None:
        totals = corrected_totals(totals, outputs.replenishment, result.targets)
    found = override_warnings(result.rows, inputs.rejected_overrides, say)
    return (
        replace(outputs, replenishment=result.targets, category_totals=totals, overridden=result.changed),
        replace(facts, overrides=result.rows, warnings=[*facts.warnings, *found]),
    )


def _facts(inputs: PublicationInputs) -> RunFacts:
    ingested, panel, comparison, plan = inputs.ingested, inputs.panel, inputs.comparison, inputs.plan
    return RunFacts(
        inputs=ingested.files,
        reasons=ingested.reasons,
        failures=comparison.failures,
        alarms=[*ingested.alarms, *panel.alarms, *comparison.alarms, *plan.alarms, *inputs.alarms],
        changes=inputs.changes,
        notes={"Remarks on forecasts": comparison.notes, "Remarks on the plan": plan.notes},
        seconds=_seconds(inputs),
        billed=[job for record in inputs.forecasts for job in record.billed],
        model_files={record.model: record.files for record in inputs.forecasts if record.files},
        stock_given=panel.stock_counted,
        plan_inputs=plan.inputs.model_dump(mode="json"),
        summary={
            "Overfitting": comparison.summary["gap"],
            "Replay cost by cycle service level": plan.summary["calibration"],
            "Cleaning log": panel.summary["cleaning-log"],
        },
    )


def _seconds(inputs: PublicationInputs) -> dict[str, float]:
    seconds = {"ingest": inputs.ingested.seconds, "features": inputs.panel.seconds}
    for record in inputs.forecasts:
        stage = f"forecast {record.model}"
        seconds[stage] = round(seconds.get(stage, 0.0) + record.seconds, 3)
    return seconds | {"compare": inputs.comparison.seconds, "optimize": inputs.plan.seconds}
