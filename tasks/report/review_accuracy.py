"""Forecast errors of the sums that a delivery decision uses: lead time plus review period, by store and by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.settings import BASELINES
from tasks.report.accuracy import FloatArray, SeriesLookup
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, Language, message

GROUPS_SHOWN = 200
NETWORK: tuple[str, ...] = ()
STORE: tuple[str, ...] = (c.STORE_ID,)
CATEGORY: tuple[str, ...] = (c.CATEGORY,)
PAIR: tuple[str, ...] = (c.STORE_ID, c.CATEGORY)
_LEVELS = {
    NETWORK: message("Network"),
    STORE: message("Store, all categories"),
    CATEGORY: message("Category, all stores"),
    PAIR: message("Store and category"),
}
_FORECAST = "champion"
_HALF = 0.5


@dataclass(frozen=True)
class SumErrors:
    """Errors of sums over the review period.

    Attributes:
        sums: number of sums that are compared.
        sold: units sold.
        expected: units forecast.
        error: sum of |forecast - sold| per unit sold; NaN without sales.
        baseline: the same of the better baseline; NaN without a baseline.
    """

    sums: int
    sold: float
    expected: float
    error: float
    baseline: float

    @property
    def bias(self) -> float:
        """Forecast minus sales, per unit sold; NaN without sales."""
        return self.expected / self.sold - 1 if self.sold else float("nan")


class ReviewAccuracy:
    """Sums of the champions' and the baselines' mean forecasts over the first periods of each fold.

    Attributes:
        periods: number of periods in a sum.
    """

    def __init__(self, backtest: pd.DataFrame, champions: pd.DataFrame, periods: int) -> None:
        """Sum the first periods of each fold.

        Args:
            backtest: ``backtest.parquet`` (docs/reference/contract.md#outputs); rows with unknown actuals are left out.
            champions: store_id, category, model; one row per series.
            periods: periods to sum from the cutoff on: lead time plus review period.
        """
        self.periods = periods
        position = SeriesLookup(champions).of(backtest)
        names = champions[c.MODEL].astype(object).to_numpy()
        model = backtest[c.MODEL].astype(object).to_numpy()
        known = np.isfinite(backtest[c.ACTUAL].to_numpy(dtype=np.float64)) & (position >= 0)
        first = _position_in_fold(backtest) < periods
        roles = [(_FORECAST, model == names[position]), *((name, model == name) for name in BASELINES)]
        self._sums = pd.concat([self._of(role, backtest[known & first & mine]) for role, mine in roles])

    @property
    def known(self) -> bool:
        """True if a sum has a known actual."""
        return bool((self._sums[c.MODEL] == _FORECAST).any())

    def of(self, level: Sequence[str] = NETWORK) -> SumErrors:
        """Return the errors of the sums at a level: network, store, category, or store and category."""
        return _errors(self._pooled(level, []).to_dict("index"))

    def by(self, column: str) -> dict[str, SumErrors]:
        """Return the errors of each store's or each category's total, the largest sales first."""
        roles: dict[str, dict[str, dict[str, float]]] = {}
        for (name, role), row in self._pooled([column], [column]).to_dict("index").items():
            roles.setdefault(str(name), {})[str(role)] = row
        found = {name: _errors(rows) for name, rows in sorted(roles.items())}
        return dict(sorted(found.items(), key=lambda item: -item[1].sold))

    def _pooled(self, level: Sequence[str], groups: list[str]) -> pd.DataFrame:
        """Return n, actual, mean and the sum of absolute errors of the level's sums, per group and role."""
        sums = self._sums.groupby([c.MODEL, c.CUTOFF, *level], sort=True)[[c.ACTUAL, c.MEAN]].sum().reset_index()
        sums = sums.assign(**{c.MAE: (sums[c.MEAN] - sums[c.ACTUAL]).abs(), c.N: 1})
        return sums.groupby([*groups, c.MODEL], sort=True)[[c.N, c.ACTUAL, c.MEAN, c.MAE]].sum()

    @staticmethod
    def _of(role: str, rows: pd.DataFrame) -> pd.DataFrame:
        keys = [rows[name].astype(object) for name in (c.CUTOFF, *PAIR)]
        sums = rows[[c.ACTUAL, c.MEAN]].astype(np.float64).groupby(keys, observed=True).sum().reset_index()
        return sums.assign(**{c.MODEL: role})


def levels_table(accuracy: ReviewAccuracy, say: Language) -> Table:
    """Return the errors of the sums at every level."""
    rows = [(say.known(title), *_cells(accuracy.of(level), say)) for level, title in _LEVELS.items()]
    return Table(say.headers("Level", *_HEADERS), rows)


def groups_table(accuracy: ReviewAccuracy, column: str, say: Language) -> Table:
    """Return the errors of each store's or category's total."""
    found = accuracy.by(column)
    rows = [(name, *_cells(errors, say)) for name, errors in list(found.items())[:GROUPS_SHOWN]]
    title = "Store" if column == c.STORE_ID else "Category"
    return Table(say.headers(title, *_HEADERS), rows, note=say.first(GROUPS_SHOWN, len(found), "metrics.parquet"))


_HEADERS = (
    message("#Sums compared"),
    message("#Sold, units"),
    message("#Forecast, units"),
    message("#Error"),
    message("#Bias"),
    message("#Error of the best simple method"),
)


def _errors(roles: Mapping[Any, Mapping[str, float]]) -> SumErrors:
    """Return the errors of the champions and of the better baseline: role to n, actual, mean, sum of errors."""
    share = {role: row[c.MAE] / row[c.ACTUAL] if row[c.ACTUAL] else float("nan") for role, row in roles.items()}
    baseline = min((share[name] for name in BASELINES if np.isfinite(share.get(name, np.nan))), default=float("nan"))
    row = roles.get(_FORECAST, {c.N: 0, c.ACTUAL: 0.0, c.MEAN: 0.0})
    return SumErrors(int(row[c.N]), row[c.ACTUAL], row[c.MEAN], share.get(_FORECAST, float("nan")), baseline)


def _cells(errors: SumErrors, say: Language) -> tuple[str, ...]:
    if not errors.sums:
        return (say.number(0), *[UNKNOWN] * 5)
    return (
        say.number(errors.sums),
        say.number(errors.sold),
        say.number(errors.expected),
        say.percent(errors.error),
        say.percent(errors.bias, signed=True),
        say.percent(errors.baseline),
    )


def poisson_error(backtest: pd.DataFrame) -> float:
    """Return the WAPE of a perfect forecast of single periods if demand was Poisson with each series' own mean.

    It is the part of the daily error that no forecast can remove. With mean m and median k, E|X - k| =
    m - k + 2 (k F(k) - m F(k - 1)), F the distribution function. Example: mean 1 has median 1 and the error 0.74.

    Args:
        backtest: store_id, category, model, actual; rows with unknown actuals are left out.

    Returns:
        Sum of expected absolute errors per unit sold; NaN without sales.
    """
    from scipy.special import pdtr

    known = backtest[np.isfinite(backtest[c.ACTUAL].to_numpy(dtype=np.float64))]
    if known.empty:
        return float("nan")
    one = known[known[c.MODEL].astype(object) == sorted(known[c.MODEL].astype(object).unique())[0]]
    keys = [one[name].astype(object) for name in PAIR]
    grouped = one[c.ACTUAL].astype(np.float64).groupby(keys).agg(["mean", "sum"])
    mean: FloatArray = grouped["mean"].to_numpy(dtype=np.float64)
    count = np.divide(grouped["sum"].to_numpy(dtype=np.float64), mean, out=np.zeros(len(mean)), where=mean > 0)
    # The median of a Poisson distribution is at least mean - ln 2 and less than mean + 1/3 (Choi 1994).
    median = np.maximum(np.ceil(mean - np.log(2)), 0.0)
    median += pdtr(median, mean) < _HALF
    below = np.where(median > 0, pdtr(np.maximum(median - 1, 0), mean), 0.0)
    error = mean - median + 2 * (median * pdtr(median, mean) - mean * below)
    sold = float((mean * count).sum())
    return float((error * count).sum()) / sold if sold else float("nan")


def _position_in_fold(backtest: pd.DataFrame) -> FloatArray:
    """Return the position of each row's period within its fold, 0 = the first."""
    dates = pd.to_datetime(backtest[c.DATE])
    pairs = pd.DataFrame({c.CUTOFF: pd.to_datetime(backtest[c.CUTOFF]), c.DATE: dates})
    position: FloatArray = pairs.groupby(c.CUTOFF)[c.DATE].rank(method="dense").to_numpy(dtype=np.float64) - 1
    return position
