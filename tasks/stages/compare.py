"""Task: rolling-origin comparison, metrics and champions."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas import columns as c
from schemas.errors import TrainingError, first_few
from schemas.metrics import HEADLINES, readable
from schemas.records import ComparisonRecord, Failure, ForecastRecord, PanelRecord
from schemas.run import RunContext
from schemas.settings import Settings
from tasks.demand.folds import plan_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.comparison import Comparison
from tasks.evaluation.comparison import compare as compare_forecasts
from tasks.stages.support import rows_of, run_stage, say, show_table, warn, with_first
from tasks.storage.lake import open_lake

# The first columns of the artifact; the UI cuts off the others at the right.
METRICS_FIRST = (c.MODEL, c.RELATIVE_LOSS, *HEADLINES)


@task(name="compare", task_run_name="compare", cache_policy=NO_CACHE)
def compare(run: RunContext, panel: PanelRecord, forecasts: list[ForecastRecord]) -> State[ComparisonRecord]:
    """Backtest, metrics, champions and the live forecast; artifacts on models, bands and fallbacks.

    Raises:
        TrainingError: too large a share of a model's series fell back.
    """
    _refuse_many_fallbacks(run, forecasts)
    parts: dict[str, object] = {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "forecasts": sorted(record.table.sha256 for record in forecasts),
        "paths": sorted(record.paths.sha256 for record in forecasts if record.paths is not None),
        "notes": [note for record in forecasts for note in record.notes],
        **run.settings.model_dump(mode="json", include={"quantiles", "backtest", "frequency", "reconciliation"}),
        **_of_the_levels_above(run),
        "ensemble": run.settings.model_dump(mode="json")["models"]["ensemble"],
        **_selection_parts(run, panel),
    }
    record, state = run_stage(run, "compare", parts, ComparisonRecord, lambda: _compare(run, panel, forecasts))
    warn(record.notes)
    for row in record.summary["champions"]:
        say(f"champion of {row['series']:,} series: {row['model']}")
    _show(run, record)
    return state


def _selection_parts(run: RunContext, panel: PanelRecord) -> dict[str, object]:
    """What the ranking reads: the loss and, where that is a cost, what the costs follow from."""
    settings = run.settings
    if settings.selection.loss != c.INVENTORY_COST:
        return {"selection": settings.selection.loss}
    costs = {"lead_time", "review_period", "holding_cost", "shortage_cost", "sample_paths"}
    return {
        "selection": settings.selection.loss,
        "costs": settings.inventory.model_dump(mode="json", include=costs),
        "seed": settings.seed,
        "sku_facts": panel.sku_facts.sha256 if _by_price(settings) else None,
    }


def _by_price(settings: Settings) -> bool:
    """Whether the ranking reads the prices of units."""
    return settings.selection.loss == c.INVENTORY_COST and settings.inventory.shortage_cost == "price"


def _of_the_levels_above(run: RunContext) -> dict[str, object]:
    """Settings that the forecasts of aggregates read, where they are made."""
    if run.settings.reconciliation.method == "none":
        return {}
    dumped = run.settings.model_dump(mode="json")
    return {"aggregates": dumped["models"]["xgboost_lags"], "seed": dumped["seed"]}


def _refuse_many_fallbacks(run: RunContext, forecasts: list[ForecastRecord]) -> None:
    """A failed series falls back; a failed model stops the run."""
    limit = run.settings.quality.max_fallback_share
    fitted: Counter[str] = Counter()
    failed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for record in forecasts:
        fitted[record.model] += record.series if record.live else 0
        for failure in (failure for failure in record.failures if not failure.too_young):
            failed[record.model].add((failure.store_id, failure.category))
            reasons[record.model][failure.reason] += 1
    broken = [model for model in fitted if len(failed[model]) > limit * fitted[model]]
    if broken:
        lines = [
            f"{model}: {len(failed[model]):,} of {fitted[model]:,} series fell back to seasonal naive; most often "
            f"'{reasons[model].most_common(1)[0][0]}'; such as "
            f"{first_few(['/'.join(series) for series in sorted(failed[model])])}"
            for model in broken
        ]
        raise TrainingError(
            "\n".join(lines)
            + f"\nAllowed is a share of {limit:g} per model (expert.quality.max_fallback_share). Repair what the "
            "reason names, take the model out of models, or raise the share."
        )


def _compare(run: RunContext, panel: PanelRecord, forecasts: list[ForecastRecord]) -> ComparisonRecord:
    lake = open_lake(run.settings.storage)
    loaded = load_panel(lake, run, panel)
    folds = plan_folds(loaded, **run.settings.backtest.model_dump())
    found = compare_forecasts(
        [lake.read_table(record.table) for record in forecasts],
        loaded,
        folds.folds,
        run.settings,
        sku_facts=lake.read_table(panel.sku_facts) if _by_price(run.settings) else None,
    )
    return ComparisonRecord(
        backtest=lake.write_table("comparison/backtest", found.backtest),
        metrics=lake.write_table("comparison/metrics", found.metrics),
        champions=lake.write_table("comparison/champions", found.champions),
        forecast=lake.write_table("comparison/forecast", found.forecast),
        paths=[record.paths for record in forecasts if record.paths is not None],
        failures=_distinct(forecasts),
        notes=[*folds.notes, *found.notes, *dict.fromkeys(note for record in forecasts for note in record.notes)],
        summary=_summary(found),
    )


def _distinct(forecasts: list[ForecastRecord]) -> list[Failure]:
    """Each series and model once, in a fixed order, whatever the number of folds it failed on."""
    every = {(f.stage, f.store_id, f.category): f for record in forecasts for f in record.failures}
    return [every[key] for key in sorted(every)]


def _summary(found: Comparison) -> dict[str, list[dict[str, Any]]]:
    counts = found.champion_counts.rename(columns={c.N: "series"})
    return {
        "models": rows_of(found.overall),
        "bands": rows_of(found.bands),
        "champions": rows_of(counts),
        "gap": rows_of(found.gap),
        "reconciliation": rows_of(found.reconciliation),
    }


def _show(run: RunContext, record: ComparisonRecord) -> None:
    for name, description in (
        (
            "models",
            f"Model comparison on the folds by {run.settings.selection.loss}, best first; the floors stay in the "
            "table. No mape where sales of zero, which it divides by, make it meaningless",
        ),
        ("bands", "Acceptance bands: share of rows within 5, 10 and 20 % of the actual"),
        ("champions", "Champions: series per model"),
        ("gap", "Overfitting: loss on the earlier folds and on the last one"),
    ):
        rows = with_first(_readable(record.summary[name]), *(METRICS_FIRST if name == "models" else ()))
        show_table(run, name, rows, description)
    if record.summary["reconciliation"]:
        rows = record.summary["reconciliation"]
        show_table(run, "reconciliation", rows, "Reconciliation: loss on the folds before and after, by level")
    if record.failures:
        rows = [failure.model_dump(mode="json") for failure in record.failures]
        show_table(run, "fallbacks", rows, "Series that a model could not serve, and what served them")


def _readable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of metrics without the figures that nobody can use."""
    return [{name: readable(name, value) for name, value in row.items()} for row in rows]
