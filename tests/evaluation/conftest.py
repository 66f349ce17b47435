"""Small panels and backtests that the room's tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel

QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]


@pytest.fixture
def quantiles() -> list[float]:
    return QUANTILES


@pytest.fixture
def backtest_of() -> Callable[..., pd.DataFrame]:
    """Builds a backtest: median per model against actuals, with a symmetric spread around it."""

    def build(
        actual: np.ndarray,
        medians: dict[str, np.ndarray],
        spread: float = 1.0,
        start: str = "2024-01-01",
        step: int = 1,
        keys: Sequence[tuple[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Arrays have shape (folds, series, horizon); a row whose median is NaN is not forecast."""
        folds, series, horizon = actual.shape
        keys = keys or [(f"s{number:04d}", "shoes") for number in range(series)]
        days = pd.date_range(start, periods=horizon + step * (folds - 1), freq="D")
        tables = []
        for model, median in medians.items():
            fold, at, ahead = np.indices(actual.shape).reshape(3, -1)
            middle = median.ravel()
            table = pd.DataFrame(
                {
                    c.CUTOFF: days[fold * step],
                    c.STORE_ID: [keys[number][0] for number in at],
                    c.CATEGORY: [keys[number][1] for number in at],
                    c.DATE: days[fold * step + ahead],
                    c.MODEL: model,
                    c.ACTUAL: actual.ravel(),
                    c.MEAN: middle,
                }
            )
            for level in QUANTILES:
                table[c.quantile_column(level)] = np.clip(middle + spread * (level - 0.5), 0, None)
            tables.append(table[np.isfinite(middle)])
        return pd.concat(tables, ignore_index=True)

    return build


@pytest.fixture
def panel_of() -> Callable[..., Panel]:
    """Builds a panel from demand, shape (n, T)."""

    def build(
        demand: np.ndarray,
        frequency: str = "D",
        start: str = "2024-01-01",
        horizon: int = 3,
        keys: Sequence[tuple[str, str]] | None = None,
    ) -> Panel:
        n, history = demand.shape
        period = Frequency(frequency)
        keys = keys or [(f"s{number:04d}", "shoes") for number in range(n)]
        return Panel(
            frequency=period,
            series=pd.DataFrame(keys, columns=[c.STORE_ID, c.CATEGORY]),
            periods=period.range(pd.Timestamp(start), history + horizon),
            demand=demand.astype(np.float64),
            closed=np.zeros((n, history + horizon), dtype=bool),
            horizon=horizon,
        )

    return build
