"""Data sets in contract form, cut at several dates: the data before each cutoff, and the actuals after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from schemas.panel import FloatArray, Panel
from schemas.settings import Settings
from tasks.configuration.settings_file import load_settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.ingest.validation import validate_tables
from tasks.demand.panel import build_panel
from tasks.storage.source_files import expand_sources, read_tables

# Number of horizons between each cutoff and the end of the data.
HORIZONS_BACK = (1, 3, 6)
# At least this share of the history is before the earliest cutoff; if necessary, cutoffs move to later dates evenly.
LEAST_HISTORY = 0.6


@dataclass(frozen=True)
class DataSet:
    """Validated tables of one folder."""

    name: str
    settings: Settings
    tables: dict[str, pd.DataFrame]
    whole: Panel

    @classmethod
    def read(cls, folder: Path, overrides: Sequence[str] = ()) -> DataSet:
        """Read ``settings.yaml``, with overrides ``key=value``, and its tables."""
        settings = load_settings(folder / "settings.yaml", overrides)
        tables = validate_tables(read_tables(expand_sources(settings.sources), settings.sources), settings).tables
        end = settings.period.shift(settings.period.label(tables["sales"]["date"]).max(), 1)
        return cls(folder.name, settings, tables, build_panel(prepare(tables, settings, end.date())).panel)

    def cutoffs(self, horizons: Sequence[float] = HORIZONS_BACK) -> list[int]:
        """Known periods at each cutoff, rising."""
        length, horizon = self.whole.history, self.whole.horizon
        most = length - int(np.ceil(LEAST_HISTORY * length))
        furthest = max(horizons) * horizon
        step = horizon if furthest <= most or max(horizons) <= 1 else (most - horizon) / (max(horizons) - 1)
        return sorted(length - round(horizon + (back - 1) * step) for back in horizons)

    def panel(self, known: int) -> Panel:
        """The panel of a run whose ``as_of`` is the label after the first ``known`` periods."""
        return build_panel(prepare(self.tables, self.settings, self.whole.periods[known].date())).panel

    def actual(self, panel: Panel) -> FloatArray:
        """Sales of the series of a panel over its horizon, shape (n, H); NaN where unknown or not sold yet."""
        keys = ["store_id", "category"]
        place = pd.MultiIndex.from_frame(self.whole.series[keys]).get_indexer(
            pd.MultiIndex.from_frame(panel.series[keys])
        )
        first = self.whole.periods.get_loc(panel.horizon_periods[0])
        ahead = self.whole.demand[place, first : first + panel.horizon]
        return np.pad(ahead, ((0, 0), (0, panel.horizon - ahead.shape[1])), constant_values=np.nan)
