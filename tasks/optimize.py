"""Task: visits, order-up-to levels and targets from the champions' forecasts."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import ComparisonRecord, IngestRecord, PanelRecord, PlanRecord
from schemas.run import RunContext
from tasks.support import run_stage, say, show_table, warn

TABLES_READ = ("stores", "products", "dc_stock", "promotions")


@task(name="optimise", cache_policy=NO_CACHE)
def optimise_inventory(
    run: RunContext, ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord
) -> State[PlanRecord]:
    """Compare the policies, choose one and split its levels to SKUs; the cost table as an artifact.

    Raises:
        PlanInfeasibleError: no plan can satisfy the limits.
    """
    parts: dict[str, object] = {
        "tables": {name: ingested.tables[name].sha256 for name in TABLES_READ if name in ingested.tables},
        "sku_facts": panel.sku_facts.sha256,
        "forecast": comparison.forecast.sha256,
        "backtest": comparison.backtest.sha256,
        "champions": comparison.champions.sha256,
        "stock": "stock" in ingested.tables,
        "as_of": run.as_of.isoformat(),
        **run.settings.model_dump(mode="json", include={"inventory", "frequency", "horizon", "quantiles", "seed"}),
    }
    record, state = run_stage(run, "optimise", parts, PlanRecord, lambda: _optimise(run, ingested, panel, comparison))
    warn(record.notes)
    say(f"chosen policy: {record.chosen}")
    show_table(run, "costs", record.summary["costs"], "Expected cost of each policy, on paths not planned from")
    return state


def _optimise(run: RunContext, ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord) -> PlanRecord:
    raise RuntimeError("not yet")
