"""Corrections of sale lines before they are summed: sign, isolated dates, voided lines, units in boxes, bundles.

Every correction rests on evidence in the lines (limits: :mod:`tasks.demand.checks.limits`) and raises an alarm, or is
recorded in the cleaning log. The lines are those before the run date. Signs and dates are judged by counts of all
lines; everything else compares lines of one SKU, so that a shard of SKUs is corrected at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, alarm_of_rows, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import BoolArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.cleaning.lines import SaleLines
from tasks.demand.cleaning.sales import BLOCK_LINES, blocks_of

VOID = "void"
LINE_KEYS = [c.DATE, c.STORE_ID, c.SKU, c.UNITS]


@dataclass(frozen=True)
class Signs:
    """Facts about dates and signs, from the counts of all lines.

    Attributes:
        isolated: days (since 1970) that are separated from all others.
        turn_units: the sign of all units is reversed.
        turn_amounts: the sign of all net amounts is reversed.
        alarms: what was found about signs.
    """

    isolated: IndexArray
    turn_units: bool
    turn_amounts: bool
    alarms: tuple[Alarm, ...]

    @classmethod
    def of(cls, lines: SaleLines) -> Signs:
        """Judge the counts by day."""
        days, counts = lines.by_day("lines")
        isolated = isolated_days(days, counts)
        kept = ~np.isin(days, isolated)
        names = ("counted", "negative", "negative_amount", "stated", "opposite")
        total = {name: int(lines.by_day(name)[1][kept].sum()) for name in names}
        alarms = []
        share = total["negative"] / max(total["counted"], 1)
        turn_units = share >= LIMITS.ledger_share and total["counted"] >= LIMITS.fewest_lines
        turn_amounts = turn_units and lines.priced
        turn_amounts &= total["negative_amount"] >= LIMITS.ledger_share * max(total["negative"], 1)
        if turn_units:
            span = days[kept].astype("datetime64[D]")
            alarms.append(
                raise_alarm(
                    "negative_sales",
                    f"sales: {total['negative']:,} of {total['counted']:,} lines ({share:.1%}) have negative units, as "
                    "in a stock ledger; the sign of all lines is reversed, and lines with positive units count as "
                    "returns",
                    dates=(span.min().item(), span.max().item()),
                    count=total["negative"],
                )
            )
        opposite = total["opposite"] if turn_units == turn_amounts else total["stated"] - total["opposite"]
        if (
            lines.priced
            and total["stated"] >= LIMITS.fewest_lines
            and opposite >= LIMITS.ledger_share * total["stated"]
        ):
            text = (
                f"sales: the net amounts of {opposite:,} of {total['stated']:,} lines have the opposite sign of the "
                "units, as revenue in a ledger; the sign of all amounts is reversed"
            )
            alarms.append(raise_alarm("negative_sales", text, count=opposite))
            turn_amounts = not turn_amounts
        return cls(isolated, turn_units, turn_amounts, tuple(alarms))

    def applied(self, lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the lines with the correct sign, without isolated dates; and the lines on isolated dates."""
        left_out = lines.iloc[[]]  # a slice would keep the whole shard
        if len(self.isolated):
            odd = lines[c.DATE].isin(self.isolated.astype("datetime64[D]")).to_numpy()
            lines, left_out = lines.loc[~odd], lines.loc[odd]
        turned = {c.UNITS: self.turn_units, c.NET_AMOUNT: self.turn_amounts}
        for name in (name for name, turn in turned.items() if turn):
            lines = lines.assign(**{name: -lines[name]})  # a copy of all columns
        return lines, left_out


def isolated_days(days: IndexArray, counts: IndexArray) -> IndexArray:
    """Days with a few lines that are separated from all others by more than a year: mistyped years."""
    jumps = np.flatnonzero(np.diff(days) > LIMITS.isolated_days)
    if not len(jumps):
        return days[:0]
    block = np.searchsorted(jumps, np.arange(len(days)), side="left")
    share = np.bincount(block, counts) / counts.sum()
    found: IndexArray = days[share[block] < LIMITS.isolated_share]
    return found


def isolated_alarm(rows: pd.DataFrame) -> list[Alarm]:
    """The alarm ``isolated_dates``, in a list; empty without any such lines."""
    if rows.empty:
        return []
    days = np.unique(rows[c.DATE].to_numpy(dtype="datetime64[D]"))
    return [
        alarm_of_rows(
            "isolated_dates",
            f"sales: {numbered(len(rows), '# row[s] [is|are]')} more than {LIMITS.isolated_days} days from all others "
            f"({first_few(sorted(str(day) for day in days))}); they are left out. Correct the year in the source",
            rows,
        )
    ]


class Returns:
    """Lines with and without negative units by store and month.

    Args:
        stores: store ids.
        days: first and last day of the lines.
    """

    def __init__(self, stores: np.ndarray, days: tuple[int, int]) -> None:
        self._stores = stores
        first, last = (np.int64(day).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) for day in days)
        self._first, self._shape = int(first), (len(stores), int(last - first) + 1)
        self._returned, self._total = np.zeros((2, len(stores) * self._shape[1]), dtype=np.int64)

    def add(self, lines: pd.DataFrame) -> None:
        """Count lines."""
        units = lines[c.UNITS].to_numpy()
        month = lines[c.DATE].to_numpy(dtype="datetime64[M]").astype(np.int64) - self._first
        key = lines[c.STORE_ID].cat.codes.to_numpy().astype(np.int64) * self._shape[1] + month
        self._returned += np.bincount(key[units < 0], minlength=len(self._returned))
        self._total += np.bincount(key[units != 0], minlength=len(self._total))

    def alarm(self) -> list[Alarm]:
        """The alarm ``many_returns``, in a list; empty without such stores and months."""
        many = (self._total >= LIMITS.fewest_lines) & (self._returned > LIMITS.returns_share * self._total)
        if not many.any():
            return []
        store, month = np.divmod(np.flatnonzero(many), self._shape[1])
        stores = sorted({str(self._stores[at]) for at in store})
        months = (month + self._first).astype("datetime64[M]")
        last = (months.max() + 1).astype("datetime64[D]") - 1
        returned, total = int(self._returned[many].sum()), int(self._total[many].sum())
        return [
            raise_alarm(
                "many_returns",
                f"sales: {returned:,} of {total:,} lines of stores {first_few(stores)} are "
                f"negative in the months {first_few(sorted(str(month) for month in np.unique(months)))}: they count as "
                "returns, with 0 units of demand. If they are sales, correct their sign in the export",
                stores=stores,
                dates=(months.min().astype("datetime64[D]").item(), last.item()),
                count=returned,
            )
        ]


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


def void_alarm(voided: pd.DataFrame, total: float) -> list[Alarm]:
    """The alarm ``voided_lines``, in a list; empty if few units were voided.

    Args:
        voided: the voided lines.
        total: units of all lines with positive units.
    """
    sold = voided.loc[voided[c.UNITS] > 0, c.UNITS].sum()
    if sold <= LIMITS.void_share * total:
        return []
    return [
        alarm_of_rows(
            "voided_lines",
            f"sales: {len(voided):,} lines cancel each other (same store, SKU, quantity and amount): "
            f"{sold:,.0f} of {total:,.0f} units ({sold / total:.1%}) were voided and do not count as demand",
            voided,
        )
    ]
