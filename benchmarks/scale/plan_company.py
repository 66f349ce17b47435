"""Inputs of the plan of a week, without forecasting: a chain of any size, written to a lake store by store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from schemas import columns as c
from schemas.plan import FloatArray
from schemas.records import CalibrationRecord, PlanInputs, TableRef
from schemas.settings import Settings
from tasks.inventory.plan_week import WeekInputs
from tasks.storage.arrow_tables import PART_ROWS
from tasks.storage.lake import Lake

AS_OF = date(2024, 3, 4)
FOLD_PERIODS = 28
WEEKDAYS = np.array([0.8, 0.75, 0.8, 0.95, 1.3, 1.7, 0.7])
# Variance of a day's demand in multiples of its mean.
DISPERSION = 1.4
# Models in the forecast table; the first is the champion of every series.
MODELS = ("xgboost", "seasonal_naive")


@dataclass(frozen=True)
class PlanSize:
    """Size of a chain.

    Attributes:
        stores: stores; each has all categories.
        categories: categories.
        skus: SKUs in each category and store.
        days: horizon.
        paths: sample paths to plan with, and as many to evaluate with.
        coverage: days of mean sales that fit into a store; every second store has no storage capacity.
        holding: holding cost per unit and period.
        seed: seed of the chain.
    """

    stores: int
    categories: int = 150
    skus: int = 2
    days: int = 56
    paths: int = 50
    coverage: float = 20.0
    holding: float = 0.02
    seed: int = 1

    @property
    def settings(self) -> Settings:
        """Settings of a run of this size."""
        return Settings.model_validate(
            {
                "name": "plan-at-scale",
                "horizon": self.days,
                "category": ["brand"],
                "inventory": {"sample_paths": self.paths, "holding_cost": self.holding},
                "sources": {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
            }
        )


def write_inputs(lake: Lake, size: PlanSize) -> WeekInputs:
    """Write the tables of a chain to a lake, store by store, and return their references."""
    run = size.settings
    daily = _daily_units(size)
    tables = {
        "stores": lake.write_table("made/stores", _stores(size, daily)),
        "dc_stock": lake.write_table("made/dc_stock", _dc_stock(size, daily)),
    }
    every = [(model, store) for model in MODELS for store in range(size.stores)]
    given = PlanInputs(
        tables=tables,
        sku_facts=_write(lake, "made/sku_facts", (_facts(size, daily, i) for i in range(size.stores))),
        planned_prices=lake.write_table("made/planned_prices", pd.DataFrame({c.STORE_ID: pd.Series(dtype=str)})),
        forecast=_write(lake, "made/forecast", (_forecast(size, run, daily, i, model) for model, i in every)),
        backtest=_write(lake, "made/backtest", (_fold(size, run, daily, i, model) for model, i in every)),
        champions=_write(lake, "made/champions", (_champions(size, i) for i in range(size.stores))),
        stock_counted=True,
    )
    return WeekInputs(given=given, as_of=AS_OF, calibration=CalibrationRecord())


def _write(lake: Lake, prefix: str, blocks: Iterator[pd.DataFrame]) -> TableRef:
    return lake.write_parts(prefix, _parts(blocks), empty=(c.SIZE, c.COLOR, c.COLLECTION_STATUS))


def _parts(blocks: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same rows in parts of ``PART_ROWS``."""
    waiting: list[pd.DataFrame] = []
    rows = 0
    for block in blocks:
        waiting.append(block)
        rows += len(block)
        while rows >= PART_ROWS:
            joined = pd.concat(waiting, ignore_index=True)
            yield joined.iloc[:PART_ROWS]
            waiting, rows = [joined.iloc[PART_ROWS:]], rows - PART_ROWS
    if rows:
        yield pd.concat(waiting, ignore_index=True)


def _store_ids(size: PlanSize) -> np.ndarray:
    return np.array([f"s{i:04d}" for i in range(size.stores)], dtype=object)


def _categories(size: PlanSize) -> np.ndarray:
    return np.array([f"c{j:03d}" for j in range(size.categories)], dtype=object)


def _skus(size: PlanSize) -> np.ndarray:
    return np.array([f"{name}-{k}" for name in _categories(size) for k in range(size.skus)], dtype=object)


def _daily_units(size: PlanSize) -> FloatArray:
    """Mean units of a day, shape (stores, categories): most categories of a store sell slowly."""
    draw = np.random.default_rng([size.seed, size.categories])
    popular = draw.lognormal(-1.5, 1.3, size.categories)
    own = np.random.default_rng([size.seed, 1]).lognormal(0, 0.5, size.stores)
    each = [np.random.default_rng([size.seed, 2, i]).lognormal(0, 0.4, size.categories) for i in range(size.stores)]
    found: FloatArray = own[:, None] * popular[None] * np.array(each)
    return found


def _prices(size: PlanSize) -> FloatArray:
    return np.random.default_rng([size.seed, 3]).lognormal(3.0, 0.6, size.categories).round(2)


def _stores(size: PlanSize, daily: FloatArray) -> pd.DataFrame:
    capacity = np.ceil(size.coverage * daily.sum(axis=1))
    return pd.DataFrame(
        {
            c.STORE_ID: _store_ids(size),
            c.STORAGE_CAPACITY: np.where(np.arange(size.stores) % 2 == 0, capacity, np.nan),
            c.VISIT_COST: 40.0 + 5.0 * (np.arange(size.stores) % 20),
        }
    )


def _dc_stock(size: PlanSize, daily: FloatArray) -> pd.DataFrame:
    """Stock of the distribution center: four weeks of demand; a fifth of the SKUs have one week."""
    units = np.repeat(daily.sum(axis=0) / size.skus, size.skus)
    weeks = np.where(np.arange(len(units)) % 5 == 0, 1.0, 4.0)
    return pd.DataFrame({c.SKU: _skus(size), c.AVAILABLE: np.floor(7 * weeks * units)})


def _facts(size: PlanSize, daily: FloatArray, store: int) -> pd.DataFrame:
    draw = np.random.default_rng([size.seed, 4, store])
    count = size.categories * size.skus
    mean = np.repeat(daily[store], size.skus) * draw.dirichlet(np.full(size.skus, 4.0), size.categories).ravel()
    return pd.DataFrame(
        {
            c.STORE_ID: np.full(count, _store_ids(size)[store]),
            c.SKU: _skus(size),
            c.CATEGORY: np.repeat(_categories(size), size.skus),
            c.RECENT_UNITS: draw.poisson(56 * mean).astype(float),
            c.TOTAL_UNITS: draw.poisson(364 * mean).astype(float),
            c.UNIT_PRICE: np.repeat(_prices(size), size.skus),
            c.ON_HAND: np.floor(7 * mean * draw.uniform(0, 2, count)),
            c.SIZE: "",
            c.COLOR: "",
            c.COLLECTION_STATUS: "",
            c.PACK_SIZE: np.nan,
            c.MIN_PRESENTATION: np.nan,
        }
    )


def _quantiles(run: Settings, mean: FloatArray) -> dict[str, FloatArray]:
    deviation = np.sqrt(DISPERSION * mean)
    columns = c.quantile_columns(run.quantiles)
    return {
        name: np.maximum(mean + float(ndtri(level)) * deviation, 0.0)
        for name, level in zip(columns, run.quantiles, strict=True)
    }


def _rows(size: PlanSize, daily: FloatArray, store: int, dates: pd.DatetimeIndex) -> tuple[pd.DataFrame, FloatArray]:
    """Keys of a store's series and periods, and the mean of each row."""
    mean = (daily[store][:, None] * WEEKDAYS[np.arange(len(dates)) % len(WEEKDAYS)]).ravel()
    keys = pd.DataFrame(
        {
            c.STORE_ID: np.full(len(mean), _store_ids(size)[store]),
            c.CATEGORY: np.repeat(_categories(size), len(dates)),
            c.DATE: np.tile(dates, size.categories),
        }
    )
    return keys, mean


def _forecast(size: PlanSize, run: Settings, daily: FloatArray, store: int, model: str) -> pd.DataFrame:
    keys, mean = _rows(size, daily, store, pd.date_range(AS_OF, periods=size.days))
    return keys.assign(**{c.MODEL: model, c.CHAMPION: model == MODELS[0], c.MEAN: mean, **_quantiles(run, mean)})


def _fold(size: PlanSize, run: Settings, daily: FloatArray, store: int, model: str) -> pd.DataFrame:
    cutoff = pd.Timestamp(AS_OF) - pd.Timedelta(days=FOLD_PERIODS)
    keys, mean = _rows(size, daily, store, pd.date_range(cutoff, periods=FOLD_PERIODS))
    actual = np.random.default_rng([size.seed, 5, store]).poisson(mean).astype(float)
    return keys.assign(**{c.CUTOFF: cutoff, c.MODEL: model, c.ACTUAL: actual, c.MEAN: mean, **_quantiles(run, mean)})


def _champions(size: PlanSize, store: int) -> pd.DataFrame:
    names = _categories(size)
    return pd.DataFrame(
        {c.STORE_ID: np.full(len(names), _store_ids(size)[store]), c.CATEGORY: names, c.MODEL: MODELS[0]}
    )


def read_inputs(folder: Path) -> WeekInputs:
    """The references that ``write_inputs`` returned, from the file next to the lake."""
    return WeekInputs.model_validate_json((folder / "inputs.json").read_text("utf-8"))
