"""Reconciliation of the champions' forecasts with those of total, stores and categories.

The choice and its measurements: docs/decisions/0011-reconciliation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, Fold, Panel
from schemas.protocols import Forecaster
from schemas.settings.slices import CompareSlice
from tasks.evaluation.backtest.split import SplitForecasts
from tasks.evaluation.metrics.level_losses import Origin, level_losses
from tasks.evaluation.metrics.table import OVERALL, SERIES
from tasks.evaluation.selection.origins import champion_origin, origin_rows, with_rows
from tasks.forecasting.combine.aggregates import Hierarchy, aggregate_panel, hierarchy_of
from tasks.forecasting.combine.reconciliation import mint, moved, top_down

NAME = "reconciled"
NONE, AUTO, TOP_DOWN, MINT = "none", "auto", "top_down", "mint"
_COLUMNS = [c.METHOD, c.LEVEL, c.LOSS_BEFORE, c.LOSS_AFTER]


@dataclass(frozen=True)
class ReconciliationRule:
    """The numbers of the reconciliation.

    Attributes:
        least_gain: ``auto`` uses a method if the loss of the series on the folds falls by at least this fraction.
        mint_most_series: MinT is not used for more series. It holds several square matrices with a row per series; at
            4,000 series each takes 130 MB.
    """

    least_gain: float = 0.01
    mint_most_series: int = 4_000


@dataclass(frozen=True)
class Reconciled:
    """Result of the reconciliation.

    Attributes:
        method: the method that was used, or ``none``.
        split: the forecasts, with the rows of the model ``reconciled`` if a method was used.
        champions: ``reconciled`` for every series if a method was used; otherwise unchanged.
        losses: method, level, loss_before and loss_after on the folds, as fractions of the sales: for series the mean
            of wape and wql, for the levels above the wape of the summed means.
        note: which method was used and why, in a sentence; empty with the method ``none``.
    """

    method: str
    split: SplitForecasts
    champions: pd.DataFrame
    losses: pd.DataFrame
    note: str


def reconcile(
    split: SplitForecasts,
    champions: pd.DataFrame,
    panel: Panel,
    folds: Sequence[Fold],
    settings: CompareSlice,
    forecasters: Sequence[Forecaster],
    rule: ReconciliationRule | None = None,
) -> Reconciled:
    """Reconcile the champions' forecasts by ``expert.reconciliation.method``.

    Several models forecast the aggregates, at every fold and live; each aggregate uses the model with the smallest
    error. A fold is reconciled with the errors of the other folds (a single fold with its own), the live forecast with
    those of all folds.

    Args:
        split: the folds' rows and the live rows of all models.
        champions: store_id, category, model and why; one row per series of the panel.
        panel: the demand; only its history is read.
        folds: the run's folds.
        settings: the method, quantiles and seed.
        forecasters: models of the aggregates.
        rule: the numbers; the defaults if None.
    """
    rule = rule or ReconciliationRule()
    wanted, levels = settings.reconciliation.method, list(settings.quantiles)
    hierarchy = hierarchy_of(panel.series)
    nothing = Reconciled(NONE, split, champions, pd.DataFrame(columns=_COLUMNS), "")
    if wanted == NONE:
        return nothing
    tested = [fold for fold in folds if split.backtest[c.CUTOFF].eq(fold.cutoff).any()]
    if not len(hierarchy.nodes) or not tested:
        return replace(nothing, note=f"Reconciliation ({wanted}): not done: no level above the series, or no fold")
    if wanted == MINT and panel.n > rule.mint_most_series:
        too_many = f"{panel.n:,} series exceed the limit of MinT ({rule.mint_most_series:,})"
        return replace(nothing, note=f"Reconciliation (mint): not done: {too_many}. Use top_down or auto")
    origins = []
    for fold in tested:
        rows = split.backtest[split.backtest[c.CUTOFF].eq(fold.cutoff)]
        origins.append(champion_origin(rows, champions, fold.known_periods, panel, levels))
    origins.append(champion_origin(split.live, champions, panel.history, panel, levels))
    known = [*(fold.known_periods for fold in tested), panel.history]
    origins = [
        replace(at, above=_forecast_above(forecasters, panel.until(cut), hierarchy, settings)[..., : len(at.labels)])
        for at, cut in zip(origins, known, strict=True)
    ]
    possible = (TOP_DOWN, MINT) if panel.n <= rule.mint_most_series else (TOP_DOWN,)
    methods = [name for name in possible if wanted in (AUTO, name)]
    done = {name: [_moved(origins, number, name, hierarchy) for number in range(len(origins))] for name in methods}
    losses = pd.DataFrame(
        [
            {c.METHOD: name, **row}
            for name in methods
            for row in level_losses(origins[:-1], done[name][:-1], hierarchy, settings.quantiles)
        ],
        columns=_COLUMNS,
    )
    method = _best(losses, rule.least_gain) if wanted == AUTO else wanted
    result = replace(nothing, method=method, losses=losses, note=_note(wanted, method, losses))
    if method == NONE:
        return result
    rows = pd.concat([origin_rows(NAME, at, panel.series, levels) for at in done[method]], ignore_index=True)
    return replace(result, split=with_rows(split, rows, panel), champions=_all_reconciled(champions, method))


def _forecast_above(
    forecasters: Sequence[Forecaster], known: Panel, hierarchy: Hierarchy, settings: CompareSlice
) -> FloatArray:
    """Means of the aggregates, shape (K, m, H)."""
    panel = aggregate_panel(known, hierarchy)
    fitted = [forecaster.fit(panel, settings.seed) for forecaster in forecasters]
    return np.stack([model.predict(panel, settings.quantiles).mean for model in fitted])


def _moved(origins: Sequence[Origin], number: int, method: str, hierarchy: Hierarchy) -> Origin:
    """Reconcile one origin; the last origin is the live forecast."""
    at, folds = origins[number], origins[:-1]
    others = [fold for fold in folds if fold is not at]
    above, series = _errors(others or folds, hierarchy)
    best = np.argmin(above, axis=0)
    aggregates = at.above[best, np.arange(len(best))]
    if method == TOP_DOWN:
        wanted = top_down(aggregates[0], at.mean)
    else:
        wanted = mint(hierarchy.members, aggregates, at.mean, np.concatenate([above.min(axis=0), series]))
    mean, quantiles = moved(at.mean, at.quantiles, wanted)
    return replace(at, mean=mean, quantiles=quantiles)


def _errors(folds: Sequence[Origin], hierarchy: Hierarchy) -> tuple[FloatArray, FloatArray]:
    """Root mean squared errors in units: of the aggregates' models, shape (K, m), and of the series, shape (n,).

    A series without a known actual has 0.
    """
    above, series = [], []
    for fold in folds:
        known = np.isfinite(fold.actual)
        # An unknown actual is replaced by its forecast, so that it adds demand but no error to the levels above.
        sold = np.where(known, fold.actual, fold.mean)
        above.append(fold.above - hierarchy.members @ sold)
        series.append(np.where(known, sold - fold.mean, np.nan))
    errors = np.concatenate(series, axis=1)
    squares = np.nansum(np.square(errors), axis=1) / np.maximum(np.isfinite(errors).sum(axis=1), 1)
    return np.sqrt(np.square(np.concatenate(above, axis=2)).mean(axis=2)), np.sqrt(squares)


def _best(losses: pd.DataFrame, least_gain: float) -> str:
    """The method with the lowest loss of the series, if that falls enough and the loss of the total does not rise."""
    series = losses[losses[c.LEVEL].eq(SERIES)].set_index(c.METHOD)
    total = losses[losses[c.LEVEL].eq(OVERALL)].set_index(c.METHOD)
    helps = series[c.LOSS_AFTER] <= (1.0 - least_gain) * series[c.LOSS_BEFORE]
    helps &= total[c.LOSS_AFTER] <= total[c.LOSS_BEFORE]
    return str(series[c.LOSS_AFTER][helps].idxmin()) if helps.any() else NONE


def _note(wanted: str, method: str, losses: pd.DataFrame) -> str:
    """The method that was used, with the losses per level before and after."""
    parts = []
    for name, rows in losses.groupby(c.METHOD, sort=False):
        figures = [f"{row[c.LEVEL]} {row[c.LOSS_BEFORE]:.3f} -> {row[c.LOSS_AFTER]:.3f}" for _, row in rows.iterrows()]
        parts.append(f"{name}: {', '.join(figures)}")
    used = "no method used" if method == NONE else f"{method} used"
    return f"Reconciliation ({wanted}): {used}. Loss on the folds, before -> after, {'; '.join(parts)}"


def _all_reconciled(champions: pd.DataFrame, method: str) -> pd.DataFrame:
    why = "Forecast of " + champions[c.MODEL].astype(str) + f", reconciled by {method}. " + champions[c.WHY].astype(str)
    return champions.assign(**{c.MODEL: NAME, c.WHY: why})
