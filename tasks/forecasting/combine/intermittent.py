"""Means of intermittent series: the rate of the series, because quantiles of 0 do not show how rare sales are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, Panel
from tasks.forecasting.baselines import open_demand
from tasks.forecasting.last_season import SeasonRule


@dataclass(frozen=True)
class IntermittentRule:
    """The numbers of the rates of intermittent series (docs/reference/constants.md).

    Attributes:
        most_sold: a series is intermittent if it sold in at most this fraction of its known open periods of a year.
        ended: chance that a sale was the last one.
        prior_sales: weight of the mean rate of all intermittent series, in sales.
        fewest_periods: known open periods that a rate needs.
        fewest_sales: from this number of sales in a year on, sales within a few weeks are a season.
    """

    most_sold: float = 0.2
    ended: float = 0.01
    prior_sales: float = 0.5
    fewest_periods: int = 8
    fewest_sales: int = 5


RULE = IntermittentRule()
# Limit of an exponent: beyond it a series has ended in any case.
LARGEST_EXPONENT = 50.0


def intermittent_rates(panel: Panel) -> FloatArray:
    """Expected units per open period of every intermittent series, shape (n,); NaN for the other series.

    rate = units per sale * (sales + k) / (periods + k / r) / (1 + p / (1 - p) * exp(sales per period * silence))

    Sales are the periods of the last year with a sale, r is the mean of all intermittent series, k and p are
    ``prior_sales`` and ``ended``. A series that begins within the year begins with a sale, which does not count. The
    last factor is the chance that the series continues after a silence of some periods, if a sale is the last one with
    the chance p (Fader, Hardie and Lee 2005, section 4, with known parameters). A series that sells most of its year in
    a few weeks has a season and is not intermittent.

    Example: one unit every 25 days, the last one 10 days ago: 0.04 * 0.985. After 125 days without a sale: 0.04 * 0.40.
    """
    year = panel.frequency.periods_per_year
    demand = open_demand(panel)[:, -year:]
    known = np.isfinite(demand)
    units = np.where(known, demand, 0.0)
    sold = units > 0
    sales, periods = sold.sum(axis=1).astype(np.float64), known.sum(axis=1).astype(np.float64)
    chosen = (sales > 0) & (sales <= RULE.most_sold * periods) & (periods >= RULE.fewest_periods)
    if panel.history >= year:
        chosen &= ~((sales >= RULE.fewest_sales) & _in_season(units, panel.frequency.kind))
    found = np.full(panel.n, np.nan)
    if not chosen.any():
        return found
    size = units.sum(axis=1) / np.maximum(sales, 1.0)
    begins = _begins_within(panel, demand.shape[1])
    counted, watched = sales - begins, periods - begins
    mean = max(counted[chosen].sum(), RULE.prior_sales) / watched[chosen].sum()
    rate = (counted + RULE.prior_sales) / (watched + RULE.prior_sales / mean)
    last = demand.shape[1] - 1 - sold[:, ::-1].argmax(axis=1)
    silence = (known & (np.arange(demand.shape[1]) > last[:, None])).sum(axis=1)
    odds = RULE.ended / (1.0 - RULE.ended) * np.exp(np.minimum(rate * silence, LARGEST_EXPONENT))
    found[chosen] = (size * rate / (1.0 + odds))[chosen]
    return found


def _begins_within(panel: Panel, width: int) -> BoolArray:
    """Series whose first known period of all lies within the last ``width`` periods and has a sale, shape (n,)."""
    known = np.isfinite(panel.demand)
    first = known.argmax(axis=1)
    begins: BoolArray = (first >= panel.history - width) & (panel.demand[np.arange(panel.n), first] > 0)
    return begins


def _in_season(units: FloatArray, kind: str) -> BoolArray:
    """Series of which a few weeks in a row hold most of a year's units; the year's end and start are neighbors."""
    rule = SeasonRule()
    size = rule.longest[kind]
    running = np.cumsum(np.concatenate([np.zeros((len(units), 1)), units, units[:, : size - 1]], axis=1), axis=1)
    best: BoolArray = (running[:, size:] - running[:, :-size]).max(axis=1) >= rule.share * units.sum(axis=1)
    return best
