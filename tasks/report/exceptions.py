"""Exceptions: the stores and SKUs that need a planner's attention this week."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import RunFacts, RunOutputs
from schemas.plan import FloatArray
from schemas.run import RunContext
from schemas.tables import OVERRIDES
from tasks.report.language import ENGLISH, Language, message
from tasks.storage.row_order import row_order

COLUMNS = (
    *(c.KIND, c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.CATEGORY, c.UNITS, c.MONEY, c.WEEKS_OF_COVER, c.REASON),
)  # fmt: skip
# Kinds of exceptions.
STOCK_OUT = message("stock-out")
CUT = message("cut by a constraint")
OVERSTOCK = message("overstock")
OVER_CAPACITY = message("over capacity")
OVERRIDE = message("override not applied")
NEW_STORE = message("new store")
NEW_SKU = message("new SKU")
# Alarm that names new stores or SKUs: kind and reason.
_NEW = {
    "new_store": (NEW_STORE, message("no sales yet: forecast and targets come from comparable stores")),
    "short_history": (NEW_STORE, message("less than a year of sales: the season comes from comparable stores")),
    "new_article": (NEW_SKU, message("no sales yet: its share comes from comparable SKUs")),
}
# A pair is short if stock and delivery are at least this many expected units below demand until the next delivery.
SMALLEST_SHORTAGE = 0.5
# Stock for more than a quarter of a year of expected sales is overstock.
OVERSTOCK_WEEKS = 13.0
# A store is over capacity if more than this share of the sample paths exceeds its capacity in any period.
SHARE_OF_PATHS = 0.05
# Constraint: the column with the units that it took from the target, as a negative number.
_TAKEN_BY = {
    "DC stock": c.BY_DC,
    "share of scarce DC stock": c.BY_DC_SHARE,
    "storage capacity": c.BY_CAPACITY,
    "pack": c.BY_ROUNDING,
}
# Constraints that lower a target without a separate step. All others raise it, or move the delivery.
_LOWERING = ("storage capacity", "display capacity", "size run", "no delivery")
# Fewer units of rounding are no constraint.
_SMALLEST_CUT = 0.5
# The retailer's own rule: nothing to decide this week.
_INTENDED = ("lifecycle rule",)
_NO_TARGET = "matches no target"
_DAYS_PER_WEEK = 7


def exceptions(outputs: RunOutputs, facts: RunFacts, run: RunContext, language: Language = ENGLISH) -> pd.DataFrame:
    """List what needs attention this week, the largest amount of money first.

    Args:
        outputs: tables of the run, with planners' overrides applied.
        facts: other facts of the run.
        run: settings and run date.
        language: language of the reasons.

    Returns:
        kind; store_id, sku, product_name and category (text, empty if the row is not about one); units; money
        (units times the SKU's price; NaN if unknown); weeks_of_cover (NaN if unknown or without expected sales);
        reason. By kind, units are:

        ===================  =======================================================================
        stock-out            expected demand until the next delivery that stock and delivery do not cover
        cut by a constraint  the same, if a constraint lowers the target
        overstock            stock above 13 weeks of expected sales
        over capacity        expected stock above the store's capacity in its fullest period
        override not applied NaN
        new store, new SKU   units to send now to this store, or of this SKU to all stores
        ===================  =======================================================================
    """
    rows = [
        *_pairs(outputs, run, language),
        *_stores(outputs, language),
        *_overrides(outputs, facts, run, language),
        *_new(outputs, facts, language),
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = {name: frame[name].astype(np.float64) for name in (c.UNITS, c.MONEY, c.WEEKS_OF_COVER)}
    frame = frame.assign(**numbers)
    texts = [frame[name].astype(str).to_numpy() for name in (c.REASON, c.SKU, c.STORE_ID, c.KIND)]
    order = np.lexsort((*texts, -frame[c.UNITS].fillna(0.0).to_numpy(), -frame[c.MONEY].fillna(0.0).to_numpy()))
    return frame.iloc[order].reset_index(drop=True)


def _pairs(outputs: RunOutputs, run: RunContext, language: Language) -> Iterator[tuple[object, ...]]:
    """Stock-outs, cuts and overstock of (store, SKU) pairs."""
    table = outputs.explanations
    if table is None or table.empty:
        return
    table = _published(table, outputs.replenishment)
    stock = table[[c.ON_HAND, c.IN_TRANSIT]].fillna(0.0).to_numpy(dtype=np.float64).sum(axis=1)
    after = np.maximum(stock, table[c.TARGET_QUANTITY].to_numpy(dtype=np.float64))
    weekly = _weekly_sales(table, outputs.forecast, run)
    names, prices = _products(outputs.products, table[c.SKU])
    short = table[c.SKU_FORECAST].to_numpy(dtype=np.float64) - after
    excess = stock - OVERSTOCK_WEEKS * weekly
    intended = table[c.LIMIT].isin(_INTENDED).to_numpy()
    below_demand, surplus = np.flatnonzero((short >= SMALLEST_SHORTAGE) & ~intended), np.flatnonzero(excess >= 1)
    # Few of a large network's pairs are exceptions: only their rows become mappings.
    chosen = np.union1d(below_demand, surplus)
    records = dict(zip(chosen.tolist(), table.iloc[chosen].to_dict("records"), strict=True))

    def row(i: int, kind: str, units: float, held: float, reason: str) -> tuple[object, ...]:
        cover = held / weekly[i] if weekly[i] > 0 else np.nan
        found = records[i]
        key = str(found[c.STORE_ID]), str(found[c.SKU]), names[i], str(found[c.CATEGORY])
        return kind, *key, round(units, 2), round(units * prices[i], 2), round(cover, 1), reason

    for i in below_demand.tolist():
        limit = str(records[i][c.LIMIT])
        taken = -float(str(records[i].get(_TAKEN_BY.get(limit, ""), 0.0)))
        kind = CUT if taken >= _SMALLEST_CUT or limit in _LOWERING else STOCK_OUT
        cut = (limit, taken) if kind == CUT else None
        yield row(i, kind, float(short[i]), float(after[i]), _shortage(records[i], stock[i], after[i], cut, language))
    for i in surplus.tolist():
        reason = language(
            "{stock} units in stock; expected sales {weekly} units a week",
            stock=language.number(stock[i]),
            weekly=language.number(weekly[i], 1),
        )
        yield row(i, OVERSTOCK, float(excess[i]), float(stock[i]), reason)


def _shortage(
    row: dict[str, object], stock: float, after: float, cut: tuple[str, float] | None, language: Language
) -> str:
    """Reason of a shortage; ``cut`` is the constraint that lowers the target, and the units that it takes."""
    parts = [
        language(
            "expected demand {demand} units in the time that the delivery covers; {stock} in stock, {send} to send",
            demand=language.number(float(str(row[c.SKU_FORECAST])), 1),
            stock=language.number(stock),
            send=language.number(after - stock),
        )
    ]
    limit, taken = cut or ("", 0.0)
    if taken > 0:
        units, one = language.number(taken), round(taken) == 1
        parts.append(
            language(
                "constraint: {limit}, which reduces the target by {units} unit",
                limit=language.known(limit),
                units=units,
            )
            if one
            else language(
                "constraint: {limit}, which reduces the target by {units} units",
                limit=language.known(limit),
                units=units,
            )
        )
    elif cut:
        parts.append(language("constraint: {limit}", limit=language.known(limit)))
    elif float(str(row.get(c.ORDER_UP_TO, np.inf))) < float(str(row.get(c.SERIES_FORECAST, 0.0))):
        parts.append(
            language(
                "the plan's order-up-to level of the category is {level} units, below its expected demand of {demand}",
                level=language.number(float(str(row[c.ORDER_UP_TO]))),
                demand=language.number(float(str(row[c.SERIES_FORECAST])), 1),
            )
        )
    return "; ".join(parts)


def _published(table: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """The explanations of the published pairs, with the published targets."""
    key = [c.STORE_ID, c.SKU]
    published = targets[[*key, c.TARGET_QUANTITY]].astype(dict.fromkeys(key, str))
    known = table.drop(columns=c.TARGET_QUANTITY).astype(dict.fromkeys(key, str))
    return known.merge(published, on=key, how="inner").sort_values(key, ignore_index=True)


def _weekly_sales(table: pd.DataFrame, forecast: pd.DataFrame, run: RunContext) -> FloatArray:
    """Expected units a week of each pair: its share of the champion's mean forecast over the horizon."""
    series = [c.STORE_ID, c.CATEGORY]
    live = forecast[forecast[c.CHAMPION].to_numpy(dtype=bool)]
    # Sums of floats depend on the order of the rows.
    live = live.iloc[row_order(live, [*series, c.DATE])]
    total = live[[*series, c.MEAN]].astype(dict.fromkeys(series, str)).groupby(series)[c.MEAN].sum()
    index = pd.MultiIndex.from_frame(table[series].astype(str))
    labels = run.settings.period.range(run.as_of, run.settings.horizon + 1)
    weeks = (labels[-1] - labels[0]).days / _DAYS_PER_WEEK
    units = total.reindex(index).fillna(0.0).to_numpy(dtype=np.float64)
    weekly: FloatArray = units * table[c.SHARE].fillna(0.0).to_numpy(dtype=np.float64) / weeks
    return weekly


def _products(products: pd.DataFrame | None, skus: pd.Series) -> tuple[list[str], FloatArray]:
    """Name and price of each SKU; an empty name and NaN if unknown."""
    if products is None:
        return [""] * len(skus), np.full(len(skus), np.nan)
    found = products.set_index(c.SKU).reindex(skus)
    named = c.PRODUCT_NAME in found.columns
    names = found[c.PRODUCT_NAME].fillna("").astype(str).tolist() if named else [""] * len(skus)
    return names, found[c.UNIT_PRICE].to_numpy(dtype=np.float64)


def _stores(outputs: RunOutputs, language: Language) -> Iterator[tuple[object, ...]]:
    """Stores that the plan is likely to fill above their capacity."""
    stock = outputs.stock_by_day
    if stock is None or stock.empty:
        return
    chosen = outputs.costs.loc[outputs.costs[c.CHOSEN].astype(bool), c.POLICY]
    days = stock[stock[c.POLICY].isin(chosen) & stock[c.CAPACITY].notna()]
    beyond = (days[c.STOCK] - days[c.CAPACITY]).clip(lower=0.0)
    found = days.assign(**{c.UNITS: beyond, c.SHARE: days[c.OVER]}).groupby(days[c.STORE_ID].astype(str), sort=True)
    measures = found.agg({c.UNITS: "max", c.SHARE: "max", c.OVER: "sum", c.CAPACITY: "first"})
    for store, row in measures[measures[c.SHARE] > SHARE_OF_PATHS].iterrows():
        reason = language(
            "above the capacity of {capacity} in {periods} periods of the horizon on average",
            capacity=language.number(row[c.CAPACITY]),
            periods=language.number(row[c.OVER], 1),
        )
        yield OVER_CAPACITY, str(store), "", "", "", round(float(row[c.UNITS]), 2), np.nan, np.nan, reason


def _overrides(
    outputs: RunOutputs, facts: RunFacts, run: RunContext, language: Language
) -> Iterator[tuple[object, ...]]:
    """Planners' overrides that were rejected or match no target."""
    rejected = outputs.quarantine[outputs.quarantine[c.TABLE].astype(str) == OVERRIDES.name]
    source = run.settings.sources.named().get(OVERRIDES.name)
    written = {} if source is None else source.columns
    names = outputs.products

    def row(store: object, sku: object, category: object, reason: str) -> tuple[object, ...]:
        ids = ["" if pd.isna(value) else str(value) for value in (store, sku, category)]
        name = _products(names, pd.Series([ids[1]], dtype=object))[0][0] if ids[1] else ""
        return OVERRIDE, ids[0], ids[1], name, ids[2], np.nan, np.nan, np.nan, reason

    for found in rejected.to_dict("records"):
        store, sku, category = (found.get(written.get(column, column)) for column in (c.STORE_ID, c.SKU, c.CATEGORY))
        reason = language("row {row}: {reason}", row=found[c.ROW_NUMBER], reason=found[c.REASON])
        yield row(store, sku, category, reason)
    for given in facts.overrides:
        status = str(given[c.STATUS])
        if status == _NO_TARGET:
            reason = language("override {number}: {status}", number=given["number"], status=language.known(status))
            yield row(given.get(c.STORE_ID), given.get(c.SKU), given.get(c.CATEGORY), reason)


def _new(outputs: RunOutputs, facts: RunFacts, language: Language) -> Iterator[tuple[object, ...]]:
    """Stores and SKUs that an alarm names because they are forecast from comparable ones."""
    targets = outputs.replenishment
    units = targets[c.TO_SEND] if c.TO_SEND in targets.columns else pd.Series(np.nan, targets.index)
    _, prices = _products(outputs.products, targets[c.SKU].astype(str))
    sent = pd.DataFrame({c.UNITS: units.to_numpy(dtype=np.float64), c.MONEY: units.to_numpy(dtype=np.float64) * prices})
    for alarm in facts.alarms:
        if alarm.name not in _NEW:
            continue
        kind, reason = _NEW[alarm.name]
        column, ids = (c.STORE_ID, alarm.stores) if kind == NEW_STORE else (c.SKU, alarm.skus)
        totals = sent.groupby(targets[column].astype(str).to_numpy()).sum(min_count=1).reindex(ids)
        names = _products(outputs.products, pd.Series(ids, dtype=object))[0] if kind == NEW_SKU else [""] * len(ids)
        for given, name, row in zip(ids, names, totals.round(2).to_dict("records"), strict=True):
            key = (given, "") if kind == NEW_STORE else ("", given)
            yield kind, *key, name, "", row[c.UNITS], row[c.MONEY], np.nan, language.known(reason)
