"""The stores of the demo company: 59 stores of types A to E, their level, climate, hours and assortment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.catalog import BRANDS, SEASON, WEIGHT
from tasks.demo.timeline import DAYS, WEEKDAY_SHARE, dates, mandatory_holidays

FloatArray = NDArray[np.float64]

LEVEL = "level"
COLD = "cold"
FREIGHT = "freight"
MAIN_BRAND = "main_brand"
OPENED = "opened"

# City, latitude in degrees south, number of stores: Arica to Punta Arenas, 59 in all.
CITIES = (
    ("ARICA", 18.5, 2),
    ("IQUIQUE", 20.2, 2),
    ("CALAMA", 22.5, 2),
    ("ANTOFAGASTA", 23.6, 3),
    ("COPIAPO", 27.4, 2),
    ("LA SERENA", 29.9, 3),
    ("VIÑA DEL MAR", 33.0, 3),
    ("VALPARAISO", 33.0, 2),
    ("SANTIAGO CENTRO", 33.4, 4),
    ("PROVIDENCIA", 33.4, 3),
    ("MAIPU", 33.5, 4),
    ("LA FLORIDA", 33.5, 3),
    ("PUENTE ALTO", 33.6, 3),
    ("QUILICURA", 33.4, 3),
    ("RANCAGUA", 34.2, 2),
    ("CURICO", 35.0, 2),
    ("TALCA", 35.4, 2),
    ("CHILLAN", 36.6, 2),
    ("CONCEPCION", 36.8, 4),
    ("LOS ANGELES", 37.5, 2),
    ("TEMUCO", 38.7, 2),
    ("VALDIVIA", 39.8, 1),
    ("PUERTO MONTT", 41.5, 2),
    ("PUNTA ARENAS", 53.2, 1),
)
TYPE_COUNTS = {"A": 10, "B": 18, "C": 17, "D": 8, "E": 6}
TYPE_LEVEL = {"A": 2.1, "B": 1.2, "C": 0.75, "D": 1.0, "E": 1.5}
# Share of the main brand's categories that a store of each type carries.
TYPE_RANGE = {"A": 0.98, "B": 0.92, "C": 0.75, "D": 0.85, "E": 0.98}
OTHER_BRAND_RANGE = 0.35
SANTIAGO_LATITUDE = 33.45
# Two stores open during the period of the data (day number), and one is closed for three weeks for construction.
OPENINGS = (("B", 0, 439), ("C", -1, 640))
WORKS = ("C", 0, 554, 575)


def store_table(rng: np.random.Generator) -> pd.DataFrame:
    """The 59 stores.

    Returns:
        One row per store: store_id (name), store_type, level (sales against the mean store), cold
        (climate: 0 in Santiago, above 0 in the south), freight (CLP per visit), main brand, day opened.
    """
    names = [(f"{city} {number + 1:02d}", latitude) for city, latitude, count in CITIES for number in range(count)]
    types = rng.permutation([kind for kind, count in TYPE_COUNTS.items() for _ in range(count)])
    latitudes = np.array([latitude for _, latitude in names])
    distance = np.abs(latitudes - SANTIAGO_LATITUDE)
    opened = np.zeros(len(names), dtype=int)
    for kind, number, day in OPENINGS:
        opened[np.flatnonzero(types == kind)[number]] = day
    level = np.array([TYPE_LEVEL[kind] for kind in types]) * rng.lognormal(0, 0.25, len(names))
    return pd.DataFrame(
        {
            c.STORE_ID: [name for name, _ in names],
            c.STORE_TYPE: types,
            LEVEL: level / level.mean(),
            COLD: np.clip((latitudes - SANTIAGO_LATITUDE) / 10, -1.2, 1.2),
            FREIGHT: (np.round((28_000 + 9_000 * distance) * rng.lognormal(0, 0.1, len(names)) / 500) * 500).astype(
                int
            ),
            MAIN_BRAND: rng.choice(list(BRANDS), len(names), p=[0.6, 0.4]),
            OPENED: opened,
        }
    )


@dataclass(frozen=True)
class StoreDemand:
    """The factor of the network's demand in each store.

    Attributes:
        affinity: shape (stores, categories); 0 where a store does not carry a category.
        by_day: shape (stores, days); 0 on days on which the store is shut.
    """

    affinity: FloatArray
    by_day: FloatArray


def store_demand(stores: pd.DataFrame, categories: pd.DataFrame, rng: np.random.Generator) -> StoreDemand:
    """Assortment and day profile of every store, from its type, brand, climate and opening days."""
    return StoreDemand(_affinity(stores, categories, rng), _by_day(stores, rng))


def _affinity(stores: pd.DataFrame, categories: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    shape = (len(stores), len(categories))
    main = stores[MAIN_BRAND].to_numpy()[:, None] == categories[c.BRAND].to_numpy()[None, :]
    main |= stores[c.STORE_TYPE].to_numpy()[:, None] == "E"
    carried = np.where(main, stores[c.STORE_TYPE].map(TYPE_RANGE).to_numpy()[:, None], OTHER_BRAND_RANGE)
    present = rng.random(shape) < carried
    cold = stores[COLD].to_numpy()[:, None]
    season = categories[SEASON].to_numpy()[None, :]
    climate = np.where(season == "winter", 1 + 0.45 * cold, np.where(season == "summer", 1 - 0.35 * cold, 1.0))
    taste = rng.lognormal(0, 0.4, shape) * np.where(main, 1.0, 0.45)
    weight = categories[WEIGHT].to_numpy()[None, :] * stores[LEVEL].to_numpy()[:, None]
    values: FloatArray = present * taste * climate * weight
    return values


def _by_day(stores: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    shape = (len(stores), DAYS)
    weekday = dates(DAYS).dayofweek.to_numpy()
    profile = np.tile(WEEKDAY_SHARE, (len(stores), 1))
    profile[stores[c.STORE_TYPE].eq("D").to_numpy(), 5:] *= 1.25
    profile /= profile.mean(axis=1, keepdims=True)
    trend = np.exp(rng.normal(0, 0.05, (len(stores), 1)) * np.arange(DAYS) / 365)
    weather = np.exp(_smooth_noise(rng, DAYS, persistence=0.7, deviation=0.07))
    values: FloatArray = profile[:, weekday] * trend * weather * rng.lognormal(-0.006, 0.11, shape)
    values[:, mandatory_holidays(DAYS)] = 0
    for number, opened in enumerate(stores[OPENED]):
        values[number, :opened] = 0
    kind, place, first, end = WORKS
    values[np.flatnonzero(stores[c.STORE_TYPE].eq(kind))[place], first:end] = 0
    return values


def _smooth_noise(rng: np.random.Generator, days: int, persistence: float, deviation: float) -> FloatArray:
    """First-order autoregressive noise of the given standard deviation."""
    from scipy.signal import lfilter

    shocks = rng.normal(0, deviation * np.sqrt(1 - persistence**2), days)
    noise: FloatArray = lfilter([1.0], [1.0, -persistence], shocks)
    return noise
