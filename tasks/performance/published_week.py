"""Files of a published week, as the evaluation reads them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from schemas import columns as c
from schemas.errors import PublicationError, StorageError
from schemas.outputs import EXPLANATIONS, OVERRIDDEN, PAIR, SERIES, OutputTable, output_tables
from schemas.panel import FloatArray, IndexArray
from schemas.performance import CHAMPION
from schemas.records import PlanInputs
from schemas.settings import Settings
from tasks.publication.earlier_runs import RUNS, EarlierRun, published, run_key
from tasks.publication.manifest import OUTPUTS, PLAN_INPUTS, SETTINGS
from tasks.publication.versions import dates_of, versions_of
from tasks.storage.lake import Lake

FORECAST = "forecast.parquet"
METRICS_FILE = "metrics.parquet"
_TABLES = {table.name: table for table in output_tables([0.5])}


@dataclass(frozen=True)
class ForecastGrid:
    """The forecasts of a week as arrays of n series over H periods.

    Attributes:
        frame: the rows of forecast.parquet, ids as text, with the codes ``series`` and ``period``.
        series: n rows, store_id and category, sorted.
        dates: H labels.
        levels: Q quantile levels.
    """

    frame: pd.DataFrame
    series: pd.DataFrame
    dates: pd.DatetimeIndex
    levels: tuple[float, ...]
    at: IndexArray
    period: IndexArray

    @classmethod
    def of(cls, forecast: pd.DataFrame) -> ForecastGrid:
        """Index the rows of a forecast.

        Args:
            forecast: store_id, category, date, model, mean, one column per quantile, champion.
        """
        keys = pd.MultiIndex.from_arrays([forecast[name].astype(str) for name in SERIES])
        at, found = keys.factorize(sort=True)
        dates = pd.DatetimeIndex(forecast[c.DATE])
        labels = pd.DatetimeIndex(np.sort(dates.unique()))
        quantiles = [name for name in forecast.columns if str(name).startswith("q0.")]
        return cls(
            forecast,
            pd.DataFrame({name: found.get_level_values(place).astype(object) for place, name in enumerate(SERIES)}),
            labels,
            tuple(float(name[1:]) for name in quantiles),
            np.asarray(at, dtype=np.int64),
            np.asarray(labels.get_indexer(dates), dtype=np.int64),
        )

    @cached_property
    def models(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted(self.frame[c.MODEL].astype(str).unique())

    @property
    def shape(self) -> tuple[int, int]:
        """(n, H)."""
        return len(self.series), len(self.dates)

    def of_model(self, model: str) -> ModelForecast:
        """The forecast of one model; ``champion`` = the champion of each series. NaN where it has no forecast."""
        own = self.frame[c.CHAMPION].to_numpy(dtype=bool)
        if model != CHAMPION:
            own = self.frame[c.MODEL].astype(str).eq(model).to_numpy()
        mean = np.full(self.shape, np.nan)
        quantiles = np.full((*self.shape, len(self.levels)), np.nan)
        mean[self.at[own], self.period[own]] = self.frame[c.MEAN].to_numpy(dtype=np.float64)[own]
        columns = c.quantile_columns(list(self.levels))
        quantiles[self.at[own], self.period[own]] = self.frame.loc[own, columns].to_numpy(dtype=np.float64)
        return ModelForecast(mean, quantiles, self.levels)


@dataclass(frozen=True)
class ModelForecast:
    """Forecast of one model: mean (n, H) and quantiles (n, H, Q) in units, NaN where the model has no forecast."""

    mean: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]

    @property
    def median(self) -> FloatArray:
        """Shape (n, H), units."""
        median: FloatArray = self.quantiles[:, :, self.levels.index(0.5)]
        return median

    def filled(self, other: ModelForecast) -> ModelForecast:
        """The forecast of another model for the series that this one does not have."""
        missing = np.isnan(self.mean)
        return ModelForecast(
            np.where(missing, other.mean, self.mean),
            np.where(missing[:, :, None], other.quantiles, self.quantiles),
            self.levels,
        )


@dataclass(frozen=True)
class PublishedWeek:
    """A publication in force.

    Attributes:
        run: its manifest and files.
        version: number of its version; 0 = an older version of Restock, without versions, published it.
        settings: the settings that it was made with; those of today if the manifest's can no longer be read.
    """

    run: EarlierRun
    version: int
    settings: Settings

    @classmethod
    def read(cls, lake: Lake, as_of: date, settings: Settings) -> PublishedWeek | None:
        """Return the publication in force of a run date; None if no publication of the whole network exists."""
        run = published(lake, as_of)
        if run is None or run.scoped:
            return None
        number = next((version.number for version in versions_of(lake, as_of) if version.in_force), 0)
        try:
            then = Settings.model_validate(run.manifest.get(SETTINGS))
        except ValidationError:
            then = settings
        return cls(run, number, then)

    @property
    def as_of(self) -> date:
        """Run date."""
        return self.run.as_of

    @property
    def dates(self) -> pd.DatetimeIndex:
        """Labels of the horizon."""
        return self.settings.period.range(self.as_of, self.settings.horizon)

    @property
    def lag_length(self) -> int:
        """Periods of a lag: a week of days, one week, or one month."""
        return self.settings.period.periods_per_week

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the published files."""
        return dict(self.run.manifest.get(OUTPUTS, {}))

    @cached_property
    def forecast(self) -> ForecastGrid:
        """All forecasts.

        Raises:
            PublicationError: the file is missing or damaged.
        """
        frame = self._parquet(FORECAST)
        if frame is None:
            raise PublicationError(
                f"{self.run.lake.uri(run_key(self.as_of))}/{FORECAST} cannot be read, so the week is not evaluated. "
                f"Restore it: restock rollback {self.as_of}"
            )
        return ForecastGrid.of(frame)

    @cached_property
    def metrics(self) -> pd.DataFrame | None:
        """metrics.parquet; None if it cannot be read."""
        return self._parquet(METRICS_FILE)

    @cached_property
    def explanations(self) -> pd.DataFrame | None:
        """explanations.parquet with ids as text; None if an older version of Restock did not write it."""
        return _with_text(self._parquet(EXPLANATIONS))

    @cached_property
    def targets(self) -> pd.Series:
        """Published targets by store and SKU."""
        frame = self.run.targets()
        return pd.Series(
            frame[c.TARGET_QUANTITY].to_numpy(dtype=np.float64),
            index=pd.MultiIndex.from_arrays([frame[name].astype(str) for name in PAIR]),
        )

    def table(self, name: str) -> pd.DataFrame | None:
        """A CSV table of the run with ids as text; None if the run does not have it or it cannot be read."""
        table: OutputTable = OVERRIDDEN if name == OVERRIDDEN.name else _TABLES[name]
        if not self.run.has(table):
            return None
        try:
            return _with_text(self.run.table(table))
        except PublicationError:
            return None

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """Every planner's override and its effect."""
        return [row for row in self.run.manifest.get("overrides", []) if row.get(c.ACTION)]

    @property
    def plan_inputs(self) -> PlanInputs | None:
        """The inputs of the plan; None if another version of Restock wrote the manifest."""
        try:
            return PlanInputs.model_validate(self.run.manifest.get(PLAN_INPUTS))
        except ValidationError:
            return None

    def stock(self) -> pd.DataFrame | None:
        """Units on hand before opening on the run date: store_id, category, on_hand; None without counts."""
        frame = self.explanations
        if frame is None or frame[c.ON_HAND].isna().all():
            return None
        return frame.groupby(list(SERIES), as_index=False)[c.ON_HAND].sum()

    def _parquet(self, file: str) -> pd.DataFrame | None:
        try:
            return pd.read_parquet(io.BytesIO(self.run.lake.read_bytes(f"{run_key(self.as_of)}/{file}")))
        except (StorageError, ValueError, OSError):
            return None


def _with_text(frame: pd.DataFrame | None) -> pd.DataFrame | None:
    if frame is None:
        return None
    ids = [name for name in (c.STORE_ID, c.SKU, c.CATEGORY) if name in frame.columns]
    return frame.assign(**{name: frame[name].astype(str).astype(object) for name in ids})


def weeks_before(lake: Lake, until: date, first: date, settings: Settings) -> Iterator[PublishedWeek]:
    """Yield the publications with ``first`` <= run date < ``until``, oldest first."""
    for day in dates_of(lake, RUNS):
        if first <= day < until:
            week = PublishedWeek.read(lake, day, settings)
            if week is not None:
                yield week
