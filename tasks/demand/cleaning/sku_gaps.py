"""Periods in which one store does not sell a SKU, or a category, that the other stores sell: probably not in stock.

Only without the table ``availability``. A gap has a probability P, the larger one of two:

- **The other stores.** The expected units of a gap are the store's share of the SKU before it, times the units of the
  other stores in it: seasons, promotions and the end of a SKU's life do not look like gaps. With u own units and b
  units of the other stores before the gap, d units of the other stores in it, and the ratio φ ≥ 1 of variance to mean
  of the units of its periods with rows, the predictive probability of no sale is (1 + d / b)^(−u / φ).
- **Its own rate.** Of the periods with rows before the gap, the fraction after which the next period had none gives
  the predictive probability of a run (:func:`tasks.demand.cleaning.gaps.log_chance_of_run`). A stock-out counts once in
  this fraction, however long it is.

Each of the n periods with rows of a SKU in a store can be the last one before a gap. If it never is out of stock,
about n · P gaps are as improbable as one of probability P, and the probability of K or more of them is that of a
Poisson variable with this mean. The K least probable gaps are stock-outs if this probability is below
``LIMITS.sku_chance``, because all SKUs of all stores are tested, and if n · P is below ``LIMITS.false_gaps`` · K
(Benjamini and Hochberg 1995, the false discovery rate). For the SKUs found, a second pass does the same with the rates
of the periods outside of these gaps.

Categories in a store are tested in the same way: SKUs that sell slowly are often out together. A gap ends with a sale.
Without sales after it, it may be the end of the SKU in that store, and it counts only if the stock there is 0.

In the code: :meth:`_Groups._gaps` finds the gaps, :meth:`_Earlier.log_chance` computes P, and :func:`improbable`
chooses the stock-outs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.gaps import chance_of_none, log_chance_of_run
from tasks.demand.cleaning.pair_periods import NO_KEYS, last_period, pairs_in, spans
from tasks.demand.cleaning.sales import CellPart, SaleCells, codes, distinct, weighted_count
from tasks.storage import mapped

# Gaps that are judged at once.
_BLOCK_GAPS = 1 << 18


@dataclass(frozen=True)
class NetworkUnits:
    """Units of all stores; with many SKUs, in files mapped into memory.

    Attributes:
        of_sku: shape (K, T).
        sku_before: shape (K * T + 1,); units in all places before ``sku * T + period``.
        category: shape (n,); number of the category of each series.
        category_before: shape (categories * T + 1,); units in all places before ``category * T + period``.
        end: number of periods up to the last one with sales of any store.
    """

    of_sku: FloatArray
    sku_before: FloatArray
    category: IndexArray
    category_before: FloatArray
    end: int

    @classmethod
    def of(cls, cells: SaleCells) -> NetworkUnits:
        """Sum the units of all stores."""
        units = cells.sku_units()
        category, names = codes(cells.series_category)
        of_sku = np.zeros(len(cells.skus), dtype=np.int64)
        of_sku[cells.pair_sku] = category[cells.pair_series]
        by_category = np.zeros((len(names), cells.history))
        np.add.at(by_category, of_sku, units)
        found = cls(units, running(units.ravel()), category, running(by_category.ravel()), cells.end)
        mapped.release()
        return found


def local_gaps(part: CellPart, network: NetworkUnits, empty: BoolArray) -> IndexArray:
    """Find the periods in which a SKU, or its category, is probably out of stock in a store.

    Args:
        part: cleaned sales of some series; p pairs, T periods.
        network: units of all stores.
        empty: shape (p,); the last count of the SKU in the store is 0.

    Returns:
        Ascending distinct ``pair * T + period``.
    """
    skus = _Groups(
        of=part.cell_pair,
        period=part.cell_period,
        units=part.units,
        total_row=part.pair_sku,
        total=network.sku_before,
        empty=empty,
        history=part.history,
        end=network.end,
        kind=part.frequency.kind,
    )
    return distinct(np.concatenate([skus.stock_outs(), _of_categories(part, network)]))


def _of_categories(part: CellPart, network: NetworkUnits) -> IndexArray:
    """Periods in which a category is out of stock in a store, ``pair * T + period`` of each of its SKUs alive then."""
    history = part.history
    key = part.cell_series * history + part.cell_period
    rows = distinct(key)
    categories = _Groups(
        of=rows // history,
        period=rows % history,
        units=weighted_count(np.searchsorted(rows, key), part.units, 1, len(rows))[0],
        total_row=network.category[part.series],
        total=network.category_before,
        empty=np.zeros(part.n, dtype=bool),
        history=history,
        end=network.end,
        kind=part.frequency.kind,
    )
    pair, at = pairs_in(part, categories.stock_outs())
    # A SKU whose last row is before the gap may be out of the assortment.
    inner = at < last_period(part)[pair]
    return pair[inner] * history + at[inner]


@dataclass(frozen=True)
class _Gaps:
    """Periods without a row between two rows of a group (a SKU or a category in a store).

    Attributes:
        row: shape (g,); the last row before the gap.
        group: shape (g,).
        start: shape (g,); first period.
        stop: shape (g,); period after the last one.
    """

    row: IndexArray
    group: IndexArray
    start: IndexArray
    stop: IndexArray

    def take(self, chosen: slice | BoolArray) -> _Gaps:
        """Some of the gaps."""
        return _Gaps(self.row[chosen], self.group[chosen], self.start[chosen], self.stop[chosen])


@dataclass(frozen=True)
class _Groups:
    """Units by group (a SKU or a category in a store) and period with a row, sorted by both.

    Attributes:
        of: shape (m,); group of each row.
        period: shape (m,).
        units: shape (m,).
        total_row: shape (groups,); row of the group's SKU or category in ``total``.
        total: shape (rows * T + 1,); units of all stores before ``row * T + period``.
        empty: shape (groups,); the stock is 0: a gap may be the last.
        history: T.
        end: number of periods up to the last one with sales of any store.
        kind: kind of the frequency.
    """

    of: IndexArray
    period: IndexArray
    units: FloatArray
    total_row: IndexArray
    total: FloatArray
    empty: BoolArray
    history: int
    end: int
    kind: str

    def stock_outs(self) -> IndexArray:
        """Periods of gaps that are stock-outs, ascending distinct ``group * T + period``."""
        gaps, ended = self._gaps()
        found = self._pass(gaps, ended, NO_KEYS)
        if not len(found):
            return found
        # Again for the groups with a stock-out: their rates contained it.
        again = gaps.take(np.isin(gaps.group, found // self.history))
        return distinct(np.concatenate([found, self._pass(again, ended, found)]))

    def _gaps(self) -> tuple[_Gaps, FloatArray]:
        """The gaps that may be stock-outs, and the number of gaps of any length after the first 0, 1, 2, ... rows.

        A gap has at least ``LIMITS.sku_gap`` periods. It ends with a row that has a sale after it or in it, or at
        the last sales of any store if the stock is 0.
        """
        of, period = self.of, self.period
        final = np.append(of[1:] != of[:-1], True)
        until = np.where(final, self.end, np.roll(period, -1))
        last_sale = np.full(len(self.total_row), -1)
        np.maximum.at(last_sale, of[self.units > 0], period[self.units > 0])
        long = until - period - 1 >= LIMITS.sku_gap[self.kind]
        row = np.flatnonzero(long & ((until <= last_sale[of]) | (final & self.empty[of])))
        ended = running((~final & (until > period + 1)).astype(np.float64))
        return _Gaps(row, of[row], period[row] + 1, until[row]), ended

    def _pass(self, gaps: _Gaps, ended: FloatArray, known: IndexArray) -> IndexArray:
        """Periods of the gaps that are stock-outs, ascending distinct ``group * T + period``.

        Args:
            gaps: the gaps.
            ended: as :meth:`_gaps` returns it.
            known: ascending distinct ``group * T + period`` that do not count in the rates.
        """
        earlier = _Earlier.of(self, ended, known)
        chance = np.zeros(len(gaps.row))
        for first in range(0, len(chance), _BLOCK_GAPS):
            block = slice(first, first + _BLOCK_GAPS)
            chance[block] = earlier.log_chance(gaps.take(block))
        rows = np.bincount(self.of, minlength=len(self.total_row))
        judged = chance < np.log(LIMITS.false_gaps)
        gaps, chance = gaps.take(judged), chance[judged]
        found = gaps.take(improbable(gaps.group, chance, rows))
        return distinct(spans(found.group * self.history + found.start, found.stop - found.start))


@dataclass(frozen=True)
class _Earlier:
    """Running sums of the rows of all groups: what a group sold in any window is the difference of two of them.

    Attributes:
        groups: the m rows.
        key: shape (m,); ascending ``group * T + period`` of the rows.
        units: shape (m + 1,); units of the first 0, 1, 2, ... rows.
        squares: shape (m + 1,); their squares.
        ended: shape (m + 1,); of the first 0, 1, 2, ... rows, those after which a gap follows.
        known: shape (k,); ascending ``group * T + period`` that do not count in the rates.
        known_units: shape (k + 1,); units of all stores in the first 0, 1, 2, ... of ``known``.
        known_gaps: shape (k + 1,); gaps that begin in them.
    """

    groups: _Groups
    key: IndexArray
    units: FloatArray
    squares: FloatArray
    ended: FloatArray
    known: IndexArray
    known_units: FloatArray
    known_gaps: FloatArray

    @classmethod
    def of(cls, groups: _Groups, ended: FloatArray, known: IndexArray) -> _Earlier:
        """The running sums of the rows, and of the periods that do not count."""
        group, at = np.divmod(known, groups.history)
        place = groups.total_row[group] * groups.history + at
        begins = np.append(True, known[1:] != known[:-1] + 1)[: len(known)]
        return cls(
            groups=groups,
            key=groups.of * groups.history + groups.period,
            units=running(groups.units),
            squares=running(groups.units**2),
            ended=ended,
            known=known,
            known_units=running(groups.total[place + 1] - groups.total[place]),
            known_gaps=running(begins.astype(np.float64)),
        )

    def log_chance(self, gaps: _Gaps) -> FloatArray:
        """Logarithm of the probability of each gap, shape (g,); 0 if too little was sold before it.

        The rates are those of the ``LIMITS.sku_window`` periods before the gap, from the group's first row on.
        """
        groups, history = self.groups, self.groups.history
        first = groups.period[np.searchsorted(groups.of, gaps.group)]
        low = np.maximum(gaps.start - LIMITS.sku_window[groups.kind], first)
        begin, close = (np.searchsorted(self.key, gaps.group * history + at) for at in (low, gaps.start))
        left, right = (np.searchsorted(self.known, gaps.group * history + at) for at in (low, gaps.start))
        own, squares = self.units[close] - self.units[begin], self.squares[close] - self.squares[begin]
        base = groups.total_row[gaps.group] * history
        at_low, at_start, at_stop = (groups.total[base + at] for at in (low, gaps.start, gaps.stop))
        before = at_start - at_low - own - (self.known_units[right] - self.known_units[left])
        rows = (close - begin).astype(np.float64)
        out = self.known_gaps[right] - self.known_gaps[left]
        followed = self.ended[close - 1] - self.ended[begin] - out
        length = gaps.stop - gaps.start
        chance = np.maximum(
            log_chance_by_others(own, squares, rows, before, at_stop - at_start),
            np.where(
                (followed == 0) & (rows >= LIMITS.sku_window[groups.kind]),
                log_chance_of_regular(own, squares, rows, length),
                log_chance_of_run(followed, rows - 1.0 - out, length),
            ),
        )
        return np.where(before >= LIMITS.fewest_lines, chance, 0.0)


def log_chance_of_regular(units: FloatArray, squares: FloatArray, rows: FloatArray, length: IndexArray) -> FloatArray:
    """Logarithm of the probability of ``length`` periods without sales, if none followed a period with sales so far.

    (1 + L / n)^(n ln p), p being the probability of 0 units in a period (:mod:`tasks.demand.cleaning.gaps`).

    Args:
        units: own units before the gap.
        squares: sum of the squares of the units of each period.
        rows: number of periods with a row.
        length: periods of the gap.
    """
    periods = np.maximum(rows, 1.0)
    mean = units / periods
    none = np.log(np.maximum(chance_of_none(mean, np.maximum(squares / periods - mean**2, 0.0)), 1e-300))
    return periods * none * np.log1p(length / periods)


def log_chance_by_others(
    units: FloatArray, squares: FloatArray, rows: FloatArray, before: FloatArray, during: FloatArray
) -> FloatArray:
    """Logarithm of (1 + d / b)^(-u / φ), the probability of no sale in a gap by the sales of the other stores.

    Args:
        units: u, own units before the gap.
        squares: sum of the squares of the units of each period.
        rows: number of periods with a row.
        before: b, units of the other stores before the gap.
        during: d, units of the other stores in the gap.

    Three periods with 2 units each vary less than a Poisson variable, so φ is 1. The other stores sold 12 units before
    the gap and 6 in it: (1 + 6 / 12)^(-6) = 0.088.

    >>> log_chance_by_others(*(np.array([x]) for x in (6.0, 12.0, 3.0, 12.0, 6.0))).round(3).tolist()
    [-2.433]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = units / rows
        dispersion = np.maximum((squares / rows - mean**2) / mean, 1.0)
        return -(units / dispersion * np.log1p(during / before))


def improbable(group: IndexArray, chance: FloatArray, rows: IndexArray) -> BoolArray:
    """Choose the least probable gaps of each group that are stock-outs; see the module.

    Args:
        group: shape (g,).
        chance: shape (g,); logarithm of the probability of each gap.
        rows: shape (groups,); n, the number of periods with rows of each group.

    One gap of 1e-7 can be chance in 100 periods (1e-5), two gaps of 1e-5 cannot: 0.001 are expected, and two or more
    have a probability of 0.001² / 2. Two gaps of 0.0005 are not improbable enough.

    >>> chances = np.log([1e-7, 1e-5, 1e-5, 5e-4, 5e-4])
    >>> improbable(np.array([0, 1, 1, 2, 2]), chances, np.array([100, 100, 100])).tolist()
    [False, True, True, False, False]
    """
    from scipy.special import gammainc

    order = np.lexsort((chance, group))
    of = group[order]
    rank = np.arange(len(of)) - np.searchsorted(of, of) + 1
    expected = rows[of] * np.exp(chance[order])
    # gammainc(K, m) is the probability that a Poisson variable with the mean m is at least K.
    passed = (gammainc(rank, expected) < LIMITS.sku_chance) & (expected < LIMITS.false_gaps * rank)
    last = np.zeros(len(rows), dtype=np.int64)
    np.maximum.at(last, of[passed], rank[passed])
    found = np.zeros(len(of), dtype=bool)
    found[order] = rank <= last[of]
    return found


def running(values: FloatArray) -> FloatArray:
    """Return the sums of the first 0, 1, 2, ... values."""
    total = mapped.empty(len(values) + 1, np.float64)
    total[0] = 0.0
    for block in mapped.blocks(len(values)):
        # A block continues the sum of the one before: the same additions as in one block.
        added = values[block].copy()
        added[0] += total[block.start]
        np.cumsum(added, out=total[block.start + 1 : block.stop + 1])
    return total
