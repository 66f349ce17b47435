"""Figures of a forecast over all series and periods whose actual is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.panel import FloatArray
from tasks.evaluation.metrics import stats


def score(
    actual: FloatArray,
    mean: FloatArray,
    quantiles: FloatArray,
    levels: Sequence[float],
    squared_scale: FloatArray | None = None,
) -> dict[str, float]:
    """WAPE of the median, RMSSE, quantile loss, bias, coverage, and shares beyond the outer quantiles.

    ``coverage`` is of the rows whose lowest quantile is above 0, ``inside`` of all rows. ``nominal`` is the share of
    rows that calibrated quantiles of 0.1 and 0.9 have inside: P(q0.1 <= Y <= q0.9) = F(q0.9) - P(Y < q0.1), which is
    0.9 where q0.1 is 0, because P(Y < 0) is 0, and 0.8 elsewhere (Czado, Gneiting and Held 2009, Biometrics 65, on
    probabilities of counts).

    Args:
        actual: shape (n, H), units; NaN = unknown.
        mean: shape (n, H), units.
        quantiles: shape (n, H, Q), units.
        levels: Q rising levels, 0.5 among them.
        squared_scale: shape (n,), squared units; see :func:`rmsse`, which is NaN without it.
    """
    known = np.isfinite(actual)
    sold, expected, spread = actual[known], mean[known], quantiles[known]
    median, low, high = (spread[:, i] for i in (levels.index(0.5), 0, len(levels) - 1))
    total = max(float(np.abs(sold).sum()), np.finfo(float).tiny)
    positive = low > 0
    inside = (low <= sold) & (sold <= high)
    return {
        "wape": float(np.abs(sold - median).sum()) / total,
        "rmsse": float("nan") if squared_scale is None else rmsse(actual, mean, squared_scale),
        "wql": float(stats.quantile_score(sold, spread, levels).sum()) / total,
        "bias": float((expected - sold).sum()) / total,
        "bias50": float((median - sold).sum()) / total,
        "coverage": float(inside[positive].mean()) if positive.any() else float("nan"),
        "inside": float(inside.mean()),
        "nominal": float(np.where(positive, levels[-1] - levels[0], levels[-1]).mean()),
        "above": float((sold > high).mean()),
        "below": float((sold < low).mean()),
        "n": int(known.sum()),
    }


def rmsse(actual: FloatArray, mean: FloatArray, squared_scale: FloatArray) -> float:
    """Mean over series of the root of the mean squared error over the series' scale.

    Args:
        actual: shape (n, H), units; NaN = unknown, left out.
        mean: shape (n, H), units.
        squared_scale: shape (n,); mean squared difference of the known history one season apart. Series whose
            scale is unknown or zero, and series without any known actual, are left out.

    Returns:
        NaN where no series is left.
    """
    known = np.isfinite(actual)
    usable = known.any(axis=1) & (np.nan_to_num(squared_scale) > 0)
    if not usable.any():
        return float("nan")
    squared = np.where(known, np.square(actual - mean), 0.0).sum(axis=1)[usable] / known.sum(axis=1)[usable]
    return float(np.sqrt(squared / squared_scale[usable]).mean())
