"""The comparison of a run: backtest, metrics, champions, and the forecast with its champions marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import TrainingError, first_few
from schemas.facts import ModelContext
from schemas.panel import Fold, Panel
from schemas.protocols import Forecaster
from schemas.settings import BASELINES, EnsembleSettings, ModelsSettings
from schemas.settings.slices import CompareSlice
from tasks.demand.features.dates import occurrences
from tasks.evaluation.backtest.recalibration import RecalibrationRule, recalibrated, with_calibrated_means
from tasks.evaluation.backtest.rows import read_rows, series_codes
from tasks.evaluation.backtest.split import SplitForecasts, attach_actuals, horizons_covered
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.metrics.definitions import METRICS
from tasks.evaluation.metrics.table import OVERALL, grid_metrics, seasonal_scales
from tasks.evaluation.ranking import SelectionRule, loss_parts, loss_rows
from tasks.evaluation.selection.champions import champions_of, resting_series
from tasks.evaluation.selection.likeness import LikenessRules, forecast_by_likeness
from tasks.evaluation.selection.overfitting import gap_of, single_models_win
from tasks.evaluation.selection.reconcile import NONE, ReconciliationRule, reconcile
from tasks.evaluation.selection.weights import WeightRule, ensemble_weights
from tasks.forecasting.combine.ensemble import NAME as ENSEMBLE
from tasks.forecasting.combine.ensemble import combine
from tasks.forecasting.registry import aggregate_models, create, facts


@dataclass(frozen=True)
class ComparisonRules:
    """The numbers that a comparison depends on besides its settings.

    Attributes:
        selection: how champions are selected.
        weights: how losses become weights of the ensemble.
        recalibration: how means and quantiles are moved by the outcomes of the folds.
        reconciliation: when forecasts are reconciled, and with which models.
        likeness: how short and new series and seasonal goods are forecast.
    """

    selection: SelectionRule
    weights: WeightRule = field(default_factory=WeightRule)
    recalibration: RecalibrationRule = field(default_factory=RecalibrationRule)
    reconciliation: ReconciliationRule = field(default_factory=ReconciliationRule)
    likeness: LikenessRules = field(default_factory=LikenessRules)


@dataclass(frozen=True)
class Comparison:
    """Result of the comparison.

    Attributes:
        backtest: ``backtest.parquet`` (docs/reference/contract.md#outputs); sorted by cutoff, model, store_id, category
            and date.
        metrics: ``metrics.parquet``.
        champions: ``champions.parquet``; one row per series.
        forecast: ``forecast.parquet``; sorted by model, store_id, category and date.
        overall: every metric over all series per model, and relative_loss: the ranking loss divided by the mean loss
            of the baselines on the same rows (1 = as good as the baselines); best first. With inventory_cost if
            that is the loss.
        bands: share of rows in each acceptance band per model.
        champion_counts: number of series (n) and their share per champion, largest first.
        gap: loss on earlier folds and on the last (see :func:`tasks.evaluation.selection.overfitting.overfit_gap`).
        reconciliation: losses before and after (:class:`tasks.evaluation.selection.reconcile.Reconciled`); no rows
            with the method ``none``.
        replaced: store_id and category of the series that are forecast by likeness.
        notes: results of the reconciliation and of the forecasts by likeness, in a sentence each.
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
    replaced: pd.DataFrame
    notes: tuple[str, ...] = ()


def compare(
    forecasts: Iterable[pd.DataFrame],
    panel: Panel,
    folds: Sequence[Fold],
    settings: CompareSlice,
    rules: ComparisonRules | None = None,
    sku_facts: pd.DataFrame | None = None,
    forecasters: Sequence[Forecaster] | None = None,
    new_series: pd.DataFrame | None = None,
) -> Comparison:
    """Compare all models of a run and select a champion per series.

    Args:
        forecasts: tables of models and shards in any order: cutoff, store_id, category, date, model, mean
            and one column per quantile, in units. Rows whose cutoff lies before the panel's first forecast
            period belong to the folds, the others are the live forecast. Read once.
        panel: the demand that forecasts are compared with.
        folds: the run's folds, for the scales of mase and rmsse.
        settings: quantiles, horizon, the loss that ranks models, and whether rows of the models ``ensemble`` and
            ``reconciled`` are added.
        rules: the numbers; the defaults with :func:`selection_rule` if None.
        sku_facts: prices of units (see ``tasks.demand.sku_facts``); read if inventory costs rank models and the
            shortage cost is the price.
        forecasters: models that forecast total, stores and categories for the reconciliation;
            :func:`aggregate_forecasters` if None.
        new_series: series without sales, to be forecast by likeness (see ``tasks.demand.new_series``).

    Raises:
        TrainingError: a column is missing, a value is not finite, rows repeat, a series of the panel has
            no live forecast, or a live forecast does not have one row per period of the horizon.
    """
    rules = rules or ComparisonRules(selection_rule(settings))
    rule = rules.selection
    split = _split(forecasts, panel, settings)
    split = SplitForecasts(*with_calibrated_means(split.backtest, split.live, panel, rules.recalibration))
    weights: Mapping[str, float] = {}
    if ENSEMBLE in settings.models.named():
        tables = [split.backtest.drop(columns=c.ACTUAL), split.live.assign(**{c.CUTOFF: panel.horizon_periods[0]})]
        rows_of_ensemble, weights = _ensemble(tables, split.backtest, panel, settings, rules, sku_facts)
        tables.append(rows_of_ensemble)
        del split  # a copy of all rows
        split = _split((tables.pop(0) for _ in range(len(tables))), panel, settings)
    split = SplitForecasts(*recalibrated(split.backtest, split.live, settings.quantiles, rules.recalibration))
    _check_live(split.live, panel)
    backtest = _costed(split.backtest, settings, rule, sku_facts)
    rows = read_rows(backtest, settings.quantiles)
    grid = fold_grid(rows)
    gap = gap_of(rows, rule)
    single = single_models_win(gap, rule)
    champions = champions_of(rows, grid, split.live, rule, resting_series(panel, folds), single)
    models = forecasters or aggregate_forecasters(settings)
    reconciled = reconcile(split, champions, panel, folds, settings, models, rules.reconciliation)
    year_ahead = panel.periods[-1] + pd.DateOffset(years=1)
    holidays = occurrences(settings.country, settings.special_periods, panel.periods[0], year_ahead)
    alike = forecast_by_likeness(
        *(reconciled.split, reconciled.champions, panel, folds, settings.quantiles),
        *(new_series, holidays, rules.likeness),
    )
    split, champions = alike.split, alike.champions
    if reconciled.method != NONE or len(alike.replaced):
        backtest = _costed(split.backtest, settings, rule, sku_facts)
        grid = fold_grid(read_rows(backtest, settings.quantiles))
    metrics = grid_metrics(grid, seasonal_scales(panel, folds))
    overall = _overall(metrics, grid, rule.loss)
    return Comparison(
        backtest=backtest,
        metrics=metrics,
        champions=champions,
        forecast=_marked(split.live, champions, weights),
        overall=overall,
        bands=overall[[c.MODEL, c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR, c.N]].copy(),
        champion_counts=_counted(champions),
        gap=gap,
        reconciliation=reconciled.losses,
        replaced=alike.replaced,
        notes=tuple(note for note in (reconciled.note, alike.note) if note),
    )


def selection_rule(settings: CompareSlice) -> SelectionRule:
    """The default rule, with the loss of the settings and the covariate-free models of the registry."""
    covariate_free = frozenset(name for name, model in facts().items() if model.covariate_free)
    return SelectionRule(loss=settings.selection.loss, covariate_free=covariate_free)


def aggregate_forecasters(settings: CompareSlice, workers: int = 1) -> list[Forecaster]:
    """Forecasters of total, stores and categories, with the settings of the run if it names the model.

    Args:
        settings: models and quantiles.
        workers: threads of a model.
    """
    names = aggregate_models()
    context = ModelContext(tuple(settings.quantiles), workers=workers, threads=workers)
    defaults = ModelsSettings.model_validate({name: {} for name in names if name not in BASELINES}).named()
    return [create(name, settings.models.named().get(name, defaults.get(name)), context) for name in names]


def _split(tables: Iterable[pd.DataFrame], panel: Panel, settings: CompareSlice) -> SplitForecasts:
    stacked = pd.concat([table for table in tables if len(table)], ignore_index=True)
    return attach_actuals(stacked, panel, panel.horizon_periods[0], settings.quantiles)


def _costed(
    backtest: pd.DataFrame, settings: CompareSlice, rule: SelectionRule, sku_facts: pd.DataFrame | None
) -> pd.DataFrame:
    """The backtest, with simulated inventory costs if they rank the models."""
    if rule.loss != c.INVENTORY_COST:
        return backtest
    from tasks.evaluation.backtest.inventory_cost import with_inventory_cost

    return with_inventory_cost(backtest, settings, sku_facts)


def _ensemble(
    tables: Sequence[pd.DataFrame],
    backtest: pd.DataFrame,
    panel: Panel,
    settings: CompareSlice,
    rules: ComparisonRules,
    sku_facts: pd.DataFrame | None,
) -> tuple[pd.DataFrame, Mapping[str, float]]:
    """Rows of the ensemble, and the members' weights in the live forecast.

    Named members have equal weights. Otherwise all models have weights from the folds.
    """
    ensemble = settings.models.named()[ENSEMBLE]
    members = ensemble.members if isinstance(ensemble, EnsembleSettings) else None
    if members is not None:
        return combine(tables, members), dict.fromkeys(members, 1.0)
    grid = fold_grid(read_rows(_costed(backtest, settings, rules.selection, sku_facts), settings.quantiles))
    if not len(grid.cutoffs):
        return combine(tables), dict.fromkeys(_models_but_baselines(tables), 1.0)
    live = panel.horizon_periods[0]
    horizons = horizons_covered(backtest[c.DATE], panel.horizon)
    weights = ensemble_weights(grid, rules.selection, live, horizons, rules.weights)
    return combine(tables, weights=weights), weights[live]


def _models_but_baselines(tables: Sequence[pd.DataFrame]) -> list[str]:
    return sorted({str(name) for table in tables for name in table[c.MODEL].unique()} - set(BASELINES))


def _check_live(live: pd.DataFrame, panel: Panel) -> None:
    """Raise if a series has no live forecast, or a live forecast does not have the whole horizon."""
    at, served = series_codes(live)
    wanted = pd.MultiIndex.from_frame(panel.series[[c.STORE_ID, c.CATEGORY]])
    without = wanted.difference(pd.MultiIndex.from_frame(served))
    if len(without):
        raise TrainingError(
            f"forecasts: series without a live forecast (store / category): "
            f"{first_few([' / '.join(key) for key in without])}. The baselines must forecast every series"
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


def _marked(live: pd.DataFrame, champions: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame:
    """The live rows with ``champion``, true for one model per series, and ``weight``, the model's in the ensemble.

    The weights of the models that forecast a series add up to 1; NaN = not in the ensemble.
    """
    at, _ = series_codes(live)
    marked = live.assign(**{c.CHAMPION: live[c.MODEL].to_numpy() == champions[c.MODEL].to_numpy()[at]})
    if not weights:
        return marked
    weight = live[c.MODEL].astype(object).map(weights).astype(np.float64)
    total = weight.groupby([at, live[c.DATE].to_numpy()]).transform("sum")
    return marked.assign(**{c.WEIGHT: (weight / total).to_numpy()})


def _overall(metrics: pd.DataFrame, grid: FoldGrid, loss: str) -> pd.DataFrame:
    costs = [c.INVENTORY_COST] if grid.costed else []
    table = metrics.loc[metrics[c.LEVEL].eq(OVERALL), [c.MODEL, *costs, *METRICS, c.N]].copy()
    table.insert(1, c.RELATIVE_LOSS, table[c.MODEL].map(_relative_losses(grid, loss)).astype(np.float64))
    return table.sort_values([c.RELATIVE_LOSS, c.MODEL], kind="stable").reset_index(drop=True)


def _relative_losses(grid: FoldGrid, loss: str) -> dict[str, float]:
    """Each model's loss divided by the mean loss of the baselines, on the cells that all of them share."""
    lost = grid.cells(np.mean(loss_parts(grid.sums, loss), axis=0))
    counted = grid.cells(loss_rows(grid.sums, loss))
    baselines = [grid.models.index(name) for name in BASELINES if name in grid.models]
    relative = {}
    for index, model in enumerate(grid.models):
        same = (counted[baselines] == counted[index]).all(axis=0) & (counted[index] > 0)
        reference = sum(float(lost[baseline][same].sum()) for baseline in baselines) / max(len(baselines), 1)
        relative[model] = float(lost[index][same].sum()) / reference if reference > 0 else float("nan")
    return relative


def _counted(champions: pd.DataFrame) -> pd.DataFrame:
    counts = champions.groupby(c.MODEL, sort=True).size().rename(c.N).reset_index()
    counts[c.SHARE] = counts[c.N] / max(int(counts[c.N].sum()), 1)
    return counts.sort_values([c.N, c.MODEL], ascending=[False, True]).reset_index(drop=True)
