"""Rules that decide the deliveries of a week: Restock, two rules of planners, and perfect information.

A rule gets the week (0, 1, ...), the stock of the stores (S, K) and that of the distribution center (K,). It returns
the units to send (S, K), in whole packs, and the day of each store's delivery (S,): 0 = Monday. Days from 7 on are not
in this week.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from rolling_company import MONDAY, SIZE, WEEK, WEEKDAYS, Company
from scipy.stats import nbinom

from schemas import columns as c
from schemas.plan import FloatArray
from schemas.settings import Settings
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.weekly import optimize

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
MOST_COVER = 10.0
SERVICE_LEVEL = 0.95

Rule = Callable[[int, FloatArray, FloatArray], tuple[FloatArray, np.ndarray]]


def by_cover(made: Company) -> Rule:
    """Fair share: pack by pack to the store with the fewest days of cover, until all have ten days."""
    expected = np.maximum(made.pair_forecast, 1e-9)

    def rule(_: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        sent = np.zeros_like(stock)
        room = made.capacity - stock.sum(axis=1)
        for k in range(stock.shape[1]):
            pack = made.pack[k]
            for _pack in range(int(center[k] // pack)):
                cover = np.where(room >= pack, (stock[:, k] + sent[:, k]) / expected[:, k], np.inf)
                store = int(cover.argmin())
                if cover[store] >= MOST_COVER:
                    break
                sent[store, k] += pack
                room[store] -= pack
        return sent, np.zeros(len(stock), dtype=int)

    return rule


def by_quantile(made: Company) -> Rule:
    """Order-up-to level of the 0.95 quantile of a week's demand per pair, with proportional rationing."""
    week = np.maximum(made.pair_forecast * WEEK, 1e-9)
    level = nbinom.ppf(SERVICE_LEVEL, SIZE * WEEK, SIZE * WEEK / (SIZE * WEEK + week))

    def rule(_: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        requested = _stored(made, stock, np.maximum(level - stock, 0.0))
        return rationed(requested, center, made.pack), np.zeros(len(stock), dtype=int)

    return rule


def with_perfect_information(made: Company) -> Rule:
    """Sends what sells this week; the rest stays in the distribution center."""

    def rule(week: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        requested = _stored(made, stock, np.maximum(made.demand[week].sum(axis=0) - stock, 0.0))
        return rationed(requested, center, made.pack), np.zeros(len(stock), dtype=int)

    return rule


def rationed(requested: FloatArray, center: FloatArray, pack: FloatArray) -> FloatArray:
    """Cut the requests (S, K) beyond the center's stock (K,) in proportion, in whole packs by largest remainder."""
    requested, center = requested / pack, np.floor(center / pack)
    total = requested.sum(axis=0)
    exact = requested * np.minimum(1.0, np.divide(center, total, out=np.ones_like(center), where=total > 0))
    whole = np.floor(exact + 1e-9)
    for k in np.flatnonzero(whole.sum(axis=0) < np.minimum(center, total)):
        order = np.argsort(-(exact - whole)[:, k], kind="stable")
        whole[order[: int(min(center[k], total[k]) - whole[:, k].sum())], k] += 1
    return np.minimum(whole, requested) * pack


def _stored(made: Company, stock: FloatArray, requested: FloatArray) -> FloatArray:
    """Round requests up to packs, and cut those of every store in proportion to what fits, by largest remainder."""
    requested = np.ceil(requested / made.pack) * made.pack
    room = np.maximum(made.capacity - stock.sum(axis=1), 0.0)
    total = requested.sum(axis=1)
    share = np.minimum(1.0, np.divide(room, total, out=np.ones_like(total), where=total > 0))
    cut = np.floor(requested * share[:, None] / made.pack + 1e-9) * made.pack
    for store in np.flatnonzero(share < 1):
        rest = (requested[store] * share[store] - cut[store]) / made.pack
        for k in np.argsort(-rest, kind="stable")[: int((rest > 0).sum())]:
            if cut[store].sum() + made.pack[k] <= room[store]:
                cut[store, k] += made.pack[k]
    return cut


def by_product(made: Company, inventory: dict[str, object], visit_cost: float | None = None) -> Rule:
    """Restock's weekly plan with these ``inventory`` settings: the first delivery of every store."""
    run = Settings.model_validate(
        {
            "name": "rolling",
            "horizon": 28,
            "category": ["style"],
            "inventory": inventory,
            "sources": {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
        }
    )
    stores, skus = made.mean.shape

    def rule(week: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        plan = optimize(_inputs(made, run, week, stock, center, visit_cost))
        targets = plan.replenishment.set_index([c.STORE_ID, c.SKU])[c.TARGET_QUANTITY]
        index = pd.MultiIndex.from_product([_store_ids(stores), _skus(skus)])
        target = targets.reindex(index).fillna(0).to_numpy(dtype=float).reshape(stores, skus)
        first = pd.to_datetime(plan.visits.groupby(c.STORE_ID)[c.DATE].min()).reindex(_store_ids(stores))
        day = (first - MONDAY).dt.days.fillna(10**6).to_numpy(dtype=int) - WEEK * week
        return np.maximum(target - stock, 0.0), day

    return rule


def _store_ids(count: int) -> list[str]:
    return [f"s{i:02d}" for i in range(count)]


def _skus(count: int) -> list[str]:
    return [f"k{i:03d}" for i in range(count)]


def _styles(numbers: np.ndarray) -> list[str]:
    return [f"style{s:02d}" for s in numbers]


def _inputs(
    made: Company, run: Settings, week: int, stock: FloatArray, center: FloatArray, visit_cost: float | None
) -> WeeklyInputs:
    """The tables of a run at the begin of a week."""
    stores, skus = made.mean.shape
    forecast = _forecast(made, week, run.horizon)
    facts = pd.DataFrame(
        {
            c.STORE_ID: np.repeat(_store_ids(stores), skus),
            c.SKU: np.tile(_skus(skus), stores),
            c.CATEGORY: np.tile(_styles(made.style), stores),
            c.RECENT_UNITS: made.sold_before.ravel(),
            c.TOTAL_UNITS: made.sold_before.ravel(),
            c.UNIT_PRICE: np.tile(made.price, stores),
            c.ON_HAND: stock.ravel(),
        }
    ).assign(size="", color="", collection_status="", pack_size=np.tile(made.pack, stores), min_presentation=np.nan)
    table = pd.DataFrame({c.STORE_ID: _store_ids(stores), c.STORAGE_CAPACITY: made.capacity})
    if visit_cost is not None:
        table[c.VISIT_COST] = visit_cost
    later = [
        pd.DataFrame({c.SKU: _skus(skus), c.DATE: MONDAY + pd.Timedelta(days=WEEK * at), c.QUANTITY: units})
        for at, units in made.arrivals.items()
        if at > week
    ]
    return WeeklyInputs(
        forecast,
        forecast.head(0).assign(**{c.CUTOFF: pd.Series(dtype="datetime64[ns]"), c.ACTUAL: pd.Series(dtype=float)}),
        facts,
        table,
        run,
        dc_stock=pd.DataFrame({c.SKU: _skus(skus), c.AVAILABLE: center}),
        dc_inbound=pd.concat(later, ignore_index=True) if later else None,
        has_stock=True,
    )


def _forecast(made: Company, week: int, horizon: int) -> pd.DataFrame:
    """One row per store, category and day from the week's Monday on: mean and quantiles of the forecast's demand."""
    stores, styles = made.factor.shape
    dates = pd.date_range(MONDAY + pd.Timedelta(days=WEEK * week), periods=horizon)
    mean = made.series_forecast[:, :, None] * WEEKDAYS[np.arange(horizon) % WEEK]
    sizes = np.bincount(made.style, minlength=styles)[None, :, None] * SIZE
    rows = pd.MultiIndex.from_product([_store_ids(stores), _styles(np.arange(styles)), dates])
    forecast = rows.to_frame(index=False, name=[c.STORE_ID, c.CATEGORY, c.DATE]).assign(**{c.MEAN: mean.ravel()})
    for level, name in zip(LEVELS, c.quantile_columns(list(LEVELS)), strict=True):
        forecast[name] = nbinom.ppf(level, sizes, sizes / (sizes + mean)).ravel()
    return forecast
