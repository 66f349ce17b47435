"""Demand class and size of each series."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, Panel

# Syntetos, Boylan and Croston (2005), "On the categorization of demand patterns", JORS 56, 495-503.
ADI_LIMIT = 1.32
CV2_LIMIT = 0.49
SMOOTH = "smooth"
ERRATIC = "erratic"
INTERMITTENT = "intermittent"
LUMPY = "lumpy"
NO_DEMAND = "none"
# Series whose units are summed at once.
_BLOCK_SERIES = 1000


def profile(panel: Panel) -> pd.DataFrame:
    """One row per series, in the panel's order.

    Unknown periods count nowhere. ADI, the average inter-demand interval, is the number of known periods
    per selling one; CV2 is the squared coefficient of variation of the selling periods' units (population
    variance). ADI below 1.32: smooth (CV2 below 0.49) or erratic; otherwise: intermittent (CV2 below 0.49) or lumpy; no
    class if nothing sold.

    Returns:
        store_id, category, length (periods from the first known one to the end of the history),
        known_periods, share_zero (of the known periods), mean (units per known period), volume (units in
        all), adi, cv2, demand_class, last_sale (label of the last period with units, missing if none)
        and volume_rank (1 = largest volume; ties by store and category).

    Example:
        Demand 0, 4, 0, 0, 2, 0: ADI 6 / 2 = 3, mean size 3, variance 1, CV2 1 / 9: intermittent.
    """
    demand = panel.demand
    known, selling = ~np.isnan(demand), demand > 0
    periods, sales = known.sum(axis=1), selling.sum(axis=1)
    blocks = [slice(at, at + _BLOCK_SERIES) for at in range(0, max(panel.n, 1), _BLOCK_SERIES)]
    volume = np.concatenate([np.where(known[rows], demand[rows], 0.0).sum(axis=1) for rows in blocks])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, adi, size = volume / periods, periods / sales, volume / sales
        squares = np.concatenate(
            [np.where(selling[rows], (demand[rows] - size[rows, None]) ** 2, 0.0).sum(axis=1) for rows in blocks]
        )
        cv2 = squares / sales / size**2
        share_zero = (periods - sales) / periods
    first = np.where(known.any(axis=1), known.argmax(axis=1), panel.history)
    last = panel.history - 1 - selling[:, ::-1].argmax(axis=1)
    last_sale = pd.Series(panel.history_periods[last]).where(sales > 0)
    rank = np.empty(panel.n, dtype=np.int64)
    rank[np.argsort(-volume, kind="stable")] = np.arange(1, panel.n + 1)
    return pd.DataFrame(
        {
            c.STORE_ID: panel.series[c.STORE_ID],
            c.CATEGORY: panel.series[c.CATEGORY],
            c.LENGTH: panel.history - first,
            c.KNOWN_PERIODS: periods,
            c.SHARE_ZERO: share_zero,
            c.MEAN: mean,
            c.VOLUME: volume,
            c.ADI: np.where(sales > 0, adi, np.nan),
            c.CV2: cv2,
            c.DEMAND_CLASS: _classes(adi, cv2, sales > 0),
            c.LAST_SALE: last_sale,
            c.VOLUME_RANK: rank,
        }
    )


def _classes(adi: FloatArray, cv2: FloatArray, sells: np.ndarray) -> np.ndarray:
    frequent, even = adi < ADI_LIMIT, cv2 < CV2_LIMIT
    cases = [~sells, frequent & even, frequent, even]
    return np.select(cases, [NO_DEMAND, SMOOTH, ERRATIC, INTERMITTENT], LUMPY).astype(object)
