"""Whether weekly sales are dated by the first or by the last day of their week.

Promotions, events and calendar days have real dates. The weeks in which sales deviate from their neighbors show
which of the two readings puts these dates into the right week.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray
from schemas.settings.slices import PanelSlice
from tasks.demand.checks.limits import LIMITS

_AROUND = 9
Spans = list[tuple[pd.Timestamp, pd.Timestamp]]


def labeled_frequency(
    tables: Mapping[str, pd.DataFrame], settings: PanelSlice, as_of: date
) -> tuple[Frequency, list[Alarm]]:
    """Return the frequency with the reading of its labels, and an alarm if the data decided it.

    Args:
        tables: the accepted rows; ``sales``, and if given ``promotions``, ``events`` and ``calendar``.
        settings: frequency and ``period_label``.
        as_of: run date: sales before it are read.
    """
    frequency = settings.period
    if frequency.kind != "W" or settings.period_label is not None or settings.aggregate:
        return frequency, []
    sales = tables["sales"]
    sales = sales[(sales[c.DATE] < pd.Timestamp(as_of)).to_numpy()]
    if sales.empty:
        return frequency, []
    as_first, as_last = _deviations(sales, tables, frequency)
    if min(len(as_first), len(as_last)) < LIMITS.label_weeks:
        return frequency, []
    if np.median(as_last) < max(LIMITS.label_effect, 2 * np.median(as_first)) or not _larger(as_last, as_first):
        return frequency, []
    return replace(frequency, ends=True), [
        raise_alarm(
            "period_labels",
            f"sales: in {len(as_last)} weeks with promotions, events or calendar days, sales differ from other weeks "
            "as if their dates were the last days of the weeks, and they are read as such. Set period_label: end to "
            "confirm, or period_label: start",
            count=len(as_last),
        )
    ]


def _deviations(
    sales: pd.DataFrame, tables: Mapping[str, pd.DataFrame], frequency: Frequency
) -> tuple[FloatArray, FloatArray]:
    """Mean deviation of the weeks that only one reading of the labels calls special.

    Returns:
        One value per week: for labels of the first day, and of the last day. A deviation is the absolute logarithm of
        the units over the median of the nine weeks around.
    """
    grid = sales.pivot_table(index=c.DATE, columns=c.SKU, values=c.UNITS, aggfunc="sum", observed=True)
    labels = frequency.between(grid.index.min(), grid.index.max())
    grid = grid.reindex(labels).clip(lower=0.0)
    whole = grid.sum(axis=1, min_count=1).to_frame()
    found: dict[bool, dict[pd.Timestamp, list[float]]] = {False: {}, True: {}}
    for sku, spans in _special(tables, frequency):
        if sku is not None and sku not in grid.columns:
            continue
        size = _deviation(whole[whole.columns[0]] if sku is None else grid[sku])
        covered = {ends: _covered(spans, labels, replace(frequency, ends=ends)) for ends in (False, True)}
        for ends, values in found.items():
            alone = covered[ends] & ~covered[not ends] & np.isfinite(size)
            for at in np.flatnonzero(alone):
                values.setdefault(labels[at], []).append(float(size[at]))
    first, last = ([float(np.mean(values)) for values in found[ends].values()] for ends in (False, True))
    return np.array(first), np.array(last)


def _deviation(units: pd.Series) -> FloatArray:
    usual = units.rolling(_AROUND, center=True, min_periods=_AROUND // 2).median()
    ratio = (units / usual).where((usual > 0) & (units > 0))
    size: FloatArray = np.log(ratio.to_numpy(dtype=np.float64))
    return np.abs(size)


def _special(tables: Mapping[str, pd.DataFrame], frequency: Frequency) -> Iterator[tuple[str | None, Spans]]:
    """The days of promotions by SKU, and of events and calendar days for all SKUs (None)."""
    promotions = tables.get("promotions")
    if promotions is not None:
        for sku, rows in promotions.groupby(promotions[c.SKU].astype(str), sort=True):
            yield str(sku), list(zip(rows[c.DATE_FROM], rows[c.DATE_TO], strict=True))
    events = tables.get("events")
    if events is not None and len(events):
        yield None, list(zip(events[c.DATE_FROM], events[c.DATE_TO], strict=True))
    calendar = tables.get("calendar")
    named = [name for name in (c.HOLIDAY, c.EVENT) if calendar is not None and name in calendar.columns]
    if calendar is not None and named and not frequency.fits(calendar[c.DATE]).all():
        days = sorted(set(calendar.loc[calendar[named].notna().any(axis=1), c.DATE]))
        yield None, [(day, day) for day in days]


def _covered(spans: Spans, labels: pd.DatetimeIndex, frequency: Frequency) -> BoolArray:
    """Weeks that contain a day of a span, shape (weeks,)."""
    covered = np.zeros(len(labels), dtype=bool)
    edges = pd.DataFrame(spans, columns=[c.DATE_FROM, c.DATE_TO])
    start = labels.searchsorted(frequency.label(edges[c.DATE_FROM]))
    stop = labels.searchsorted(frequency.label(edges[c.DATE_TO]), side="right")
    for low, high in zip(start, stop, strict=True):
        covered[low:high] = True
    return covered


def _larger(one: FloatArray, other: FloatArray) -> bool:
    """Whether the values of one sample are larger (Mann-Whitney test)."""
    from scipy.stats import mannwhitneyu

    return bool(mannwhitneyu(one, other, alternative="greater").pvalue < LIMITS.label_chance)
