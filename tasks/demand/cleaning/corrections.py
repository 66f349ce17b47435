"""Corrections of sale lines before they are summed: sign, isolated dates, voided lines, units in boxes, bundles.

Every correction rests on evidence in the lines (limits: :mod:`tasks.demand.checks.limits`) and raises an alarm, or is
recorded in the cleaning log. The lines are those before the run date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.bundles import with_components
from tasks.demand.cleaning.sales import BLOCK_LINES, blocks_of, lines_before
from tasks.demand.cleaning.unit_prices import in_single_units

VOID = "void"
_LINE = (c.STORE_ID, c.SKU, c.UNITS)


@dataclass(frozen=True)
class Corrected:
    """Corrected sale lines.

    Attributes:
        lines: the lines before the run date.
        voided: the voided lines: date, store_id, sku, units as sold.
        alarms: what was found.
    """

    lines: pd.DataFrame
    voided: pd.DataFrame
    alarms: tuple[Alarm, ...]


def correct_sales(tables: Mapping[str, pd.DataFrame], as_of: date) -> Corrected:
    """Correct the sale lines before the run date.

    Args:
        tables: the accepted rows; ``sales``, and ``bundles`` if the run has bundles.
        as_of: run date.
    """
    sales = tables["sales"]
    lines = lines_before(sales, as_of)
    nothing = lines.iloc[:0][[c.DATE, *_LINE]]
    if lines.empty:
        return Corrected(lines, nothing, ())
    lines, alarms = without_isolated_dates(lines)
    lines, found = with_sales_positive(lines)
    alarms += found
    void = voided_lines(lines)
    voided = lines.loc[void, [c.DATE, *_LINE]]
    alarms += _void_alarm(lines, voided)
    if void.any():
        # The rows stay: the SKU was in the store, and the store was open.
        lines = lines.assign(**{c.UNITS: lines[c.UNITS].mask(void, 0.0)})
    lines, found = in_single_units(lines)
    alarms += found
    return Corrected(with_components(lines, tables.get("bundles")), voided, tuple(alarms))


def without_isolated_dates(lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Alarm]]:
    """Leave out a few lines that are separated from all others by more than a year: mistyped years."""
    days, counts = np.unique(lines[c.DATE].to_numpy(dtype="datetime64[D]"), return_counts=True)
    jumps = np.flatnonzero(np.diff(days).astype(np.int64) > LIMITS.isolated_days)
    if not len(jumps):
        return lines, []
    block = np.searchsorted(jumps, np.arange(len(days)), side="left")
    share = np.bincount(block, counts) / counts.sum()
    isolated = days[share[block] < LIMITS.isolated_share]
    odd = lines[c.DATE].isin(isolated)
    if not odd.any():
        return lines, []
    rows = lines.loc[odd]
    alarm = raise_alarm(
        "isolated_dates",
        f"sales: {numbered(len(rows), '# row[s] [is|are]')} more than {LIMITS.isolated_days} days from all others "
        f"({first_few(sorted(str(day) for day in isolated))}); they are left out. Correct the year in the source",
        stores=sorted(rows[c.STORE_ID].astype(str).unique()),
        skus=sorted(rows[c.SKU].astype(str).unique()),
        dates=(rows[c.DATE].min().date(), rows[c.DATE].max().date()),
        count=len(rows),
    )
    return lines.loc[~odd], [alarm]


def with_sales_positive(lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Alarm]]:
    """Reverse the sign of a ledger with negative sales or revenue; report stores and months with many returns."""
    lines, alarms = _with_positive_units(lines)
    lines, more = _with_amounts_like_units(lines)
    return lines, [*alarms, *more]


def _with_positive_units(lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Alarm]]:
    units = lines[c.UNITS].to_numpy(dtype=np.float64)
    counted = units != 0
    negative = units < 0
    share = negative.sum() / max(counted.sum(), 1)
    if share >= LIMITS.ledger_share and counted.sum() >= LIMITS.fewest_lines:
        turned = {c.UNITS: -lines[c.UNITS]}
        if c.NET_AMOUNT in lines.columns and (lines.loc[negative, c.NET_AMOUNT] < 0).mean() >= LIMITS.ledger_share:
            turned[c.NET_AMOUNT] = -lines[c.NET_AMOUNT]
        alarm = raise_alarm(
            "negative_sales",
            f"sales: {negative.sum():,} of {counted.sum():,} lines ({share:.1%}) have negative units, as in a stock "
            "ledger; the sign of all lines is reversed, and lines with positive units count as returns",
            dates=(lines[c.DATE].min().date(), lines[c.DATE].max().date()),
            count=int(negative.sum()),
        )
        return lines.assign(**turned), [alarm]
    if not negative.any():
        return lines, []
    month = lines[c.DATE].to_numpy(dtype="datetime64[M]").astype(np.int64)
    store, names = pd.factorize(lines[c.STORE_ID])
    at, keys = pd.factorize(store * 100_000 + month, sort=True)
    returned, total = np.bincount(at, negative), np.bincount(at, counted)
    many = (total >= LIMITS.fewest_lines) & (returned > LIMITS.returns_share * total)
    if not many.any():
        return lines, []
    stores = sorted({str(names[key // 100_000]) for key in keys[many]})
    months = (keys[many] % 100_000).astype("datetime64[M]")
    last = (months.max() + 1).astype("datetime64[D]") - 1
    alarm = raise_alarm(
        "many_returns",
        f"sales: {int(returned[many].sum()):,} of {int(total[many].sum()):,} lines of stores {first_few(stores)} are "
        f"negative in the months {first_few(sorted(str(month) for month in np.unique(months)))}: they count as "
        "returns, with 0 units of demand. If they are sales, correct their sign in the export",
        stores=stores,
        dates=(months.min().astype("datetime64[D]").item(), last.item()),
        count=int(returned[many].sum()),
    )
    return lines, [alarm]


def _with_amounts_like_units(lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Alarm]]:
    """Reverse the sign of net amounts if it is opposite to that of the units, as for revenue in a ledger."""
    if c.NET_AMOUNT not in lines.columns:
        return lines, []
    sign = np.sign(lines[c.UNITS].to_numpy(dtype=np.float64) * lines[c.NET_AMOUNT].to_numpy(dtype=np.float64))
    stated = np.isfinite(sign) & (sign != 0)
    opposite = stated & (sign < 0)
    if stated.sum() < LIMITS.fewest_lines or opposite.sum() < LIMITS.ledger_share * stated.sum():
        return lines, []
    text = (
        f"sales: the net amounts of {opposite.sum():,} of {stated.sum():,} lines have the opposite sign of the units, "
        "as revenue in a ledger; the sign of all amounts is reversed"
    )
    alarm = raise_alarm("negative_sales", text, count=int(opposite.sum()))
    return lines.assign(**{c.NET_AMOUNT: -lines[c.NET_AMOUNT]}), [alarm]


def voided_lines(lines: pd.DataFrame) -> BoolArray:
    """Lines and the lines that cancel them: the same store, SKU, quantity and amount with the opposite sign.

    A line of at least ``LIMITS.void_line`` times the median line of its SKU is canceled on its own date: a smaller
    negative line is a return. A line of ``LIMITS.large_line`` times the median is canceled within ``LIMITS.void_days``
    days as well. Every line is canceled at most once.

    Returns:
        Shape (rows,).
    """
    units = lines[c.UNITS].to_numpy(dtype=np.float64)
    void = np.zeros(len(lines), dtype=bool)
    negative = np.flatnonzero(units < 0)
    if not len(negative):
        return void
    positive = np.flatnonzero((units > 0) & pd.Series(units).isin(-units[negative]).to_numpy())
    both = np.concatenate([positive, negative])
    sku = pd.factorize(lines[c.SKU])[0]
    times = _times_median(units, sku, both)
    # Only these few lines can be part of a pair, so keys are made for them only.
    both, times = both[times >= LIMITS.void_line], times[times >= LIMITS.void_line]
    rows = lines.iloc[both]
    keys = pd.DataFrame(
        {
            "at": both,
            "day": rows[c.DATE].to_numpy(dtype="datetime64[D]").astype(np.int64),
            "store": pd.factorize(rows[c.STORE_ID])[0],
            "item": sku[both],
            "pieces": np.abs(units[both]),
            "amount": _amounts(rows),
            "back": units[both] < 0,
            "times": times,
        }
    )
    void[_paired(keys, ["day", "store", "item", "pieces", "amount"])] = True
    rest = keys[~void[keys["at"]] & (keys["times"] >= LIMITS.large_line)]
    if rest["back"].any():
        void[_paired_later(rest.sort_values(["day", "at"], kind="stable"))] = True
    return void


def _amounts(lines: pd.DataFrame) -> np.ndarray:
    if c.NET_AMOUNT not in lines.columns:
        return np.zeros(len(lines))
    return np.nan_to_num(np.abs(lines[c.NET_AMOUNT].to_numpy(dtype=np.float64)))


def _paired(keys: pd.DataFrame, by: list[str]) -> np.ndarray:
    """Row numbers of lines that cancel each other: the first positive with the first negative of a key, and so on."""
    keys = keys.assign(turn=keys.groupby([*by, "back"]).cumcount())
    pairs = keys[~keys["back"]].merge(keys[keys["back"]], on=[*by, "turn"], suffixes=("", "_back"))
    return np.concatenate([pairs["at"].to_numpy(), pairs["at_back"].to_numpy()])


def _paired_later(keys: pd.DataFrame) -> np.ndarray:
    sold, back = keys[~keys["back"]], keys[keys["back"]]
    pairs = pd.merge_asof(
        back,
        sold[["day", "store", "item", "pieces", "amount", "at"]].rename(columns={"at": "at_sold"}),
        on="day",
        by=["store", "item", "pieces", "amount"],
        tolerance=LIMITS.void_days,
    )
    pairs = pairs.dropna(subset="at_sold").drop_duplicates("at_sold")
    return np.concatenate([pairs["at"].to_numpy(), pairs["at_sold"].to_numpy(dtype=np.int64)])


def _times_median(units: np.ndarray, sku: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Size of the lines at some row numbers as a multiple of the median line of their SKU; 0 if none exists."""
    concerned = np.zeros(sku.max() + 1, dtype=bool)
    concerned[sku[at]] = True
    usual = np.zeros(len(concerned))
    for rows in blocks_of(sku, BLOCK_LINES):
        used = rows[(units[rows] > 0) & concerned[sku[rows]]]
        found = pd.Series(units[used]).groupby(sku[used]).median()
        usual[found.index] = found
    median = usual[sku[at]]
    return np.divide(np.abs(units[at]), median, out=np.zeros(len(at)), where=median > 0)


def _void_alarm(lines: pd.DataFrame, voided: pd.DataFrame) -> list[Alarm]:
    sold = voided.loc[voided[c.UNITS] > 0, c.UNITS].sum()
    total = lines.loc[lines[c.UNITS] > 0, c.UNITS].sum()
    if sold <= LIMITS.void_share * total:
        return []
    return [
        raise_alarm(
            "voided_lines",
            f"sales: {len(voided):,} lines cancel each other (same store, SKU, quantity and amount): "
            f"{sold:,.0f} of {total:,.0f} units ({sold / total:.1%}) were voided and do not count as demand",
            stores=sorted(voided[c.STORE_ID].astype(str).unique()),
            skus=sorted(voided[c.SKU].astype(str).unique()),
            dates=(voided[c.DATE].min().date(), voided[c.DATE].max().date()),
            count=len(voided),
        )
    ]
