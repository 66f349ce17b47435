"""The formula of each metric, once: for the tables of a run and for single arrays.

A metric is the sum of one statistic over the sum of another. The tables apply it to the sums of many groups at once;
functions such as :func:`wape` apply it to the arrays that they are given. :mod:`schemas.metrics` holds the facts
(unit, direction, null rules); the two must name the same metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from schemas import columns as c
from schemas.metrics import INVENTORY_COST, MetricFacts
from schemas.metrics import METRICS as FACTS
from schemas.panel import FloatArray
from tasks.evaluation.metrics import sums as s
from tasks.evaluation.metrics.stats import MEDIAN_LEVEL


@dataclass(frozen=True)
class Metric:
    """One metric: after(total of the numerator / total of the denominator).

    Attributes:
        facts: name, unit, direction and null rules.
        numerator, denominator: the statistics that are summed.
        zero_if_unsold: 0 instead of null if rows are counted and both sums are 0.
        after: applied to the quotient, element by element.
        counted: the statistic whose sum is the number of rows that count.
    """

    facts: MetricFacts
    numerator: s.Statistic
    denominator: s.Statistic = s.COUNT
    zero_if_unsold: bool = False
    after: Callable[[FloatArray], FloatArray] | None = None
    counted: s.Statistic = s.COUNT

    @property
    def name(self) -> str:
        """The column of ``metrics.parquet``."""
        return self.facts.name

    def compute(self, sums: s.Sums) -> FloatArray:
        """Sums of G groups to figures of shape (G,); NaN = undefined."""
        total, base = sums[self.numerator], sums[self.denominator]
        figure = s.per(total, base)
        if self.zero_if_unsold:
            figure[(sums[s.COUNT] > 0) & (base == 0) & (total == 0)] = 0.0
        return figure if self.after is None else self.after(figure)


def _metric(
    name: str,
    numerator: s.Statistic,
    denominator: s.Statistic = s.COUNT,
    zero_if_unsold: bool = False,
    after: Callable[[FloatArray], FloatArray] | None = None,
) -> Metric:
    return Metric(FACTS[name], numerator, denominator, zero_if_unsold, after)


_FORMULAS = (
    _metric(c.MAE, s.ABSOLUTE_ERROR),
    _metric(c.RMSE, s.SQUARED_ERROR, after=np.sqrt),
    _metric(c.MAPE, s.PERCENTAGE_ERROR),
    _metric(c.WAPE, s.ABSOLUTE_ERROR, s.ABSOLUTE_ACTUAL, zero_if_unsold=True),
    _metric(c.MASE, s.SCALED_ABSOLUTE_ERROR, s.SCALED_GROUPS),
    _metric(c.RMSSE, s.SCALED_ROOT_ERROR, s.SCALED_GROUPS),
    _metric(c.R2, s.SQUARED_ERROR, s.DEVIATION, after=lambda share: 1.0 - share),
    _metric(c.BIAS, s.SIGNED_ERROR, s.ABSOLUTE_ACTUAL, zero_if_unsold=True),
    _metric(c.WQL, s.QUANTILE_SCORE, s.ABSOLUTE_ACTUAL, zero_if_unsold=True),
    _metric(c.COVERAGE, s.COVERED),
    _metric(c.SHARE_EXCELLENT, s.EXCELLENT),
    _metric(c.SHARE_GOOD, s.GOOD),
    _metric(c.SHARE_ACCEPTABLE, s.ACCEPTABLE),
    _metric(c.SHARE_POOR, s.POOR),
)
if [metric.name for metric in _FORMULAS] != list(FACTS):
    raise ImportError(
        f"metrics: formulas {[metric.name for metric in _FORMULAS]} do not match the facts {list(FACTS)} in "
        "schemas/metrics.py; define both, in the same order"
    )
# In the order of the columns of metrics.parquet.
METRICS = {metric.name: metric for metric in _FORMULAS}
# After all other columns, if inventory costs were simulated.
COST_METRIC = Metric(INVENTORY_COST, s.COST, s.COSTED_ROWS, counted=s.COSTED_ROWS)
_ALWAYS = (s.COUNT, s.ACTUAL, s.DEVIATION, s.SCALED_GROUPS, s.SCALED_ABSOLUTE_ERROR, s.SCALED_ROOT_ERROR)
# All statistics that some metric needs, each once.
STATISTICS = tuple(
    dict.fromkeys([*_ALWAYS, *(x for m in (*_FORMULAS, COST_METRIC) for x in (m.numerator, m.denominator))])
)


def mae(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean absolute error: mean |y - f|, units; of the median.

    Args:
        actual: shape (N,), units; NaN = unknown, left out.
        forecast: shape (N,), units.

    Returns:
        NaN where no actual is known. This holds for every metric here.

    >>> mae([10, 0, 30], [12, 1, 27])  # (2 + 1 + 3) / 3
    2.0
    """
    return _figure(c.MAE, actual, forecast)


def rmse(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Root mean squared error: sqrt(mean (y - f)^2), units; of the mean. Arguments as in :func:`mae`.

    >>> rmse([10, 0, 30], [11, 1, 25])  # sqrt((1 + 1 + 25) / 3)
    3.0
    """
    return _figure(c.RMSE, actual, forecast)


def mape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean absolute percentage error: mean |y - f| / max(|y|, 1e-6), a fraction; of the median.

    Very large if an actual is 0, so it never ranks models. Arguments as in :func:`mae`.

    >>> mape([10, 20], [12, 15])  # (0.2 + 0.25) / 2
    0.225
    """
    return _figure(c.MAPE, actual, forecast)


def wape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Weighted absolute percentage error: sum |y - f| / sum |y|, a fraction; of the median.

    Arguments as in :func:`mae`. If all actuals are 0: 0 if the forecasts are 0 too, else NaN.

    >>> wape([10, 0, 30], [12, 1, 27])  # (2 + 1 + 3) / 40
    0.15
    >>> wape([0, 0], [0, 0]), wape([0, 0], [0, 1])
    (0.0, nan)
    """
    return _figure(c.WAPE, actual, forecast)


def mase(actual: ArrayLike, forecast: ArrayLike, scale: float) -> float:
    """Mean absolute scaled error of one series and fold: mean |y - f| / scale, no unit; of the median.

    The tables average it over the folds of a series, then over series.

    Args:
        actual: shape (N,), units; NaN = unknown, left out.
        forecast: shape (N,), units.
        scale: mean absolute seasonal difference of the training series, units
            (:func:`tasks.evaluation.metrics.stats.season_differences`). NaN where it is not above 0.

    >>> mase([10, 0, 30], [12, 1, 27], scale=4)  # 2 / 4
    0.5
    """
    return _figure(c.MASE, actual, forecast, absolute_scale=scale)


def rmsse(actual: ArrayLike, forecast: ArrayLike, squared_scale: float) -> float:
    """Root mean squared scaled error of one series and fold: sqrt(mean (y - f)^2 / scale), no unit; of the mean.

    Args:
        actual: shape (N,), units; NaN = unknown, left out.
        forecast: shape (N,), units.
        squared_scale: mean squared seasonal difference of the training series. NaN where it is not above 0.

    >>> rmsse([10, 0, 30], [11, 1, 25], squared_scale=36)  # sqrt(9 / 36)
    0.5
    """
    return _figure(c.RMSSE, actual, forecast, squared_scale=squared_scale)


def r2(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Coefficient of determination: 1 - sum (y - f)^2 / sum (y - mean y)^2, no unit; of the mean.

    Arguments as in :func:`mae`. NaN where the actuals do not vary.

    >>> r2([1, 2, 3], [1, 2, 4])  # 1 - 1 / 2
    0.5
    """
    return _figure(c.R2, actual, forecast)


def bias(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Bias: sum (f - y) / sum |y|, a fraction; of the mean. Above 0 the forecast is too high.

    Arguments as in :func:`mae`. If all actuals are 0: 0 if the errors add up to 0, else NaN.

    >>> bias([10, 30], [11, 31])  # 2 / 40
    0.05
    """
    return _figure(c.BIAS, actual, forecast)


def wql(actual: ArrayLike, quantile_forecasts: ArrayLike, levels: Sequence[float]) -> float:
    """Weighted quantile loss: twice the pinball loss, averaged over levels, per unit sold; a fraction.

    The pinball loss of level q is max(q (y - f), (q - 1) (y - f)); twice that of the median is |y - f|.

    Args:
        actual: shape (N,), units; NaN = unknown, left out.
        quantile_forecasts: shape (N, Q), units.
        levels: Q levels, fractions between 0 and 1.

    Returns:
        If all actuals are 0: 0 if the loss is 0 too, else NaN.

    >>> round(wql([10], [[8, 13]], [0.5, 0.9]), 4)  # (2 * 1.0 + 2 * 0.3) / 2 / 10
    0.13
    """
    return _figure(c.WQL, actual, quantiles=quantile_forecasts, levels=levels)


def coverage(actual: ArrayLike, quantile_forecasts: ArrayLike, levels: Sequence[float]) -> float:
    """Share of actuals within the outermost symmetric pair of quantiles (0.1 and 0.9), edges included; a fraction.

    The target is the pair's nominal share, 0.8 for 0.1 and 0.9. Arguments as in :func:`wql`. NaN where no two levels
    are symmetric.

    >>> coverage([10, 4], [[8, 13], [5, 9]], [0.1, 0.9])
    0.5
    """
    return _figure(c.COVERAGE, actual, quantiles=quantile_forecasts, levels=levels)


def acceptance_shares(actual: ArrayLike, forecast: ArrayLike) -> tuple[float, float, float, float]:
    """Shares of rows in the bands excellent, good, acceptable and poor; fractions; of the median.

    :func:`tasks.evaluation.metrics.stats.acceptance_band` defines the bands. Arguments as in :func:`mae`.

    >>> acceptance_shares([10, 10, 10, 10], [10, 10.5, 11, 14])
    (0.5, 0.25, 0.0, 0.25)
    """
    excellent, good, acceptable, poor = (
        _figure(name, actual, forecast) for name in (c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR)
    )
    return excellent, good, acceptable, poor


def _figure(
    name: str,
    actual: ArrayLike,
    forecast: ArrayLike | None = None,
    *,
    quantiles: ArrayLike | None = None,
    levels: Sequence[float] = (MEDIAN_LEVEL,),
    absolute_scale: float = 1.0,
    squared_scale: float = 1.0,
) -> float:
    """One metric of one group of rows; the forecast is both median and mean."""
    y = np.asarray(actual, dtype=np.float64)
    known = np.isfinite(y)
    point = np.asarray(y if forecast is None else forecast, dtype=np.float64)
    spread = np.asarray(point[:, None] if quantiles is None else quantiles, dtype=np.float64)
    if point.shape != y.shape or spread.shape != (len(y), len(levels)):
        raise ValueError(
            f"{name}: actual has shape {y.shape}, the forecast {point.shape if quantiles is None else spread.shape}; "
            f"expected {(len(y),) if quantiles is None else (len(y), len(levels))}"
        )
    rows = s.RowValues(
        y[known], point[known], point[known], spread[known], tuple(levels), np.full(int(known.sum()), np.nan)
    )
    group = s.row_sums(rows, STATISTICS).grouped(np.zeros(len(rows.actual), dtype=np.int64), 1)
    scaled = group.scaled(np.array([absolute_scale]), np.array([squared_scale]))
    return float(METRICS[name].compute(scaled)[0])
