"""Task: policy parameters chosen by replaying past weeks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from schemas import columns as c
from schemas.panel import Panel
from schemas.records import (
    CalibrationRecord,
    ComparisonRecord,
    ForecastRecord,
    IngestRecord,
    PanelRecord,
    PlanInputs,
    TableRef,
)
from schemas.run import RunContext
from schemas.settings import BASELINES, Settings
from tasks.demand.folds import minimum_history
from tasks.demand.stored import load_panel
from tasks.forecasting.fold_forecasts import past_forecasts
from tasks.forecasting.registry import facts, make_forecaster
from tasks.inventory.inputs import plan_inputs, weekly_inputs
from tasks.stages.support import rows_of, run_stage, say, show_table
from tasks.storage.lake import open_lake

# Forecasts made for a replay at most, in series, periods and cutoffs: beyond, fewer weeks are replayed.
MOST_FORECASTS = 1_500_000
# A fit forecasts so many replayed runs before it is made anew.
RUNS_PER_FIT = 26


@task(name="calibrate", task_run_name="calibrate", cache_policy=NO_CACHE)
def calibrate(
    run: RunContext, ingested: IngestRecord, panel: PanelRecord, comparison: ComparisonRecord
) -> State[CalibrationRecord]:
    """Replay past weeks by parameter and choose the cheapest; the replay's cost table as an artifact."""
    settings = run.settings.inventory
    if not settings.calibration.enabled or settings.holding_cost <= 0:
        return Completed(data=CalibrationRecord(), message="calibrate: no holding cost, or not wanted")
    ranking = [str(row[c.MODEL]) for row in comparison.summary["models"]]
    made = past_record(run, panel, calibration_model(run.settings, ranking))
    record, state = calibration_record(run, ingested, panel, comparison, made.table if made else None)
    for note in record.notes:
        say(note)
    show_table(run, "replay-costs", record.summary["costs"], "Replay cost by service level: past weeks, real demand")
    return state


def calibration_model(settings: Settings, ranking: Sequence[str]) -> str:
    """The model that forecasts the replayed weeks: the best on the folds of those that predict many cutoffs by one fit.

    These are the global models of this process; without one of them a baseline.

    Args:
        settings: which models are fitted.
        ranking: models by their loss on the folds, the best first.
    """
    named = [name for name in settings.models.named() if facts()[name].replayable]
    return min(named, key=lambda name: ranking.index(name) if name in ranking else len(ranking), default=BASELINES[1])


def replayed_cutoffs(panel: Panel, settings: Settings) -> list[int]:
    """Known periods at the cutoffs of the replay, ascending: one a review period, back from ``as_of``.

    Each knows a season and half of the history at least. So many as ``expert.inventory.calibration.runs`` says, or as
    :data:`MOST_FORECASTS` allows for the panel's size.
    """
    step = settings.inventory.review_period
    affordable = MOST_FORECASTS // max(1, panel.n * panel.horizon)
    wanted = min(settings.inventory.calibration.runs, affordable)
    known = [panel.history - step * back for back in range(wanted, 0, -1)]
    least = max(minimum_history(panel), panel.history // 2)
    return [cutoff for cutoff in known if cutoff >= least]


def past_record(run: RunContext, panel: PanelRecord, model: str) -> ForecastRecord | None:
    """Forecasts of the replayed weeks by a model, remembered by it and the panel; None where none can be made."""
    settings = run.settings
    lake = open_lake(settings.storage)
    loaded = load_panel(lake, run, panel)
    cutoffs = replayed_cutoffs(loaded, settings)
    if not cutoffs:
        return None
    fitted_with = getattr(settings.models, model, None)
    parts: dict[str, object] = {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "cutoffs": cutoffs,
        "model": [model, fitted_with.model_dump(mode="json") if fitted_with else None],
        **settings.model_dump(mode="json", include={"frequency", "quantiles", "seed"}),
    }

    def compute() -> ForecastRecord:
        frame = replay_forecasts(loaded, cutoffs, settings, model)
        table = lake.write_table("calibration/forecasts", frame)
        return ForecastRecord(model=model, table=table, series=loaded.n, live=False)

    return run_stage(run, "calibration-forecasts", parts, ForecastRecord, compute)[0]


def replay_forecasts(panel: Panel, cutoffs: Sequence[int], settings: Settings, model: str) -> pd.DataFrame:
    """Forecasts at the cutoffs, by one fit for every :data:`RUNS_PER_FIT` of them, the latest block full."""
    last = len(cutoffs)
    starts = sorted({max(0, last - RUNS_PER_FIT * block) for block in range(1, -(-last // RUNS_PER_FIT) + 1)})
    blocks = [cutoffs[start:end] for start, end in zip(starts, [*starts[1:], last], strict=True)]
    made = [
        past_forecasts(make_forecaster(model, settings), panel, block, settings.quantiles, settings.seed)
        for block in blocks
    ]
    return pd.concat(made, ignore_index=True)


def calibration_record(
    run: RunContext,
    ingested: IngestRecord,
    panel: PanelRecord,
    comparison: ComparisonRecord,
    forecasts: TableRef | None,
) -> tuple[CalibrationRecord, State[CalibrationRecord]]:
    """The replay's result, remembered by what it reads."""
    given = plan_inputs(ingested, panel, comparison, CalibrationRecord())
    parts: dict[str, object] = {
        "inputs": given.model_dump(mode="json", exclude={"forecast", "stock_counted"}),
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "forecasts": forecasts.sha256 if forecasts else None,
        **run.settings.model_dump(mode="json", include={"inventory", "frequency", "horizon", "quantiles", "seed"}),
    }
    return run_stage(run, "calibrate", parts, CalibrationRecord, lambda: _calibrate(run, panel, given, forecasts))


def _calibrate(run: RunContext, panel: PanelRecord, given: PlanInputs, forecasts: TableRef | None) -> CalibrationRecord:
    from tasks.inventory.replay.overstock_cost import calibrate as calibrate_by_replay

    lake = open_lake(run.settings.storage)
    inputs = weekly_inputs(lake, run.settings, run.as_of, given)
    made = lake.read_table(forecasts) if forecasts else None
    past = with_champions(made, inputs.backtest, run.settings.horizon)
    found = calibrate_by_replay(inputs, load_panel(lake, run, panel), past)
    return CalibrationRecord(
        holding_factor=found.holding_factor,
        costs=lake.write_table("calibration/costs", found.table),
        forecasts=forecasts,
        notes=[found.note],
        summary={"costs": rows_of(found.table)},
    )


def with_champions(made: pd.DataFrame | None, backtest: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """The forecasts made for the replay; the champions' own where a cutoff has a fold over the whole horizon."""
    spans = backtest.groupby(c.CUTOFF)[c.DATE].nunique()
    folds = backtest[backtest[c.CUTOFF].isin(spans.index[spans == horizon])]
    if made is None:
        return folds
    folds = folds[folds[c.CUTOFF].isin(made[c.CUTOFF])]
    kept = made[~made[c.CUTOFF].isin(folds[c.CUTOFF])]
    return pd.concat([kept, folds], ignore_index=True)[[name for name in made.columns if name != c.MODEL]]
