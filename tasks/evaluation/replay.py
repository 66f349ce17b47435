"""Past weeks replayed: forecasts at past cutoffs, and the overstock cost calibrated with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from schemas import columns as c
from schemas.panel import Panel
from schemas.records import CalibrationRecord, PanelRef, PlanInputs, Record, TableRef
from schemas.settings import BASELINES
from schemas.settings.slices import PlanSlice, ReplaySlice
from tasks.demand.folds import minimum_history
from tasks.demand.stored import load_panel
from tasks.forecasting.fold_forecasts import past_forecasts
from tasks.forecasting.shard import create_model
from tasks.inventory.inputs import weekly_inputs
from tasks.inventory.replay.overstock_cost import calibrate
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake
from tasks.storage.machine import Cores


@dataclass(frozen=True)
class ReplayRule:
    """Limits on the size of a replay of past weeks.

    Attributes:
        most_forecasts: largest product of series, periods of the horizon and cutoffs; a larger panel is replayed over
            fewer weeks.
        cutoffs_per_fit: cutoffs that one fit of the model forecasts.
    """

    most_forecasts: int = 1_500_000
    cutoffs_per_fit: int = 26


class PastInputs(Record):
    """The model that forecasts the past, and its panel."""

    panel: PanelRef
    model: str


class PastForecasts(Record):
    """Forecasts at past cutoffs; no table if the history is too short for one."""

    table: TableRef | None = None
    seconds: float = 0.0


def replay_model(replayable: Sequence[str], ranking: Sequence[str]) -> str:
    """The model that forecasts the replayed weeks: the best-ranked one that forecasts several cutoffs from one fit.

    Args:
        replayable: models of the run that can do so.
        ranking: models by their loss on the folds, the best first.

    Returns:
        The name of a model; the moving average if none is replayable.
    """
    places = {name: place for place, name in enumerate(ranking)}
    return min(replayable, key=lambda name: places.get(name, len(places)), default=BASELINES[1])


def replayed_cutoffs(panel: Panel, review_period: int, runs: int, rule: ReplayRule | None = None) -> list[int]:
    """Known periods at the cutoffs of the replay, ascending: one per review period, counting back from ``as_of``.

    Each cutoff knows at least a season and half of the history.

    Args:
        panel: history and horizon.
        review_period: periods between two cutoffs.
        runs: largest number of cutoffs; the rule may allow fewer for a large panel.
        rule: size of the replay; the default if None.
    """
    affordable = (rule or ReplayRule()).most_forecasts // max(1, panel.n * panel.horizon)
    known = [panel.history - review_period * back for back in range(min(runs, affordable), 0, -1)]
    least = max(minimum_history(panel), panel.history // 2)
    return [cutoff for cutoff in known if cutoff >= least]


def forecast_past(lake: Lake, inputs: PastInputs, use: ReplaySlice, cores: Cores) -> PastForecasts:
    """Forecast the cutoffs of the replay and store the rows."""
    panel = load_panel(lake, inputs.panel, use.period)
    cutoffs = replayed_cutoffs(panel, use.review_period, use.runs)
    if not cutoffs:
        return PastForecasts()
    return PastForecasts(
        table=lake.write_table("calibration/forecasts", replay_forecasts(panel, cutoffs, inputs.model, use, cores))
    )


def replay_forecasts(
    panel: Panel,
    cutoffs: Sequence[int],
    model: str,
    use: ReplaySlice,
    cores: Cores,
    rule: ReplayRule | None = None,
) -> pd.DataFrame:
    """Forecasts at the cutoffs; one fit serves ``cutoffs_per_fit`` of them, counting back from the latest."""
    last, size = len(cutoffs), (rule or ReplayRule()).cutoffs_per_fit
    starts = sorted({max(0, last - size * block) for block in range(1, -(-last // size) + 1)})
    blocks = [cutoffs[start:end] for start, end in zip(starts, [*starts[1:], last], strict=True)]
    made = [past_forecasts(create_model(model, use, cores), panel, block, use.quantiles, use.seed) for block in blocks]
    return pd.concat(made, ignore_index=True)


class CalibrationInputs(Record):
    """Inputs of a replay.

    Attributes:
        panel: the demand of the past weeks.
        given: references to what the plan of the week reads.
        as_of: run date.
        forecasts: forecasts at past cutoffs; None if there are none.
    """

    panel: PanelRef
    given: PlanInputs
    as_of: date
    forecasts: TableRef | None = None


def calibrate_overstock(lake: Lake, inputs: CalibrationInputs, use: PlanSlice) -> CalibrationRecord:
    """Replay past weeks with the real demand and choose the overstock cost multiplier that cost least."""
    given = weekly_inputs(lake, use, inputs.as_of, inputs.given)
    made = lake.read_table(inputs.forecasts) if inputs.forecasts else None
    past = with_champions(made, given.backtest, use.horizon)
    found = calibrate(given, load_panel(lake, inputs.panel, use.period), past)
    return CalibrationRecord(
        holding_factor=found.holding_factor,
        costs=lake.write_table("calibration/costs", found.table),
        forecasts=inputs.forecasts,
        notes=[found.note],
        summary={"costs": rows_of(found.table)},
    )


def with_champions(made: pd.DataFrame | None, backtest: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """The forecasts made for the replay; the champions' own if a cutoff has a fold over the whole horizon."""
    spans = backtest.groupby(c.CUTOFF)[c.DATE].nunique()
    folds = backtest[backtest[c.CUTOFF].isin(spans.index[spans == horizon])]
    if made is None:
        return folds
    folds = folds[folds[c.CUTOFF].isin(made[c.CUTOFF])]
    kept = made[~made[c.CUTOFF].isin(folds[c.CUTOFF])]
    # Empty tables are left out, because pandas will derive the result's types from them.
    parts = [part for part in (kept, folds) if len(part)]
    return pd.concat(parts, ignore_index=True)[[name for name in made.columns if name != c.MODEL]]
