"""The champion of every series: the model that is better than the others beyond chance.

The losses of one series are noisy, so the model with the lowest loss on a series is often the best by chance. A series
therefore starts from the **global winner**, the model with the lowest total loss among those that serve the whole
network (or, if it does not serve the series, among those that do). It takes another model only if that model is
better on the series by more than its margin of error, after shrinkage
(:func:`tasks.evaluation.backtest.paired_losses.compare_with_winner`). Baselines compete like any other model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, Fold, IndexArray, Panel
from schemas.settings import BASELINES
from tasks.evaluation.backtest.paired_losses import PeriodLosses, compare_with_winner, network_winner, period_losses
from tasks.evaluation.backtest.rows import BacktestRows, read_rows, series_codes, series_positions
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.reasons import Choice, reasons
from tasks.forecasting.combine.ensemble import NAME as ENSEMBLE

NONE = -1
# A series has probably ended if the gap since its last sale is less probable than this.
PLAUSIBLE = 0.01
# Preference if no fold can be scored; the moving average varies less than the seasonal naive.
UNSCORED_ORDER = ("moving_average", "seasonal_naive")


def select_champions(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float], rule: SelectionRule | None = None
) -> pd.DataFrame:
    """Select one model per series.

    Candidates are the models with a live forecast for the series and rows on the folds of some series. A model that
    serves only some series is compared with the others on those. A series without a known actual on the folds takes the
    global winner of its candidates; without any fold it takes the moving average. Ties go to the baselines, then to
    the first name.

    Args:
        backtest: ``backtest.parquet`` (docs/reference/contract.md#outputs).
        live: rows of the live forecast; only store_id, category and model are read.
        quantiles: the set levels, rising.
        rule: loss and shrinkage; the defaults if None.

    Returns:
        ``champions.parquet``: store_id, category, model, why; one row per series of ``live``, sorted by store_id and
        category.

    Raises:
        TrainingError: a column is missing or a forecast is not finite.
    """
    rows = read_rows(backtest, quantiles)
    return champions_of(rows, fold_grid(rows), live, rule or SelectionRule())


def champions_of(
    rows: BacktestRows,
    grid: FoldGrid,
    live: pd.DataFrame,
    rule: SelectionRule,
    resting: pd.DataFrame | None = None,
    single: bool = True,
) -> pd.DataFrame:
    """As :func:`select_champions`, from rows that are already read and summed.

    Args:
        rows: rows of the backtest.
        grid: their sums.
        live: rows of the live forecast; only store_id, category and model are read.
        rule: loss and shrinkage.
        resting: store_id and category of slow series that sold nothing on the folds (see :func:`resting_series`). They
            keep the global winner: without a sale, the model closest to 0 has the least loss on them.
        single: whether a single model may replace the ensemble
            (:func:`tasks.evaluation.selection.overfitting.single_models_win`).
    """
    choice = select_models(rows, live, rule)
    if not single:
        averaged = pd.MultiIndex.from_frame(choice.series).isin(
            pd.MultiIndex.from_frame(live.loc[live[c.MODEL] == ENSEMBLE, [c.STORE_ID, c.CATEGORY]].drop_duplicates())
        )
        choice = replace(
            choice,
            model=np.where(averaged, ENSEMBLE, choice.model),
            winner=np.where(averaged & (choice.winner != np.array(None)), ENSEMBLE, choice.winner),
        )
    if resting is not None and len(resting):
        kept = pd.MultiIndex.from_frame(choice.series).isin(pd.MultiIndex.from_frame(resting))
        kept &= choice.winner != np.array(None)
        choice = replace(choice, model=np.where(kept, choice.winner, choice.model))
    return choice.series.assign(**{c.MODEL: choice.model, c.WHY: reasons(grid, choice, rule.loss)})


def resting_series(panel: Panel, folds: Sequence[Fold]) -> pd.DataFrame:
    """Slow series without a sale since the first fold that have probably not ended.

    Until its last sale, a series sold in a share p of the known periods of the last year. Its gap of g known periods
    since then is plausible if (1 - p)^g is at least ``PLAUSIBLE``.

    Returns:
        store_id and category of these series.
    """
    first = min((fold.known_periods for fold in folds), default=panel.history)
    start = max(0, panel.history - panel.frequency.periods_per_year)
    demand = panel.demand[:, start:]
    known, selling = np.isfinite(demand), demand > 0
    since = np.cumsum(selling[:, ::-1], axis=1)[:, ::-1] == 0
    gap = (known & since).sum(axis=1)
    share = selling.sum(axis=1) / (known.sum(axis=1) - gap + 1)
    unsold = ~(np.nan_to_num(panel.demand[:, first:]) > 0).any(axis=1)
    resting = unsold & (share > 0) & ((1.0 - share) ** gap >= PLAUSIBLE)
    return panel.series.loc[resting, [c.STORE_ID, c.CATEGORY]].astype(str)


def select_models(rows: BacktestRows, live: pd.DataFrame, rule: SelectionRule) -> Choice:
    """The champion of each series of ``live``, and the global winner that it was compared with."""
    losses = period_losses(rows, rule.loss, BASELINES)
    at, series = series_codes(live)
    scored: BoolArray = np.asarray((losses.folds > 0).any(axis=2))
    candidates = _served(live, at, len(series), losses.models) & scored.any(axis=1, keepdims=True)
    place = series_positions(losses.series, series)
    champion, winner = np.full((2, len(series)), NONE, dtype=np.int64)
    leader = network_winner(losses, rule) if candidates.any() else NONE
    for pattern in np.unique(candidates, axis=1).T if candidates.any() else ():
        wanted = np.flatnonzero((candidates == pattern[:, None]).all(axis=0))
        members, pool = _shared_pool(np.flatnonzero(pattern), scored)
        if len(members):
            champion[wanted], winner[wanted] = _select(losses, members, pool, place[wanted], rule, leader)
    names = np.array([*losses.models, None], dtype=object)
    model = np.where(champion == NONE, _unscored(live, at, len(series)), names[champion])
    return Choice(series, model, names[winner], place)


def _served(live: pd.DataFrame, at: IndexArray, series: int, models: tuple[str, ...]) -> BoolArray:
    """Whether a model has a live forecast for a series, shape (M, S)."""
    served = np.zeros((len(models) + 1, series), dtype=bool)
    served[pd.Index(models).get_indexer(live[c.MODEL]), at] = True
    return served[:-1]


def _shared_pool(members: IndexArray, scored: BoolArray) -> tuple[IndexArray, IndexArray]:
    """The members that can be compared, and the series on which all of them are scored.

    While no series has all members, the member with the fewest scored series is left out.
    """
    while len(members):
        pool = np.flatnonzero(scored[members].all(axis=0))
        if len(pool):
            return members, pool
        fewest = len(members) - 1 - int(np.argmin(scored[members].sum(axis=1)[::-1]))
        members = np.delete(members, fewest)
    return members, np.zeros(0, dtype=np.int64)


def _select(
    losses: PeriodLosses,
    members: IndexArray,
    pool: IndexArray,
    place: IndexArray,
    rule: SelectionRule,
    leader: int,
) -> tuple[IndexArray, int]:
    """Champion of each series, and the model that it was compared with (positions in the losses)."""
    on_folds = place != NONE
    leads = np.flatnonzero(members == leader)
    found = compare_with_winner(losses, members, pool, place[on_folds], rule, int(leads[0]) if len(leads) else None)
    champion = np.full(len(place), members[found.winner], dtype=np.int64)
    # Rounded, so that the order of summation decides no tie. Of equal models the first wins; baselines come first.
    champion[on_folds] = members[np.argmin(np.round(found.score, 12), axis=0)]
    return champion, int(members[found.winner])


def _unscored(live: pd.DataFrame, at: IndexArray, series: int) -> np.ndarray:
    """The model of a series if nothing can be scored: a baseline, else the first by name."""
    names = np.array(sorted(live[c.MODEL].unique(), key=_unscored_rank), dtype=object)
    first = np.full(series, len(names), dtype=np.int64)
    np.minimum.at(first, at, pd.Index(names).get_indexer(live[c.MODEL]))
    return names[first]


def _unscored_rank(model: str) -> tuple[int, str]:
    return (UNSCORED_ORDER.index(model) if model in UNSCORED_ORDER else len(UNSCORED_ORDER), model)
