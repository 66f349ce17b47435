"""Periods in which a store has no sales row: closed by pattern, quiet, missing, or permanently closed.

The store's own rate decides. A gap is implausible if the n open periods before it (after it, for a young store) expect
fewer than ``LIMITS.implausible`` gaps of that length: n · P for the probability P of L open periods without rows.

- A store that often has no rows (``LIMITS.sometimes_empty``): with ``a`` periods without rows among the n, P is the
  predictive probability of a binomial proportion with Jeffreys' prior, the product of (a + ½ + i) / (n + 1 + i) for
  i = 0 … L − 1.
- Any other store: p₀ is the probability of 0 units of a negative binomial distribution with the mean m and the variance
  v of the store's units (Poisson if v ≤ m): (k / (k + m))ᵏ with k = m² / (v − m). The predictive probability is
  (1 + L / n)^(n ln p₀), which tends to p₀ᴸ in a long window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS

WEEK = 7
_PATTERN_WEEKS = 26
# Weeks in a row with rows after which a weekday is open again.
_REOPENED = 2


@dataclass(frozen=True)
class Gaps:
    """Runs of periods without a row, closed periods not counted.

    Attributes:
        store: shape (g,); index of the store.
        start: shape (g,); first period without a row.
        stop: shape (g,); period after the last one without a row.
        length: shape (g,); open periods without a row.
        expected: shape (g,); expected number of gaps of at least this length, see the module.
        irregular: shape (g,); the store often has no rows, but its units in the other periods are too many for that.
        last: shape (g,); the gap lasts to the last period with sales.
    """

    store: IndexArray
    start: IndexArray
    stop: IndexArray
    length: IndexArray
    expected: FloatArray
    irregular: BoolArray
    last: BoolArray

    def take(self, chosen: BoolArray) -> Gaps:
        """Return some of the gaps."""
        return Gaps(
            store=self.store[chosen],
            start=self.start[chosen],
            stop=self.stop[chosen],
            length=self.length[chosen],
            expected=self.expected[chosen],
            irregular=self.irregular[chosen],
            last=self.last[chosen],
        )

    def mask(self, shape: tuple[int, int]) -> BoolArray:
        """Periods within the gaps, shape (S, T)."""
        edges = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
        np.add.at(edges, (self.store, self.start), 1)
        np.add.at(edges, (self.store, self.stop), -1)
        inside: BoolArray = edges.cumsum(axis=1)[:, :-1] > 0
        return inside


def find_gaps(rows: BoolArray, units: FloatArray, is_open: BoolArray, end: int, window: int) -> Gaps:
    """Find the gaps of every store after its first row, with their plausibility.

    Args:
        rows: shape (S, T); the store has a sales row. Every store has at least one before ``end``.
        units: shape (S, T); units per store and period.
        is_open: shape (S, T); False where the store is known to be closed.
        end: number of periods up to the last one with sales of any store.
        window: periods from which a store's rate is taken.
    """
    store, period = np.nonzero(rows[:, :end])
    final = np.append(store[1:] != store[:-1], True)
    start, stop = period + 1, np.where(final, end, np.roll(period, -1))
    counted = _running(is_open & ~rows)
    length: IndexArray = (counted[store, stop] - counted[store, start]).astype(np.int64)
    kept = length > 0
    store, start, stop, length, last = store[kept], start[kept], stop[kept], length[kept], final[kept]
    first = rows.argmax(axis=1)[store]
    window_start = np.maximum(start - window, first)
    after = np.minimum(stop + window - (start - window_start), end)
    after = np.maximum(after, stop)

    def total(values: FloatArray) -> FloatArray:
        return values[store, start] - values[store, window_start] + values[store, after] - values[store, stop]

    periods, empty = total(_running(is_open)), total(counted)
    used = np.where(is_open, units, 0.0)
    mean = total(_running(used)) / np.maximum(periods, 1)
    square = total(_running(used**2)) / np.maximum(periods, 1)
    share = empty / np.maximum(periods, 1)
    none = np.log(np.maximum(chance_of_none(mean, np.maximum(square - mean**2, 0.0)), 1e-300))
    regular = periods * none * np.log1p(length / np.maximum(periods, 1))
    often = share >= LIMITS.sometimes_empty
    chance = np.where(often, log_chance_of_run(empty, periods, length), regular)
    expected = np.where(periods > 0, periods * np.exp(chance), np.inf)
    filled = np.maximum(periods - empty, 1)
    mean = total(_running(used)) / filled
    alone = chance_of_none(mean, np.maximum(total(_running(used**2)) / filled - mean**2, 0.0))
    irregular = often & (share <= LIMITS.often_empty) & (periods * alone < LIMITS.implausible)
    return Gaps(store, start, stop, length, expected, irregular, last)


def chance_of_none(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Probability of 0 units of a negative binomial (Poisson if the variance does not exceed the mean).

    >>> chance_of_none(np.array([2.0]), np.array([4.0])).round(3).tolist()  # k = 2: (2 / 4) ** 2
    [0.25]
    """
    wide = variance > mean
    size = np.where(wide, mean**2 / np.where(wide, variance - mean, 1.0), 1.0)
    size = np.maximum(size, 1e-12)
    chance: FloatArray = np.where(wide, np.exp(size * np.log(size / (size + mean))), np.exp(-mean))
    return chance


def log_chance_of_run(empty: FloatArray, periods: FloatArray, length: IndexArray) -> FloatArray:
    """Logarithm of the predictive probability that the next ``length`` periods are all empty.

    >>> round(float(np.exp(log_chance_of_run(np.array([1.0]), np.array([3.0]), np.array([2])))[0]), 3)  # 1.5/4 · 2.5/5
    0.188
    """
    from scipy.special import gammaln

    a, n = empty + 0.5, periods + 1.0
    chance: FloatArray = gammaln(a + length) - gammaln(a) - gammaln(n + length) + gammaln(n)
    return chance


def implausible(gaps: Gaps, rows: BoolArray, is_open: BoolArray, year: int, complete: bool) -> BoolArray:
    """The gaps that neither the store's rate nor a similar gap a year before or after explains, shape (g,).

    Args:
        gaps: the gaps of all stores.
        rows: shape (S, T); the store has a sales row.
        is_open: shape (S, T); False where the store is known to be closed.
        year: periods of a year.
        complete: the files state zero sales too, so that no rate explains a period without rows.
    """
    present, openings = _running(rows & is_open), _running(is_open)
    history = rows.shape[1]
    explained = np.zeros(len(gaps.store), dtype=bool)
    for shift in (-year, year):
        start, stop = gaps.start + shift, gaps.stop + shift
        inside = (start >= 0) & (stop <= history)
        low, high = np.clip(start, 0, history), np.clip(stop, 0, history)
        seen = openings[gaps.store, high] - openings[gaps.store, low]
        sold = present[gaps.store, high] - present[gaps.store, low]
        alive = rows.argmax(axis=1)[gaps.store] < start
        explained |= inside & alive & (seen > 0) & (sold <= LIMITS.pattern_share * seen)
    found: BoolArray = ((gaps.expected < LIMITS.implausible) | complete) & ~explained
    return found


def weekday_pattern(rows: BoolArray, end: int, length: int) -> BoolArray:
    """Weekdays on which a daily store almost never has rows, by its last 26 weeks.

    Weeks without any row of the store do not count. The first 26 weeks have one pattern. A pattern that begins or
    ends in the last weeks counts from then on: the store has no rows on the weekday in all of the last weeks (at least
    ``LIMITS.pattern_cases``), or has rows in the last two.

    Args:
        rows: shape (S, T); the store has a sales row on that day.
        end: number of days up to the last one with sales of any store.
        length: number of days to judge: history and horizon.

    Returns:
        Shape (S, length).
    """
    stores = len(rows)
    weeks = -(-end // WEEK)
    grid = np.zeros((stores, weeks * WEEK), dtype=bool)
    grid[:, :end] = rows[:, :end]
    valid = (np.arange(weeks * WEEK) < end).reshape(weeks, WEEK)
    days = grid.reshape(stores, weeks, WEEK)
    any_row: BoolArray = np.asarray(days.any(axis=2), dtype=bool)
    cases = any_row[:, :, None] & valid
    run = [np.concatenate([np.zeros((stores, 1, WEEK)), part.cumsum(axis=1)], axis=1) for part in (days, cases)]
    week = np.arange(-(-length // WEEK))
    high = np.minimum(np.maximum(week, _PATTERN_WEEKS), weeks)
    low = np.maximum(high - _PATTERN_WEEKS, 0)
    sold, seen = (part[:, high] - part[:, low] for part in run)
    others_sold, others = sold.sum(axis=2, keepdims=True) - sold, seen.sum(axis=2, keepdims=True) - seen
    closed = rare(sold, seen, others_sold / np.maximum(others, 1))
    for changed, ends in ((_latest(cases & ~days, cases), True), (_latest(days, cases), False)):
        since = week[None, :, None] >= changed.first[:, None, :]
        if ends:
            other = days.sum(axis=2, keepdims=True) - days, cases.sum(axis=2, keepdims=True) - cases
            rate = [np.where(since[:, :weeks], part, 0).sum(axis=1) for part in other]
            recent = rare(np.zeros_like(changed.length), changed.length, rate[0] / np.maximum(rate[1], 1))
            closed |= since & recent[:, None, :]
        else:
            closed &= ~(since & (changed.length >= _REOPENED)[:, None, :])
    return closed.reshape(stores, -1)[:, :length]


@dataclass(frozen=True)
class _Run:
    """The latest weeks of each store and weekday that are alike: their number and the first of them."""

    length: FloatArray
    first: IndexArray


def _latest(alike: BoolArray, cases: BoolArray) -> _Run:
    """Find the last weeks in which all cases are alike, shape (stores, weekdays)."""
    broken = cases & ~alike
    weeks = cases.shape[1]
    last_broken = np.where(broken.any(axis=1), weeks - 1 - broken[:, ::-1].argmax(axis=1), -1)
    within = np.arange(weeks)[None, :, None] > last_broken[:, None, :]
    return _Run((cases & within).sum(axis=1).astype(np.float64), last_broken + 1)


def rare(sold: FloatArray, cases: FloatArray, rate: FloatArray, fewest: int = LIMITS.pattern_cases) -> BoolArray:
    """Whether so few sales in these cases are a pattern and not chance.

    Args:
        sold: cases with a row.
        cases: all cases, of which at least ``fewest`` are needed.
        rate: fraction of other days with a row.
        fewest: minimum number of cases.

    >>> rare(np.array([0.0, 0.0]), np.array([26.0, 26.0]), np.array([0.98, 0.16])).tolist()
    [True, False]
    """
    from scipy.special import bdtr

    found: BoolArray = np.asarray((cases >= fewest) & (sold <= LIMITS.pattern_share * cases))
    # A rate of 1 would turn a single case into a pattern.
    tries, most = np.maximum(cases, 1).astype(np.int64), np.minimum(rate, 0.97)
    return found & (bdtr(sold, tries, most, where=found, out=np.ones(found.shape)) < LIMITS.pattern_chance)


def ended_periods(frequency: Frequency) -> int:
    """Periods without a row after which a store is permanently closed."""
    return LIMITS.ended[frequency.kind]


def _running(values: BoolArray | FloatArray) -> FloatArray:
    """Sums before each period, shape (S, T + 1)."""
    total: FloatArray = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total
