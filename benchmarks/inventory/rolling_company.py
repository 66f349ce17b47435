"""A company with a known demand distribution, for the rolling simulation (``rolling.py``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas.plan import FloatArray

MONDAY = pd.Timestamp("2024-03-04")
WEEK = 7
WEEKDAYS = np.array([0.8, 0.75, 0.8, 0.95, 1.3, 1.7, 0.7])
# Negative binomial demand: variance = mean · (1 + mean / SIZE) per day and SKU.
SIZE = 4.0
FORECAST_ERROR = 0.15
# A SKU with fewer units a day and store is slow.
SLOW = 0.12
# Stock of the distribution center as shares of the demand of all weeks: the opening stock, and arrivals by week.
SUPPLY = {"scarce": (0.45, {}), "ample": (1.6, {}), "arriving": (0.15, {2: 0.25, 4: 0.25, 6: 0.2})}


@dataclass(frozen=True)
class Company:
    """The truth about a company, by store and SKU.

    Attributes:
        mean: shape (S, K), expected daily units.
        price: shape (K,).
        style: shape (K,), index of the category.
        demand: shape (weeks, 7, S, K), units.
        sold_before: shape (S, K), units sold in the eight weeks before.
        on_hand: shape (S, K), opening stock.
        dc: shape (K,), opening stock of the distribution center.
        arrivals: week to units (K,) that arrive before it.
        factor: shape (S, categories), error of the forecast.
        capacity: shape (S,), units; inf = unlimited.
        pack: shape (K,), units in a pack.
    """

    mean: FloatArray
    price: FloatArray
    style: np.ndarray
    demand: FloatArray
    sold_before: FloatArray
    on_hand: FloatArray
    dc: FloatArray
    arrivals: dict[int, FloatArray]
    factor: FloatArray
    capacity: FloatArray
    pack: FloatArray

    @property
    def series_forecast(self) -> FloatArray:
        """Forecast of the expected daily units by store and category, shape (S, categories)."""
        return self.by_style(self.mean) * self.factor

    @property
    def pair_forecast(self) -> FloatArray:
        """Forecast of the expected daily units by store and SKU, shape (S, K), which the planner's rules use.

        It is the forecast of the category times the SKU's share of the units sold in the eight weeks before.
        """
        sold = self.sold_before + 0.05
        return self.series_forecast[:, self.style] * sold / self.by_style(sold)[:, self.style]

    def by_style(self, units: FloatArray) -> FloatArray:
        """Sum units (S, K) to categories, shape (S, categories)."""
        styles = self.factor.shape[1]
        return np.stack([units[:, self.style == s].sum(axis=1) for s in range(styles)], axis=1)


def company(
    stores: int,
    styles: int,
    sizes: int,
    weeks: int,
    game: str,
    seed: int,
    storage: float = np.inf,
    packs: tuple[int, ...] = (1,),
) -> Company:
    """Draw a company. Of ten stores one opens empty, and three of ten pairs have no stock.

    With a storage capacity of ``storage`` weeks of demand, no store opens above 80 % of it. Every SKU has one of the
    pack sizes ``packs``; slow SKUs have 1.
    """
    draw = np.random.default_rng([seed, stores, styles, sizes])
    skus = styles * sizes
    style = np.repeat(np.arange(styles), sizes)
    popular = draw.lognormal(-1.6, 0.9, styles)[style] * draw.dirichlet(np.full(sizes, 4.0), styles).ravel() * sizes
    mean = draw.lognormal(0, 0.5, stores)[:, None] * popular[None] * draw.lognormal(0, 0.3, (stores, skus))
    daily = mean[None, None] * WEEKDAYS[:, None, None]
    demand = _drawn(draw, np.broadcast_to(daily, (weeks, WEEK, stores, skus)))
    before = _drawn(draw, np.broadcast_to(daily, (8, WEEK, stores, skus))).sum(axis=(0, 1))
    on_hand = np.floor(mean * WEEK * draw.uniform(0, 2, mean.shape)) * (draw.random(mean.shape) > 0.3)
    on_hand[draw.random(stores) < 0.1] = 0.0
    capacity = np.ceil(mean.sum(axis=1) * WEEK * storage)
    most = np.divide(0.8 * capacity, on_hand.sum(axis=1), out=np.ones(stores), where=on_hand.sum(axis=1) > 0)
    on_hand = np.floor(on_hand * np.minimum(most, 1.0)[:, None])
    total = mean.sum(axis=0) * WEEK * weeks
    opening, later = SUPPLY[game]
    uneven = draw.uniform(0.6, 1.4, skus)
    pack = np.where(mean.mean(axis=0) < SLOW, 1.0, np.random.default_rng(seed).choice(packs, skus))
    return Company(
        mean=mean,
        price=draw.choice([20.0, 30.0, 45.0], styles)[style],
        style=style,
        demand=demand,
        sold_before=before,
        on_hand=on_hand,
        dc=np.floor(opening * total * uneven / pack) * pack,
        arrivals={week: np.floor(part * total * uneven / pack) * pack for week, part in later.items()},
        factor=draw.lognormal(0, FORECAST_ERROR, (stores, styles)),
        capacity=capacity,
        pack=pack,
    )


def _drawn(draw: np.random.Generator, mean: FloatArray) -> FloatArray:
    return draw.negative_binomial(SIZE, SIZE / (SIZE + mean)).astype(float)
