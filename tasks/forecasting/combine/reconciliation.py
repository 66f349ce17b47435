"""Change forecasts of series so that they agree with forecasts of their sums.

The methods are those of the library hierarchicalforecast: top-down by forecast proportions (Gross and Sohl 1990) and
MinT, the trace minimization of Wickramasuriya, Athanasopoulos and Hyndman (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from schemas.panel import FloatArray
from tasks.forecasting.quantiles import tidy


@dataclass(frozen=True)
class AdjustmentRule:
    """Limits of the adjusted forecasts (docs/reference/constants.md).

    Attributes:
        largest_factor: no forecast grows by more than this factor, so that the quantiles of one close to 0 stay small.
        most_without_error: MinT changes nothing if more than this fraction of the forecasts has no error; the library
            refuses such input.
    """

    largest_factor: float = 3.0
    most_without_error: float = 0.98


RULE = AdjustmentRule()


def top_down(total: FloatArray, bottom: FloatArray) -> FloatArray:
    """The total's forecast, split by the series' own: bottom * total / sum of bottom.

    Args:
        total: shape (H,), units.
        bottom: shape (n, H), units, at least 0; n of at least 2.

    Returns:
        Shape (n, H). If all series are 0, the total is split evenly.

    >>> top_down(np.array([12.0]), np.array([[2.0], [6.0]])).round(6)
    array([[3.],
           [9.]])
    """
    from hierarchicalforecast.methods import TopDownSparse

    n = len(bottom)
    found = TopDownSparse("forecast_proportions").fit_predict(
        S=_summing(sparse.csr_matrix(np.ones((1, n)))),
        y_hat=np.vstack([total, bottom]),
        tags={"total": np.array([0]), "series": np.arange(1, n + 1)},
    )
    return np.asarray(found["mean"][1:], dtype=np.float64)


def mint(members: sparse.csr_matrix, aggregates: FloatArray, bottom: FloatArray, errors: FloatArray) -> FloatArray:
    """Least-squares compromise between the forecasts of all levels, each weighted by 1 / error^2.

    MinT with a diagonal error matrix (``wls_var``). With S the summing matrix and W = diag(errors^2) the series are
    (S' W^-1 S)^-1 S' W^-1 y, y being the forecasts of all levels.

    Args:
        members: shape (m, n), 1 where a series belongs to an aggregate.
        aggregates: shape (m, H), their own forecasts in units.
        bottom: shape (n, H), the series' forecasts in units.
        errors: shape (m + n,), root mean squared errors in units; a forecast with error 0 is kept.

    Returns:
        Shape (n, H); may be negative. Unchanged if almost no series has an error.

    >>> one = sparse.csr_matrix(np.ones((1, 2)))
    >>> mint(one, np.array([[16.0]]), np.array([[2.0], [6.0]]), np.array([1.0, 1.0, 1.0])).round(6)
    array([[4.666667],
           [8.666667]])
    """
    from hierarchicalforecast.methods import MinTrace

    known = errors > 0
    if np.mean(~known) > RULE.most_without_error:
        return bottom.copy()
    # The library squares and averages residuals: 0 and e * 2^0.5 have the mean square e^2. Weights have no unit.
    scaled = errors / errors[known].min()
    residuals = np.column_stack([np.zeros(len(errors)), scaled * np.sqrt(2.0)])
    found = MinTrace("wls_var").fit_predict(
        S=_summing(members).toarray(),
        y_hat=np.vstack([aggregates, bottom]),
        y_insample=residuals,
        y_hat_insample=np.zeros_like(residuals),
    )
    return np.asarray(found["mean"][len(aggregates) :], dtype=np.float64)


def moved(mean: FloatArray, quantiles: FloatArray, wanted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Multiply mean and quantiles by the factor that changes the mean to the wanted one.

    A forecast of 0, such as a closed period, stays 0. A wanted mean below 0 becomes 0. No forecast grows by more than a
    factor of 3. The levels above are the sums of the result, so they always agree.

    Args:
        mean: shape (n, H), units.
        quantiles: shape (n, H, Q), units.
        wanted: shape (n, H), units.
    """
    aim = np.clip(wanted, 0.0, RULE.largest_factor * mean)
    factor = np.divide(aim, mean, out=np.ones_like(mean), where=mean > 0)
    return tidy(aim, quantiles * factor[..., None])


def _summing(members: sparse.csr_matrix) -> sparse.csr_matrix:
    """Shape (m + n, n): the aggregates' members, then each series itself."""
    return sparse.vstack([members, sparse.eye(members.shape[1])], format="csr")
