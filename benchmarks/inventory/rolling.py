"""Rolling simulation of the weekly run: units sold against the rules that a planner applies by hand.

Usage: .venv/bin/python benchmarks/inventory/rolling.py [--stores 8,60] [--weeks 8] [--games scarce,ample,arriving]
    [--holding 0,0.02,25%] [--policies eoq,newsvendor] [--styles 6] [--sizes 6] [--seeds 1]
    [--visit-cost none,5,40] [--storage none,1.5] [--packs 1,1,1,6,6,12]

A company of ``styles`` categories with ``sizes`` SKUs each is played week by week. The demand of every store, SKU and
day is drawn from a known distribution. The forecast has the truth's distribution with an error per series; the shares
of the SKUs are estimated from eight weeks of drawn sales. Store and distribution-center stock are carried from week to
week. Every Monday the product's own planning function (``tasks.inventory.weekly.optimize``) decides the targets. Each
store gets its first delivery of the plan on the planned day, and no other before the next run: that is what
``transfers.csv`` contains. Stores can have a delivery cost and a storage capacity (in weeks of demand).

``--packs`` gives every SKU one of several pack sizes. The same demand is played with three other rules, which deliver
every Monday, round what a pair needs up to whole packs, and fill no store beyond its capacity:

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
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from rolling_company import SUPPLY, WEEK, Company, company
from rolling_rules import Rule, by_cover, by_product, by_quantile, rationed, with_perfect_information


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


def play(made: Company, rule: Rule) -> Outcome:
    """Play all weeks. Units beyond the stock of the distribution center are cut in proportion."""
    stock, center = made.on_hand.copy(), made.dc.copy()
    outcome = Outcome()
    for week in range(len(made.demand)):
        center = center + made.arrivals.get(week, 0.0)
        begun = time.perf_counter()
        sent, delivered = rule(week, stock.copy(), center.copy())
        outcome.seconds += time.perf_counter() - begun
        sent = np.where((delivered < WEEK)[:, None], sent, 0.0)
        outcome.beyond += float(np.maximum(sent.sum(axis=0) - center, 0.0).sum())
        sent = rationed(sent, center, made.pack)
        center = center - sent.sum(axis=0)
        empty = (stock < 1) & (sent < 1) & (made.mean * WEEK >= 1) & (center >= made.pack)[None]
        empty &= (stock + sent).sum(axis=1, keepdims=True) + made.pack <= made.capacity[:, None]
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
    parser.add_argument("--packs", default="1")
    args = parser.parse_args()
    print(
        "game        stores holding delivery storage seed  week 1   total  perfect 1 / all  left in DC  beyond  "
        "left out  s / week"
    )
    choices = [args.stores, args.games, args.holding, args.visit_cost, args.storage, args.seeds]
    for stores, game, holding, cost, storage, seed in product(*(choice.split(",") for choice in choices)):
        weeks_stored = np.inf if storage == "none" else float(storage)
        packs = tuple(int(size) for size in args.packs.split(","))
        made = company(int(stores), args.styles, args.sizes, args.weeks, game, int(seed), weeks_stored, packs)
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
