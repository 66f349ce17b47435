"""Alarms on levels: another unit of measure for a whole brand, and many SKUs that vanish on one date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.sales import weighted_count

if TYPE_CHECKING:
    from tasks.demand.cleaning.exposure import StorePeriods
    from tasks.demand.cleaning.prepared import Prepared
    from tasks.demand.cleaning.sales import SaleCells

# Periods before and after a date whose units per store, SKU and period are compared.
_AROUND = {"D": 14, "W": 8, "MS": 3}
_SHORT = 3
_GROUPS = (c.BRAND, c.FAMILY)


def changed_units(prepared: Prepared) -> list[Alarm]:
    """Return an alarm for every brand, else every store, whose units change by a large factor between two periods.

    Compared are units per store, SKU and period with a sale. The change counts if almost all SKUs of the brand (of the
    family, or of the network, without brands) or of the store share it.
    """
    cells = prepared.cells
    group, names = _groups(prepared)
    by_brand = _sudden_changes(cells, group[cells.pair_sku[cells.cell_pair]], names, "")
    return by_brand or _sudden_changes(cells, cells.cell_store, cells.stores, "store ", LIMITS.fewest_skus)


def _sudden_changes(
    cells: SaleCells, of_cell: IndexArray, names: np.ndarray, what: str, fewest: int = 1
) -> list[Alarm]:
    sold = cells.units > 0
    shape = (len(names), cells.history)
    key = (of_cell * cells.history + cells.cell_period)[sold]
    units = weighted_count(key, cells.units[sold], *shape)
    count = weighted_count(key, np.ones(len(key)), *shape)
    width = _AROUND[cells.frequency.kind]
    change = np.abs(_change(units, count, width, LIMITS.fewest_lines))
    at = np.where(np.isfinite(change), change, -1.0).argmax(axis=1)
    found = []
    for row in np.flatnonzero(change[np.arange(len(at)), at] >= np.log(LIMITS.units_jump)):
        changed = _changed_skus(cells, of_cell == row, int(at[row]), width)
        if changed is not None and len(changed[0]) >= fewest:
            found.append(_unit_alarm(cells, f"{what}{names[row]}", int(at[row]), *changed))
    return found


def huge_lines(sales: pd.DataFrame) -> list[Alarm]:
    """Return an alarm for sale lines whose quantity is far beyond all others of the SKU, such as a scanned code."""
    units = sales[c.UNITS].to_numpy(dtype=np.float64)
    sku, names = pd.factorize(sales[c.SKU])
    largest = np.zeros(len(names))
    np.maximum.at(largest, sku, units)
    some = np.isin(sku, np.flatnonzero(largest >= LIMITS.huge_line)) & (units > 0)
    if not some.any():
        return []
    median = pd.Series(units[some]).groupby(sku[some]).median().reindex(range(len(names))).to_numpy()
    rows = sales[(units >= LIMITS.huge_line) & (units >= LIMITS.huge_line * median[sku])]
    if rows.empty:
        return []
    shown = [
        f"{units:,.0f} of {sku} in store {store} on {day.date()}"
        for units, sku, store, day in zip(rows[c.UNITS], rows[c.SKU], rows[c.STORE_ID], rows[c.DATE], strict=True)
    ]
    return [
        raise_alarm(
            "huge_lines",
            f"sales: {numbered(len(rows), '# line[s] [has|have]')} at least {LIMITS.huge_line:,.0f} times the usual "
            f"quantity: {first_few(shown)}. Was a code entered as the quantity? Correct it in the source",
            stores=sorted(rows[c.STORE_ID].astype(str).unique()),
            skus=sorted(rows[c.SKU].astype(str).unique()),
            dates=(rows[c.DATE].min().date(), rows[c.DATE].max().date()),
            count=len(rows),
        )
    ]


def vanished_skus(prepared: Prepared, stores: StorePeriods) -> list[Alarm]:
    """Return an alarm if many SKUs that sold regularly have no row any more from the same date on."""
    cells = prepared.cells
    end = int(cells.cell_period.max()) + 1
    sku = cells.pair_sku[cells.cell_pair]
    is_open = ~stores.ended[cells.cell_store]
    present = np.zeros((len(cells.skus), end), dtype=bool)
    present[sku[is_open], cells.cell_period[is_open]] = True
    last = end - 1 - present[:, ::-1].argmax(axis=1)
    first = np.maximum(present.argmax(axis=1), last - LIMITS.window[cells.frequency.kind])
    run = np.concatenate([np.zeros((len(present), 1)), present.cumsum(axis=1)], axis=1)
    rows = np.arange(len(present))
    rate = (run[rows, last + 1] - run[rows, first]) / (last + 1 - first)
    silent = end - 1 - last
    gone = present.any(axis=1) & (silent >= LIMITS.vanished_periods[cells.frequency.kind])
    gone &= (1 - np.minimum(rate, 0.97)) ** silent < LIMITS.pattern_chance
    if gone.sum() < LIMITS.fewest_skus:
        return []
    dates, counts = np.unique(last[gone], return_counts=True)
    date = int(dates[counts.argmax()])
    together = gone & (last == date)
    active = present.any(axis=1) & (last >= date)
    if together.sum() < max(LIMITS.fewest_skus, LIMITS.vanished_share * active.sum()):
        return []
    began = int((present.any(axis=1) & (np.abs(present.argmax(axis=1) - date - 1) <= 1)).sum())
    skus = cells.skus[together]
    return [
        raise_alarm(
            "skus_vanished",
            f"sales: {len(skus):,} of {int(active.sum()):,} SKUs ({first_few(list(skus))}) sold regularly and have no "
            f"row after {cells.periods[date].date()}; {numbered(began, '# SKU[s]')} began then. If their codes "
            "changed, name the old ones in products.replaces; if rows are missing, deliver them",
            skus=skus,
            dates=(cells.periods[date].date(), cells.periods[end - 1].date()),
            count=len(skus),
        )
    ]


def local_gap_alarm(prepared: Prepared, local: IndexArray) -> list[Alarm]:
    """Return an alarm for the gaps of SKUs in single stores that count as unknown.

    Args:
        prepared: corrected and summed tables.
        local: sorted distinct ``pair * T + period``.
    """
    if not len(local):
        return []
    cells = prepared.cells
    pair, period = np.divmod(local, cells.history)
    pairs = np.unique(pair)
    skus = sorted({str(sku) for sku in cells.skus[cells.pair_sku[pairs]]})
    return [
        raise_alarm(
            "sku_gaps",
            f"sales: {numbered(len(pairs), '# SKU[s] of a store')} ({first_few(skus)}) "
            f"{numbered(len(pairs), '[has|have]')} no sales in {numbered(len(local), '# period[s]')} in which the "
            f"other "
            "stores sell them. They were probably not in stock: these periods count as unknown",
            stores=sorted({str(store) for store in cells.stores[cells.pair_store[pairs]]}),
            skus=skus,
            dates=(cells.periods[period.min()].date(), cells.periods[period.max()].date()),
            count=len(local),
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


def _changed_skus(cells: SaleCells, chosen: np.ndarray, at: int, width: int) -> tuple[np.ndarray, float] | None:
    """SKUs of the chosen cells whose units change by a large factor, and the factor; None unless almost all do."""
    sku = cells.pair_sku[cells.cell_pair]
    near = chosen & (cells.units > 0) & (np.abs(cells.cell_period - at + 0.5) < width)
    after = near & (cells.cell_period >= at)
    size = len(cells.skus)
    mean = [
        np.bincount(sku[part], cells.units[part], minlength=size)
        / np.maximum(np.bincount(sku[part], minlength=size), 1)
        for part in (near & ~after, after)
    ]
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
    text = f"{factor:.3g} times as much" if factor > 1 else f"a {1 / factor:.3g}th"
    day = cells.periods[at].date()
    return raise_alarm(
        "unit_change",
        f"sales: from {day} on, {numbered(len(skus), '# SKU[s]')} of {name} ({first_few(list(skus))}) "
        f"{numbered(len(skus), 'sell[s|]')} {text} per store, SKU and period than before, all at once: another unit "
        f"of measure? Convert the quantities to one unit",
        skus=skus,
        dates=(day, cells.periods[int(cells.cell_period.max())].date()),
        count=len(skus),
    )
