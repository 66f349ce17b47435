"""Small panels of awkward series, built as arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import KnownFeature, Panel

SHAPES = {"D": (84, 14), "W-MON": (120, 6), "MS": (40, 6)}
START = {"D": "2024-01-01", "W-MON": "2022-01-03", "MS": "2021-01-01"}
AWKWARD = (
    "seasonal",
    "gaps",
    "closed",
    "zero",
    "constant",
    "one_value",
    "unknown",
    "huge",
    "three_values",
    "sparse",
)


def panel_of(
    demand: np.ndarray,
    frequency: str = "D",
    horizon: int = 7,
    closed: np.ndarray | None = None,
    known: dict[str, np.ndarray] | None = None,
    price: np.ndarray | None = None,
    start: str = "2024-01-01",
) -> Panel:
    """A panel of given demand (n, T); known features are rows (1 or n, T + H)."""
    demand = np.atleast_2d(np.asarray(demand, dtype=np.float64))
    n, periods = demand.shape
    freq = Frequency(frequency)
    features = {
        name: KnownFeature(np.atleast_2d(rows).astype(np.float32), np.arange(n) * (len(np.atleast_2d(rows)) > 1))
        for name, rows in (known or {}).items()
    }
    return Panel(
        frequency=freq,
        series=pd.DataFrame({c.STORE_ID: [f"s{i:02d}" for i in range(n)], c.CATEGORY: ["shoes"] * n}),
        periods=freq.range(pd.Timestamp(start), periods + horizon),
        demand=demand,
        closed=np.zeros((n, periods + horizon), dtype=bool) if closed is None else closed,
        horizon=horizon,
        known=features,
        observed={} if price is None else {c.UNIT_PRICE: np.atleast_2d(price).astype(np.float32)},
    )


def awkward_panel(frequency: str, which: tuple[str, ...] = AWKWARD, seed: int = 1) -> Panel:
    """One series of every awkward kind, with a known future promotion and a past price."""
    periods, horizon = SHAPES[frequency]
    rng = np.random.default_rng(seed)
    season = min(Frequency(frequency).season, 12)
    at = np.arange(periods)
    promo = (np.arange(periods + horizon) % 9 < 2).astype(float)
    base = 20 + 8 * np.sin(2 * np.pi * at / season) + 6 * promo[:periods] + rng.normal(0, 2, periods)
    series = {name: np.maximum(base + rng.normal(0, 1, periods), 0) for name in AWKWARD}
    series["gaps"][[4, 5, 20, periods - 1]] = np.nan
    series["gaps"][30:36] = np.nan
    series["zero"][:] = 0.0
    series["constant"][:] = 5.0
    series["one_value"][:] = np.nan
    series["one_value"][periods // 2] = 3.0
    series["unknown"][:] = np.nan
    series["huge"] *= 1e9
    series["three_values"][:-3] = np.nan
    series["sparse"] = np.where(rng.random(periods) < 0.2, rng.integers(1, 4, periods), 0).astype(float)
    closed = np.zeros((len(AWKWARD), periods + horizon), dtype=bool)
    row = AWKWARD.index("closed")
    closed[row, 6::7] = True
    series["closed"][closed[row, :periods]] = 0.0
    price = np.tile(10.0 + (at // 20) % 2, (len(AWKWARD), 1))
    whole = panel_of(
        np.array([series[name] for name in AWKWARD]),
        frequency,
        horizon,
        closed,
        {"promo": promo, "public_holiday": (np.arange(periods + horizon) % 25 == 3).astype(float)},
        price,
        START[frequency],
    )
    return whole.take(np.array([AWKWARD.index(name) for name in which]))


def changed_after(panel: Panel, known_periods: int) -> Panel:
    """The panel with everything that is unknown at the origin changed from a period on."""
    demand = panel.demand.copy()
    demand[:, known_periods:] = 7777.0
    observed = {name: values.copy() for name, values in panel.observed.items()}
    for values in observed.values():
        values[:, known_periods:] = 7777.0
    return replace(panel, demand=demand, observed=observed)
