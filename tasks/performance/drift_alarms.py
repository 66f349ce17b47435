"""Drift in the weekly run: alarms, and the rows of the report's table of changes."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import Panel
from schemas.performance import DRIFT, OVERALL
from schemas.records import PanelRecord
from schemas.settings.slices import PanelSlice
from tasks.demand.assemble import PanelInputs, assemble_panel
from tasks.performance.drift import PROMOTED, WatchedInputs
from tasks.performance.tables import conform, stored_keys
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake

SUMMARY = "input-drift"
# An older finding about forecasts does not describe the forecasts of today.
RECENT = timedelta(weeks=5)
_SEQUENTIAL = "sequential"
_SHOWN = [c.LEVEL, c.STORE_ID, c.FEATURE, c.WINDOW, c.TEST, c.STATISTIC, c.EFFECT, c.LIMIT_VALUE]


def assemble_watched_panel(lake: Lake, inputs: PanelInputs, use: PanelSlice) -> PanelRecord:
    """Build the panel of a run, and compare its last weeks with the past.

    Raises:
        DataContractError: no sales before ``as_of``.
        ConfigError: the scope names a store or category without sales.
    """
    return assemble_panel(lake, inputs, use, watch=InputChanges())


class InputChanges:
    """Compares the inputs of a panel that comes in parts with the past."""

    def __init__(self) -> None:
        self._inputs = WatchedInputs()
        self._dates: tuple[date, date] | None = None

    def add(self, panel: Panel) -> None:
        """Read the next series."""
        self._inputs.add(panel)
        first = panel.history_periods[-min(panel.history, panel.frequency.periods_per_week * 4)]
        self._dates = (first.date(), panel.history_periods[-1].date())

    def found(self) -> tuple[list[Alarm], dict[str, list[dict[str, Any]]]]:
        """Return the alarm ``input_drift`` if the inputs of all stores together have drifted, and the findings.

        The share of promoted SKUs is a plan that the models know in advance: its change raises no alarm.
        """
        found = self._inputs.findings().drift
        if found.empty:
            return [], {SUMMARY: []}
        drifted = found[found[c.DRIFTED].astype(bool)]
        # The change of the mean is more useful than a distance of distributions, which gets no separate alarm.
        named = drifted[drifted[c.LEVEL].eq(OVERALL) & drifted[c.TEST].ne("ks") & drifted[c.FEATURE].ne(PROMOTED)]
        rows = {SUMMARY: rows_of(drifted[_SHOWN])}
        if named.empty:
            return [], rows
        message = f"{numbered(len(named), '# input[s] [has|have]')} drifted: {first_few(list(named[c.MESSAGE]))}"
        return [raise_alarm("input_drift", message, dates=self._dates, count=len(named))], rows


def forecast_changes(lake: Lake, as_of: date) -> tuple[list[Alarm], list[dict[str, Any]]]:
    """Return the alarm ``forecast_drift`` if the last evaluation before a run date found that errors have grown.

    Args:
        lake: has the performance tables.
        as_of: run date.

    Returns:
        Alarms, and rows of the report's table of changes.
    """
    earlier = {stored: key for stored, key in stored_keys(lake, DRIFT).items() if as_of - RECENT <= stored[0] < as_of}
    if not earlier:
        return [], []
    (day, version) = max(earlier)
    rows = pd.read_parquet(io.BytesIO(lake.read_bytes(earlier[day, version])))
    last = conform(rows, DRIFT)
    last = last[last[c.TEST].eq(_SEQUENTIAL)]
    named = last[last[c.DRIFTED].astype(bool)]
    if named.empty:
        return [], []
    message = f"{first_few(list(named[c.MESSAGE]))} (evaluation of {day})"
    return [raise_alarm("forecast_drift", message, dates=(day, day), count=len(named))], rows_of(named[_SHOWN])
