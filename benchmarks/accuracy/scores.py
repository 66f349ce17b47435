"""Figures of a forecast over all series and periods whose actual is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.panel import FloatArray
from tasks.evaluation import stats


def score(actual: FloatArray, mean: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> dict[str, float]:
    """WAPE of the median, quantile loss, bias, coverage where q0.1 > 0, and shares beyond the outer quantiles.

    Args:
        actual: shape (n, H), units; NaN = unknown.
        mean: shape (n, H), units.
        quantiles: shape (n, H, Q), units.
        levels: Q rising levels, 0.5 among them.
    """
    known = np.isfinite(actual)
    sold, expected, spread = actual[known], mean[known], quantiles[known]
    median, low, high = (spread[:, i] for i in (levels.index(0.5), 0, len(levels) - 1))
    total = max(float(np.abs(sold).sum()), np.finfo(float).tiny)
    positive = low > 0
    inside = (low <= sold) & (sold <= high)
    return {
        "wape": float(np.abs(sold - median).sum()) / total,
        "wql": float(stats.quantile_score(sold, spread, levels).sum()) / total,
        "bias": float((expected - sold).sum()) / total,
        "bias50": float((median - sold).sum()) / total,
        "coverage": float(inside[positive].mean()) if positive.any() else float("nan"),
        "above": float((sold > high).mean()),
        "below": float((sold < low).mean()),
        "n": int(known.sum()),
    }
