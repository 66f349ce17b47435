"""Alarms on dates: day and month swapped, and dates after the run date that cannot be sales."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.frequency import WEEKDAYS
from schemas.panel import BoolArray, FloatArray
from tasks.demand.checks.limits import LIMITS

if TYPE_CHECKING:
    from tasks.demand.cleaning.lines import SaleLines
    from tasks.demand.cleaning.sales import SaleCells

# Days of the month up to this number can also be months.
_LAST_SWAPPABLE = 12
_FEWEST_MONTHS = _FEWEST_DAYS = 3
_FEW_DAYS, _MOST_DAYS = 0.6, 0.9
# Days with their own rows and those of another day have at least this many times the usual rows.
_DOUBLED = 1.5
_WEEK, _SHORTEST_MONTH, _LONGEST_MONTH = 7, 28, 31


def swapped_days(lines: pd.Series) -> list[Alarm]:
    """Return an alarm if day and month seem to be swapped in a part of the daily sale lines.

    Signs are: months with days 1 to 12 only; months with later days in which days 1 to 12 are rare; days 1 to 12 whose
    profile of weekdays differs from that of the other days, and fits after swapping.

    Args:
        lines: number of sale lines by date.
    """
    if lines.empty:
        return []
    index, counts = pd.DatetimeIndex(lines.index), lines.to_numpy()
    span = pd.date_range(index[0], index[-1])
    month = (span.year * 12 + span.month).to_numpy()
    early = np.asarray(span.day <= _LAST_SWAPPABLE)
    sold = np.isin(span.to_numpy(), index.to_numpy())
    numbers = np.arange(month.min() + 1, month.max())
    low, high = (_share_by(month, sold & part, part, numbers) for part in (early, ~early))
    only_first = numbers[(low > 0) & (high == 0)]
    holes = numbers[(low < _FEW_DAYS) & (high > _MOST_DAYS)]
    usual = np.median(low) if len(low) else 0.0
    if index.is_month_start.all():
        return []  # months
    if not (sold & ~early).any() and index[-1] - index[0] > pd.Timedelta(days=_FEWEST_MONTHS * 31):
        return [_swapped("sales: all dates are days 1 to 12 of a month", index, int(counts.sum()))]
    if len(only_first) and len(holes) == 0:
        concerned = np.isin(month, only_first)
        named = sorted({f"{at:%Y-%m}" for at in span[concerned]})
        return [_swapped(f"sales: the months {first_few(named)} have sales on days 1 to 12 only", span[concerned], 0)]
    missing = span[early & ~sold & np.isin(month, holes) & (span.day != span.month)]
    if _fills_holes(index, counts, missing):
        named = sorted({f"{at:%Y-%m}" for at in missing})
        return [
            _swapped(
                f"sales: in the months {first_few(named)} days 1 to 12 have no sales, and their rows are on other "
                f"days, such as those of {missing[0].date()} on {_swap(missing)[0].date()}",
                missing,
                0,
            )
        ]
    if len(holes) >= _FEWEST_MONTHS and usual < _MOST_DAYS:
        concerned = np.isin(month, holes)
        named = sorted({f"{at:%Y-%m}" for at in span[concerned]})
        return [
            _swapped(
                f"sales: in the months {first_few(named)} most of the days 1 to 12 have no sales, while the other days "
                "have",
                span[concerned],
                0,
            )
        ]
    return _by_weekday(index, counts, span)


def dates_after_run(lines: SaleLines, as_of: date) -> list[Alarm]:
    """Return an alarm for sale lines dated after the run date by mistake: a few lines, or lines of a few stores.

    A backfill reads files with all sales up to today: many rows of most stores after its run date are normal.
    """
    later, earlier = lines.after, lines.before
    if not later.count or not earlier.count:
        return []
    usual = earlier.count / (earlier.last - earlier.first + 1)
    first, last = (np.int64(day).astype("datetime64[D]").item() for day in (later.first, later.last))
    selling = [at for at, day in earlier.last_of_store.items() if day >= earlier.last - LIMITS.recent_days]
    few_stores = np.isin(selling, list(later.last_of_store)).mean() < LIMITS.few_stores
    if later.count >= LIMITS.few_rows * usual * (last - as_of).days and not few_stores:
        return []
    return [
        raise_alarm(
            "dates_after_run",
            f"sales: {numbered(later.count, '# row[s]')} of {first_few(lines.after_stores)} "
            f"{numbered(later.count, '[is|are]')} dated after the run date {as_of}, up to "
            f"{last}; they are not read. Correct their dates in the source",
            stores=lines.after_stores,
            skus=lines.after_skus,
            dates=(first, last),
            count=later.count,
        )
    ]


def coarse_dates(lines: pd.Series) -> list[Alarm]:
    """Return an alarm if daily sales have dates of one weekday or one day of the month only.

    Args:
        lines: number of sale lines by date.
    """
    days = pd.DatetimeIndex(lines.index)
    if len(days) < LIMITS.coarse_dates:
        return []
    if days.is_month_start.all() or days.is_month_end.all():
        text = "the first or last day of a month. If the rows are monthly sales, set frequency: MS"
    elif len(set(days.dayofweek)) == 1:
        code = WEEKDAYS[days[0].dayofweek]
        text = f"a {days[0].day_name()}. If the rows are weekly sales, set frequency: W-{code}"
    else:
        return []
    return [raise_alarm("coarse_dates", f"sales: each of the {len(days)} dates is {text}", count=len(days))]


def coarse_parts(cells: SaleCells) -> list[Alarm]:
    """Return an alarm if a part of the daily sales is of whole weeks or months: a store, or a time.

    Its dates are then exactly a week or a month apart, many times in a row.
    """
    named, concerned, dates = [], [], []
    for store, row in enumerate(cells.store_rows):
        days = cells.periods[row]
        steps = np.diff(days.to_numpy()).astype("timedelta64[D]").astype(np.int64)
        edge = (days.is_month_start[1:] & days.is_month_start[:-1]) | (days.is_month_end[1:] & days.is_month_end[:-1])
        month = edge & (steps >= _SHORTEST_MONTH) & (steps <= _LONGEST_MONTH)
        for what, together, fewest in (
            ("week", steps == _WEEK, LIMITS.coarse_dates),
            ("month", month, LIMITS.coarse_months),
        ):
            first, last = _longest_run(together)
            if last - first + 1 >= fewest:
                named.append(f"{cells.stores[store]} (a {what}, {days[first].date()} to {days[last].date()})")
                concerned.append(cells.stores[store])
                dates += [days[first].date(), days[last].date()]
                break
    if not named:
        return []
    return [
        raise_alarm(
            "coarse_dates",
            f"sales: the dates of {numbered(len(named), '# store[s]')} are exactly a week or a month apart: "
            f"{first_few(named)}. If these rows are weekly or monthly totals, deliver daily sales, or all as weeks "
            "(frequency: W-MON, aggregate: true)",
            stores=concerned,
            dates=(min(dates), max(dates)),
            count=len(named),
        )
    ]


def _longest_run(together: BoolArray) -> tuple[int, int]:
    """First and last date of the longest run of dates that are together with the next one; (0, -1) without any."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], together, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, -1
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest])


def _fills_holes(days: pd.DatetimeIndex, counts: np.ndarray, missing: pd.DatetimeIndex) -> bool:
    """Whether the rows of missing days are on the days that have day and month swapped, which then have too many."""
    lines = pd.Series(counts, index=days)
    swapped = lines.reindex(_swap(missing)).dropna()
    if len(swapped) < _FEWEST_DAYS:
        return False
    usual = lines.groupby([lines.index.year, lines.index.month]).median()
    normal = usual.reindex(pd.MultiIndex.from_arrays([swapped.index.year, swapped.index.month]))
    return bool(np.median(swapped.to_numpy() / normal.to_numpy()) >= _DOUBLED)


def _swapped(text: str, days: pd.DatetimeIndex, count: int) -> Alarm:
    return raise_alarm(
        "day_month_swapped",
        f"{text}. Day and month may be swapped in a part of the rows: set sources.sales.date_format",
        dates=(days.min().date(), days.max().date()),
        count=count or len(days),
    )


def _share_by(month: np.ndarray, sold: BoolArray, cases: BoolArray, numbers: np.ndarray) -> FloatArray:
    """Fraction of the days of each month that have sales."""
    total = np.bincount(month[cases], minlength=int(month.max()) + 1)[numbers]
    found = np.bincount(month[sold], minlength=int(month.max()) + 1)[numbers]
    share: FloatArray = found / np.maximum(total, 1)
    return share


def _by_weekday(days: pd.DatetimeIndex, counts: np.ndarray, span: pd.DatetimeIndex) -> list[Alarm]:
    """Compare the weekdays of days 1 to 12 as they are, and after swapping, with those of the other days."""
    able = (days.day <= _LAST_SWAPPABLE) & (days.day != days.month)
    others = days.day > _LAST_SWAPPABLE
    if able.sum() < 7 * LIMITS.pattern_cases or others.sum() < 7 * LIMITS.pattern_cases:
        return []
    all_able = span[(span.day <= _LAST_SWAPPABLE) & (span.day != span.month)]
    usual = _profile(days[others], counts[others], span[span.day > _LAST_SWAPPABLE])
    given = _distance(_profile(days[able], counts[able], all_able), usual)
    swapped = _distance(_profile(_swap(days[able]), counts[able], _swap(all_able)), usual)
    if given <= LIMITS.weekday_distance or swapped >= given / 2:
        return []
    return [
        _swapped(
            "sales: the weekdays of days 1 to 12 differ from those of the other days, and fit if day and month are "
            "swapped",
            days[able],
            int(counts[able].sum()),
        )
    ]


def _swap(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    months = (days.year.to_numpy() - 1970) * 12 + days.day.to_numpy() - 1
    dates = months.astype("datetime64[M]").astype("datetime64[D]") + (days.month.to_numpy() - 1)
    return pd.DatetimeIndex(dates).as_unit(days.unit)


def _profile(days: pd.DatetimeIndex, counts: np.ndarray, span: pd.DatetimeIndex) -> FloatArray:
    """Rows per calendar day of each weekday, as fractions of their sum."""
    rows = np.bincount(days.dayofweek, counts, minlength=7)
    rate = rows / np.maximum(np.bincount(span.dayofweek, minlength=7), 1)
    share: FloatArray = rate / max(rate.sum(), 1e-12)
    return share


def _distance(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).sum() / 2)
