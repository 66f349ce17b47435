"""Whether weekly sales are dated by the first or by the last day of their week.

Promotions, events and calendar days have real dates. The weeks in which sales deviate from their neighbors show
which of the two readings puts these dates into the right week.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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


def reads_labels(settings: PanelSlice) -> bool:
    """Return True if the sales decide whether a label is the first or the last day of its week."""
    return settings.period.kind == "W" and settings.period_label is None and not settings.aggregate


def units_by_week(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the units of sale lines by label and SKU."""
    return lines.pivot_table(index=c.DATE, columns=c.SKU, values=c.UNITS, aggfunc="sum", observed=True)


def labeled_frequency(
    weeks: Sequence[pd.DataFrame], tables: Mapping[str, pd.DataFrame], settings: PanelSlice
) -> tuple[Frequency, list[Alarm]]:
    """Return the frequency with the reading of its labels, and an alarm if the data decided it.

    Args:
        weeks: :func:`units_by_week` of parts of the SKUs, for the lines before the run date.
        tables: the accepted rows; if given ``promotions``, ``events`` and ``calendar``.
        settings: frequency and ``period_label``.
    """
    frequency = settings.period
    if not reads_labels(settings) or not len(weeks):
        return frequency, []
    grid = pd.concat([part.set_axis(part.columns.astype(str), axis=1) for part in weeks], axis=1).sort_index(axis=1)
    as_first, as_last = _deviations(grid, tables, frequency)
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
    grid: pd.DataFrame, tables: Mapping[str, pd.DataFrame], frequency: Frequency
) -> tuple[FloatArray, FloatArray]:
    """Mean deviation of the weeks that only one reading of the labels calls special.

    Returns:
        One value per week: for labels of the first day, and of the last day. A deviation is the absolute logarithm of
        the units over the median of the nine weeks around.
    """
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
