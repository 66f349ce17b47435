"""Expected sale lines and prices per style and day: season, events, life cycle and markdowns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.catalog import AUDIENCE, FULL_PRICE_DAYS, LAUNCH, SEASON, TIMELESS, WEIGHT
from tasks.demo.timeline import DAYS, PLANNED_DAYS, SEASONS, dates, event_factors, event_spans

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ELASTICITY = 1.5
# Life phases of a style, in this order; a timeless style stays in the first.
STATES = ("Temporada", "Liquidación", "No Colección", "Saldo")
CLEARANCE_DAYS = 91
OUT_OF_COLLECTION_DAYS = 150
# How strongly a style sells in each phase, by the kind of store (see ``STORE_GROUPS``).
PHASE_PULL = {
    "regular": (1.0, 0.55, 0.0, 0.0),
    "prime": (1.0, 0.25, 0.0, 0.0),
    "outlet": (0.15, 0.6, 1.0, 0.35),
}
STORE_GROUPS = tuple(PHASE_PULL)
BEFORE_LAUNCH = -1


def store_group(store_type: str) -> int:
    """Index into ``STORE_GROUPS``: A stores drop clearance soon, D stores are outlets."""
    return {"A": 1, "D": 2}.get(store_type, 0)


def phases(styles: pd.DataFrame, days: int) -> IntArray:
    """Life phase of every style on every day, shape (styles, days).

    Returns:
        Index into ``STATES``; ``BEFORE_LAUNCH`` (-1) before the launch.
    """
    age = np.arange(days)[None, :] - styles[LAUNCH].to_numpy()[:, None]
    full = styles[FULL_PRICE_DAYS].to_numpy()[:, None]
    phase = np.where(age >= full, 1, 0)
    phase += age >= full + CLEARANCE_DAYS
    phase += age >= full + CLEARANCE_DAYS + OUT_OF_COLLECTION_DAYS
    phase[styles[TIMELESS].to_numpy()] = 0
    return np.where(age < 0, BEFORE_LAUNCH, phase)


def discounts(styles: pd.DataFrame, phase: IntArray) -> FloatArray:
    """Price cut of every style on every planned day, as a fraction in steps of 0.05.

    Clearance starts at 30 % and goes to 50 %, out-of-collection goods are cut by 60 %, remnants by
    70 %; sales events cut what is in season.
    """
    days = phase.shape[1]
    age = np.arange(days)[None, :] - styles[LAUNCH].to_numpy()[:, None]
    late = age >= styles[FULL_PRICE_DAYS].to_numpy()[:, None] + CLEARANCE_DAYS // 2
    cut = np.select([phase == 1, phase == 2, phase == 3], [np.where(late, 0.5, 0.3), 0.6, 0.7], 0.0)  # noqa: PLR2004
    for event, first, end in event_spans():
        if event.discount:
            cut[:, first:end][phase[:, first:end] == 0] = event.discount
    return cut


@dataclass(frozen=True)
class Rates:
    """Expected demand and prices of the styles.

    Attributes:
        demand: shape (store groups, styles, days); relative, before store factors.
        discount: shape (styles, planned days); fraction off the list price.
        phase: shape (styles, planned days); see :func:`phases`.
    """

    demand: FloatArray
    discount: FloatArray
    phase: IntArray


def style_rates(categories: pd.DataFrame, styles: pd.DataFrame, rng: np.random.Generator) -> Rates:
    """Demand of every style and day: category demand, split over the styles that are sold on that day."""
    phase = phases(styles, PLANNED_DAYS)
    discount = discounts(styles, phase)
    demand = _category_demand(categories, rng)
    owner = styles[c.CATEGORY].to_numpy()
    uplift = (1 - discount[:, :DAYS]) ** -ELASTICITY
    alive = phase[:, :DAYS]
    by_group = []
    for group in STORE_GROUPS:
        # The last entry answers BEFORE_LAUNCH.
        pull = np.array([*PHASE_PULL[group], 0.0])[alive] * styles[WEIGHT].to_numpy()[:, None]
        total = np.zeros((len(categories), DAYS))
        np.add.at(total, owner, pull)
        share = np.divide(pull, total[owner], out=np.zeros_like(pull), where=total[owner] > 0)
        # A category with few styles on display sells less than its demand.
        fullness = np.minimum(total, 1.0)[owner]
        by_group.append(demand[owner] * share * fullness * uplift)
    return Rates(np.stack(by_group), discount, phase)


def _category_demand(categories: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """Network demand per category and day: season (its height and date differ by year), trend, events."""
    labels = dates(DAYS)
    years = labels.year.to_numpy()
    events = event_factors(DAYS)
    trend = np.exp(rng.normal(0.02, 0.08, (len(categories), 1)) * np.arange(DAYS) / 365)
    demand = np.empty((len(categories), DAYS))
    for index, (season, audience) in enumerate(zip(categories[SEASON], categories[AUDIENCE], strict=True)):
        for year in np.unique(years):
            height, shift = float(rng.lognormal(0, 0.08)), float(rng.normal(0, 4))
            curve = SEASONS[season].curve(labels, shift) * height
            demand[index] = np.where(years == year, curve, demand[index])
        demand[index] *= events[audience]
    values: FloatArray = demand * trend
    return values


def promotion_table(skus: pd.DataFrame, style_of_sku: IntArray, list_price: FloatArray, rates: Rates) -> pd.DataFrame:
    """Every planned price cut as one row per SKU and stretch of equal discount.

    Returns:
        sku, date_from, date_to (both included), price (net CLP) and discount (fraction).
    """
    changes = np.diff(rates.discount, axis=1, prepend=-1) != 0
    style, start = np.nonzero(changes)
    same = np.append(style[1:] == style[:-1], False)
    end = np.where(same, np.append(start[1:], 0), PLANNED_DAYS) - 1
    cut = rates.discount[style, start]
    spans = pd.DataFrame({"a": style, c.DATE_FROM: start, c.DATE_TO: end, c.DISCOUNT: cut})[cut > 0]
    rows = pd.DataFrame({c.SKU: skus[c.SKU].to_numpy(), "a": style_of_sku}).merge(spans, on="a")
    rows = rows[rows[c.DATE_TO] >= 0]
    price = np.round(list_price[rows["a"].to_numpy()] * (1 - rows[c.DISCOUNT].to_numpy())).astype(int)
    labels = dates()
    return pd.DataFrame(
        {
            c.SKU: rows[c.SKU].to_numpy(),
            c.DATE_FROM: labels[rows[c.DATE_FROM].to_numpy()],
            c.DATE_TO: labels[rows[c.DATE_TO].to_numpy()],
            c.PRICE: price,
            c.DISCOUNT: rows[c.DISCOUNT].to_numpy(),
        }
    )
