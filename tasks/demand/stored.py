"""Read stored tables and panels back; filter a panel to a run's scope."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.panel import Panel
from schemas.records import IngestRecord, PanelRecord
from schemas.run import RunContext
from tasks.demand.panel import from_frames
from tasks.storage.lake import Lake


def load_tables(lake: Lake, record: IngestRecord) -> dict[str, pd.DataFrame]:
    """The validated input tables by name."""
    return {name: lake.read_table(ref) for name, ref in record.tables.items()}


def load_panel(lake: Lake, run: RunContext, record: PanelRecord) -> Panel:
    """The panel that a record refers to."""
    frames = {name: lake.read_table(ref) for name, ref in record.frames.items()}
    return from_frames(frames, run.settings.period, record.horizon)


def scoped(panel: Panel, run: RunContext) -> Panel:
    """The series that a run is about.

    Raises:
        ConfigError: a store or category of the scope has no series.
    """
    chosen = np.ones(panel.n, dtype=bool)
    for wanted, column, option in ((run.stores, c.STORE_ID, "stores"), (run.categories, c.CATEGORY, "categories")):
        if not wanted:
            continue
        present = panel.series[column].astype(str)
        unknown = sorted(set(wanted) - set(present))
        if unknown:
            raise ConfigError(
                f"{option}: no sales before {run.as_of} for {first_few(unknown)}. "
                f"Expected some of {first_few(sorted(set(present)))}"
            )
        chosen &= present.isin(wanted).to_numpy()
    if not chosen.any():
        raise ConfigError("stores and categories: none of these stores sells any of these categories before as_of")
    return panel if chosen.all() else panel.take(np.flatnonzero(chosen))
