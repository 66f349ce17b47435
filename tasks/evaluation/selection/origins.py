"""The champions' forecasts at one cutoff as arrays, and arrays as forecast rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import IndexArray, Panel
from schemas.settings import BASELINES
from tasks.evaluation.backtest.rows import series_positions
from tasks.evaluation.backtest.split import SplitForecasts
from tasks.evaluation.metrics.level_losses import Origin


def champion_origin(
    rows: pd.DataFrame, champions: pd.DataFrame, known: int, panel: Panel, levels: Sequence[float]
) -> Origin:
    """The champions' forecasts at a cutoff; if a champion has none, those of the first baseline.

    Args:
        rows: forecast rows of all models at the cutoff.
        champions: store_id, category and model; one row per series of the panel.
        known: known periods at the cutoff.
        panel: the demand; only its history is read.
        levels: Q rising levels.
    """
    until = known + panel.horizon if known == panel.history else min(known + panel.horizon, panel.history)
    labels = panel.periods[known:until]
    columns = [c.MEAN, *c.quantile_columns(list(levels))]
    series, model = _places(rows, panel), rows[c.MODEL].astype(str).to_numpy()
    own = champions[c.MODEL].astype(str).to_numpy()[np.argsort(_places(champions, panel))]
    period = labels.get_indexer(pd.DatetimeIndex(rows[c.DATE]))
    values = np.zeros((panel.n, len(labels), len(columns)))
    for picked in (model == BASELINES[0], model == own[series]):
        used = np.flatnonzero(picked & (period >= 0))
        values[series[used], period[used]] = rows[columns].to_numpy(np.float64)[used]
    actual = np.full(values.shape[:2], np.nan)
    sold = panel.demand[:, known:until]
    actual[:, : sold.shape[1]] = sold
    return Origin(panel.periods[known], labels, values[..., 0], values[..., 1:], actual, np.zeros((0, 0, len(labels))))


def _places(rows: pd.DataFrame, panel: Panel) -> IndexArray:
    keys = [c.STORE_ID, c.CATEGORY]
    return series_positions(panel.series[keys].astype(str), rows[keys].astype(str))


def origin_rows(name: str, at: Origin, keys: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """Rows of a model at a cutoff.

    Args:
        name: name of the model.
        at: forecasts of n series.
        keys: store_id and category of these series.
        levels: Q rising levels.
    """
    shape = at.mean.shape
    series = keys[[c.STORE_ID, c.CATEGORY]].astype(object).iloc[np.repeat(np.arange(shape[0]), shape[1])]
    values = dict(zip(c.quantile_columns(list(levels)), at.quantiles.reshape(-1, len(levels)).T, strict=True))
    return series.reset_index(drop=True).assign(
        **{
            c.CUTOFF: at.cutoff,
            c.DATE: np.tile(at.labels.to_numpy(), shape[0]),
            c.MODEL: name,
            c.ACTUAL: at.actual.ravel(),
            c.MEAN: at.mean.ravel(),
            **values,
        }
    )


def with_rows(split: SplitForecasts, rows: pd.DataFrame, panel: Panel) -> SplitForecasts:
    """The split with further rows of :func:`origin_rows`, sorted again."""
    live = rows[c.CUTOFF].eq(panel.horizon_periods[0])
    order = [c.MODEL, c.STORE_ID, c.CATEGORY, c.DATE]
    found = []
    for table, own, keys in ((split.backtest, rows[~live], [c.CUTOFF, *order]), (split.live, rows[live], order)):
        text = {name: object for name in (c.STORE_ID, c.CATEGORY, c.MODEL)}
        stacked = pd.concat([table.astype(text), own[list(table.columns)]], ignore_index=True)
        found.append(stacked.sort_values(keys, kind="stable", ignore_index=True))
    return SplitForecasts(*found)
