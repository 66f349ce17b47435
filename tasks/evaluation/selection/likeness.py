"""Champions of series that their own history cannot forecast: short and new series, and seasonal goods.

The choice and its measurements: docs/decisions/0014-short-history.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few
from schemas.panel import Fold, IndexArray, Panel
from tasks.evaluation.backtest.split import SplitForecasts
from tasks.evaluation.metrics.level_losses import Origin
from tasks.evaluation.metrics.stats import quantile_score
from tasks.evaluation.selection.origins import champion_origin, origin_rows, with_rows
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.comparables import ComparableRule, Likeness, comparable_forecasts, is_short
from tasks.forecasting.event_effects import event_effects
from tasks.forecasting.last_season import SeasonRule, last_season_forecasts

COMPARABLES, LAST_SEASON = "comparables", "last_season"


@dataclass(frozen=True)
class LikenessRules:
    """The numbers of the forecasts by likeness.

    Attributes:
        comparables: the numbers of the forecasts from comparable stores.
        season: the numbers of the forecasts from the last season.
    """

    comparables: ComparableRule = field(default_factory=ComparableRule)
    season: SeasonRule = field(default_factory=SeasonRule)


@dataclass(frozen=True)
class Alike:
    """Result of the step.

    Attributes:
        split: split with the rows of the models ``comparables`` and ``last_season``, for the series that they serve.
        champions: champions with these models for these series, and a row for every new series that could be forecast.
        replaced: store_id and category of the series whose champion changed or is new.
        note: what was done, in a sentence; empty if nothing was.
    """

    split: SplitForecasts
    champions: pd.DataFrame
    replaced: pd.DataFrame
    note: str = ""


def forecast_by_likeness(
    split: SplitForecasts,
    champions: pd.DataFrame,
    panel: Panel,
    folds: Sequence[Fold],
    levels: Sequence[float],
    new: pd.DataFrame | None = None,
    holidays: Mapping[str, pd.DatetimeIndex] | None = None,
    rule: LikenessRules | None = None,
) -> Alike:
    """Add the models ``comparables`` and ``last_season`` and make them champions of the series that they serve.

    Both are made at every fold from what was known there, so that backtest and metrics measure them. Forecasts and
    champions of all other series stay as they are.

    Args:
        split: the folds' rows and the live rows of all models.
        champions: store_id, category, model and why; one row per series of the panel.
        panel: the demand; only its history is read.
        folds: the run's folds.
        levels: Q rising levels, 0.5 among them.
        new: series without history (see ``tasks.demand.new_series``).
        holidays: name to the days on which they begin, until a year after the history.
        rule: the numbers; the defaults if None.
    """
    rule = rule or LikenessRules()
    live = _at_cutoff(split.live, champions, panel, panel, levels, new, holidays or {}, rule)
    if not any(len(found.position) for found in live.found.values()):
        return Alike(split, champions, champions[[c.STORE_ID, c.CATEGORY]].iloc[:0])
    tested = [fold for fold in folds if split.backtest[c.CUTOFF].eq(fold.cutoff).any()]
    past = []
    for fold in tested:
        rows = split.backtest[split.backtest[c.CUTOFF].eq(fold.cutoff)]
        past.append(
            _at_cutoff(rows, champions, panel.until(fold.known_periods), panel, levels, None, holidays or {}, rule)
        )
    served = dict(live.found)
    excess: dict[str, float] = {}
    fewest = {COMPARABLES: 0.0, LAST_SEASON: rule.season.tested * float(live.found[LAST_SEASON].mean.sum())}
    for name, most in ((COMPARABLES, rule.comparables.most_loss), (LAST_SEASON, rule.season.most_loss)):
        loss, units = _excess(name, past, levels)
        if loss > most and units >= fewest[name] and (served[name].position >= 0).any():
            excess[name] = loss
            served[name] = _picked(served[name], np.flatnonzero(served[name].position < 0))
    added = [_live_rows(name, live.origin, found, levels) for name, found in served.items()]
    for at in past:
        added += [_fold_rows(name, at, found, levels) for name, found in served.items()]
    return Alike(
        split=with_rows(split, pd.concat(added, ignore_index=True), panel),
        champions=_champions(champions, served),
        replaced=pd.concat([found.series for found in served.values()], ignore_index=True),
        note=_note(served, excess),
    )


@dataclass(frozen=True)
class _Cutoff:
    """The champions' forecasts at one cutoff, and the forecasts by likeness, by model."""

    origin: Origin
    found: dict[str, Likeness]


def _at_cutoff(
    rows: pd.DataFrame,
    champions: pd.DataFrame,
    known: Panel,
    panel: Panel,
    levels: Sequence[float],
    new: pd.DataFrame | None,
    holidays: Mapping[str, pd.DatetimeIndex],
    rule: LikenessRules,
) -> _Cutoff:
    origin = champion_origin(rows, champions, known.history, panel, levels)
    effects = event_effects(known)
    season = last_season_forecasts(effects.without(known), len(origin.labels), levels, holidays, rule.season)
    moved = effects.take(season.position).on_values(season.mean, season.quantiles, levels)
    season = replace(season, mean=moved[0], quantiles=moved[1])
    mean, quantiles = origin.mean.copy(), origin.quantiles.copy()
    mean[season.position], quantiles[season.position] = season.mean, season.quantiles
    # Series that are comparable with a new one may be seasonal themselves.
    alike = comparable_forecasts(known, mean, quantiles, levels, new, rule.comparables)
    own = np.flatnonzero((alike.position < 0) | ~np.isin(alike.position, season.position))
    return _Cutoff(origin, {LAST_SEASON: season, COMPARABLES: _picked(alike, own)})


def _picked(found: Likeness, rows: IndexArray) -> Likeness:
    return Likeness(
        found.series.iloc[rows].reset_index(drop=True),
        found.position[rows],
        found.mean[rows],
        found.quantiles[rows],
        tuple(found.why[at] for at in rows),
    )


def _excess(name: str, past: Sequence[_Cutoff], levels: Sequence[float]) -> tuple[float, float]:
    """Mean of WAPE and quantile loss of a model on the folds minus that of the champions, and the units of the rows."""
    excess, units = 0.0, 0.0
    for at in past:
        found = at.found[name]
        actual = at.origin.actual[found.position]
        known = np.isfinite(actual)
        units += float(actual[known].sum())
        for sign, quantiles in ((1.0, found.quantiles), (-1.0, at.origin.quantiles[found.position])):
            middle = quantiles[..., list(levels).index(MEDIAN)]
            excess += sign * float(np.abs(actual - middle)[known].sum())
            excess += sign * float(quantile_score(actual[known], quantiles[known], levels).sum())
    return (excess / (2.0 * units) if units > 0 else 0.0), units


def _live_rows(name: str, origin: Origin, found: Likeness, levels: Sequence[float]) -> pd.DataFrame:
    actual = np.full(found.mean.shape, np.nan)
    made = replace(origin, mean=found.mean, quantiles=found.quantiles, actual=actual)
    return origin_rows(name, made, found.series, levels)


def _fold_rows(name: str, at: _Cutoff, served: Likeness, levels: Sequence[float]) -> pd.DataFrame:
    """Rows of the series that are served live; if a series had no forecast yet, the champion's takes its place."""
    found, origin = at.found[name], at.origin
    served = _picked(served, np.flatnonzero(served.position >= 0))
    mean, quantiles = origin.mean.copy(), origin.quantiles.copy()
    mean[found.position], quantiles[found.position] = found.mean, found.quantiles
    own = served.position
    made = replace(origin, mean=mean[own], quantiles=quantiles[own], actual=origin.actual[own])
    return origin_rows(name, made, served.series, levels)


def _champions(champions: pd.DataFrame, served: dict[str, Likeness]) -> pd.DataFrame:
    """The champions with those of the served series replaced, and the new series added, sorted."""
    rows = [
        found.series.assign(**{c.MODEL: name, c.WHY: [f"{name}: {why}" for why in found.why]})
        for name, found in served.items()
    ]
    keys = [c.STORE_ID, c.CATEGORY]
    stacked = pd.concat([*rows, champions.astype({key: str for key in keys})], ignore_index=True)
    kept = stacked.drop_duplicates(keys).sort_values(keys, kind="stable", ignore_index=True)
    return kept[list(champions.columns)]


def _note(served: dict[str, Likeness], excess: dict[str, float]) -> str:
    parts = []
    for name, found in served.items():
        fresh = int((found.position < 0).sum())
        if len(found.position):
            parts.append(
                f"{name}: {len(found.position)} series" + (f", {fresh} of them without sales" if fresh else "")
            )
    for name, loss in excess.items():
        parts.append(f"{name} not used for series with sales: their loss on the folds is {loss:.2f} higher")
    return f"Forecasts by likeness. {'; '.join(parts)}"


def short_history_alarm(panel: Panel, champions: pd.DataFrame) -> Alarm | None:
    """The alarm that series have less than a year of sales; None if all have one, or sell in one season only.

    Args:
        panel: the demand.
        champions: store_id, category and model.
    """
    keys = [c.STORE_ID, c.CATEGORY]
    model = champions.set_index(keys)[c.MODEL].reindex(pd.MultiIndex.from_frame(panel.series[keys].astype(str)))
    own = model.astype(str).to_numpy()
    short = is_short(panel) & (own != LAST_SEASON)
    if not short.any():
        return None
    stores = panel.series[c.STORE_ID].astype(str).to_numpy()
    # A new store is one without any older series, also if last season's sales of other stores serve some of them.
    whole = [] if is_short(panel).all() else sorted(set(stores[short]) - set(stores[~is_short(panel)]))
    alike = int((own[short] == COMPARABLES).sum())
    text = f"{int(short.sum())} of {panel.n} series have less than a year of sales; {alike} of them are forecast from "
    text += "comparable stores, with wider intervals"
    if whole:
        text += f". Stores without any older series: {first_few(whole)}"
    return raise_alarm("short_history", text, stores=whole, count=int(short.sum()))
