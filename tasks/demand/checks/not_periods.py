"""Alarms on sales that are not those of a period: running totals, totals of all others, and repeated sales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import TextArray

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared
    from tasks.demand.cleaning.sales import SaleCells

# With fewer stores or SKUs, one of them can equal the sum of the others by chance.
_FEWEST = 3
# Two sums are equal up to this fraction (rounding).
_ROUNDING = 0.01
# Totals were divided evenly if at least this fraction of the units are those of the date before.
_SPLIT = 0.9
# An odd 64-bit number (2^64 divided by the golden ratio), which spreads consecutive numbers.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
# Days are counted from here, so that the first day of a pandas time stamp is above 0.
_ORIGIN = 120_000


def odd_sums(prepared: Prepared) -> list[Alarm]:
    """Return the alarms on running totals, on a store or SKU that is the total of the others, and on copied days."""
    cells = prepared.cells
    return [*_running_totals(cells), *_total_of_others(cells), *_copied_periods(cells)]


def _running_totals(cells: SaleCells) -> list[Alarm]:
    """Sales of a store and SKU that hardly ever fall, or never change, from one date to the next one of a month."""
    month = cells.periods.year * 12 + cells.periods.month
    # Monthly totals begin again once a year.
    block = np.asarray(month if cells.frequency.kind != "MS" else np.zeros(len(month)), dtype=np.int64)
    up = down = flat = 0
    for part in cells.parts():
        same = (np.diff(part.cell_pair) == 0) & (np.diff(block[part.cell_period]) == 0)
        step = np.diff(part.units)[same]
        # A slow SKU sells 1 again and again; other quantities hardly ever repeat.
        flat += int(((step == 0) & (part.units[1:][same] > 0) & (part.units[1:][same] != 1)).sum())
        up += int((step > 0).sum())
        down += int((step < 0).sum())
    if cells.frequency.kind != "MS" and flat >= max(5 * LIMITS.fewest_lines, _SPLIT * (flat + up + down)):
        return [
            raise_alarm(
                "coarse_dates",
                "sales: almost all SKUs of a store have the same units on all dates of a month: they seem to be "
                "monthly totals divided by the dates. Deliver the sales of each date, or set frequency: MS",
                count=flat,
            )
        ]
    if up + down < 5 * LIMITS.fewest_lines or down > LIMITS.running_total * (up + down):
        return []
    return [
        raise_alarm(
            "cumulative_sales",
            f"sales: of {up + down:,} changes of the units of a store and SKU from one date to the next one, "
            f"{up / (up + down):.0%} are upward: the sales seem to be totals since the start of a month or year. "
            "Deliver the sales of each period",
            dates=(cells.periods[0].date(), cells.periods[cells.end - 1].date()),
            count=up,
        )
    ]


def _total_of_others(cells: SaleCells) -> list[Alarm]:
    by_sku = np.zeros(len(cells.skus))
    for part in cells.parts():
        np.add.at(by_sku, part.cell_sku, part.units)
    total = cells.store_units.sum(axis=0)
    found = []
    for what, names, sums in (("store", cells.stores, cells.store_units.sum(axis=1)), ("SKU", cells.skus, by_sku)):
        largest = int(sums.argmax())
        if len(names) < _FEWEST or not _equal(2 * sums[largest], sums.sum()):
            continue
        own = cells.store_units[largest] if what == "store" else _periods_of(cells, largest)
        sold = total > 0
        same = _equal(2 * own[sold], total[sold])
        if same.sum() >= LIMITS.fewest_lines and same.mean() >= LIMITS.same_export:
            found.append(
                raise_alarm(
                    "total_rows",
                    f"sales: in {int(same.sum()):,} of {int(sold.sum()):,} periods, {what} {names[largest]} sells as "
                    f"much as all other {what}s together: it is probably their total, and all units count twice. "
                    f"Leave it out with sources.sales.ignore",
                    stores=names[[largest]] if what == "store" else (),
                    skus=names[[largest]] if what == "SKU" else (),
                    count=int(same.sum()),
                )
            )
    return found


def _equal(one: FloatArray, other: FloatArray) -> BoolArray:
    return np.asarray(np.abs(one - other) <= _ROUNDING * np.abs(other))


def _periods_of(cells: SaleCells, sku: int) -> FloatArray:
    found = np.zeros(cells.history)
    for part in cells.parts():
        own = part.cell_sku == sku
        np.add.at(found, part.cell_period[own], part.units[own])
    return found


def _copied_periods(cells: SaleCells) -> list[Alarm]:
    """Periods with the same units of the same SKUs as an earlier one, in all stores or in one."""
    form = np.zeros((len(cells.stores), cells.history), dtype=np.uint64)
    count = np.zeros(form.shape, dtype=np.int64)
    for part in cells.parts():
        sold = part.units > 0
        at = part.cell_store[sold], part.cell_period[sold]
        pair = part.pairs[part.cell_pair[sold]].astype(np.uint64) + np.uint64(1)
        mixed = pair * _SPREAD
        mixed = (mixed ^ (mixed >> np.uint64(31))) * _SPREAD
        np.add.at(form, at, mixed * (part.units[sold].view(np.uint64) >> np.uint64(12)))
        np.add.at(count, at, 1)
    everywhere = _copies(form.sum(axis=0, keepdims=True), count.sum(axis=0, keepdims=True))
    found = everywhere if len(everywhere) else _copies(form, count)
    if not len(found):
        return []
    named = [
        f"{'all stores' if len(everywhere) else cells.stores[store]} on {cells.periods[later].date()} as on "
        f"{cells.periods[earlier].date()}"
        for store, later, earlier in found
    ]
    days = cells.periods[found[:, 1]]
    return [
        raise_alarm(
            "repeated_lines",
            f"sales: in {numbered(len(found), '# period[s]')} every SKU has the same units as in an earlier period: "
            f"{first_few(named)}. All of them count. Were they copied? Deliver the sales of these dates again",
            stores=() if len(everywhere) else sorted({str(cells.stores[store]) for store in found[:, 0]}),
            dates=(days.min().date(), days.max().date()),
            count=len(found),
        )
    ]


def _copies(form: np.ndarray, count: IndexArray) -> IndexArray:
    """Rows, later periods and earlier periods that are equal, shape (copies, 3); a few of the periods of their row."""
    found = []
    for row in range(len(form)):
        at = np.flatnonzero(count[row] >= LIMITS.fewest_lines)
        _, first, place = np.unique(form[row, at], return_index=True, return_inverse=True)
        later = np.flatnonzero(first[place] != np.arange(len(at)))
        # Sales that are the same in most periods are no copies.
        if 0 < len(later) <= LIMITS.few_copies * len(at):
            found += [(row, int(at[one]), int(at[first[place[one]]])) for one in later]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


class RepeatedKeys:
    """Stores, SKUs and dates that have each of their lines twice, counted by date and by SKU.

    Args:
        skus: number of SKUs.
    """

    def __init__(self, skus: int) -> None:
        self._days, self._skus = np.zeros((2, 2 * _ORIGIN), dtype=np.int64), np.zeros((2, skus), dtype=np.int64)

    def add(self, lines: pd.DataFrame) -> None:
        """Count the lines of a shard, which has all lines of its SKUs."""
        used = np.flatnonzero(lines[c.UNITS].to_numpy() > 0)
        if not len(used):
            return
        day = lines[c.DATE].to_numpy()[used].astype("datetime64[D]").astype(np.int64)
        store, sku = (lines[name].cat.codes.to_numpy()[used] for name in (c.STORE_ID, c.SKU))
        key = sku.astype(np.int64)
        for size, part in ((int(store.max()) + 1, store), (2 * _ORIGIN, day)):
            key *= size
            key += part
        key += _ORIGIN
        order = np.argsort(key, kind="stable")
        key = key[order]
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        units = lines[c.UNITS].to_numpy()[used[order]]
        least, most = (how.reduceat(units, starts) for how in (np.minimum, np.maximum))
        several = np.diff(np.append(starts, len(order))) > 1
        first = order[starts]
        for counts, of in ((self._days, day[first] + _ORIGIN), (self._skus, sku[first])):
            low = int(of.min())
            span = slice(low, int(of.max()) + 1)
            counts[0, span] += np.bincount(of - low)
            counts[1, span] += np.bincount(of - low, several & (least == most)).astype(np.int64)

    def alarm(self, names: TextArray) -> list[Alarm]:
        """The alarm ``repeated_lines``, in a list; empty unless some dates or SKUs have lines twice, and others not."""
        for all_counts, what in ((self._days, "date"), (self._skus, "SKU")):
            counted = np.flatnonzero(all_counts[0])
            counts = all_counts[:, counted]
            odd = (counts[0] >= LIMITS.fewest_skus) & (counts[1] >= LIMITS.same_lines * counts[0])
            others = counts[:, ~odd].sum(axis=1)
            if counts[1][odd].sum() < LIMITS.fewest_lines or others[1] >= LIMITS.sometimes_empty * others[0]:
                continue
            of = (counted[odd] - _ORIGIN).astype("datetime64[D]") if what == "date" else names[counted[odd]]
            where = f"{'on' if what == 'date' else 'for'} {numbered(int(odd.sum()), f'# {what}[s]')}"
            keys = "SKUs" if what == "date" else "dates"
            return [
                raise_alarm(
                    "repeated_lines",
                    f"sales: {where} ({first_few([str(one) for one in of])}), {counts[1][odd].sum():,} of "
                    f"{counts[0][odd].sum():,} stores and {keys} have several lines with the same units, elsewhere "
                    "almost none. All of them count. Remove the second lines if they were exported or joined twice",
                    skus=of if what == "SKU" else (),
                    dates=(of.min().item(), of.max().item()) if what == "date" else None,
                    count=int(counts[1][odd].sum()),
                )
            ]
        return []
