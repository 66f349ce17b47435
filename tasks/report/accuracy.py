"""Errors of models and champions in the backtest, each compared with the baselines on the same series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS
from schemas.settings import BASELINES

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class SeriesLookup:
    """Look up positions of series by store and category, without building a text key per row."""

    def __init__(self, series: pd.DataFrame) -> None:
        """Index the rows of a frame with store_id and category; pairs must be unique."""
        self._stores = pd.Index(series[c.STORE_ID].astype(object).unique())
        self._categories = pd.Index(series[c.CATEGORY].astype(object).unique())
        self._position = np.full((len(self._stores) + 1) * (len(self._categories) + 1), -1, dtype=np.int64)
        self._position[self._codes(series)] = np.arange(len(series))
        self.size = len(series)

    def of(self, frame: pd.DataFrame) -> IndexArray:
        """Return the position of each row's series, shape (rows,); -1 for an unknown series."""
        return self._position[self._codes(frame)]

    def _codes(self, frame: pd.DataFrame) -> IndexArray:
        store = _codes_in(self._stores, frame[c.STORE_ID])
        category = _codes_in(self._categories, frame[c.CATEGORY])
        return store * (len(self._categories) + 1) + category


@dataclass(frozen=True)
class Pooled:
    """Errors of one model over some series, and those of the better baseline on the same series.

    Attributes:
        series: number of series with a known actual.
        wape: sum of |median - actual| per unit sold; NaN without sales.
        bias: sum of (mean - actual) per unit sold.
        baseline: name of the better baseline; empty if no baseline forecast these series.
        baseline_wape: WAPE of the better baseline.
        cost: simulated inventory cost per series and counted period, currency; NaN if it was not simulated.
    """

    series: int
    wape: float
    bias: float
    baseline: str
    baseline_wape: float
    cost: float = float("nan")

    @property
    def gain(self) -> float:
        """Error reduction against the baseline, a fraction; negative if the model is worse."""
        return 1.0 - self.wape / self.baseline_wape if self.baseline_wape else float("nan")


class Accuracy:
    """Sums of errors over the known periods of the backtest, per model and series.

    Attributes:
        models: names, sorted.
        champion: shape (S,); index of each series' champion, -1 if it is not in the backtest.
        costed: True if inventory costs were simulated.
    """

    def __init__(self, backtest: pd.DataFrame, champions: pd.DataFrame) -> None:
        """Sum the errors of a backtest.

        Args:
            backtest: ``backtest.parquet`` (docs/reference/contract.md#outputs); unknown actuals are ignored.
            champions: store_id, category, model; one row per series.
        """
        model, names = pd.factorize(backtest[c.MODEL].astype(object), sort=True)
        self.models: list[str] = [str(name) for name in names]
        self.champion: IndexArray = pd.Index(self.models).get_indexer(champions[c.MODEL].astype(object))
        lookup = SeriesLookup(champions)
        actual = backtest[c.ACTUAL].to_numpy(dtype=np.float64)
        series = lookup.of(backtest)
        known = np.isfinite(actual) & (series >= 0)
        self._shape = (len(self.models), lookup.size)
        self._cell = (model * lookup.size + series)[known]
        self._absolute = self._sum(np.abs(backtest[c.MEDIAN].to_numpy(dtype=np.float64) - actual)[known])
        self._signed = self._sum((backtest[c.MEAN].to_numpy(dtype=np.float64) - actual)[known])
        self._actual = self._sum(actual[known])
        self._n = self._sum(np.ones(int(known.sum())))
        self.costed = c.INVENTORY_COST in backtest.columns
        cost = (
            backtest[c.INVENTORY_COST].to_numpy(dtype=np.float64)[known]
            if self.costed
            else np.full(known.sum(), np.nan)
        )
        self._cost = self._sum(np.nan_to_num(cost))
        self._charged = self._sum(np.isfinite(cost).astype(np.float64))

    @property
    def known(self) -> bool:
        """True if a forecast has a known actual."""
        return bool(self._n.any())

    def of_model(self, name: str) -> Pooled:
        """Return the errors of one model over all series that it forecast."""
        model = self.models.index(name)
        return self._pooled(np.full(self._shape[1], model), self._n[model] > 0)

    @cached_property
    def of_champions(self) -> Pooled:
        """Errors of the champions over all series."""
        return self._pooled(self.champion, self.champion >= 0)

    def of_series(self) -> FloatArray:
        """Return the WAPE of each series' champion, shape (S,); NaN without known sales."""
        every = np.arange(self._shape[1])
        actual = np.where(self.champion >= 0, self._actual[self.champion, every], 0.0)
        error = self._absolute[self.champion, every]
        return np.divide(error, actual, out=np.full(len(every), np.nan), where=actual > 0)

    def _sum(self, values: FloatArray) -> FloatArray:
        models, series = self._shape
        sums: FloatArray = np.bincount(self._cell, values, minlength=models * series).astype(np.float64)
        return sums.reshape(self._shape)

    def _pooled(self, model: IndexArray, among: NDArray[np.bool_]) -> Pooled:
        series = np.flatnonzero(among)
        series = series[self._n[model[series], series] > 0]
        of = model[series], series
        baselines = {name: self._baseline(name, series) for name in BASELINES if name in self.models}
        best = min(baselines, key=lambda name: (np.nan_to_num(baselines[name], nan=np.inf), name), default="")
        return Pooled(
            series=len(series),
            wape=_ratio(self._absolute[of].sum(), self._actual[of].sum()),
            bias=_ratio(self._signed[of].sum(), self._actual[of].sum()),
            baseline=best,
            baseline_wape=baselines.get(best, float("nan")),
            cost=_ratio(self._cost[of].sum(), self._charged[of].sum()),
        )

    def _baseline(self, name: str, series: IndexArray) -> float:
        baseline = self.models.index(name)
        return _ratio(self._absolute[baseline, series].sum(), self._actual[baseline, series].sum())


def champion_bands(metrics: pd.DataFrame, champions: pd.DataFrame) -> list[float] | None:
    """Return the shares of the four acceptance bands over the champions' forecasts.

    Args:
        metrics: ``metrics.parquet``.
        champions: store_id, category, model.

    Returns:
        Excellent, good, acceptable, poor, as fractions that add up to 1; None without known actuals.
    """
    of_series = metrics[metrics[c.STORE_ID].notna() & metrics[c.CATEGORY].notna() & (metrics[c.N] > 0)]
    lookup = SeriesLookup(champions)
    position = lookup.of(of_series)
    names = champions[c.MODEL].astype(object).to_numpy()
    mine = (position >= 0) & (of_series[c.MODEL].astype(object).to_numpy() == names[position])
    selected = of_series[mine]
    if selected.empty:
        return None
    weights = selected[c.N].to_numpy(dtype=np.float64)
    return [float(np.average(selected[band].to_numpy(dtype=np.float64), weights=weights)) for band in ACCEPTANCE_BANDS]


def largest_series(history: pd.DataFrame, champions: pd.DataFrame, count: int) -> IndexArray:
    """Return the positions (rows of ``champions``) of the series with the largest recent sales, largest first."""
    lookup = SeriesLookup(champions)
    position = lookup.of(history)
    units = history[c.UNITS].to_numpy(dtype=np.float64)
    known = np.isfinite(units) & (position >= 0)
    sold = np.bincount(position[known], units[known], minlength=lookup.size)
    return np.argsort(-sold, kind="stable")[:count]


def _codes_in(index: pd.Index, column: pd.Series) -> IndexArray:
    """Return the position of each value in the index; the length of the index for an unknown value."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        of_category = index.get_indexer(column.cat.categories.astype(object))
        codes = np.append(of_category, -1)[column.cat.codes.to_numpy()]
    else:
        codes = index.get_indexer(column.astype(object))
    return np.where(codes < 0, len(index), codes).astype(np.int64)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def models_in_order(models: Sequence[str], pooled: dict[str, Pooled]) -> list[str]:
    """Sort models by their error reduction against the baseline, the largest first; baselines last."""
    baselines = [name for name in models if name in BASELINES]
    others = [name for name in models if name not in BASELINES]
    return [*sorted(others, key=lambda name: (-np.nan_to_num(pooled[name].gain, nan=-np.inf), name)), *baselines]
