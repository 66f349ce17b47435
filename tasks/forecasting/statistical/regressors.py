"""Regressors of single series: weekday, time of year, known features and the last known price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray
from tasks.forecasting.statistical.series import SeriesTask

DAYS_OF_YEAR = 365.25


@dataclass(frozen=True)
class RegressorRule:
    """The numbers of regressors and outliers of single series (docs/reference/constants.md).

    Attributes:
        longest_dummy_season: a season of up to this many periods gets one dummy per position, a longer one Fourier
            terms.
        dummy_seasons: seasons of history that dummies need.
        fourier_pairs: sine and cosine pairs of the year.
        fourier_years: years of history that Fourier terms need.
        least_occurrences: a feature must differ from its usual value this often in the history.
        ridge_penalty: ridge penalty, in observations.
        independent_share: a column is left out if earlier columns explain all but this fraction of its length.
        outlier_share: at most this fraction of the values is clipped as outliers.
        outlier_deviations: outliers are clipped at this many standard deviations from the median.
        gross_deviations: before the regression, outliers are clipped at this many standard deviations from the median.
        fewest_core: with fewer values in the core nothing is clipped.
    """

    longest_dummy_season: int = 24
    dummy_seasons: int = 3
    fourier_pairs: int = 3
    fourier_years: float = 1.4
    least_occurrences: int = 2
    ridge_penalty: float = 0.2
    independent_share: float = 1e-3
    outlier_share: float = 0.03
    outlier_deviations: float = 3.0
    gross_deviations: float = 10.0
    fewest_core: int = 6


RULE = RegressorRule()


@dataclass(frozen=True)
class Adjustment:
    """The part of a series that regressors explain, in units.

    Attributes:
        history: shape (m,).
        future: shape (lead,).
        names: features used.
    """

    history: FloatArray
    future: FloatArray
    names: tuple[str, ...]


def regressor_columns(task: SeriesTask, limit: int) -> tuple[FloatArray, tuple[str, ...]]:
    """Select the regressors that improve the model of a series.

    In addition to an intercept and a trend: one dummy per position of a short season (7 days, 12 months), always;
    then in turn Fourier terms of the year (days and weeks), the known features that correlate most with
    what those leave, and the price, each if it lowers the BIC, n log(SSE / n) + k log n.

    The price of a period is the one known at the end of the period before it, and stays the last known
    one over the horizon: the same day's price would leak what sold that day.

    Args:
        task: the series.
        limit: number of known features to try: the strongest, by absolute correlation, then by name.

    Returns:
        Standardized, linearly independent columns (m + lead, K), and the names of the features in them.
    """
    choice = _Choice(clip_outliers(task.values, RULE.gross_deviations))
    choice.offer(_dummies(task), always=True)
    choice.offer(_year_terms(task))
    names = [task.names[i] for i in _strongest(task, choice, limit) if choice.offer(task.features[i][:, None])]
    price = _price_before(task)
    if price is not None:
        choice.offer(price[:, None])
    return choice.columns(len(task.labels)), tuple(names)


def regress_out(task: SeriesTask, limit: int) -> Adjustment:
    """The part of a series that the regressors explain, by ridge regression with an intercept and a trend.

    Trend and intercept are estimated with the rest, so that a season does not absorb them, but are left
    in the series for the model that follows (regression with ARIMA errors in two steps). Extreme
    outliers are clipped first.
    """
    columns, names = regressor_columns(task, limit)
    m = len(task.values)
    if columns.shape[1] == 0:
        return Adjustment(np.zeros(m), np.zeros(task.lead), names)
    explained = columns @ ridge(clip_outliers(task.values, RULE.gross_deviations), columns[:m])
    return Adjustment(explained[:m], explained[m:], names)


def clip_outliers(values: FloatArray, deviations: float | None = None) -> FloatArray:
    """Clip single outliers, so that they do not distort the model of all other periods.

    Values further from the median than some standard deviations are set to that distance; the deviation is
    that of the middle 94 %, and at most 3 % of the values are changed: more frequent values are no outliers,
    even in a sparse series. NaN stays.

    >>> odd = clip_outliers(np.r_[np.tile([9.0, 11.0], 20), 100.0])
    >>> round(float(odd[-1]), 1), float(odd[:-1].min())
    (14.0, 9.0)
    """
    known = np.sort(values[np.isfinite(values)])
    cut = int(np.ceil(RULE.outlier_share * len(known)))
    core = known[cut : len(known) - cut]
    if len(core) < RULE.fewest_core:
        return values
    center = float(np.median(known))
    usual = float(np.quantile(np.abs(known - center), 1.0 - RULE.outlier_share, method="lower"))
    deviations = RULE.outlier_deviations if deviations is None else deviations
    reach = max(deviations * float(core.std()), usual)
    return np.clip(values, center - reach, center + reach)


def ridge(values: FloatArray, columns: FloatArray) -> FloatArray:
    """Weights of standardized columns with an unpenalized intercept and trend.

    Args:
        values: shape (m,); unknown periods are left out.
        columns: shape (m, K).

    Returns:
        Shape (K,), in units per standard deviation of the column.
    """
    known = np.isfinite(values)
    x = np.concatenate([_free(len(values)), columns], axis=1)[known]
    penalty = np.r_[np.full(2, 1e-9), np.full(columns.shape[1], RULE.ridge_penalty)]
    # einsum, not a threaded product: the same bits for every number of threads.
    gram = np.einsum("ti,tj->ij", x, x) + np.diag(penalty)
    weights: FloatArray = np.linalg.solve(gram, np.einsum("ti,t->i", x, values[known]))
    return weights[2:]


class _Choice:
    """Groups of columns kept so far, with intercept and trend, as an orthonormal basis."""

    def __init__(self, values: FloatArray) -> None:
        self._m = len(values)
        self._known = np.isfinite(values)
        self.rest = values[self._known].copy()
        self._basis: list[FloatArray] = []
        self._kept: list[FloatArray] = []
        self._take(self._new_directions(_free(self._m)[self._known]))

    def offer(self, group: FloatArray, always: bool = False) -> bool:
        """Keep a group of columns (m + lead, k), k >= 0, if it lowers the BIC, or always."""
        varying = _standardized(group.astype(np.float64), self._m)
        directions = self._new_directions(varying[: self._m][self._known])
        if not directions or len(self._basis) + len(directions) > len(self.rest) // 4:
            return False
        if not (always or self._lowers_bic(directions)):
            return False
        self._take(directions)
        self._kept.append(varying[:, [k for k, _ in directions]])
        return True

    def _lowers_bic(self, directions: list[tuple[int, FloatArray]]) -> bool:
        gain = sum(float((self.rest * direction).sum()) ** 2 for _, direction in directions)
        sse, n = float((self.rest**2).sum()), len(self.rest)
        if gain <= 0.0:
            return False
        return bool(n * np.log(max(1.0 - gain / sse, 1e-12)) + len(directions) * np.log(n) < 0.0)

    def columns(self, periods: int) -> FloatArray:
        """All columns kept, shape (periods, K)."""
        return np.concatenate([np.zeros((periods, 0)), *self._kept], axis=1)

    def _new_directions(self, columns: FloatArray) -> list[tuple[int, FloatArray]]:
        """Unit vectors that columns add to the basis (modified Gram-Schmidt), with their column."""
        found: list[tuple[int, FloatArray]] = []
        for k in range(columns.shape[1]):
            rest = columns[:, k].copy()
            size = float(np.sqrt((rest**2).sum()))
            for direction in [*self._basis, *(d for _, d in found)]:
                rest -= float((rest * direction).sum()) * direction
            left = float(np.sqrt((rest**2).sum()))
            if left > RULE.independent_share * size:
                found.append((k, rest / left))
        return found

    def _take(self, directions: list[tuple[int, FloatArray]]) -> None:
        for _, direction in directions:
            self._basis.append(direction)
            self.rest -= float((self.rest * direction).sum()) * direction


def _free(m: int) -> FloatArray:
    """Intercept and trend, shape (m, 2)."""
    return np.stack([np.ones(m), np.linspace(-1.0, 1.0, m)], axis=1)


def _dummies(task: SeriesTask) -> FloatArray:
    season = task.frequency.season
    if season > RULE.longest_dummy_season or len(task.values) < RULE.dummy_seasons * season:
        return np.zeros((len(task.labels), 0))
    position = np.arange(len(task.labels)) % season
    return np.stack([(position == k).astype(np.float64) for k in range(1, season)], axis=1)


def _year_terms(task: SeriesTask) -> FloatArray:
    enough = len(task.values) >= RULE.fourier_years * task.frequency.periods_per_year
    if task.frequency.kind == "MS" or not enough:
        return np.zeros((len(task.labels), 0))
    angle = 2.0 * np.pi * task.labels.dayofyear.to_numpy() / DAYS_OF_YEAR
    return np.stack([wave(k * angle) for k in range(1, RULE.fourier_pairs + 1) for wave in (np.sin, np.cos)], axis=1)


def _strongest(task: SeriesTask, choice: _Choice, limit: int) -> IndexArray:
    """Indices of the known features to try, strongest correlation with what is left first."""
    x = task.features[:, : len(task.values)][:, np.isfinite(task.values)].astype(np.float64)
    usable = np.flatnonzero((x != np.median(x, axis=1, keepdims=True)).sum(axis=1) >= RULE.least_occurrences)
    centered = x[usable] - x[usable].mean(axis=1, keepdims=True)
    size = np.sqrt((centered**2).sum(axis=1) * (choice.rest**2).sum())
    strength = np.abs(np.einsum("ft,t->f", centered, choice.rest)) / np.maximum(size, 1e-12)
    return usable[np.argsort(-np.round(strength, 9), kind="stable")][:limit]


def _price_before(task: SeriesTask) -> FloatArray | None:
    """Price known before each period, shape (m + lead,); None if it is unknown or never changes."""
    if task.price is None or not np.isfinite(task.price).any():
        return None
    known = np.flatnonzero(np.isfinite(task.price))
    carried = task.price[known[np.maximum(np.searchsorted(known, np.arange(len(task.price)), side="right") - 1, 0)]]
    before = np.concatenate([carried[:1], carried, np.full(task.lead - 1, carried[-1])])
    return before if np.ptp(before) > 0 else None


def _standardized(columns: FloatArray, m: int) -> FloatArray:
    """Columns with mean 0 and variance 1 over the first m rows; those that do not vary there left out."""
    past = columns[:m]
    spread = past.std(axis=0)
    varying = spread > 0
    return (columns[:, varying] - past[:, varying].mean(axis=0)) / spread[varying]
