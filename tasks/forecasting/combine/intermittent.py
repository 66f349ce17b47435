"""Means of intermittent series: rate and season, because quantiles do not show how rare sales are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
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

    most_sold: float = 0.4
    ended: float = 0.01
    prior_sales: float = 0.5
    fewest_periods: int = 8
    fewest_sales: int = 5


RULE = IntermittentRule()
# A known feature whose name begins so says whether a period is promoted: the promotions table's, or the user's own.
PROMOTION = "promo"
# Limit of an exponent: beyond it a series has ended in any case.
LARGEST_EXPONENT = 50.0
# Periods on each side of a period of last year whose sales are its season's.
AROUND = {"D": 14, "W": 2, "MS": 0}
WEEK = 7


def intermittent_means(panel: Panel) -> FloatArray:
    """Expected units of every intermittent series in each open period of the horizon, shape (n, H); NaN for the others.

    mean = units per sale * rate * season * uplift / (1 + p / (1 - p) * exp(rate * silence))
    rate = (sales + k) / (periods + k / r)

    Sales are the periods of the last year with a sale, without promoted ones; r is the mean of all intermittent series,
    k and p are ``prior_sales`` and ``ended``. The season is that of last year (:func:`_season`), the uplift that of
    promoted periods (:func:`_ratios`); periods and silence are sums of the seasons of the known periods. A series that
    begins within the year begins with a sale, which does not count. The last factor is the chance that the series
    continues after a silence, if a sale is the last one with the chance p (Fader, Hardie and Lee 2005, section 4, with
    known parameters). A series that sells most of its year in a few weeks has its own season and is not intermittent.

    Example without a season: one unit every 25 days, the last one 10 days ago: 0.04 * 0.985. After 125 days without a
    sale: 0.04 * 0.40.
    """
    year = panel.frequency.periods_per_year
    past, on = open_demand(panel), promoted(panel)
    demand = past[:, -year:]
    width = demand.shape[1]
    known = np.isfinite(demand) & ~on[:, panel.history - width : panel.history]
    units = np.where(known, demand, 0.0)
    sales, periods = (units > 0).sum(axis=1), known.sum(axis=1)
    chosen = (sales > 0) & (sales <= RULE.most_sold * periods) & (periods >= RULE.fewest_periods)
    if panel.history >= year:
        chosen &= ~((sales >= RULE.fewest_sales) & _in_season(units, panel.frequency.kind))
    found = np.full((panel.n, panel.horizon), np.nan)
    at = np.flatnonzero(chosen)
    if not len(at):
        return found
    past, on, demand, known, units = past[at], on[at], demand[at], known[at], units[at]
    sold, counted, size = units > 0, sales[at].astype(np.float64), units.sum(axis=1) / sales[at]
    category = np.unique(panel.series[c.CATEGORY].astype(str).to_numpy()[at], return_inverse=True)[1]
    before = np.where(on[:, : panel.history], np.nan, past)[:, -2 * year : -year]
    growth = _growth(np.where(known, demand, np.nan), before, category)
    season = _season(panel, sold, known, category, growth)[category]
    exposed = np.where(known, season[:, :width], 0.0)
    begins = _begins_within(panel, width)[at] & (known & sold)[np.arange(len(at)), np.isfinite(demand).argmax(axis=1)]
    first = exposed[np.arange(len(at)), known.argmax(axis=1)]
    counted, watched = counted - begins, exposed.sum(axis=1) - begins * first
    mean = max(counted.sum(), RULE.prior_sales) / watched.sum()
    rate = (counted + RULE.prior_sales) / (watched + RULE.prior_sales / mean)
    last = width - 1 - sold[:, ::-1].argmax(axis=1)
    silence = np.where(np.arange(width) > last[:, None], exposed, 0.0).sum(axis=1)
    odds = RULE.ended / (1.0 - RULE.ended) * np.exp(np.minimum(rate * silence, LARGEST_EXPONENT))
    cells = np.isfinite(demand) & on[:, panel.history - width : panel.history]
    promoted_sales, usual = (np.where(cells, values, 0.0).sum(axis=1) for values in (demand, season[:, :width]))
    uplift = _ratios(promoted_sales / size, rate * usual, category)[category]
    ahead = season[:, width:] * np.where(on[:, panel.history :], uplift[:, None], 1.0)
    found[at] = (size * rate / (1.0 + odds))[:, None] * ahead
    return found


def _growth(units: FloatArray, earlier: FloatArray, category: IndexArray) -> FloatArray:
    """Sales of the last year relative to the year before, in the periods known in both, by category.

    Args:
        units: shape (n, w), the last year; NaN = unknown.
        earlier: shape (n, v), the year before, or its known end.
        category: shape (n,), number of the category.
    """
    units = units[:, units.shape[1] - earlier.shape[1] :]
    both = np.isfinite(units) & np.isfinite(earlier)
    now, before = ((both & (values > 0)).sum(axis=1) for values in (units, earlier))
    return _ratios(now.astype(np.float64), before.astype(np.float64), category)


def _ratios(sales: FloatArray, expected: FloatArray, category: IndexArray) -> FloatArray:
    """Sales of series relative to the expected ones, by category (:func:`_shared`)."""
    own, base = (np.bincount(category, values).astype(np.float64) for values in (sales, expected))
    return _shared(own[:, None], base[:, None])[:, 0]


def promoted(panel: Panel) -> BoolArray:
    """Whether each period of each series is promoted according to a known future covariate, shape (n, T + H)."""
    found: BoolArray = np.zeros((panel.n, len(panel.periods)), dtype=bool)
    for name, feature in panel.known.items():
        if name.startswith(PROMOTION):
            found |= (feature.values > 0)[feature.row_of_series]
    return found


def _season(panel: Panel, sold: BoolArray, known: BoolArray, category: IndexArray, growth: FloatArray) -> FloatArray:
    """Sales of each period of the last year and of the horizon relative to the mean of the year, by category.

    The sales of last year's weeks around a period, summed over the series of a category, relative to those of the same
    rates growing evenly all year; 1 if less than a year is known. Days are multiplied by the ratio of their weekday.

    Args:
        panel: for its periods.
        sold: shape (n, w), periods of the last year with a sale.
        known: shape (n, w).
        category: shape (n,), number of the category.
        growth: shape (categories,), sales relative to the year before.

    Returns:
        Shape (categories, w + H).
    """
    year, kind, width = panel.frequency.periods_per_year, panel.frequency.kind, sold.shape[1]
    rate = sold.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    sales, expected = (np.zeros((len(growth), width)) for _ in range(2))
    np.add.at(sales, category, sold)
    np.add.at(expected, category, known * rate[:, None])
    found = np.ones((len(growth), width + panel.horizon))
    if width == year:
        even = expected * growth[:, None] ** (np.arange(year) / year - 0.5)
        found = _shared(_around(sales, kind), _around(even, kind))[:, np.arange(width + panel.horizon) % year]
    if kind == "D":
        weekday = np.asarray(panel.periods[panel.history - width :].dayofweek)
        same = weekday[:width, None] == np.arange(WEEK)
        found = found * _shared(sales @ same, (expected * found[:, :width]) @ same)[:, weekday]
    return found


def _shared(sales: FloatArray, expected: FloatArray) -> FloatArray:
    """Sales of categories relative to the expected ones, shape (categories, k) like both.

    Shrunk toward those of all categories, and these toward 1 (:func:`_credible`).
    """
    of_all = _credible(sales.sum(axis=0), expected.sum(axis=0))
    found: FloatArray = of_all * _credible(sales, expected * of_all)
    return found


def _credible(sales: FloatArray, expected: FloatArray) -> FloatArray:
    """Sales relative to the expected ones, shrunk toward 1: (sales + k) / (expected + k).

    Poisson-gamma credibility (Buhlmann and Gisler 2005, chapter 2): 1 / k is the variance of the ratio beyond that of
    Poisson counts, by moments.

    >>> _credible(np.array([40.0, 10.0]), np.array([20.0, 20.0])).round(2).tolist()
    [1.92, 0.54]
    """
    variance = (np.square(sales - expected) - expected).sum() / np.maximum(np.square(expected).sum(), 1.0)
    weight = max(float(variance), 0.0)
    found: FloatArray = (weight * sales + 1.0) / (weight * expected + 1.0)
    return found


def _around(values: FloatArray, kind: str) -> FloatArray:
    """Sums over the periods around each period of the year; the year's end and start are neighbors."""
    size = AROUND[kind]
    padded = np.concatenate([values[:, values.shape[1] - size :], values, values[:, :size]], axis=1)
    found: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, 2 * size + 1, axis=1).sum(axis=2)
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
