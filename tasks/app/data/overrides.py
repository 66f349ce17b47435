"""Check overrides by the product's own rules, and what they change before they are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import PLANNED
from schemas.raw import RawTable, as_text
from schemas.settings.slices import IngestSlice
from schemas.tables import OVERRIDES
from tasks.app.data.override_file import FIELDS, OverrideFile, Row
from tasks.app.data.week import PAIR, UNREADABLE, RunWeek
from tasks.demand.ingest.table_checks import judge_table, with_arrays
from tasks.demand.ingest.table_structure import map_table
from tasks.inventory.inputs import last_dc_stock
from tasks.publication.overrides import EXPIRED, Overridden, apply_overrides
from tasks.report.language import message

# An override that ends within this time is shown as expiring.
EXPIRES_SOON = timedelta(days=7)
REJECTED, EXPIRING = message("rejected"), message("expires soon")
_SCOPE = (c.STORE_ID, c.SKU, c.CATEGORY)


@dataclass(frozen=True)
class RowCheck:
    """One override.

    Attributes:
        problem: why it is rejected; empty if it is valid.
        status: its status in the run, or ``rejected``.
        pairs: store-SKU pairs that it matches.
        changed: pairs whose target it changes.
        units: change of the targets.
        expiring: it ends within a week of the run date.
    """

    problem: str
    status: str
    pairs: int
    changed: int
    units: int
    expiring: bool


@dataclass(frozen=True)
class Effect:
    """The effect of overrides on a run.

    Attributes:
        rows: one check per override.
        pairs: pairs whose target changes: store_id, sku, before, after, money.
        units: change of the targets in units, against the overrides that the run applied.
        send: change of the units to send.
        money: change of the units to send at the SKUs' prices; NaN if no price is known.
        limits: constraints that the new targets exceed, in words.
    """

    rows: tuple[RowCheck, ...]
    pairs: pd.DataFrame
    units: int
    send: int
    money: float
    limits: tuple[str, ...]


BEFORE, AFTER = "before", "after"


def problems_of(week: RunWeek, file: OverrideFile, rows: Sequence[Row]) -> list[str]:
    """Return why each override would be rejected, by the rules of the ingestion; empty texts for valid ones."""
    found = [""] * len(rows)
    if not rows:
        return found
    frame = pd.DataFrame([file.as_written(row) for row in rows]).fillna("")
    raw = RawTable.of(OVERRIDES.name, frame.apply(as_text), str(file.path))
    settings = IngestSlice.of(week.run.settings)
    table, faults = map_table(raw, settings)
    if table is None:
        return ["; ".join(faults)] * len(rows)
    references = {"stores": _ids(week, "stores", c.STORE_ID), "products": _ids(week, "products", c.SKU)}
    left = set(range(len(rows))) - {int(number) - 1 for number in table.raw.row_number}
    for at in left:
        found[at] = week.say("the row is ignored by the settings")
    for verdict in judge_table(table, references, settings, with_arrays):
        for number in table.raw.row_number[verdict.rows].tolist():
            found[number - 1] = "; ".join(part for part in (found[number - 1], verdict.reason.text) if part)
    return found


def effect_of(week: RunWeek, file: OverrideFile, rows: Sequence[Row], as_of: date | None = None) -> Effect:
    """Apply overrides to the plan's targets of a run, instead of those that the run applied.

    Args:
        week: the run.
        file: says how the overrides are written.
        rows: overrides as the page shows them.
        as_of: run date for which they are applied; None = the run's date.
    """
    day = as_of or week.as_of
    problems = problems_of(week, file, rows)
    valid = [row for row, problem in zip(rows, problems, strict=True) if not problem]
    pairs = week.pairs
    planned = pairs[[*PAIR, c.CATEGORY]].assign(**{c.TARGET_QUANTITY: pairs[PLANNED].to_numpy(dtype=np.int64)})
    result = apply_overrides(planned, _typed(valid), day, _explained(week)) if valid else None
    after = planned[c.TARGET_QUANTITY] if result is None else result.targets[c.TARGET_QUANTITY]
    before = pairs[c.TARGET_QUANTITY].to_numpy(dtype=np.int64)
    new = after.to_numpy(dtype=np.int64)
    stock = pairs[[c.ON_HAND, c.IN_TRANSIT]].astype(float).fillna(0.0).sum(axis=1).to_numpy()
    sent = np.maximum(new - stock, 0.0) - np.maximum(before - stock, 0.0)
    price = week.prices.reindex(pairs[c.SKU].astype(str)).to_numpy(dtype=float)
    money = sent * price
    moved = np.flatnonzero(new != before)
    shown = pairs.iloc[moved][PAIR].assign(
        **{BEFORE: before[moved], AFTER: new[moved], c.TO_SEND: sent[moved], c.MONEY: money[moved]}
    )
    order = np.argsort(-np.abs(shown[AFTER] - shown[BEFORE]).to_numpy(), kind="stable")
    return Effect(
        rows=tuple(_checks(rows, problems, result, day)),
        pairs=shown.iloc[order].reset_index(drop=True),
        units=int((new - before).sum()),
        send=round(float(sent.sum())),
        money=float(np.nansum(money)) if np.isfinite(price).any() else float("nan"),
        limits=tuple(exceeded(week, before, new)),
    )


def exceeded(week: RunWeek, before: np.ndarray, after: np.ndarray) -> list[str]:
    """Return the constraints that new targets exceed and the old ones do not, or exceed by more.

    Args:
        week: the run; its pairs are the rows of the targets.
        before: targets of the run, shape (pairs,).
        after: new targets, shape (pairs,).
    """
    pairs, say = week.pairs, week.say
    stock = pairs[[c.ON_HAND, c.IN_TRANSIT]].astype(float).fillna(0.0).sum(axis=1).to_numpy()
    found = []
    stores = week.table("stores")
    if stores is not None and c.STORAGE_CAPACITY in stores.columns:
        ids = pairs[c.STORE_ID].astype(str).to_numpy()
        capacity = stores.set_index(stores[c.STORE_ID].astype(str))[c.STORAGE_CAPACITY].astype(float)
        filled = pd.DataFrame({BEFORE: np.maximum(before, stock), AFTER: np.maximum(after, stock)}).groupby(ids).sum()
        for store, row in filled.iterrows():
            limit = float(capacity.get(str(store), np.nan))
            if row[AFTER] > max(limit, row[BEFORE]):
                found.append(
                    say(
                        "store {store}: {units} units after the delivery, capacity {capacity}",
                        store=store,
                        units=say.number(row[AFTER]),
                        capacity=say.number(limit),
                    )
                )
    available = _dc_stock(week)
    if available is not None:
        skus = pairs[c.SKU].astype(str).to_numpy()
        sent = pd.DataFrame({BEFORE: np.maximum(before - stock, 0.0), AFTER: np.maximum(after - stock, 0.0)})
        for sku, row in sent.groupby(skus).sum().iterrows():
            limit = float(available.get(str(sku), np.inf))
            if row[AFTER] > max(limit, row[BEFORE]):
                found.append(
                    say(
                        "SKU {sku}: {units} units to send, the distribution center has {available}",
                        sku=sku,
                        units=say.number(row[AFTER]),
                        available=say.number(limit),
                    )
                )
    return found


def _dc_stock(week: RunWeek) -> pd.Series | None:
    try:
        stock = last_dc_stock(week.table("dc_stock"), week.as_of, week.table("dc_inbound"))
    except UNREADABLE:
        return None
    return None if stock is None else stock.set_index(stock[c.SKU].astype(str))[c.AVAILABLE]


def _checks(rows: Sequence[Row], problems: Sequence[str], result: Overridden | None, day: date) -> list[RowCheck]:
    effects = iter(result.rows if result is not None else [])
    found = []
    for row, problem in zip(rows, problems, strict=True):
        if problem:
            found.append(RowCheck(problem, REJECTED, 0, 0, 0, False))
            continue
        effect = next(effects)
        status = str(effect[c.STATUS])
        ends = date.fromisoformat(row[c.DATE_TO][:10])
        expiring = status != EXPIRED and ends - day <= EXPIRES_SOON
        found.append(RowCheck("", status, effect["pairs"], effect["changed_pairs"], effect["units"], expiring))
    return found


def _typed(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Valid overrides with the types of the ingestion; an empty scope is None."""
    frame = pd.DataFrame(rows, columns=list(FIELDS)).astype(object)
    scope = {name: frame[name].where(frame[name] != "", None) for name in _SCOPE}
    dates = {name: pd.to_datetime(frame[name]) for name in (c.DATE_FROM, c.DATE_TO)}
    return frame.assign(**scope, **dates, **{c.VALUE: frame[c.VALUE].astype(float)})


def _explained(week: RunWeek) -> pd.DataFrame | None:
    table = week.outputs.explanations
    needed = {c.ON_HAND, c.IN_TRANSIT, c.PACK_SIZE}
    return table if table is not None and needed <= set(table.columns) else None


def _ids(week: RunWeek, table: str, column: str) -> list[str]:
    """Ids of a table of the run; those of the file for the ERP if the table is no longer in the lake."""
    stored = week.table(table)
    source = week.pairs if stored is None or column not in stored.columns else stored
    return sorted(source[column].astype(str).unique())
