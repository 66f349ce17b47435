"""Read stored tables and panels back; filter a panel to a run's scope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.frequency import Frequency
from schemas.panel import Panel
from schemas.records import PanelRef
from tasks.demand.panel import from_frames
from tasks.storage.lake import Lake


def load_panel(lake: Lake, ref: PanelRef, frequency: Frequency) -> Panel:
    """The panel that a reference names."""
    return from_frames({name: lake.read_table(frame) for name, frame in ref.frames.items()}, frequency, ref.horizon)


def recent_demand(panel: Panel, horizons: int = 3) -> pd.DataFrame:
    """Demand of the last horizons before the run date, as the report draws it.

    Returns:
        store_id, category, date and units (NaN = unknown), one row per series and period.
    """
    return demand_rows(panel, min(panel.history, horizons * panel.horizon))


def sales_last_year(panel: Panel) -> pd.DataFrame:
    """Units sold 52 weeks (monthly: 12 months) before each forecast period, as the report compares them.

    Returns:
        store_id, category, date (label of the forecast period) and units (NaN = unknown); only the periods for which
        the history reaches back a year.
    """
    sold = panel.demand if panel.sold is None else panel.sold
    year = panel.frequency.periods_per_year
    ahead = np.arange(max(0, year - panel.history), min(panel.horizon, year))
    keys = panel.series.loc[panel.series.index.repeat(len(ahead)), [c.STORE_ID, c.CATEGORY]].reset_index(drop=True)
    units = sold[:, panel.history - year + ahead].ravel()
    return keys.assign(**{c.DATE: list(panel.horizon_periods[ahead]) * panel.n, c.UNITS: units})


def demand_rows(panel: Panel, periods: int) -> pd.DataFrame:
    """Demand of the last periods: store_id, category, date and units (NaN = unknown)."""
    labels = panel.history_periods[panel.history - periods :]
    keys = panel.series.loc[panel.series.index.repeat(periods), [c.STORE_ID, c.CATEGORY]].reset_index(drop=True)
    units = panel.demand[:, panel.history - periods :].ravel()
    return keys.assign(**{c.DATE: list(labels) * panel.n, c.UNITS: units})


def scoped(panel: Panel, stores: Sequence[str], categories: Sequence[str], as_of: date) -> Panel:
    """The series of a part of the network; all of them if neither stores nor categories are named.

    Raises:
        ConfigError: a store or category of the scope has no series.
    """
    chosen = np.ones(panel.n, dtype=bool)
    for wanted, column, option in ((stores, c.STORE_ID, "stores"), (categories, c.CATEGORY, "categories")):
        if not wanted:
            continue
        present = panel.series[column].astype(str)
        unknown = sorted(set(wanted) - set(present))
        if unknown:
            raise ConfigError(
                f"{option}: no sales before {as_of} for {first_few(unknown)}. "
                f"Expected some of {first_few(sorted(set(present)))}"
            )
        chosen &= present.isin(wanted).to_numpy()
    if not chosen.any():
        raise ConfigError("stores and categories: none of these stores sells any of these categories before as_of")
    return panel if chosen.all() else panel.take(np.flatnonzero(chosen))
