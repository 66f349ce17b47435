"""What is known of the past occurrences of planned events: units sold and usual units, and the uplifts between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.forecasting.baselines import open_demand_in_blocks
from tasks.storage.mapped import empty, row_blocks

# Periods between an occurrence and the periods that it is compared with, before and after it: the same weekdays of the
# four weeks around a day, the four weeks around a week, the two months around a month.
AROUND = {"D": (7, 14, 21, 28), "W": (1, 2, 3, 4), "MS": (1, 2)}


@dataclass(frozen=True)
class KnownOccurrences:
    """What is known of the m periods with events.

    Attributes:
        periods: shape (m,), positions on the panel's axis.
        past: shape (m,), the period is known.
        sold: shape (n, m), units; NaN = unknown, or ahead; it may be on disk.
        usual: shape (n, m), units that are usual around the period; NaN if they are unknown; it may be on disk.
        kind: shape (n,), the kind of each series.
        category: shape (kinds,), number of the category.
    """

    periods: IndexArray
    past: BoolArray
    sold: FloatArray
    usual: FloatArray
    kind: IndexArray
    category: IndexArray

    @classmethod
    def of(
        cls, panel: Panel, periods: IndexArray, busy: BoolArray, kind: IndexArray, first: IndexArray
    ) -> KnownOccurrences:
        """Read the panel's history.

        Args:
            panel: all series.
            periods: shape (m,), with an event.
            busy: shape (kinds, T + H), there is an event.
            kind: shape (n,).
            first: the first series of each kind.
        """
        past, shape = periods < panel.history, (panel.n, len(periods))
        sold, usual = (empty(panel.n * len(periods), np.float64).reshape(shape) for _ in range(2))
        for series, demand in open_demand_in_blocks(panel):
            sold[series, ~past] = np.nan
            sold[series, past] = demand[:, periods[past]]
            usual[series] = _usual(panel, demand, periods, busy[kind[series]])
        category = np.unique(panel.series[c.CATEGORY].astype(str).to_numpy()[first], return_inverse=True)[1]
        return cls(periods, past, sold, usual, kind, category)

    def at(
        self, share: FloatArray, runs: Sequence[IndexArray], factor: FloatArray
    ) -> Iterator[tuple[int, IndexArray, FloatArray, FloatArray, FloatArray]]:
        """Yield, by block of series and occurrence, what is known of an event without some effects.

        Args:
            share: shape (kinds, m), fraction of the days of each period.
            runs: the occurrences.
            factor: shape (kinds, m), the effects.

        Yields:
            Number of the occurrence, kinds of the series, share, usual units and units sold, shape (series, r) each; 0
            where the units are unknown or the event does not apply.
        """
        for series in row_blocks(*self.sold.shape):
            kind, usual, sold = self.kind[series], self.usual[series], self.sold[series]
            used = np.where((share[kind] > 0) & np.isfinite(sold) & np.isfinite(usual), share[kind], 0.0)
            sold = sold / factor[kind]
            for number, run in enumerate(runs):
                own = used[:, run] > 0
                yield number, kind, used[:, run], np.where(own, usual[:, run], 0.0), np.where(own, sold[:, run], 0.0)


def observed(
    share: FloatArray,
    runs: Sequence[IndexArray],
    known: KnownOccurrences,
    factor: FloatArray,
    group: IndexArray,
    largest: float,
) -> list[tuple[FloatArray, FloatArray]]:
    """Of each occurrence, the logarithm of its uplift and the variance by chance, infinite if unknown; (kinds,) each.

    Numbers are added one by one in their order, so that the sums do not depend on the blocks.

    Args:
        share: shape (kinds, m), fraction of the days of each period.
        runs: the occurrences.
        known: what is known of the series.
        factor: shape (kinds, m), the effects of the other events.
        group: shape (kinds,), number of the group of kinds whose uplift is the same.
        largest: an uplift lies between 1 / largest and largest.
    """
    level, total, base, squares = np.zeros((4, len(runs), int(group.max()) + 1))
    for run, kind, own, usual, sold in known.at(share, runs, factor):
        for sums, values in ((level, usual), (total, sold), (base, own * usual)):
            np.add.at(sums[run], group[kind], _row_sums(values))
    seen = base > 0
    base = np.where(seen, base, 1.0)
    uplift = np.clip(1.0 + (total - level) / base, 1.0 / largest, largest)
    for run, kind, own, usual, sold in known.at(share, runs, factor):
        errors = _row_sums(sold - usual * (1.0 + own * (uplift[run, group[kind], None] - 1.0)))
        np.add.at(squares[run], group[kind], np.square(errors))
    chance = squares / (uplift * base) ** 2 + 1.0 / np.where(seen, level, 1.0)
    log = np.where(seen, np.log(uplift), 0.0)[:, group]
    return list(zip(log, np.where(seen, chance, np.inf)[:, group], strict=True))


def _row_sums(values: FloatArray) -> FloatArray:
    """Sum of each row, column after column. The order of NumPy's sum depends on the number of rows."""
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total


def _usual(panel: Panel, demand: FloatArray, periods: IndexArray, busy: BoolArray) -> FloatArray:
    """Mean of the known periods around each one that have no event, shape (m series, periods); NaN if none exists."""
    free = np.where(busy[:, : panel.history], np.nan, demand)
    total, count = np.zeros((len(demand), len(periods))), np.zeros((len(demand), len(periods)))
    for offset in AROUND[panel.frequency.kind]:
        for at in (periods - offset, periods + offset):
            inside = (at >= 0) & (at < panel.history)
            values = free[:, np.clip(at, 0, panel.history - 1)]
            used = np.isfinite(values) & inside
            total += np.where(used, values, 0.0)
            count += used
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
