"""The comparison of a run: backtest, metrics, champions and the forecast that carries their mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import TrainingError, first_few
from schemas.panel import Fold, Panel
from schemas.settings import BASELINES
from schemas.settings.slices import CompareSlice
from tasks.evaluation.backtest.paired_losses import SelectionRule
from tasks.evaluation.backtest.recalibration import calibrated
from tasks.evaluation.backtest.rows import read_rows, series_codes
from tasks.evaluation.backtest.split import SplitForecasts, attach_actuals, windows_covered
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.metrics.definitions import METRICS
from tasks.evaluation.metrics.table import OVERALL, grid_metrics, seasonal_scales
from tasks.evaluation.selection.champions import champions_of
from tasks.evaluation.selection.losses import loss_parts, loss_rows
from tasks.evaluation.selection.overfitting import gap_of
from tasks.evaluation.selection.reconcile import NONE, reconcile
from tasks.evaluation.selection.weights import ensemble_weights
from tasks.forecasting.combine.ensemble import combine


@dataclass(frozen=True)
class Comparison:
    """What the comparison found.

    Attributes:
        backtest: the contract's ``backtest.parquet``; sorted by cutoff, model, store_id, category, date.
        metrics: the contract's ``metrics.parquet``.
        champions: the contract's ``champions.parquet``; one row per series.
        forecast: the contract's ``forecast.parquet``; sorted by model, store_id, category and date.
        overall: every metric over all series per model, and relative_loss: the ranking loss over the
            floors' mean loss on the same rows (1 = as good as the floors); best first. With inventory_cost where
            that is the loss.
        bands: share of rows in each acceptance band per model.
        champion_counts: series (n) and their share per champion, most first.
        gap: loss on earlier folds and on the last (see :func:`tasks.evaluation.selection.overfitting.overfit_gap`).
        reconciliation: losses before and after (:class:`tasks.evaluation.selection.reconcile.Reconciled`); no rows
            where it is not wanted.
        notes: what reconciliation did.
    """

    backtest: pd.DataFrame
    metrics: pd.DataFrame
    champions: pd.DataFrame
    forecast: pd.DataFrame
    overall: pd.DataFrame
    bands: pd.DataFrame
    champion_counts: pd.DataFrame
    gap: pd.DataFrame
    reconciliation: pd.DataFrame
    notes: tuple[str, ...] = ()


def compare(
    forecasts: Sequence[pd.DataFrame],
    panel: Panel,
    folds: Sequence[Fold],
    settings: CompareSlice,
    rule: SelectionRule | None = None,
    sku_facts: pd.DataFrame | None = None,
    workers: int = 1,
) -> Comparison:
    """Compare all models of a run and choose a champion per series.

    Args:
        forecasts: tables of models and shards in any order: cutoff, store_id, category, date, model, mean
            and one column per quantile, in units. Rows whose cutoff lies before the panel's first forecast
            period belong to the folds, the others are the live forecast.
        panel: the demand that forecasts are held against.
        folds: the run's folds, for the scales of mase and rmsse.
        settings: quantiles, horizon, what models are ranked by, whether the ensemble is wanted (its rows are added
            here) and reconciliation (the rows of the model ``reconciled``, where it is done, too).
        rule: how champions are chosen; the defaults with the settings' loss where None.
        sku_facts: prices of units (see ``tasks.demand.sku_facts``); read where inventory costs rank models and a
            lost unit costs its price.
        workers: threads of the models that the reconciliation fits.

    Raises:
        TrainingError: a column is missing, a value is not finite, rows repeat, a series of the panel has
            no live forecast, or a live forecast does not have one row per period of the horizon.
    """
    rule = rule or SelectionRule(loss=settings.selection.loss)
    tables = [table for table in forecasts if len(table)]
    split = _split(tables, panel, settings)
    if settings.models.ensemble is not None:
        tables.append(_ensemble(tables, split.backtest, panel, settings, rule, sku_facts))
        split = _split(tables, panel, settings)
    split = SplitForecasts(*calibrated(split.backtest, split.live, settings.quantiles))
    _check_live(split.live, panel)
    backtest = _costed(split.backtest, settings, rule, sku_facts)
    rows = read_rows(backtest, settings.quantiles)
    grid = fold_grid(rows)
    gap = gap_of(rows, rule)
    agreed = reconcile(split, champions_of(rows, grid, split.live, rule), panel, folds, settings, workers=workers)
    split, champions = agreed.split, agreed.champions
    if agreed.method != NONE:
        backtest = _costed(split.backtest, settings, rule, sku_facts)
        grid = fold_grid(read_rows(backtest, settings.quantiles))
    metrics = grid_metrics(grid, seasonal_scales(panel, folds))
    overall = _overall(metrics, grid, rule.loss)
    return Comparison(
        backtest=backtest,
        metrics=metrics,
        champions=champions,
        forecast=_marked(split.live, champions),
        overall=overall,
        bands=overall[[c.MODEL, c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR, c.N]].copy(),
        champion_counts=_counted(champions),
        gap=gap,
        reconciliation=agreed.losses,
        notes=(agreed.note,) if agreed.note else (),
    )


def _split(tables: Sequence[pd.DataFrame], panel: Panel, settings: CompareSlice) -> SplitForecasts:
    stacked = pd.concat([table for table in tables if len(table)], ignore_index=True)
    return attach_actuals(stacked, panel, panel.horizon_periods[0], settings.quantiles)


def _costed(
    backtest: pd.DataFrame, settings: CompareSlice, rule: SelectionRule, sku_facts: pd.DataFrame | None
) -> pd.DataFrame:
    """With simulated inventory costs where they rank the models."""
    if rule.loss != c.INVENTORY_COST:
        return backtest
    from tasks.evaluation.backtest.inventory_cost import with_inventory_cost

    return with_inventory_cost(backtest, settings, sku_facts)


def _ensemble(
    tables: Sequence[pd.DataFrame],
    backtest: pd.DataFrame,
    panel: Panel,
    settings: CompareSlice,
    rule: SelectionRule,
    sku_facts: pd.DataFrame | None,
) -> pd.DataFrame:
    """Rows of the ensemble: of the named members alike, else of all models by what the folds say of them."""
    members = settings.models.ensemble.members if settings.models.ensemble else None
    if members is not None:
        return combine(tables, members)
    grid = fold_grid(read_rows(_costed(backtest, settings, rule, sku_facts), settings.quantiles))
    if not len(grid.cutoffs):
        return combine(tables)
    windows = windows_covered(backtest[c.DATE], panel.horizon)
    return combine(tables, weights=ensemble_weights(grid, rule.loss, panel.horizon_periods[0], windows))


def _check_live(live: pd.DataFrame, panel: Panel) -> None:
    """Every series has a live forecast, and every live forecast the whole horizon."""
    at, served = series_codes(live)
    wanted = pd.MultiIndex.from_frame(panel.series[[c.STORE_ID, c.CATEGORY]])
    without = wanted.difference(pd.MultiIndex.from_frame(served))
    if len(without):
        raise TrainingError(
            f"forecasts: series without a live forecast (store / category): "
            f"{first_few([' / '.join(key) for key in without])}. The floors must serve every series"
        )
    model, models = pd.factorize(live[c.MODEL], sort=True)
    due = live[c.DATE].isin(panel.horizon_periods).to_numpy()
    periods = np.bincount(model * len(served) + at, due, minlength=len(models) * len(served))
    rows = np.bincount(model * len(served) + at, minlength=len(models) * len(served))
    bad = np.flatnonzero((rows > 0) & ((periods != panel.horizon) | (rows != panel.horizon)))
    if len(bad):
        cases = [" / ".join([models[code // len(served)], *served.iloc[code % len(served)]]) for code in bad]
        raise TrainingError(
            f"forecasts: live forecasts without exactly one row for each of the {panel.horizon} periods from "
            f"{panel.horizon_periods[0].date()} (model / store / category): {first_few(cases)}"
        )


def _marked(live: pd.DataFrame, champions: pd.DataFrame) -> pd.DataFrame:
    """The live rows with the champion flag: one model per series is true."""
    at, _ = series_codes(live)
    return live.assign(**{c.CHAMPION: live[c.MODEL].to_numpy() == champions[c.MODEL].to_numpy()[at]})


def _overall(metrics: pd.DataFrame, grid: FoldGrid, loss: str) -> pd.DataFrame:
    costs = [c.INVENTORY_COST] if grid.costed else []
    table = metrics.loc[metrics[c.LEVEL].eq(OVERALL), [c.MODEL, *costs, *METRICS, c.N]].copy()
    table.insert(1, c.RELATIVE_LOSS, table[c.MODEL].map(_relative_losses(grid, loss)).astype(np.float64))
    return table.sort_values([c.RELATIVE_LOSS, c.MODEL], kind="stable").reset_index(drop=True)


def _relative_losses(grid: FoldGrid, loss: str) -> dict[str, float]:
    """Each model's loss over the floors' mean loss, on the cells that it shares with both floors."""
    lost = grid.cells(np.mean(loss_parts(grid.sums, loss), axis=0))
    counted = grid.cells(loss_rows(grid.sums, loss))
    floors = [grid.models.index(name) for name in BASELINES if name in grid.models]
    relative = {}
    for index, model in enumerate(grid.models):
        same = (counted[floors] == counted[index]).all(axis=0) & (counted[index] > 0)
        reference = sum(float(lost[floor][same].sum()) for floor in floors) / max(len(floors), 1)
        relative[model] = float(lost[index][same].sum()) / reference if reference > 0 else float("nan")
    return relative


def _counted(champions: pd.DataFrame) -> pd.DataFrame:
    counts = champions.groupby(c.MODEL, sort=True).size().rename(c.N).reset_index()
    counts[c.SHARE] = counts[c.N] / max(int(counts[c.N].sum()), 1)
    return counts.sort_values([c.N, c.MODEL], ascending=[False, True]).reset_index(drop=True)
