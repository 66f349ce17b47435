"""Alarm on many SKUs whose rows end on the same date, everywhere or in one store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, IndexArray
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.exposure import StorePeriods
    from tasks.demand.cleaning.pair_periods import PairPeriods
    from tasks.demand.cleaning.prepared import Prepared
    from tasks.demand.cleaning.sales import CellPart
    from tasks.demand.cleaning.stock_outs import StockOuts

# Columns that describe a product.
_DESCRIPTION = (c.NAME, c.BRAND, c.FAMILY, c.SUBFAMILY, c.SIZE, c.COLOR, c.ARTICLE)
# Share of their earlier rows that a SKU must still have in the other stores.
_STILL_SOLD = 0.5


@dataclass(frozen=True)
class _Rows:
    """Rows of SKUs, or of SKUs in a store: first and last period, and which stopped although they sold regularly."""

    first: IndexArray
    last: IndexArray
    gone: BoolArray

    @classmethod
    def of(cls, keys: IndexArray, size: int, end: int, kind: str) -> _Rows:
        """Read the periods with a row of each key: sorted distinct ``key * end + period``."""
        key, period = np.divmod(keys, end)
        first, last = np.full(size, end), np.full(size, -1)
        np.minimum.at(first, key, period)
        np.maximum.at(last, key, period)
        low = np.maximum(first, last - LIMITS.window[kind])
        rate = np.bincount(key[period >= low[key]], minlength=size) / np.maximum(last + 1 - low, 1)
        silent = end - 1 - last
        gone = (last >= 0) & (silent >= LIMITS.vanished_periods[kind])
        return cls(first, last, gone & ((1 - np.minimum(rate, 0.97)) ** silent < LIMITS.pattern_chance))


def vanished_skus(prepared: Prepared, stores: StorePeriods, missing: PairPeriods, found: StockOuts) -> list[Alarm]:
    """Return an alarm if the rows of many SKUs that sold regularly end on the same date.

    Either the SKUs have no row in any store, or one store has no row of SKUs that other stores still sell.

    Args:
        prepared: corrected and summed tables.
        stores: what is known of each store and period.
        missing: periods that the table of availability marks as out of stock.
        found: SKUs that were probably not in stock.
    """
    rows = _rows_of_skus(prepared, stores)
    return _everywhere(prepared, rows) or _renumbered(prepared, rows) or _in_stores(prepared, stores, missing, found)


def _rows_of_skus(prepared: Prepared, stores: StorePeriods) -> _Rows:
    cells = prepared.cells
    end = cells.end
    sold = np.zeros(len(cells.skus) * end, dtype=bool)
    for own in cells.parts():
        is_open = ~stores.ended[own.cell_store]
        sold[(own.pair_sku[own.cell_pair] * end + own.cell_period)[is_open]] = True
    return _Rows.of(np.flatnonzero(sold), len(cells.skus), end, cells.frequency.kind)


def _renumbered(prepared: Prepared, rows: _Rows) -> list[Alarm]:
    """SKUs that sold regularly, and ended when the only other SKU with the same description began."""
    cells, products = prepared.cells, prepared.tables["products"]
    described = [name for name in _DESCRIPTION if name in products.columns]
    if c.NAME not in described or not rows.gone.any():
        return []
    texts = products[described].astype(object).where(products[described].notna(), "").astype(str)
    text = pd.Series(texts.agg("\n".join, axis=1).to_numpy(), index=products[c.SKU].astype(str).to_numpy())
    text = text[(texts[c.NAME] != "").to_numpy()].reindex(cells.skus.astype(str))
    alike = pd.Series(np.arange(len(text)))[rows.last >= 0].groupby(text.to_numpy()[rows.last >= 0]).agg(list)
    named = []
    for old, new in (pair for pair in alike if len(pair) == 2):  # noqa: PLR2004
        if rows.gone[old] == rows.gone[new]:
            continue
        if rows.gone[new]:
            old, new = new, old  # noqa: PLW2901
        late = rows.first[new] - rows.last[old]
        if 0 < late <= LIMITS.vanished_periods[cells.frequency.kind] and cells.skus[old] not in prepared.lines.replaced:
            named.append((str(cells.skus[old]), str(cells.skus[new]), int(rows.last[old])))
    if not named:
        return []
    shown = first_few([f"{old} ends on {cells.periods[last].date()}, then {new} begins" for old, new, last in named])
    return [
        raise_alarm(
            "skus_vanished",
            f"sales: {numbered(len(named), '# SKU[s]')} sold regularly and ended when another SKU with the same "
            f"description began: {shown}. If the codes changed, name the old ones in products.replaces, so that the "
            "new ones inherit the sales",
            skus=[old for old, _, _ in named],
            dates=tuple(cells.periods[at([last for _, _, last in named])].date() for at in (min, max)),
            count=len(named),
        )
    ]


def _everywhere(prepared: Prepared, rows: _Rows) -> list[Alarm]:
    cells = prepared.cells
    end = cells.end
    if rows.gone.sum() < LIMITS.fewest_skus:
        return []
    dates, counts = np.unique(rows.last[rows.gone], return_counts=True)
    date = int(dates[counts.argmax()])
    together = rows.gone & (rows.last == date)
    active = int((rows.last >= date).sum())
    if together.sum() < max(LIMITS.fewest_skus, LIMITS.vanished_share * active):
        return []
    began = int(((rows.last >= 0) & (np.abs(rows.first - date - 1) <= 1)).sum())
    skus = cells.skus[together]
    return [
        raise_alarm(
            "skus_vanished",
            f"sales: {len(skus):,} of {active:,} SKUs ({first_few(list(skus))}) sold regularly and have no "
            f"row after {cells.periods[date].date()}; {numbered(began, '# SKU[s]')} began then. If their codes "
            "changed, name the old ones in products.replaces; if rows are missing, deliver them",
            skus=skus,
            dates=(cells.periods[date].date(), cells.periods[end - 1].date()),
            count=len(skus),
        )
    ]


def _in_stores(prepared: Prepared, stores: StorePeriods, missing: PairPeriods, found: StockOuts) -> list[Alarm]:
    """One alarm for all stores in which many SKUs vanished within a few periods; known stock-outs do not count."""
    cells = prepared.cells
    end, kind = cells.end, cells.frequency.kind
    size = len(cells.pair_store)
    last_period, gone = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=bool)
    silent = stores.silent[:, end - 1] | stores.ended
    sold = np.zeros(len(cells.skus) * end + 1, dtype=np.int64)  # rows before sku * end + period
    for part in cells.parts():
        rows = _Rows.of(part.cell_pair * end + part.cell_period, len(part.pair_store), end, kind)
        last_period[part.pairs], gone[part.pairs] = rows.last, rows.gone & ~silent[part.pair_store]
        np.add.at(sold, part.cell_sku * end + part.cell_period + 1, 1)
    if gone.sum() < LIMITS.fewest_skus:
        return []
    np.cumsum(sold, out=sold)
    for part in cells.parts():
        own = gone[part.pairs]
        if missing.count or found.count:
            pair, period = np.divmod(np.concatenate([missing.of(part), found.keys(part)]), cells.history)
            own[pair[period > last_period[part.pairs[pair]]]] = False
        pairs = np.flatnonzero(own)
        own[pairs] = _sold_elsewhere(part, pairs, last_period[part.pairs[pairs]].astype(np.int64), sold, end)
        gone[part.pairs] = own
    named, concerned, skus, dates = [], [], set(), []
    for store in np.unique(cells.pair_store[gone]):
        place = slice(*np.searchsorted(cells.pair_store, [store, store + 1]).tolist())
        lost, last_row = gone[place], last_period[place]
        last = np.sort(last_row[lost])
        # The largest number that vanished within a few periods, because a slow SKU has its last row some periods before
        # the others.
        until = np.arange(len(last))
        since = np.searchsorted(last, last - LIMITS.together[kind] + 1)
        date = int(last[(until - since).argmax()])
        lately = last_row > date - LIMITS.together[kind]
        together, active = lost & lately & (last_row <= date), int(lately.sum())
        if together.sum() < max(LIMITS.fewest_skus, LIMITS.vanished_share * active):
            continue
        names = cells.skus[cells.pair_sku[place][together]]
        named.append(
            f"{cells.stores[store]}: {len(names):,} of {active:,} SKUs ({first_few(list(names), 3)}) after "
            f"{cells.periods[date].date()}"
        )
        concerned.append(cells.stores[store])
        skus |= set(names)
        dates.append(date)
    if not named:
        return []
    return [
        raise_alarm(
            "skus_vanished",
            f"sales: {numbered(len(named), '# store[s] no longer [has|have]')} rows of many SKUs that sold there "
            f"regularly and that other stores still sell: {first_few(named)}. If rows are missing, deliver them; if "
            "the SKUs were taken out of these stores, their targets can be set to 0 by overrides",
            stores=concerned,
            skus=sorted(map(str, skus)),
            dates=(cells.periods[min(dates)].date(), cells.periods[end - 1].date()),
            count=len(skus),
        )
    ]


def _sold_elsewhere(part: CellPart, pairs: IndexArray, last: IndexArray, sold: IndexArray, end: int) -> BoolArray:
    """Whether SKUs still have about as many rows in the other stores after the pairs' last rows as before them.

    Args:
        part: the cells of some series.
        pairs: shape (k,); numbers of pairs in the part.
        last: shape (k,); period of their last row.
        sold: rows in all stores before ``sku * end + period``.
        end: number of periods up to the last one with a row.
    """
    base, stop = part.pair_sku[pairs] * end, last + 1
    low = np.maximum(stop - (end - stop), 0)
    keys = part.cell_pair * end + part.cell_period  # sorted by pair and period
    own = np.searchsorted(keys, pairs * end + stop) - np.searchsorted(keys, pairs * end + low)
    before = sold[base + stop] - sold[base + low] - own
    after = sold[base + end] - sold[base + stop]
    shown: BoolArray = (after >= LIMITS.together[part.frequency.kind]) & (after >= _STILL_SOLD * before)
    return shown
