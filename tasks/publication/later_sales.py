"""Accuracy and cost of a published week on later sales."""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.outputs import COSTS
from schemas.records import PanelRef, WeekOutcome
from tasks.demand.stored import demand_rows, load_demand
from tasks.publication.earlier_runs import published, run_key
from tasks.storage.lake import Lake

KEY = [c.STORE_ID, c.CATEGORY, c.DATE]
_FORECAST = "forecast.parquet"


def known_demand(lake: Lake, record: PanelRef, frequency: Frequency) -> pd.DataFrame:
    """Return the demand of a panel's history: store_id, category, date, units (NaN = unknown)."""
    panel = load_demand(lake, record, frequency)
    rows = demand_rows(panel, panel.history)
    keys = {name: rows[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)}
    return rows.assign(**keys, **{c.DATE: pd.to_datetime(rows[c.DATE])})


def evaluate_week(lake: Lake, week: WeekOutcome, sales: pd.DataFrame) -> WeekOutcome:
    """Add accuracy and cost to the outcome of a week; a failed week is returned unchanged.

    Args:
        lake: lake of the publication.
        week: the outcome so far.
        sales: store_id, category, date and units (NaN = unknown), as known today.
    """
    if not week.folder:
        return week
    wape, periods = wape_since(_champions(lake, week.as_of), sales)
    return week.model_copy(update={"wape": wape, "periods_known": periods, **_plan_facts(lake, week.as_of)})


def wape_since(forecast: pd.DataFrame, sales: pd.DataFrame) -> tuple[float | None, int]:
    """Return the WAPE of the medians on known demand, and the number of periods with known demand.

    Args:
        forecast: store_id, category, date and the median, one row per series and period.
        sales: store_id, category, date, units; NaN or a missing row = unknown.

    Returns:
        WAPE as a fraction (None if the known demand is 0), and the number of periods.
    """
    both = forecast.merge(sales, on=KEY)
    both = both[np.isfinite(both[c.UNITS].to_numpy(dtype=np.float64))]
    sold = float(both[c.UNITS].sum())
    error = float((both[c.MEDIAN] - both[c.UNITS]).abs().sum())
    return (round(error / sold, 6) if sold else None), int(both[c.DATE].nunique())


def _champions(lake: Lake, as_of: date) -> pd.DataFrame:
    forecast = pd.read_parquet(
        io.BytesIO(lake.read_bytes(f"{run_key(as_of)}/{_FORECAST}")), columns=[*KEY, c.MEDIAN, c.CHAMPION]
    )
    chosen = forecast[forecast[c.CHAMPION].to_numpy(dtype=bool)].drop(columns=c.CHAMPION)
    return chosen.assign(**{c.DATE: pd.to_datetime(chosen[c.DATE]).astype("datetime64[ns]")})


def _plan_facts(lake: Lake, as_of: date) -> dict[str, object]:
    run = published(lake, as_of)
    if run is None:
        return {}
    costs = run.table(COSTS)
    chosen = costs[costs[c.CHOSEN].astype(bool)].iloc[0]
    bound = chosen[c.LOWER_BOUND]
    return {
        "policy": str(chosen[c.POLICY]),
        "cost": round(float(chosen[c.TOTAL]), 2),
        "lower_bound": None if pd.isna(bound) else round(float(bound), 2),
    }
