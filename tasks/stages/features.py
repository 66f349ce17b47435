"""Task: the demand panel with its known-future features."""

from __future__ import annotations

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.panel import Panel
from schemas.records import IngestRecord, PanelRecord, Summary
from schemas.run import RunContext
from schemas.tables import OVERRIDES
from tasks.demand.panel import PanelBuild, build_panel, to_frames
from tasks.demand.profile import profile
from tasks.demand.sku_facts import planned_sku_prices, sku_facts
from tasks.demand.stored import load_tables, scoped
from tasks.stages.support import run_stage, say, show_table, warn
from tasks.storage.lake import open_lake


@task(name="features", task_run_name="features", cache_policy=NO_CACHE)
def assemble_panel(run: RunContext, ingested: IngestRecord) -> State[PanelRecord]:
    """The panel of one ``as_of`` in the lake; artifacts on series, treatments and features.

    Raises:
        DataContractError: no sales before ``as_of``.
        ConfigError: the scope names a store or category without sales.
    """
    parts: dict[str, object] = {
        # Overrides correct targets after the plan: they change nothing of the demand.
        "tables": {name: ref.sha256 for name, ref in ingested.tables.items() if name != OVERRIDES.name},
        "as_of": run.as_of.isoformat(),
        "scope": [run.stores, run.categories],
        **run.settings.model_dump(
            mode="json",
            include={"frequency", "aggregate", "horizon", "country", "category", "cleaning", "special_periods"},
        ),
    }
    record, state = run_stage(run, "features", parts, PanelRecord, lambda: _assemble(run, ingested))
    warn(record.warnings)
    say(f"{record.series:,} series, {record.periods:,} periods of history, horizon {record.horizon}")
    for name, description in (
        ("series-profile", "Series by kind of demand (Syntetos-Boylan) and share of zeros"),
        ("treatments", "What cleaning did to the accepted rows"),
        ("features", "Features known in advance, and covariates seen up to the cutoff"),
    ):
        show_table(run, name, record.summary[name], description)
    return state


def _assemble(run: RunContext, ingested: IngestRecord) -> PanelRecord:
    lake = open_lake(run.settings.storage)
    tables = load_tables(lake, ingested)
    build = build_panel(tables, run.settings, run.as_of)
    panel = scoped(build.panel, run)
    facts = sku_facts(tables, run.settings, run.as_of)
    counted = bool(facts[c.ON_HAND].notna().any())
    uncounted = "stock" in tables and not counted
    return PanelRecord(
        as_of=run.as_of,
        frames={name: lake.write_table(f"features/{name}", frame) for name, frame in to_frames(panel).items()},
        series=panel.n,
        periods=panel.history,
        horizon=panel.horizon,
        treatments=lake.write_table("features/treatments", build.treatments),
        sku_facts=lake.write_table("features/sku_facts", _in_scope(facts, run)),
        planned_prices=lake.write_table("features/planned_prices", planned_sku_prices(tables, run.settings, run.as_of)),
        stock_counted=counted,
        warnings=[
            *build.warnings,
            *([f"stock: no count on or before {run.as_of}; it is taken as 0"] if uncounted else []),
        ],
        summary=_summary(build, panel),
    )


def _in_scope(facts: pd.DataFrame, run: RunContext) -> pd.DataFrame:
    if not run.scoped:
        return facts
    stores = facts[c.STORE_ID].astype(str).isin(run.stores or facts[c.STORE_ID].astype(str))
    categories = facts[c.CATEGORY].astype(str).isin(run.categories or facts[c.CATEGORY].astype(str))
    return facts[stores & categories].reset_index(drop=True)


def _summary(build: PanelBuild, panel: Panel) -> Summary:
    kinds = profile(panel).groupby(c.DEMAND_CLASS, observed=True)
    return {
        "series-profile": [
            {
                "kind": str(kind),
                "series": len(group),
                "share of zeros": round(float(group[c.SHARE_ZERO].mean()), 3),
                "mean units": round(float(group[c.MEAN].mean()), 2),
            }
            for kind, group in kinds
        ],
        "treatments": [{"treatment": name, "cases": count} for name, count in build.treatment_counts.items()],
        "features": [{"feature": name, "kind": "known in advance"} for name in panel.known]
        + [{"feature": name, "kind": "seen up to the cutoff"} for name in panel.observed],
    }
