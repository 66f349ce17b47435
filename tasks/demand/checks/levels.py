"""Alarms on levels: another unit of measure for a whole brand or one SKU, and SKUs that were not in stock."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows, named_lines, raise_alarm
from schemas.errors import EXAMPLES_SHOWN, first_few, numbered
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import distinct
from tasks.storage import mapped

if TYPE_CHECKING:
    from tasks.demand.cleaning.pair_periods import PairPeriods
    from tasks.demand.cleaning.prepared import Prepared
    from tasks.demand.cleaning.sales import SaleCells
    from tasks.demand.cleaning.stock_outs import StockOuts

# Periods before and after a date whose units per store, SKU and period are compared.
_AROUND = {"D": 14, "W": 8, "MS": 3}
_SHORT = 3
# Factors of quantities and prices that differ by less than this count as equal; share of a SKU's quantities that counts
# as almost all.
_SIMILAR, _MOST = 1.5, 0.95
# Cells (SKU x period) that are compared at a time.
_CELLS = 1 << 20
_GROUPS = (c.BRAND, c.FAMILY)
# Units of the lines with a price, and position of the period.
_PRICED, _PERIOD = "priced_units", "period"

CountArray = NDArray[np.int32]


def changed_units(prepared: Prepared) -> list[Alarm]:
    """Return an alarm for every brand, else every store, whose units change by a large factor between two periods.

    Units per store, SKU and period with a sale are compared. The change counts if almost all SKUs of the brand (of the
    family, or of the network, without brands) or of the store share it.
    """
    cells = prepared.cells
    group, names = _groups(prepared)
    by_brand = _sudden_changes(cells, group[cells.pair_sku], names, "")
    by_store = by_brand or _sudden_changes(cells, cells.pair_store, cells.stores, "store ", LIMITS.fewest_skus)
    reported = {sku for alarm in prepared.alarms if alarm.name == "price_per_unit_jumps" for sku in alarm.skus}
    return by_store or _sku_unit_changes(cells, reported)


def _sku_unit_changes(cells: SaleCells, reported: set[str]) -> list[Alarm]:
    """Return an alarm for single SKUs whose units change by a large factor between two periods.

    Demand of one SKU can jump by itself, so another unit of measure needs one of two signs: its price per unit changes
    by the same factor in the other direction, or its quantities are multiples of a number from then on (boxes that are
    counted in pieces) and were not before.
    """
    width = _AROUND[cells.frequency.kind]
    rows = np.zeros(len(cells.skus), dtype=np.int64)
    for part in cells.parts():
        rows += np.bincount(part.cell_sku, minlength=len(rows))
    many = (rows >= 2 * LIMITS.fewest_lines) & ~np.isin(cells.skus.astype(str), list(reported))
    sold = _sold(cells, cells.pair_sku, len(cells.skus))
    jumps = [(row, at) for row, at in _jumps(*sold, cells.frequency.kind) if many[row]]
    del sold
    found = []
    of_sku = _cells_of(cells, [row for row, _ in jumps])
    for row, at in jumps:
        own = of_sku[row]
        own = own[(own[c.UNITS] > 0) & (np.abs(own[_PERIOD] - at + 0.5) < width)]
        before, after = own[own[_PERIOD] < at], own[own[_PERIOD] >= at]
        one, other = before[c.UNITS].to_numpy(), after[c.UNITS].to_numpy()
        factor = float(other.mean() / one.mean())
        if _price_follows(before, after, factor) or _multiples(one, other, factor):
            found.append((cells.skus[row], at, factor))
    if not found:
        return []
    named = [
        f"{sku} {_times(factor)} per store and period from {cells.periods[at].date()} on" for sku, at, factor in found
    ]
    return [
        raise_alarm(
            "sku_unit_change",
            f"sales: {numbered(len(found), '# SKU[s] [sells|sell]')} in another unit of measure than before, by their "
            f"quantities and prices: {first_few(named)}. Convert the quantities to one unit",
            skus=[sku for sku, _, _ in found],
            dates=(cells.periods[min(at for _, at, _ in found)].date(), cells.periods[cells.end - 1].date()),
            count=len(found),
        )
    ]


def _cells_of(cells: SaleCells, skus: list[int]) -> dict[int, pd.DataFrame]:
    """The cells of some SKUs: period, units, and units and amount of the lines with a price."""
    if not skus:
        return {}
    found = []
    for part in cells.parts():
        rows = np.flatnonzero(np.isin(part.cell_sku, skus))
        columns = {c.SKU: part.cell_sku, _PERIOD: part.cell_period, c.UNITS: part.units}
        columns |= {_PRICED: part.priced_units, c.NET_AMOUNT: part.priced_amount}
        found.append(pd.DataFrame({name: values[rows] for name, values in columns.items()}))
    return dict(iter(pd.concat(found, ignore_index=True).groupby(c.SKU)))


def _price_follows(before: pd.DataFrame, after: pd.DataFrame, factor: float) -> bool:
    """Whether the price per unit falls as the units rise, or the other way round, by about the same factor."""
    prices = []
    for part in (before, after):
        priced = part[(part[_PRICED] > 0) & (part[c.NET_AMOUNT] > 0)]
        if len(priced) < _SHORT:
            return False
        prices.append(float(np.median(priced[c.NET_AMOUNT] / priced[_PRICED])))
    change = prices[0] / prices[1]
    return max(change, 1 / change) >= LIMITS.units_jump and 1 / _SIMILAR <= factor / change <= _SIMILAR


def _multiples(before: FloatArray, after: FloatArray, factor: float) -> bool:
    """Whether almost all quantities after a date are multiples of a number near the factor, and those before are not.

    >>> _multiples(np.array([1.0, 2, 1, 3]), np.array([12.0, 24, 12, 36]), 12.0)
    True
    >>> _multiples(np.array([1.0, 2, 1, 3]), np.array([12.0, 19, 11, 36]), 11.0)
    False
    """
    for number in range(int(LIMITS.units_jump), int(factor * _SIMILAR) + 1):
        if number * _SIMILAR < factor:
            continue
        if (after % number == 0).mean() >= _MOST and (before % number == 0).mean() < 1 - LIMITS.units_skus:
            return True
    return False


def _sold(cells: SaleCells, of_pair: IndexArray, size: int) -> tuple[FloatArray, CountArray]:
    """Units, and number of cells with units, of each group of pairs and period; shape (size, T)."""
    units, count = mapped.zeros(size * cells.history, np.float64), mapped.zeros(size * cells.history, np.int32)
    for part in cells.parts():
        key = of_pair[part.pairs][part.cell_pair] * cells.history + part.cell_period
        np.add.at(units, key, part.units)
        np.add.at(count, key, (part.units > 0).astype(np.int32))
        mapped.release()
    return units.reshape(size, -1), count.reshape(size, -1)


def _jumps(units: FloatArray, count: CountArray, kind: str) -> list[tuple[int, int]]:
    """Groups whose units per cell change suddenly by a large factor, and the period of the change."""
    found = []
    # In parts, because a wide catalog has tens of thousands of SKUs, and a history can have thousands of periods.
    size = max(1, _CELLS // units.shape[1])
    for first in range(0, len(units), size):
        part = slice(first, first + size)
        change = np.abs(_change(units[part], count[part].astype(np.float64), _AROUND[kind], LIMITS.fewest_lines))
        at = np.where(np.isfinite(change), change, -1.0).argmax(axis=1)
        rows = np.flatnonzero(change[np.arange(len(change)), at] >= np.log(LIMITS.units_jump))
        found += [(first + int(row), int(at[row])) for row in rows]
        mapped.release()
    return found


def _sudden_changes(
    cells: SaleCells, of_pair: IndexArray, names: np.ndarray, what: str, fewest: int = 1
) -> list[Alarm]:
    kind = cells.frequency.kind
    found = []
    for row, at in _jumps(*_sold(cells, of_pair, len(names)), kind):
        changed = _changed_skus(cells, of_pair == row, at, _AROUND[kind])
        if changed is not None and len(changed[0]) >= fewest:
            found.append(_unit_alarm(cells, f"{what}{names[row]}", at, *changed))
    return found


def huge_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the sale lines whose quantity is far beyond all others of the SKU, such as a scanned code.

    Args:
        lines: all lines of some SKUs.
    """
    units = lines[c.UNITS].to_numpy(dtype=np.float64)
    sku, names = pd.factorize(lines[c.SKU])
    largest = np.zeros(len(names))
    np.maximum.at(largest, sku, units)
    some = np.isin(sku, np.flatnonzero(largest >= LIMITS.huge_line)) & (units > 0)
    if not some.any():
        return lines.iloc[[]]  # a slice would keep all lines
    median = pd.Series(units[some]).groupby(sku[some]).median().reindex(range(len(names))).to_numpy()
    return lines[(units >= LIMITS.huge_line) & (units >= LIMITS.huge_line * median[sku])]


def huge_lines_alarm(rows: pd.DataFrame) -> list[Alarm]:
    """Return an alarm for the lines that :func:`huge_lines` found."""
    if rows.empty:
        return []
    return [
        alarm_of_rows(
            "huge_lines",
            f"sales: {numbered(len(rows), '# line[s] [has|have]')} at least {LIMITS.huge_line:,.0f} times the usual "
            f"quantity: {first_few(named_lines(rows))}. Was a code entered as the quantity? Correct it in the source",
            rows,
        )
    ]


def stock_out_alarm(prepared: Prepared, found: StockOuts) -> list[Alarm]:
    """Return an alarm for the SKUs that were probably not in stock, the most expected units first."""
    if not found.count:
        return []
    cells, pairs = prepared.cells, found.pairs
    skus, stores = np.zeros(len(cells.skus), dtype=bool), np.zeros(len(cells.stores), dtype=bool)
    first, last, most = cells.history, 0, np.zeros(0, dtype=np.int64)
    for block in mapped.blocks(len(pairs.pair)):
        pair, lost = pairs.pair[block], pairs.lost[block]
        skus[cells.pair_sku[pair]] = stores[cells.pair_store[pair]] = True
        first, last = min(first, int(pairs.first[block].min())), max(last, int(pairs.last[block].max()))
        most = np.append(most, block.start + np.argsort(-lost, kind="stable")[:EXAMPLES_SHOWN])
    most = most[np.argsort(-pairs.lost[most], kind="stable")][:EXAMPLES_SHOWN]
    named = [
        f"{cells.skus[cells.pair_sku[pairs.pair[row]]]} in {cells.stores[cells.pair_store[pairs.pair[row]]]} "
        f"({numbered(int(pairs.count[row]), '# period[s]')} "
        f"from {_day(cells, pairs.first[row])} to {_day(cells, pairs.last[row])})"
        for row in most.tolist()
    ]
    whole = ""
    if found.partly:
        whole = f" So {numbered(found.partly, '[does|do] # period[s]')} of their categories in these stores."
    count = len(pairs.pair)
    return [
        raise_alarm(
            "sku_gaps",
            f"sales: {numbered(count, '# SKU[s] of a store [has|have]')} no sales in "
            f"{numbered(found.count, '# period[s]')} in which {numbered(count, '[it was|they were]')} probably not in "
            f"stock: {first_few(named, count=count)}. The other stores sell them, or their stock is 0. These periods "
            f"count as unknown; by the sales of the other stores, {pairs.lost.sum():,.0f} units would have been sold."
            f"{whole} Deliver the table availability, or dated counts of stock; if these are zero sales, set "
            "expert.cleaning.suspect_stock_outs: false",
            stores=sorted(str(store) for store in cells.stores[stores]),
            skus=sorted(str(sku) for sku in cells.skus[skus]),
            dates=(_day(cells, first), _day(cells, last)),
            count=found.count,
        )
    ]


def _day(cells: SaleCells, at: int) -> date:
    day: date = cells.periods[at].date()
    return day


def category_gap_alarm(prepared: Prepared, empty: PairPeriods) -> list[Alarm]:
    """Return an alarm for the periods in which no store sold a category, which count as unknown.

    Args:
        prepared: corrected and summed tables.
        empty: these periods, by pair.
    """
    if not empty.count:
        return []
    cells = prepared.cells
    found, closed = set(), np.zeros(cells.history, dtype=bool)
    for part in cells.parts():
        pair, period = np.divmod(empty.of(part), cells.history)
        found |= {str(name) for name in part.series_category[distinct(part.pair_series[pair])]}
        closed[period] = True
    names = sorted(found)
    first, last = (_day(cells, at) for at in np.flatnonzero(closed)[[0, -1]])
    return [
        raise_alarm(
            "category_closed",
            f"sales: {numbered(len(names), '# categor[y|ies] [has|have]')} no sales in any store in some periods from "
            f"{first} to {last} ({first_few(names)}), and {numbered(len(names), '[was|were]')} sold in the same season "
            "of another year, or had no sales for a year or more. These periods count as unknown",
            dates=(first, last),
            count=len(names),
        )
    ]


def _groups(prepared: Prepared) -> tuple[IndexArray, np.ndarray]:
    """Brand (or family) of each SKU: shape (K,), and the names of the groups."""
    products, skus = prepared.products, prepared.cells.skus
    for column in _GROUPS:
        if column in products.columns:
            named = pd.Series(products[column].to_numpy(), index=products[c.SKU].astype(str).to_numpy())
            codes, names = pd.factorize(
                named.reindex(skus.astype(str)).astype(object).fillna("").astype(str), sort=True
            )
            return codes.astype(np.int64), np.asarray(names, dtype=object)
    return np.zeros(len(skus), dtype=np.int64), np.array(["all products"], dtype=object)


def _change(units: FloatArray, count: FloatArray, width: int, fewest: int) -> FloatArray:
    """Logarithm of the change of units per cell at each period: after it against before it; NaN with few cells.

    The change is the smaller one of two widths, so that it is sudden.
    """
    changes = [_ratio(units, count, part, min(fewest, part)) for part in (width, _SHORT)]
    sudden: FloatArray = np.where(np.sign(changes[0]) == np.sign(changes[1]), np.sign(changes[0]), np.nan)
    # The first week or month is often not whole.
    sudden[:, :_SHORT] = np.nan
    return sudden * np.minimum(np.abs(changes[0]), np.abs(changes[1]))


def _ratio(units: FloatArray, count: FloatArray, width: int, fewest: int) -> FloatArray:
    total, cells = (np.pad(part.cumsum(axis=1), ((0, 0), (1, 0))) for part in (units, count))
    at = np.arange(units.shape[1])
    low, high = np.maximum(at - width, 0), np.minimum(at + width, units.shape[1])
    n_before, n_after = cells[:, at] - cells[:, low], cells[:, high] - cells[:, at]
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.log((total[:, high] - total[:, at]) / n_after / ((total[:, at] - total[:, low]) / n_before))
    ratio: FloatArray = np.where((n_before >= fewest) & (n_after >= fewest), change, np.nan)
    return ratio


def _changed_skus(cells: SaleCells, pairs: BoolArray, at: int, width: int) -> tuple[np.ndarray, float] | None:
    """SKUs of some pairs whose units change by a large factor, and the factor; None unless almost all do."""
    total, count = np.zeros((2, len(cells.skus))), np.zeros((2, len(cells.skus)))
    for part in cells.parts():
        near = (part.units > 0) & (np.abs(part.cell_period - at + 0.5) < width) & pairs[part.pairs][part.cell_pair]
        place = (part.cell_period[near] >= at).astype(np.int64), part.cell_sku[near]
        np.add.at(total, place, part.units[near])
        np.add.at(count, place, 1.0)
    mean = total / np.maximum(count, 1)
    both = (mean[0] > 0) & (mean[1] > 0)
    if not both.any():
        return None
    change = np.log(mean[1][both] / mean[0][both])
    large = np.abs(change) >= np.log(LIMITS.units_jump)
    same = large & (np.sign(change) == np.sign(np.median(change)))
    if same.mean() < LIMITS.units_skus:
        return None
    return cells.skus[both][same], float(np.exp(np.median(change[same])))


def _unit_alarm(cells: SaleCells, name: str, at: int, skus: np.ndarray, factor: float) -> Alarm:
    day = cells.periods[at].date()
    return raise_alarm(
        "unit_change",
        f"sales: from {day} on, {numbered(len(skus), '# SKU[s]')} of {name} ({first_few(list(skus))}) "
        f"{numbered(len(skus), 'sell[s|]')} {_times(factor)} per store, SKU and period than before, all at once: "
        f"another unit of measure? Convert the quantities to one unit",
        skus=skus,
        dates=(day, cells.periods[cells.end - 1].date()),
        count=len(skus),
    )


def _times(factor: float) -> str:
    """Words for a factor.

    >>> _times(12.0), _times(0.1)
    ('12 times as much', 'a 10th')
    """
    return f"{factor:.3g} times as much" if factor > 1 else f"a {1 / factor:.0f}th"
