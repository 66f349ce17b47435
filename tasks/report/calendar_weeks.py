"""The forecast compared with last year's sales and with the previous forecast: by calendar week, store and category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.outputs import EarlierWeek
from tasks.report.formats import Table
from tasks.report.language import Language, message

GROUPS_SHOWN = 200
# Forecasts that differ by less than half a unit are shown as equal.
_WHOLE = 0.5
_KEY = [c.STORE_ID, c.CATEGORY, c.DATE]
_FORECAST, _LAST_YEAR, _PREVIOUS = "forecast", "last_year", "previous"
_AGAINST_LAST_YEAR, _AGAINST_PREVIOUS = "forecast_of_last_year", "forecast_of_previous"
_SUMS = [_FORECAST, _LAST_YEAR, _AGAINST_LAST_YEAR, _PREVIOUS, _AGAINST_PREVIOUS]


class ForecastComparison:
    """The live forecast with last year's sales and the previous forecast of the same periods."""

    def __init__(
        self, forecast: pd.DataFrame, last_year: pd.DataFrame | None, earlier: EarlierWeek | None, frequency: Frequency
    ) -> None:
        """Match the rows by store, category and period.

        Args:
            forecast: rows of the champions: store_id, category, date, mean.
            last_year: store_id, category, date (of the forecast period), units (NaN = unknown); None = no history.
            earlier: the last earlier publication; None if it does not exist.
            frequency: length of the periods.
        """
        self.frequency = frequency
        # Sorted, so that the sums do not depend on the order of the rows.
        rows = _keyed(forecast).rename(columns={c.MEAN: _FORECAST}).sort_values(_KEY, ignore_index=True)
        for name, table, column, common in (
            (_LAST_YEAR, last_year, c.UNITS, _AGAINST_LAST_YEAR),
            (_PREVIOUS, None if earlier is None else earlier.forecast, c.MEAN, _AGAINST_PREVIOUS),
        ):
            if table is None or table.empty:
                rows = rows.assign(**{name: np.nan, common: np.nan})
                continue
            rows = rows.merge(_keyed(table).rename(columns={column: name})[[*_KEY, name]], on=_KEY, how="left")
            rows[common] = rows[_FORECAST].where(rows[name].notna())
        self._rows = rows
        self.previous_date = earlier.as_of if earlier is not None and rows[_PREVIOUS].notna().any() else None

    @property
    def change_on_last_year(self) -> float:
        """Forecast relative to last year's sales of the same periods, minus 1; NaN if these are unknown or 0."""
        return _change(self._rows[_AGAINST_LAST_YEAR].sum(), self._rows[_LAST_YEAR].sum())

    def weeks_table(self, say: Language) -> Table:
        """Return one row per calendar week (monthly frequency: month), and the total."""
        start = self._rows[c.DATE]
        if self.frequency.kind == "D":
            start = start - pd.to_timedelta(start.dt.dayofweek, unit="D")
        sums = _sums(self._rows, start)
        dates = self._rows.groupby(start)[c.DATE].agg(["min", "max", "nunique"])
        rows = [
            (self._label(week, say), self._dates(found, say), *_cells(sums.loc[week], say))
            for week, found in zip(sums.index, dates.itertuples(index=False), strict=True)
        ]
        total = (say("Total"), "", *_cells(self._rows[_SUMS].sum(min_count=1), say))
        period = message("Calendar week") if self.frequency.kind != "MS" else message("Month")
        headers = (*say.headers(period, "Dates"), *self._headers(say))
        return Table(headers, [*rows, total] if rows else [], frozenset({len(rows)} if rows else ()))

    def groups_table(self, column: str, say: Language) -> Table:
        """Return one row per store or category, the largest forecast first."""
        sums = _sums(self._rows, self._rows[column])
        order = np.lexsort((sums.index.to_numpy(dtype=str), -sums[_FORECAST].to_numpy()))[:GROUPS_SHOWN]
        rows = [(str(sums.index[i]), *_cells(sums.iloc[i], say)) for i in order]
        title = message("Store") if column == c.STORE_ID else message("Category")
        note = say.first(GROUPS_SHOWN, len(sums), "forecast.parquet")
        return Table((*say.headers(title), *self._headers(say)), rows, note=note)

    def _headers(self, say: Language) -> Sequence[str]:
        previous = say("Previous forecast") if self.previous_date is None else self._previous(say)
        names = say.headers("#Forecast, units", "#Last year, units", "#Change on last year")
        return (*names, f"#{previous}", *say.headers("#Change on the previous forecast"))

    def _previous(self, say: Language) -> str:
        assert self.previous_date is not None
        return say("Forecast of {date}, units", date=say.day(self.previous_date))

    def _label(self, start: pd.Timestamp, say: Language) -> str:
        if self.frequency.kind == "MS":
            return f"{say.month(start.month)} {start.year}"
        year, week, _ = start.isocalendar()
        return say("{year}-W{week}", year=year, week=f"{week:02d}")

    def _dates(self, found: tuple[pd.Timestamp, pd.Timestamp, int], say: Language) -> str:
        first, last, periods = found
        if self.frequency.kind != "D":
            return say.day(first.date())
        text = f"{say.day(first.date())} – {say.day(last.date())}"
        return f"{text} ({say.counted(periods, '{count} day', '{count} days')})"


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{name: frame[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)},
        **{c.DATE: pd.to_datetime(frame[c.DATE]).astype("datetime64[ns]")},
    )


def _sums(rows: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """Return the sums per group; NaN for a column without a known value."""
    return rows[_SUMS].groupby(by, sort=True).sum(min_count=1)


def _cells(sums: pd.Series, say: Language) -> tuple[str, ...]:
    return (
        say.number(sums[_FORECAST]),
        say.number(sums[_LAST_YEAR]),
        _compared(sums[_AGAINST_LAST_YEAR], sums[_LAST_YEAR], sums[_FORECAST], say),
        say.number(sums[_PREVIOUS]),
        _compared(sums[_AGAINST_PREVIOUS], sums[_PREVIOUS], sums[_FORECAST], say),
    )


def _compared(new: float, old: float, total: float, say: Language) -> str:
    """Return the change; if only some periods have both figures, also the forecast of these periods."""
    change = _change(new, old)
    text = say.percent(change, signed=True)
    if not np.isfinite(change) or abs(total - new) < _WHOLE:
        return text
    return say(
        "{change} (forecast in the periods with both figures: {units} units)", change=text, units=say.number(new)
    )


def _change(new: float, old: float) -> float:
    return new / old - 1 if np.isfinite(old) and old > 0 else float("nan")
