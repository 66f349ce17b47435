"""Task: visits, order-up-to levels and targets from the champions' forecasts."""

from __future__ import annotations

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.records import ComparisonRecord, IngestRecord, PanelRecord, PlanRecord
from schemas.run import RunContext
from tasks.demand.sku_facts import last_dc_stock
from tasks.storage.lake import Lake, open_lake
from tasks.support import rows_of, run_stage, say, show_table

# Rows of what could not be satisfied that the record itself keeps, for the artifact; the table has them all.
UNMET_KEPT = 200
TABLES_READ = ("stores", "dc_stock", "calendar")
TABLES_MADE = (
    *("replenishment", "deliveries", "visits", "levels", "costs", "bounds"),
    *("stock_by_day", "category_totals", "explanations", "unmet"),
)


@task(name="optimise", task_run_name="optimise", cache_policy=NO_CACHE)
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
        "planned_prices": panel.planned_prices.sha256,
        "forecast": comparison.forecast.sha256,
        "backtest": comparison.backtest.sha256,
        "champions": comparison.champions.sha256,
        "as_of": run.as_of.isoformat(),
        **run.settings.model_dump(mode="json", include={"inventory", "frequency", "horizon", "quantiles", "seed"}),
    }
    record, state = run_stage(run, "optimise", parts, PlanRecord, lambda: _optimise(run, ingested, panel, comparison))
    for note in record.notes:
        say(note)
    say(f"chosen policy: {record.chosen}")
    show_table(run, "costs", record.summary["costs"], "Expected cost of each policy, on paths not planned from")
    if record.summary["unmet"]:
        show_table(run, "unmet", record.summary["unmet"], "What limits did not grant, by store, category and SKU")
    return state


def _optimise(run: RunContext, ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord) -> PlanRecord:
    from tasks.inventory.weekly import optimise
    from tasks.inventory.weekly_problem import WeeklyInputs

    lake = open_lake(run.settings.storage)
    tables = {name: lake.read_table(ref) for name, ref in ingested.tables.items() if name in TABLES_READ}
    prices, facts = lake.read_table(panel.planned_prices), lake.read_table(panel.sku_facts)
    plan = optimise(
        WeeklyInputs(
            forecast=_champion_rows(lake.read_table(comparison.forecast)),
            backtest=_champion_folds(lake, comparison),
            sku_facts=facts,
            stores=tables["stores"],
            settings=run.settings,
            dc_stock=last_dc_stock(tables.get("dc_stock"), run.as_of),
            planned_prices=prices if len(prices) else None,
            has_stock=panel.stock_counted,
            calendar=tables.get("calendar"),
        )
    )
    return PlanRecord(
        tables={name: lake.write_table(f"plans/{name}", getattr(plan, name)) for name in TABLES_MADE},
        chosen=plan.chosen,
        notes=list(plan.notes),
        summary={"costs": rows_of(plan.costs), "unmet": rows_of(plan.unmet.head(UNMET_KEPT))},
    )


def _champion_rows(forecast: pd.DataFrame) -> pd.DataFrame:
    return forecast[forecast[c.CHAMPION].to_numpy()].drop(columns=[c.MODEL, c.CHAMPION])


def _champion_folds(lake: Lake, comparison: ComparisonRecord) -> pd.DataFrame:
    """The fold rows of each series' champion."""
    champions = lake.read_table(comparison.champions, [c.STORE_ID, c.CATEGORY, c.MODEL])
    backtest = lake.read_table(comparison.backtest)
    keys = [c.STORE_ID, c.CATEGORY, c.MODEL]
    return backtest.astype({key: str for key in keys}).merge(champions.astype(str), on=keys)
