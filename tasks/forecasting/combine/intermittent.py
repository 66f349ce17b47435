"""Means of intermittent series: rate and season, because quantiles do not show how rare sales are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.forecasting.baselines import open_demand_in_blocks
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
    found = np.full((panel.n, panel.horizon), np.nan)
    category = np.unique(panel.series[c.CATEGORY].astype(str), return_inverse=True)[1]
    past = _Past.of(panel, category) if panel.history else None
    if past is None or not past.chosen.any():
        return found
    season = _season(panel, past, _ratios(past.now, past.before, category))
    watched, silence, promoted_sales, usual = (np.zeros(panel.n) for _ in range(4))
    on_ahead = np.zeros(found.shape, dtype=bool)
    for block in _blocks(panel):
        at = np.flatnonzero(past.chosen[block.series])
        rows = block.series.start + at
        demand, known, width = block.demand[at], block.known[at], block.demand.shape[1]
        of_season = season[category[rows]]
        exposed = np.where(known, of_season[:, :width], 0.0)
        first = exposed[np.arange(len(at)), known.argmax(axis=1)]
        watched[rows] = exposed.sum(axis=1) - past.begins[rows] * first
        last = width - 1 - (known & (demand > 0))[:, ::-1].argmax(axis=1)
        silence[rows] = np.where(np.arange(width) > last[:, None], exposed, 0.0).sum(axis=1)
        cells = np.isfinite(demand) & block.on[at, :width]
        promoted_sales[rows] = np.where(cells, demand, 0.0).sum(axis=1) / past.size[rows]
        usual[rows] = np.where(cells, of_season[:, :width], 0.0).sum(axis=1)
        found[rows], on_ahead[rows] = of_season[:, width:], block.on[at, width:]
    counted = past.sales - past.begins
    mean = max(counted[past.chosen].sum(), RULE.prior_sales) / watched[past.chosen].sum()
    rate = (counted + RULE.prior_sales) / (watched + RULE.prior_sales / mean)
    odds = RULE.ended / (1.0 - RULE.ended) * np.exp(np.minimum(rate * silence, LARGEST_EXPONENT))
    uplift = _ratios(promoted_sales, np.where(past.chosen, rate * usual, 0.0), category)[category]
    return found * (past.size * rate / (1.0 + odds))[:, None] * np.where(on_ahead, uplift[:, None], 1.0)


@dataclass(frozen=True)
class _Block:
    """What is known of some consecutive series.

    Attributes:
        series: their positions, m series.
        demand: shape (m, w), open periods of the last year; NaN = unknown.
        before: shape (m, v), the same of the year before, without promoted periods.
        on: shape (m, w + H), promoted periods of the last year and of the horizon.
        begins: shape (m,), the first known period of the series lies in the last year, and has a sale.
    """

    series: slice
    demand: FloatArray
    before: FloatArray
    on: BoolArray
    begins: BoolArray

    @property
    def known(self) -> BoolArray:
        """Known periods without a promotion, shape (m, w)."""
        found: BoolArray = np.isfinite(self.demand) & ~self.on[:, : self.demand.shape[1]]
        return found


def _blocks(panel: Panel) -> Iterator[_Block]:
    """Blocks of series, one after another."""
    year, history = panel.frequency.periods_per_year, panel.history
    for series, past in open_demand_in_blocks(panel):
        on = _promoted(panel, series)
        before = np.where(on[:, :history], np.nan, past)[:, -2 * year : -year]
        demand, on = past[:, -year:], on[:, max(0, history - year) :]
        own = panel.demand[series]
        first = np.isfinite(own).argmax(axis=1)
        begins = (first >= history - year) & (own[np.arange(len(own)), first] > 0)
        begins &= ~on[np.arange(len(own)), np.isfinite(demand).argmax(axis=1)]
        yield _Block(series, demand, before, on, begins)


@dataclass(frozen=True)
class _Past:
    """What the intermittent series sold in the last year, without promoted periods; 0 for the other series.

    Attributes:
        chosen: shape (n,), the intermittent series.
        sales: shape (n,), periods with a sale.
        size: shape (n,), units per sale; 1 for the other series.
        begins: shape (n,), the series begins with one of the sales.
        now, before: shape (n,), sales of the last year and of the year before in the periods known in both.
        sold: shape (categories, w), sales of each period.
        expected: shape (categories, w), the same if every series sold evenly.
    """

    chosen: BoolArray
    sales: FloatArray
    size: FloatArray
    begins: BoolArray
    now: FloatArray
    before: FloatArray
    sold: FloatArray
    expected: FloatArray

    @classmethod
    def of(cls, panel: Panel, category: IndexArray) -> _Past:
        """Read the panel's history."""
        year, count_of = panel.frequency.periods_per_year, int(category.max()) + 1
        chosen, begins = (np.zeros(panel.n, dtype=bool) for _ in range(2))
        sales, size, now, before = np.zeros(panel.n), np.ones(panel.n), np.zeros(panel.n), np.zeros(panel.n)
        sold_of, expected_of = (np.zeros((count_of, min(year, panel.history))) for _ in range(2))
        for block in _blocks(panel):
            known = block.known
            units = np.where(known, block.demand, 0.0)
            count, periods = (units > 0).sum(axis=1), known.sum(axis=1)
            own = (count > 0) & (count <= RULE.most_sold * periods) & (periods >= RULE.fewest_periods)
            if panel.history >= year:
                own &= ~((count >= RULE.fewest_sales) & _in_season(units, panel.frequency.kind))
            at = np.flatnonzero(own)
            if not len(at):
                continue
            rows = block.series.start + at
            sold, known = units[at] > 0, known[at]
            chosen[rows], begins[rows] = True, block.begins[at]
            sales[rows], size[rows] = count[at], units[at].sum(axis=1) / count[at]
            both = np.isfinite(block.before[at]) & known[:, known.shape[1] - block.before.shape[1] :]
            now[rows] = (both & sold[:, sold.shape[1] - block.before.shape[1] :]).sum(axis=1)
            before[rows] = (both & (block.before[at] > 0)).sum(axis=1)
            order = np.argsort(category[rows], kind="stable")
            of, first = np.unique(category[rows][order], return_index=True)
            rate = (count[at] / periods[at])[:, None]
            sold_of[of] += np.add.reduceat(sold[order].astype(np.float64), first, axis=0)
            expected_of[of] += np.add.reduceat((known * rate)[order], first, axis=0)
        return cls(chosen, sales, size, begins, now, before, sold_of, expected_of)


def _ratios(sales: FloatArray, expected: FloatArray, category: IndexArray) -> FloatArray:
    """Sales of series relative to the expected ones, by category (:func:`_shared`)."""
    own, base = (np.bincount(category, values).astype(np.float64) for values in (sales, expected))
    return _shared(own[:, None], base[:, None])[:, 0]


def _promoted(panel: Panel, series: slice) -> BoolArray:
    """Whether each period of some series is promoted according to a known future covariate, shape (m, T + H)."""
    found: BoolArray = np.zeros((len(panel.closed[series]), len(panel.periods)), dtype=bool)
    for name, feature in panel.known.items():
        if name.startswith(PROMOTION):
            found |= feature.values[feature.row_of_series[series]] > 0
    return found


def _season(panel: Panel, past: _Past, growth: FloatArray) -> FloatArray:
    """Sales of each period of the last year and of the horizon relative to the mean of the year, by category.

    The sales of last year's weeks around a period, summed over the series of a category, relative to those of the same
    rates growing evenly all year; 1 if less than a year is known. Days are multiplied by the ratio of their weekday.

    Args:
        panel: for its periods.
        past: sales and expected sales of each period.
        growth: shape (categories,), sales relative to the year before.

    Returns:
        Shape (categories, w + H).
    """
    year, kind, width = panel.frequency.periods_per_year, panel.frequency.kind, past.sold.shape[1]
    found = np.ones((len(growth), width + panel.horizon))
    if width == year:
        even = past.expected * growth[:, None] ** (np.arange(year) / year - 0.5)
        found = _shared(_around(past.sold, kind), _around(even, kind))[:, np.arange(width + panel.horizon) % year]
    if kind == "D":
        weekday = np.asarray(panel.periods[panel.history - width :].dayofweek)
        same = weekday[:width, None] == np.arange(WEEK)
        found = found * _shared(past.sold @ same, (past.expected * found[:, :width]) @ same)[:, weekday]
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


def _in_season(units: FloatArray, kind: str) -> BoolArray:
    """Series of which a few weeks in a row hold most of a year's units; the year's end and start are neighbors."""
    rule = SeasonRule()
    size = rule.longest[kind]
    running = np.cumsum(np.concatenate([np.zeros((len(units), 1)), units, units[:, : size - 1]], axis=1), axis=1)
    best: BoolArray = (running[:, size:] - running[:, :-size]).max(axis=1) >= rule.share * units.sum(axis=1)
    return best
