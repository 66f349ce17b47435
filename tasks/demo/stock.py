"""Goods of the demo company on the morning after the last sales day: stores, distribution center, capacities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.catalog import ARTICLE
from tasks.demo.chain import Chain
from tasks.demo.network import FREIGHT
from tasks.demo.rates import BEFORE_LAUNCH, STATES
from tasks.demo.sales import StoreHistory
from tasks.demo.timeline import DAYS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# No store starts above this share of its storage.
LARGEST_FILL = 0.8
CAPACITY_DAYS = (32, 55)
COVER_DAYS = (10, 45)
ARRIVING_SHARE = 0.12
DC_COVER_DAYS = {"Temporada": (30, 80), "Liquidación": (0, 25), "No Colección": (0, 15), "Saldo": (0, 5)}


def states(chain: Chain) -> list[str]:
    """Lifecycle state of every style of the chain after the last sales day."""
    return [STATES[max(phase, 0)] for phase in chain.rates.phase[:, DAYS]]


def stock_table(chain: Chain, histories: dict[int, StoreHistory], capacity: IntArray) -> pd.DataFrame:
    """Stock of every store and SKU that it carries and that has been launched.

    Args:
        chain: the chain.
        histories: store number to its past; what was out of stock on the last day is at 0.
        capacity: pairs that each of these stores can hold, in the order of ``histories``.

    Returns:
        store_id, sku, on_hand and in_transit in whole units; per store their sum is at most 80 % of the
        capacity (scaled down in proportion and rounded down where it was more).
    """
    launched = chain.rates.phase[chain.skus[ARTICLE].to_numpy(), DAYS] > BEFORE_LAUNCH
    parts = []
    for limit, (store, history) in zip(capacity, histories.items(), strict=True):
        rng = np.random.default_rng([chain.seed, 3, store])
        n = len(chain.skus)
        on_hand = rng.poisson(history.rate * rng.uniform(*COVER_DAYS, n) + 0.6 * (history.rate > 0))
        on_hand[history.empty[:, -1]] = 0
        arriving = rng.poisson(7 * history.rate) * (rng.random(n) < ARRIVING_SHARE)
        rows = chain.sku_numbers[(history.rate > 0)[chain.sku_numbers] & launched[chain.sku_numbers]]
        on_hand, arriving = on_hand[rows], arriving[rows]
        factor = min(1.0, LARGEST_FILL * limit / max(on_hand.sum() + arriving.sum(), 1))
        parts.append(
            pd.DataFrame(
                {
                    c.STORE_ID: chain.stores[c.STORE_ID].iloc[store],
                    c.SKU: chain.skus[c.SKU].to_numpy()[rows],
                    c.ON_HAND: np.floor(on_hand * factor).astype(np.int64),
                    c.IN_TRANSIT: np.floor(arriving * factor).astype(np.int64),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def capacities(chain: Chain, histories: dict[int, StoreHistory]) -> IntArray:
    """Pairs that each store can hold: 32 to 55 days of its sales over the last year, in tens."""
    rng = np.random.default_rng([chain.seed, 4])
    days = rng.uniform(*CAPACITY_DAYS, len(chain.stores))[list(histories)]
    sold = np.array([_units_last_year(history) for history in histories.values()])
    values: IntArray = (np.ceil(days * sold / 10) * 10).astype(np.int64)
    return values


def _units_last_year(history: StoreHistory) -> float:
    """Mean units sold per day that the store was open in the last 365 days."""
    recent = (history.lines.day >= DAYS - 365) & (history.lines.units > 0)
    days = len(np.unique(history.lines.day[recent]))
    return float(np.minimum(history.lines.units[recent], 20).sum() / max(days, 1))


def store_file_table(chain: Chain, histories: dict[int, StoreHistory], capacity: IntArray) -> pd.DataFrame:
    """The stores as the company lists them: type, storage and display capacity, freight in CLP a visit.

    The display holds 85 to 120 % of the styles that the store sells now.
    """
    rng = np.random.default_rng([chain.seed, 5])
    room = rng.uniform(0.85, 1.2, len(chain.stores))
    style = chain.skus[ARTICLE].to_numpy()[chain.sku_numbers]
    shown = [len(np.unique(style[history.rate[chain.sku_numbers] > 0])) for history in histories.values()]
    stores = chain.stores.iloc[list(histories)]
    return pd.DataFrame(
        {
            c.STORE_ID: stores[c.STORE_ID].to_numpy(),
            c.STORE_TYPE: stores[c.STORE_TYPE].to_numpy(),
            c.STORAGE_CAPACITY: capacity,
            c.DISPLAY_CAPACITY: np.ceil(np.array(shown) * room[list(histories)]).astype(np.int64),
            c.VISIT_COST: stores[FREIGHT].to_numpy(),
        }
    )


def dc_stock_table(chain: Chain, histories: dict[int, StoreHistory]) -> pd.DataFrame:
    """Units of each SKU that the distribution center may send: weeks of network demand in season, few after it.

    A season's goods are imported before it starts: what is in season has at least its even share of its
    category's mean demand over the past year.
    """
    rng = np.random.default_rng([chain.seed, 6])
    rate = np.sum([history.rate for history in histories.values()], axis=0)
    state = np.array(states(chain), dtype=object)[chain.skus[ARTICLE].to_numpy()]
    launched = chain.rates.phase[chain.skus[ARTICLE].to_numpy(), DAYS] > BEFORE_LAUNCH
    in_season = launched & (state == STATES[0])
    rate = np.where(in_season, np.maximum(rate, _even_share(chain, histories, in_season)), rate)
    low, high = (np.array([DC_COVER_DAYS[name][bound] for name in state]) for bound in (0, 1))
    available = rng.poisson(rate * rng.uniform(low, high)) * launched
    return pd.DataFrame(
        {
            c.SKU: chain.skus[c.SKU].to_numpy()[chain.sku_numbers],
            c.AVAILABLE: available[chain.sku_numbers],
        }
    )


def _even_share(chain: Chain, histories: dict[int, StoreHistory], in_season: BoolArray) -> FloatArray:
    """Yearly mean demand of each SKU's category, divided evenly over its SKUs in season."""
    category = chain.styles[c.CATEGORY].to_numpy()[chain.skus[ARTICLE].to_numpy()]
    yearly = np.sum([history.yearly_rate for history in histories.values()], axis=0)
    size = len(chain.categories)
    total = np.bincount(category, weights=yearly, minlength=size)
    shared_by = np.bincount(category, weights=in_season, minlength=size)
    share: FloatArray = (total / np.maximum(shared_by, 1))[category]
    return share
