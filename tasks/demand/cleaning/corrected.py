"""Corrected sale lines by series, and what the checks need to know of the lines. No later step reads a line again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.panel import IndexArray
from schemas.settings.slices import PanelSlice
from tasks.demand.checks.booked_twice import booked_components, booked_twice_alarm
from tasks.demand.checks.levels import huge_lines, huge_lines_alarm
from tasks.demand.checks.not_periods import RepeatedKeys
from tasks.demand.checks.prices import AmountsPerUnit, odd_amounts, odd_amounts_alarms
from tasks.demand.checks.week_labels import reads_labels, units_by_week
from tasks.demand.cleaning.bundles import components, with_components
from tasks.demand.cleaning.corrections import (
    LINE_KEYS,
    Returns,
    Signs,
    isolated_alarm,
    void_alarm,
    voided_lines,
)
from tasks.demand.cleaning.lines import LinesByDay, SaleLines
from tasks.demand.cleaning.sales import BLOCK_LINES, TextArray, codes
from tasks.demand.cleaning.successors import in_place, successors
from tasks.demand.cleaning.unit_prices import in_single_units, unit_price_alarms
from tasks.storage.mapped import blocks
from tasks.storage.shards import Shards

SERIES_LINE = np.dtype([("store", "<i4"), ("sku", "<i4"), ("day", "<i4"), ("units", "<f8"), ("amount", "<f8")])


@dataclass
class LineFacts:
    """Sums over the corrected lines of S stores.

    Attributes:
        by_day: number of lines by day (since 1970).
        of_store: shape (S,); number of lines.
        last_of_store: shape (S,); last day with a line.
        sold: SKUs with units above 0.
        weeks: units by label and SKU, where the reading of the labels depends on them.
    """

    by_day: pd.Series
    of_store: IndexArray
    last_of_store: IndexArray
    sold: set[str] = field(default_factory=set)
    weeks: list[pd.DataFrame] = field(default_factory=list)

    @classmethod
    def of(cls, stores: int) -> LineFacts:
        """Sums of no lines."""
        last = np.full(stores, np.iinfo(np.int64).min)
        return cls(pd.Series(dtype=np.int64), np.zeros(stores, dtype=np.int64), last)

    def add(self, lines: pd.DataFrame, weekly: bool) -> set[str]:
        """Count the lines of a shard, and return its SKUs with units above 0."""
        day = lines[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int64)
        first = int(day.min()) if len(day) else 0
        counts = np.bincount(day - first)
        found = np.flatnonzero(counts)
        self.by_day = self.by_day.add(pd.Series(counts[found], index=found + first), fill_value=0).astype(np.int64)
        store = lines[c.STORE_ID].cat.codes.to_numpy()
        self.of_store += np.bincount(store, minlength=len(self.of_store))
        np.maximum.at(self.last_of_store, store, day)
        if weekly:
            self.weeks.append(units_by_week(lines))
        sku = lines[c.SKU].cat
        used = np.bincount(sku.codes.to_numpy()[lines[c.UNITS].to_numpy() > 0], minlength=len(sku.categories)) > 0
        sold = set(sku.categories[used])
        self.sold |= sold
        return sold

    def days(self) -> pd.Series:
        """Number of lines by date, in the order of the dates."""
        by_day = self.by_day.sort_index()
        return by_day.set_axis(by_day.index.to_numpy(dtype=np.int64).astype("datetime64[D]"))


@dataclass(frozen=True)
class CorrectedLines:
    """Corrected lines under the SKUs that inherit them, in groups of consecutive series.

    Attributes:
        groups: lines of :data:`SERIES_LINE`.
        stores: store ids, alphabetical.
        skus: SKUs, alphabetical; some may have no line.
        used: shape of ``skus``; SKUs with a line.
        category: position of the category of each SKU in ``categories``; -1 if the products do not have it.
        categories: category names, alphabetical.
        rows: number of lines.
        facts: sums over the lines, under their own SKUs.
        replaced: SKU to the successor that inherits its sales.
        replaced_pairs: store_id and sku of replaced SKUs with a line.
        voided: the voided lines: date, store_id, sku, units as sold.
        returned: the lines with negative units.
        alarms: what was corrected.
        odd: the alarms on repeated and huge lines and odd amounts.
    """

    groups: Shards
    stores: TextArray
    skus: TextArray
    used: NDArray[np.bool_]
    category: IndexArray
    categories: TextArray
    rows: int
    facts: LineFacts
    replaced: Mapping[str, str]
    replaced_pairs: pd.DataFrame
    voided: pd.DataFrame
    returned: LinesByDay
    alarms: tuple[Alarm, ...]
    odd: tuple[Alarm, ...]


def correct_sales(
    lines: SaleLines, tables: Mapping[str, pd.DataFrame], products: pd.DataFrame, use: PanelSlice, as_of: date
) -> CorrectedLines:
    """Correct the sale lines before the run date, a shard of SKUs at a time.

    Args:
        lines: at least one line before the run date.
        tables: the accepted rows, without sales; ``bundles`` where the run has them.
        products: the product table, cleaned, with the category.
        use: settings of the panel.
        as_of: run date.

    Raises:
        DataContractError: a bundle contains itself.
    """
    parts, signs = components(tables.get("bundles")), Signs.of(lines)
    there, weekly = in_place(tables, as_of), reads_labels(use)
    series = _SeriesGroups.of(lines, products)
    returned = LinesByDay(lines)
    returns = Returns(lines.stores, (lines.before.first, lines.before.last))
    facts = LineFacts.of(len(lines.stores))
    found, keys, amounts = _Found(), RepeatedKeys(len(lines.skus)), AmountsPerUnit(len(lines.skus))
    used, rows, units = np.zeros(len(lines.skus), dtype=bool), 0, 0.0
    for shard in lines.frames():
        own, left_out = signs.applied(shard)
        found.isolated.append(left_out)
        returns.add(own)
        void = voided_lines(own)
        units += float(own.loc[own[c.UNITS] > 0, c.UNITS].sum())
        found.voided.append(own.loc[void, LINE_KEYS])
        if void.any():
            # The rows stay: the SKU was in the store, and the store was open.
            own = own.assign(**{c.UNITS: own[c.UNITS].mask(void, 0.0)})
        keys.add(own)
        amounts.add(own)
        own, boxes = in_single_units(own)
        found.boxes += boxes
        found.bundles.append(booked_components(own, parts))
        own = with_components(own, parts)
        sold = facts.add(own, weekly)
        returned.append(own[own[c.UNITS] < 0])
        found.huge.append(huge_lines(own)[LINE_KEYS])
        found.odd.append(odd_amounts(own))
        # Successors are in the shard of the SKUs that they replace.
        replaced = successors(tables, as_of, there | sold)
        found.replaced.append(_pairs_of(own, set(replaced)))
        used |= series.append(own, replaced)
        rows += len(own)
        del shard, own
    replaced = successors(tables, as_of, there | facts.sold)
    pairs = pd.concat(found.replaced, ignore_index=True)
    voided = found.rows("voided")
    sign_alarms = signs.alarms if signs.turn_units else (*returns.alarm(), *signs.alarms)
    return CorrectedLines(
        groups=series.groups,
        stores=lines.stores,
        skus=lines.skus,
        used=used,
        category=series.category,
        categories=series.categories,
        rows=rows,
        facts=facts,
        replaced=replaced,
        replaced_pairs=pairs[pairs[c.SKU].isin(list(replaced))].reset_index(drop=True),
        voided=voided,
        returned=returned,
        alarms=(
            *isolated_alarm(found.rows("isolated")),
            *sign_alarms,
            *void_alarm(voided, units),
            *unit_price_alarms(found.boxes),
        ),
        odd=(
            *keys.alarm(lines.skus),
            *booked_twice_alarm(found.bundles),
            *amounts.alarm(),
            *huge_lines_alarm(found.rows("huge")),
            *odd_amounts_alarms(found.odd, rows),
        ),
    )


@dataclass
class _Found:
    """The recorded lines of the shards that are already corrected."""

    isolated: list[pd.DataFrame] = field(default_factory=list)
    voided: list[pd.DataFrame] = field(default_factory=list)
    huge: list[pd.DataFrame] = field(default_factory=list)
    odd: list[pd.DataFrame] = field(default_factory=list)
    replaced: list[pd.DataFrame] = field(default_factory=list)
    boxes: list[pd.DataFrame] = field(default_factory=list)
    bundles: list[pd.DataFrame] = field(default_factory=list)

    def rows(self, name: str) -> pd.DataFrame:
        """The lines of all shards in the order of the table."""
        return pd.concat(getattr(self, name)).sort_index(kind="stable")


def _pairs_of(lines: pd.DataFrame, skus: set[str]) -> pd.DataFrame:
    chosen = lines[c.SKU].isin(skus) if skus else np.zeros(len(lines), dtype=bool)
    return lines.loc[chosen, [c.STORE_ID, c.SKU]].drop_duplicates().astype(str).astype(object)


@dataclass(frozen=True)
class _SeriesGroups:
    """Distributes lines to groups of consecutive series (by store and category), about ``BLOCK_LINES`` in each.

    Attributes:
        groups: the lines.
        category: see :class:`CorrectedLines`.
        categories: see :class:`CorrectedLines`.
        first: shape (S,); first group of each store.
        pieces: shape (S,); number of groups of each store.
        numbers: position of each SKU.
    """

    groups: Shards
    category: IndexArray
    categories: TextArray
    first: IndexArray
    pieces: IndexArray
    numbers: pd.Index

    @classmethod
    def of(cls, lines: SaleLines, products: pd.DataFrame) -> _SeriesGroups:
        """Divide the series by the number of lines of each store."""
        of_product, categories = codes(products[c.CATEGORY])
        skus = pd.Index(lines.skus)
        category = np.full(len(skus), -1, dtype=np.int64)
        at = skus.get_indexer(products[c.SKU].astype(str))
        category[at[at >= 0]] = of_product[at >= 0]
        count = lines.store_lines
        first = (np.cumsum(count) - count) // BLOCK_LINES
        groups = Shards(int(first.max()) + int(count[-1]) // BLOCK_LINES + 1, SERIES_LINE)
        return cls(groups, category, categories, first, np.maximum(count // BLOCK_LINES, 1), skus)

    def append(self, lines: pd.DataFrame, replaced: Mapping[str, str]) -> NDArray[np.bool_]:
        """Add lines under the SKUs that inherit them, and return which SKUs have a line."""
        target = np.arange(len(self.numbers), dtype=np.int32)
        for old, new in replaced.items():
            if old in self.numbers:
                target[self.numbers.get_loc(old)] = self.numbers.get_loc(new)
        used = np.zeros(len(target), dtype=bool)
        for part in blocks(len(lines)):
            block = lines.iloc[part]
            rows = np.empty(len(block), dtype=SERIES_LINE)
            rows["store"] = store = block[c.STORE_ID].cat.codes.to_numpy()
            rows[c.SKU] = sku = target[block[c.SKU].cat.codes.to_numpy()]
            rows["day"] = block[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int32)
            rows["units"] = block[c.UNITS].to_numpy()
            rows["amount"] = block[c.NET_AMOUNT].to_numpy() if c.NET_AMOUNT in block.columns else np.nan
            piece = np.maximum(self.category[sku], 0) * self.pieces[store] // max(len(self.categories), 1)
            self.groups.append(self.first[store] + piece, rows)
            used |= np.bincount(sku, minlength=len(target)) > 0
        return used
