"""The comparison of a run: reads forecasts from the lake, writes backtest, metrics, champions and live forecast."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import TrainingError, first_few
from schemas.records import ComparisonRecord, Failure, ForecastRecord, PanelRef, Record, TableRef
from schemas.settings.slices import CompareSlice
from tasks.demand.folds import plan_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.comparison import Comparison, ComparisonRules, aggregate_forecasters, compare
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.likeness import short_history_alarm
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake


class CompareInputs(Record):
    """Inputs of the comparison.

    Attributes:
        panel: the demand that forecasts are compared with.
        forecasts: every shard of every model.
        covariate_free: names of the models that repeat a level or an earlier season, sorted.
        sku_facts: prices of units, if models are ranked by a cost that depends on them; else None.
        new_series: series without sales (see ``tasks.demand.new_series``); None if there are none.
    """

    panel: PanelRef
    forecasts: list[ForecastRecord]
    covariate_free: list[str]
    sku_facts: TableRef | None = None
    new_series: TableRef | None = None


def run_comparison(lake: Lake, inputs: CompareInputs, use: CompareSlice, workers: int) -> ComparisonRecord:
    """Compare the models of a run and select the champions.

    Args:
        lake: holds forecasts and panel.
        inputs: what is compared.
        use: folds, quantiles, and how models are ranked, combined and reconciled.
        workers: threads of the models that the reconciliation fits.

    Raises:
        TrainingError: forecasts are missing, not finite, or repeated.
    """
    panel = load_panel(lake, inputs.panel, use.period)
    folds = plan_folds(panel, **use.backtest.model_dump())
    found = compare(
        (lake.read_table(record.table) for record in inputs.forecasts),
        panel,
        folds.folds,
        use,
        ComparisonRules(SelectionRule(loss=use.selection.loss, covariate_free=frozenset(inputs.covariate_free))),
        lake.read_table(inputs.sku_facts) if inputs.sku_facts else None,
        aggregate_forecasters(use, workers),
        lake.read_table(inputs.new_series) if inputs.new_series else None,
    )
    short = short_history_alarm(panel, found.champions)
    return ComparisonRecord(
        alarms=[short] if short else [],
        backtest=lake.write_table("comparison/backtest", found.backtest),
        metrics=lake.write_table("comparison/metrics", found.metrics),
        champions=lake.write_table("comparison/champions", found.champions),
        forecast=lake.write_table("comparison/forecast", found.forecast),
        paths=[record.paths for record in inputs.forecasts if record.paths is not None],
        parts=[record.parts for record in inputs.forecasts if record.parts is not None],
        failures=_distinct(inputs.forecasts),
        notes=[*folds.notes, *found.notes, *dict.fromkeys(note for one in inputs.forecasts for note in one.notes)],
        summary=_summary(found),
    )


def _distinct(forecasts: Sequence[ForecastRecord]) -> list[Failure]:
    """Each series and model once, in a fixed order, even if it failed on several folds."""
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


def without_failed(forecasts: Sequence[ForecastRecord], series: int) -> tuple[list[ForecastRecord], Alarm | None]:
    """Leave out the models of which a shard has no forecasts, and raise an alarm.

    A model competes with all of its folds and the horizon, or not at all.

    Args:
        forecasts: every shard of every model.
        series: number of series of the run.
    """
    failed = {record.model: record.failed for record in forecasts if record.failed}
    if not failed:
        return list(forecasts), None
    kept = [record for record in forecasts if record.model not in failed]
    # One line, without the lines of a job's log.
    lines = re.sub(r"\nLast lines of the log:(\n  .*)*", "", "; ".join(dict.fromkeys(failed.values())))
    reasons = " ".join(lines.split())
    message = f"The other models forecast {series:,} series. Reason: {reasons}"
    return kept, raise_alarm("deepar_failed", message, count=series)


def refuse_many_fallbacks(forecasts: Sequence[ForecastRecord], limit: float) -> None:
    """Stop the run if a model failed as a whole; a single failed series falls back.

    Args:
        forecasts: every shard of every model.
        limit: largest share of a model's series that may fall back, a fraction. Series with insufficient history do
            not count.

    Raises:
        TrainingError: names every model above the limit, its most frequent reason and some of its series.
    """
    fitted: Counter[str] = Counter()
    failed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for record in forecasts:
        fitted[record.model] += record.series if record.live else 0
        for failure in (one for one in record.failures if not one.kind.is_insufficient_history):
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
            "\n".join(lines) + f"\nAt most a share of {limit:g} of a model's series may fall back "
            "(expert.quality.max_fallback_share). Fix the causes above, remove the model from models, or raise the "
            "limit."
        )
