"""Rolling simulation of the weekly run: units sold against the rules that a planner applies by hand.

Usage: .venv/bin/python benchmarks/inventory/rolling.py [--stores 8,60] [--weeks 8] [--games scarce,ample,arriving]
    [--holding 0,0.02,25%] [--policies eoq,newsvendor] [--styles 6] [--sizes 6] [--seeds 1]
    [--visit-cost none,5,40] [--storage none,1.5]

A company of ``styles`` categories with ``sizes`` SKUs each is played week by week. The demand of every store, SKU and
day is drawn from a known distribution. The forecast has the truth's distribution with an error per series; the shares
of the SKUs are estimated from eight weeks of drawn sales. Store and distribution-center stock are carried from week to
week. Every Monday the product's own planning function (``tasks.inventory.weekly.optimize``) decides the targets. Each
store gets its first delivery of the plan on the planned day, and no other before the next run: that is what
``transfers.csv`` contains. Stores can have a delivery cost and a storage capacity (in weeks of demand).

The same demand is played with three rules, which deliver every Monday and fill no store beyond its capacity:

* ``cover``: fair share, equal days of cover up to ten days;
* ``quantile``: an order-up-to level of the 0.95 quantile per store and SKU, with proportional rationing;
* ``perfect``: every unit goes where it sells in this week.

Printed: units sold in the first week and in all weeks relative to the better of the first two rules, units that the
plan sends beyond the distribution center's stock, and how often an empty pair that sells at least one unit a week got
nothing while the distribution center had the SKU afterwards.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from schemas import columns as c
from schemas.plan import FloatArray
from schemas.settings import Settings
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.weekly import optimize

MONDAY = pd.Timestamp("2024-03-04")
WEEKDAYS = np.array([0.8, 0.75, 0.8, 0.95, 1.3, 1.7, 0.7])
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
WEEK = 7
# Negative binomial demand: variance = mean · (1 + mean / SIZE) per day and SKU.
SIZE = 4.0
FORECAST_ERROR = 0.15
# Opening and later stock of the distribution center, in shares of the demand of all weeks.
SUPPLY = {"scarce": (0.45, {}), "ample": (1.6, {}), "arriving": (0.15, {2: 0.25, 4: 0.25, 6: 0.2})}
MOST_COVER = 10.0
SERVICE_LEVEL = 0.95


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


Rule = Callable[[int, FloatArray, FloatArray], tuple[FloatArray, np.ndarray]]


@dataclass
class Outcome:
    """What a rule achieved.

    Attributes:
        sold: units sold per week.
        left: units in the distribution center at the end.
        beyond: planned units beyond its stock.
        left_out: empty selling pairs without a unit, although the distribution center had the SKU afterwards.
        seconds: seconds of all decisions.
    """

    sold: list[float] = field(default_factory=list)
    left: float = 0.0
    beyond: float = 0.0
    left_out: int = 0
    seconds: float = 0.0


def company(stores: int, styles: int, sizes: int, weeks: int, game: str, seed: int, storage: float = np.inf) -> Company:
    """Draw a company. Of ten stores one opens empty, and three of ten pairs have no stock.

    With a storage capacity of ``storage`` weeks of demand, no store opens above 80 % of it.
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
    return Company(
        mean=mean,
        price=draw.choice([20.0, 30.0, 45.0], styles)[style],
        style=style,
        demand=demand,
        sold_before=before,
        on_hand=on_hand,
        dc=np.floor(opening * total * uneven),
        arrivals={week: np.floor(part * total * uneven) for week, part in later.items()},
        factor=draw.lognormal(0, FORECAST_ERROR, (stores, styles)),
        capacity=capacity,
    )


def _drawn(draw: np.random.Generator, mean: FloatArray) -> FloatArray:
    return draw.negative_binomial(SIZE, SIZE / (SIZE + mean)).astype(float)


def play(made: Company, rule: Rule) -> Outcome:
    """Play all weeks.

    A rule gets the week, store stock and center stock, and returns units to send (S, K) and the day of each store's
    delivery (S,), 0 to 6; later days are not played.
    """
    stock, center = made.on_hand.copy(), made.dc.copy()
    outcome = Outcome()
    for week in range(len(made.demand)):
        center = center + made.arrivals.get(week, 0.0)
        begun = time.perf_counter()
        sent, delivered = rule(week, stock.copy(), center.copy())
        outcome.seconds += time.perf_counter() - begun
        sent = np.where((delivered < WEEK)[:, None], sent, 0.0)
        outcome.beyond += float(np.maximum(sent.sum(axis=0) - center, 0.0).sum())
        sent = _within(sent, center)
        center = center - sent.sum(axis=0)
        empty = (stock < 1) & (sent < 1) & (made.mean * WEEK >= 1) & (center >= 1)[None]
        empty &= (stock + sent).sum(axis=1, keepdims=True) < made.capacity[:, None]
        outcome.left_out += int(empty.sum())
        total = 0.0
        for day, demand in enumerate(made.demand[week]):
            stock = stock + np.where((delivered == day)[:, None], sent, 0.0)
            units = np.minimum(stock, demand)
            total += float(units.sum())
            stock = stock - units
        outcome.sold.append(total)
    outcome.left = float(center.sum())
    return outcome


def _within(sent: FloatArray, center: FloatArray) -> FloatArray:
    """What can be sent: requests beyond the center's stock are cut in proportion."""
    wanted = sent.sum(axis=0)
    share = np.minimum(1.0, np.divide(center, wanted, out=np.ones_like(center), where=wanted > 0))
    return np.where(share < 1, _proportional(sent, np.minimum(center, wanted)), sent)


def _proportional(wanted: FloatArray, center: FloatArray) -> FloatArray:
    total = wanted.sum(axis=0)
    exact = wanted * np.minimum(1.0, np.divide(center, total, out=np.ones_like(center), where=total > 0))
    whole = np.floor(exact + 1e-9)
    for k in np.flatnonzero(whole.sum(axis=0) < np.minimum(center, total)):
        order = np.argsort(-(exact - whole)[:, k], kind="stable")
        whole[order[: int(min(center[k], total[k]) - whole[:, k].sum())], k] += 1
    return np.minimum(whole, wanted)


def forecast_of_pairs(made: Company) -> FloatArray:
    """Daily units per store and SKU that a planner would expect: forecast of the category × share of the SKU."""
    styles = made.factor.shape[1]
    series = np.stack([made.mean[:, made.style == s].sum(axis=1) for s in range(styles)], axis=1) * made.factor
    sold = made.sold_before + 0.05
    whole = np.stack([sold[:, made.style == s].sum(axis=1) for s in range(styles)], axis=1)
    return series[:, made.style] * sold / whole[:, made.style]


def _stored(made: Company, stock: FloatArray, wanted: FloatArray) -> FloatArray:
    """What fits into the stores: every request of a store is cut in proportion."""
    room = np.maximum(made.capacity - stock.sum(axis=1), 0.0)
    total = wanted.sum(axis=1)
    share = np.minimum(1.0, np.divide(room, total, out=np.ones_like(total), where=total > 0))
    return np.where(share[:, None] < 1, np.floor(wanted * share[:, None]), wanted)


def by_cover(made: Company) -> Rule:
    """Fair share: unit by unit to the store with the fewest days of cover, up to ten days."""
    expected = np.maximum(forecast_of_pairs(made), 1e-9)

    def rule(_: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        sent = np.zeros_like(stock)
        room = made.capacity - stock.sum(axis=1)
        for k in range(stock.shape[1]):
            for _unit in range(int(center[k])):
                cover = np.where(room >= 1, (stock[:, k] + sent[:, k]) / expected[:, k], np.inf)
                store = int(cover.argmin())
                if cover[store] >= MOST_COVER:
                    break
                sent[store, k] += 1
                room[store] -= 1
        return sent, np.zeros(len(stock), dtype=int)

    return rule


def by_quantile(made: Company) -> Rule:
    """Order-up-to level of the 0.95 quantile of a week's demand per pair, with proportional rationing."""
    week = np.maximum(forecast_of_pairs(made) * WEEK, 1e-9)
    level = nbinom.ppf(SERVICE_LEVEL, SIZE * WEEK, SIZE * WEEK / (SIZE * WEEK + week))

    def rule(_: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        wanted = _stored(made, stock, np.maximum(level - stock, 0.0))
        return _proportional(wanted, center), np.zeros(len(stock), dtype=int)

    return rule


def with_perfect_information(made: Company) -> Rule:
    """Sends what sells this week; the rest stays in the distribution center."""

    def rule(week: int, stock: FloatArray, center: FloatArray) -> tuple[FloatArray, np.ndarray]:
        wanted = _stored(made, stock, np.maximum(made.demand[week].sum(axis=0) - stock, 0.0))
        return _within(wanted, center), np.zeros(len(stock), dtype=int)

    return rule


def by_product(made: Company, settings: dict[str, object], visit_cost: float | None = None) -> Rule:
    """The weekly run: the first delivery of every store's plan."""
    run = _settings(settings)
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


def _settings(inventory: dict[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "name": "rolling",
            "horizon": 28,
            "category": ["style"],
            "inventory": inventory,
            "sources": {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
        }
    )


def _inputs(
    made: Company, run: Settings, week: int, stock: FloatArray, center: FloatArray, visit_cost: float | None = None
) -> WeeklyInputs:
    stores, skus = made.mean.shape
    styles = made.factor.shape[1]
    as_of = MONDAY + pd.Timedelta(days=WEEK * week)
    dates = pd.date_range(as_of, periods=run.horizon)
    series = np.stack([made.mean[:, made.style == s].sum(axis=1) for s in range(styles)], axis=1) * made.factor
    mean = series[:, :, None] * WEEKDAYS[np.arange(run.horizon) % WEEK]
    sizes = np.bincount(made.style, minlength=styles)[None, :, None] * SIZE
    rows = pd.MultiIndex.from_product([_store_ids(stores), [f"style{s:02d}" for s in range(styles)], dates])
    forecast = rows.to_frame(index=False, name=[c.STORE_ID, c.CATEGORY, c.DATE]).assign(**{c.MEAN: mean.ravel()})
    for level, name in zip(LEVELS, c.quantile_columns(list(LEVELS)), strict=True):
        forecast[name] = nbinom.ppf(level, sizes, sizes / (sizes + mean)).ravel()
    backtest = forecast.head(0).assign(
        **{c.CUTOFF: pd.Series(dtype="datetime64[ns]"), c.ACTUAL: pd.Series(dtype=float)}
    )
    facts = pd.DataFrame(
        {
            c.STORE_ID: np.repeat(_store_ids(stores), skus),
            c.SKU: np.tile(_skus(skus), stores),
            c.CATEGORY: np.tile([f"style{s:02d}" for s in made.style], stores),
            c.RECENT_UNITS: made.sold_before.ravel(),
            c.TOTAL_UNITS: made.sold_before.ravel(),
            c.UNIT_PRICE: np.tile(made.price, stores),
            c.ON_HAND: stock.ravel(),
        }
    ).assign(size="", color="", collection_status="", pack_size=np.nan, min_presentation=np.nan)
    inputs = {
        "dc_stock": pd.DataFrame({c.SKU: _skus(skus), c.AVAILABLE: center}),
        "has_stock": True,
    }
    later = [
        pd.DataFrame({c.SKU: _skus(skus), c.DATE: MONDAY + pd.Timedelta(days=WEEK * at), c.QUANTITY: units})
        for at, units in made.arrivals.items()
        if at > week
    ]
    if later and "dc_inbound" in WeeklyInputs.__dataclass_fields__:
        inputs["dc_inbound"] = pd.concat(later, ignore_index=True)
    table = pd.DataFrame({c.STORE_ID: _store_ids(stores), c.STORAGE_CAPACITY: made.capacity})
    if visit_cost is not None:
        table[c.VISIT_COST] = visit_cost
    return WeeklyInputs(
        forecast,
        backtest,
        facts,
        table,
        run,
        **inputs,  # type: ignore[arg-type]
    )


def games(made: Company, settings: dict[str, object], visit_cost: float | None = None) -> dict[str, Outcome]:
    """Play a company with the product and with every rule."""
    return {
        "product": play(made, by_product(made, settings, visit_cost)),
        "cover": play(made, by_cover(made)),
        "quantile": play(made, by_quantile(made)),
        "perfect": play(made, with_perfect_information(made)),
    }


def relative(found: dict[str, Outcome]) -> tuple[float, float]:
    """Units of the product in the first week and in all weeks, relative to the better of the two planners' rules."""
    first = max(found[name].sold[0] for name in ("cover", "quantile"))
    total = max(sum(found[name].sold) for name in ("cover", "quantile"))
    return found["product"].sold[0] / max(first, 1.0), sum(found["product"].sold) / max(total, 1.0)


def _held(text: str) -> dict[str, object]:
    """The setting of a holding cost: per unit and day, or with ``%`` per year as a share of the price."""
    if text.endswith("%"):
        return {"holding_cost_per_year": float(text[:-1]) / 100}
    return {"holding_cost": float(text)}


def main() -> None:
    """Play the chosen games and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", default="8,60")
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--games", default=",".join(SUPPLY))
    parser.add_argument("--holding", default="0,0.02")
    parser.add_argument("--policies", default="")
    parser.add_argument("--styles", type=int, default=6)
    parser.add_argument("--sizes", type=int, default=6)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--visit-cost", default="none")
    parser.add_argument("--storage", default="none")
    args = parser.parse_args()
    print(
        "game        stores holding delivery storage seed  week 1   total  perfect 1 / all  left in DC  beyond  "
        "left out  s / week"
    )
    choices = [args.stores, args.games, args.holding, args.visit_cost, args.storage, args.seeds]
    for stores, game, holding, cost, storage, seed in product(*(choice.split(",") for choice in choices)):
        weeks_stored = np.inf if storage == "none" else float(storage)
        made = company(int(stores), args.styles, args.sizes, args.weeks, game, int(seed), weeks_stored)
        settings = _held(holding)
        if args.policies:
            settings["policies"] = args.policies.split(",")
        found = games(made, settings, None if cost == "none" else float(cost))
        first, total = relative(found)
        own, best = found["product"], found["perfect"]
        print(
            f"{game:11} {stores:>6} {holding:>7} {cost:>8} {storage:>7} {seed:>4} {first:7.3f} {total:7.3f} "
            f"{own.sold[0] / best.sold[0]:8.3f} / {sum(own.sold) / sum(best.sold):.3f} "
            f"{own.left:11.0f} {own.beyond:7.0f} {own.left_out:9} {own.seconds / args.weeks:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
