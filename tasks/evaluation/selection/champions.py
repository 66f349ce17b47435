"""One champion per series: the model whose lead on the folds is more than luck.

Per-series fold losses are noisy (five weeks, forty days), so the least of them overfits. A series starts
from the **global winner** (least total loss among the models that serve the whole network; where it does
not serve the series, among those that do) and leaves it only for a model that is better there beyond its
margin of error, after shrinkage (:func:`tasks.evaluation.backtest.paired_losses.advantages`). The floors compete like
any model: the champion's shrunk score is below that of both floors, or a floor is the champion. Beating
them is asked of the shrunk estimate, not of the raw fold loss, in which a floor leads by luck on many
short series.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, IndexArray
from schemas.settings import BASELINES
from tasks.evaluation.backtest.paired_losses import Evidence, SelectionRule, advantages, gather_evidence, network_winner
from tasks.evaluation.backtest.rows import BacktestRows, read_rows, series_codes
from tasks.evaluation.metrics.aggregation import FoldGrid, fold_grid
from tasks.evaluation.selection.losses import Choice, reasons

NOBODY = -1
# Where no fold can be scored nothing is known about any model: the calmer of the floors comes first.
UNSCORED_ORDER = ("moving_average", "seasonal_naive")


def select_champions(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float], rule: SelectionRule | None = None
) -> pd.DataFrame:
    """Choose one model per series.

    Candidates are the models with a live forecast for the series and rows on the folds of some series. A
    model that serves some series only is compared with the others on those. Without any known actual on
    the folds a series takes the global winner of its candidates; without any fold the moving average.
    Ties go to the floors, then by name.

    Args:
        backtest: the contract's ``backtest.parquet``.
        live: rows of the live forecast; only store_id, category and model are read.
        quantiles: the set levels, rising.
        rule: loss and shrinkage; the defaults where None.

    Returns:
        The contract's ``champions.parquet``: store_id, category, model, why; one row per series of
        ``live``, sorted by store_id and category.

    Raises:
        TrainingError: a column is missing or a forecast is not finite.
    """
    rows = read_rows(backtest, quantiles)
    return champions_of(rows, fold_grid(rows), live, rule or SelectionRule())


def champions_of(rows: BacktestRows, grid: FoldGrid, live: pd.DataFrame, rule: SelectionRule) -> pd.DataFrame:
    """As :func:`select_champions`, from rows that are already read and summed."""
    choice = choose_models(rows, live, rule)
    return choice.series.assign(**{c.MODEL: choice.model, c.WHY: reasons(grid, choice, rule.loss)})


def choose_models(rows: BacktestRows, live: pd.DataFrame, rule: SelectionRule) -> Choice:
    """The champion of each series of ``live`` and the global winner it was measured against."""
    evidence = gather_evidence(rows, rule.loss, BASELINES)
    at, series = series_codes(live)
    scored: BoolArray = np.asarray((evidence.folds > 0).any(axis=2))
    candidates = _served(live, at, len(series), evidence.models) & scored.any(axis=1, keepdims=True)
    place = _places(evidence.series, series)
    champion, winner = np.full((2, len(series)), NOBODY, dtype=np.int64)
    leader = network_winner(evidence, rule.tolerance) if candidates.any() else NOBODY
    for pattern in np.unique(candidates, axis=1).T if candidates.any() else ():
        wanted = np.flatnonzero((candidates == pattern[:, None]).all(axis=0))
        members, pool = _shared_pool(np.flatnonzero(pattern), scored)
        if len(members):
            champion[wanted], winner[wanted] = _choose(evidence, members, pool, place[wanted], rule, leader)
    names = np.array([*evidence.models, None], dtype=object)
    model = np.where(champion == NOBODY, _unscored(live, at, len(series)), names[champion])
    return Choice(series, model, names[winner], place)


def _served(live: pd.DataFrame, at: IndexArray, series: int, models: tuple[str, ...]) -> BoolArray:
    """Which models have a live forecast for which series, shape (M, S)."""
    served = np.zeros((len(models) + 1, series), dtype=bool)
    served[pd.Index(models).get_indexer(live[c.MODEL]), at] = True
    return served[:-1]


def _places(known: pd.DataFrame, series: pd.DataFrame) -> IndexArray:
    """Position of each series among those of the folds; NOBODY where it has none."""
    place = pd.MultiIndex.from_frame(known).get_indexer(pd.MultiIndex.from_frame(series))
    return np.asarray(place, dtype=np.int64)


def _shared_pool(members: IndexArray, scored: BoolArray) -> tuple[IndexArray, IndexArray]:
    """The members that can be compared, and the series on which all of them are scored.

    Where no series has them all, the model with the fewest scored series stands back.
    """
    while len(members):
        pool = np.flatnonzero(scored[members].all(axis=0))
        if len(pool):
            return members, pool
        fewest = len(members) - 1 - int(np.argmin(scored[members].sum(axis=1)[::-1]))
        members = np.delete(members, fewest)
    return members, np.zeros(0, dtype=np.int64)


def _choose(
    evidence: Evidence,
    members: IndexArray,
    pool: IndexArray,
    place: IndexArray,
    rule: SelectionRule,
    leader: int,
) -> tuple[IndexArray, int]:
    """Champion of each series, and the model it was measured against (positions in the evidence)."""
    on_folds = place != NOBODY
    leads = np.flatnonzero(members == leader)
    found = advantages(evidence, members, pool, place[on_folds], rule, int(leads[0]) if len(leads) else None)
    champion = np.full(len(place), members[found.winner], dtype=np.int64)
    # Rounded, so that the order of summation decides no tie; the first of equals is a floor.
    champion[on_folds] = members[np.argmin(np.round(found.score, 12), axis=0)]
    return champion, int(members[found.winner])


def _unscored(live: pd.DataFrame, at: IndexArray, series: int) -> np.ndarray:
    """The model of a series without anything to judge by: a floor, else the first by name."""
    names = np.array(sorted(live[c.MODEL].unique(), key=_unscored_rank), dtype=object)
    first = np.full(series, len(names), dtype=np.int64)
    np.minimum.at(first, at, pd.Index(names).get_indexer(live[c.MODEL]))
    return names[first]


def _unscored_rank(model: str) -> tuple[int, str]:
    return (UNSCORED_ORDER.index(model) if model in UNSCORED_ORDER else len(UNSCORED_ORDER), model)
