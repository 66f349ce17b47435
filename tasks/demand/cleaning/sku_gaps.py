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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.exposure import StorePeriods
from tasks.demand.cleaning.gaps import log_chance_of_run
from tasks.demand.cleaning.sales import CellPart, SaleCells, codes, distinct, weighted_count

# Gaps that are judged at once.
_BLOCK_GAPS = 1 << 18
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class _Gaps:
    """Gaps that are improbable enough to be judged.

    Attributes:
        group: shape (g,); SKU or category in a store.
        start: shape (g,); first period.
        stop: shape (g,); period after the last one.
        chance: shape (g,); logarithm of the probability.
    """

    group: IndexArray
    start: IndexArray
    stop: IndexArray
    chance: FloatArray


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
        """Periods of gaps that are stock-outs, sorted distinct ``group * T + period``."""
        found = self._periods(self._chosen(self._gaps(_NONE)))
        if not len(found):
            return found
        return distinct(np.concatenate([found, self._periods(self._chosen(self._gaps(found)))]))

    def _gaps(self, known: IndexArray) -> _Gaps:
        """The gaps with a probability below ``LIMITS.false_gaps``.

        Args:
            known: sorted distinct ``group * T + period`` that do not count in the rates; only gaps of their groups are
                returned. Empty = gaps of all groups.
        """
        history, of, period = self.history, self.of, self.period
        final = np.append(of[1:] != of[:-1], True)
        until = np.where(final, self.end, np.roll(period, -1))
        last_sale = np.full(len(self.total_row), -1)
        np.maximum.at(last_sale, of[self.units > 0], period[self.units > 0])
        kept = (until - period - 1 >= LIMITS.sku_gap[self.kind]) & ((until <= last_sale[of]) | (final & self.empty[of]))
        if len(known):
            kept &= np.isin(of, known // history)
        own_key = of * history + period
        own_units, squares = _running(self.units), _running(self.units**2)
        at_known = self.total_row[known // history] * history + known % history
        hidden = _running(self.total[at_known + 1] - self.total[at_known])
        begun = _running(np.append(True, known[1:] != known[:-1] + 1)[: len(known)].astype(np.float64))
        ended = _running((~final & (until > period + 1)).astype(np.float64))
        found = []
        chosen = np.flatnonzero(kept)
        for block in np.array_split(chosen, max(1, -(-len(chosen) // _BLOCK_GAPS))):
            group, start, stop = of[block], period[block] + 1, until[block]
            first = period[np.searchsorted(of, group)]
            low = np.maximum(start - LIMITS.sku_window[self.kind], first)
            begin, close = (np.searchsorted(own_key, group * history + at) for at in (low, start))
            left, right = (np.searchsorted(known, group * history + at) for at in (low, start))
            own, square = own_units[close] - own_units[begin], squares[close] - squares[begin]
            base = self.total_row[group] * history
            earlier, now, later = (self.total[base + at] for at in (low, start, stop))
            before, during = now - earlier - own - (hidden[right] - hidden[left]), later - now
            rows = (close - begin).astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = own / rows
                dispersion = np.maximum((square / rows - mean**2) / mean, 1.0)
                score = own / dispersion * np.log1p(during / before)
            out = begun[right] - begun[left]
            empty = ended[close - 1] - ended[begin] - out
            chance = np.maximum(-score, log_chance_of_run(empty, rows - 1.0 - out, stop - start))
            judged = (before >= LIMITS.fewest_lines) & (chance < np.log(LIMITS.false_gaps))
            found.append((group[judged], start[judged], stop[judged], chance[judged]))
        return _Gaps(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def _chosen(self, gaps: _Gaps) -> _Gaps:
        rows = np.bincount(self.of, minlength=len(self.total_row))
        kept = improbable(gaps.group, gaps.chance, rows)
        return _Gaps(gaps.group[kept], gaps.start[kept], gaps.stop[kept], gaps.chance[kept])

    def _periods(self, gaps: _Gaps) -> IndexArray:
        return distinct(spans(gaps.group * self.history + gaps.start, gaps.stop - gaps.start))


def local_gaps(cells: SaleCells, stores: StorePeriods, empty: BoolArray) -> IndexArray:
    """Find the periods of such gaps in which the store is open and its sales are known.

    Args:
        cells: cleaned sales; p pairs, T periods.
        stores: what is known of each store and period.
        empty: shape (p,); the last count of the SKU in the store is 0.

    Returns:
        Sorted distinct ``pair * T + period``.
    """
    history, units = cells.history, cells.sku_units()
    category, names = codes(cells.series_category)
    of_sku = np.zeros(len(cells.skus), dtype=np.int64)
    of_sku[cells.pair_sku] = category[cells.pair_series]
    by_category = np.zeros((len(names), history))
    np.add.at(by_category, of_sku, units)
    sku_total, category_total = _running(units.ravel()), _running(by_category.ravel())
    found = [_NONE]
    for part in cells.parts():
        skus = _Groups(
            of=part.cell_pair,
            period=part.cell_period,
            units=part.units,
            total_row=part.pair_sku,
            total=sku_total,
            empty=empty[part.pairs],
            history=history,
            end=cells.end,
            kind=cells.frequency.kind,
        )
        both = [skus.stock_outs(), _of_categories(part, cells.end, category[part.series], category_total)]
        pair, period = np.divmod(distinct(np.concatenate(both)), history)
        found.append(part.pairs[pair] * history + period)
    return open_and_known(distinct(np.concatenate(found)), cells, stores)


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


def open_and_known(keys: IndexArray, cells: SaleCells, stores: StorePeriods) -> IndexArray:
    """The ``pair * T + period`` in which the store is open and its sales are known."""
    store, at = cells.pair_store[keys // cells.history], keys % cells.history
    return keys[~stores.silent[store, at] & ~stores.closed[store, at] & ~stores.partial[at]]


def spans(first: IndexArray, length: IndexArray) -> IndexArray:
    """All keys of spans.

    >>> spans(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]
    """
    shift = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
    return np.repeat(first, length) + shift


def _of_categories(part: CellPart, end: int, category: IndexArray, total: FloatArray) -> IndexArray:
    """Periods in which a category is out of stock in a store, ``pair * T + period`` of each pair alive then."""
    history = part.history
    key = part.cell_series * history + part.cell_period
    rows = distinct(key)
    groups = _Groups(
        of=rows // history,
        period=rows % history,
        units=weighted_count(np.searchsorted(rows, key), part.units, 1, len(rows))[0],
        total_row=category,
        total=total,
        empty=np.zeros(part.n, dtype=bool),
        history=history,
        end=end,
        kind=part.frequency.kind,
    )
    pair, at = pairs_in(part, groups.stock_outs())
    # A SKU whose last row is before the gap may be out of the assortment.
    inner = at < last_period(part)[pair]
    return pair[inner] * history + at[inner]


def pairs_in(part: CellPart, keys: IndexArray) -> tuple[IndexArray, IndexArray]:
    """The pairs of each ``series * T + period`` that have a row before, and their periods."""
    series, period = np.divmod(keys, part.history)
    order = np.argsort(part.pair_series, kind="stable")
    ordered = part.pair_series[order]
    low, high = (np.searchsorted(ordered, series, side=side) for side in ("left", "right"))
    pair, at = order[spans(low, high - low)], np.repeat(period, high - low)
    alive = at > first_period(part)[pair]
    return pair[alive], at[alive]


def first_period(part: CellPart) -> IndexArray:
    """Shape (p,); the period of each pair's first row."""
    found: IndexArray = part.cell_period[np.searchsorted(part.cell_pair, np.arange(len(part.pair_series)))]
    return found


def last_period(part: CellPart) -> IndexArray:
    """Shape (p,); the period of each pair's last row."""
    found: IndexArray = part.cell_period[np.searchsorted(part.cell_pair, np.arange(len(part.pair_series)), "right") - 1]
    return found


def _running(values: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, 2, ... values."""
    total: FloatArray = np.concatenate([[0.0], values.cumsum()])
    return total
