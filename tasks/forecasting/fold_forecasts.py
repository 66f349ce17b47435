"""Forecasts over folds and the horizon, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import Fold, Forecast, IndexArray, Panel, SmallFloatArray
from schemas.protocols import (
    ExplainedForecaster,
    FittedForecaster,
    Forecaster,
    RefittableForecaster,
    SamplingForecaster,
)
from schemas.records import Failure
from schemas.settings import BASELINES
from tasks.forecasting.event_effects import event_effects
from tasks.forecasting.registry import facts
from tasks.storage.arrow_tables import PART_ROWS
from tasks.storage.mapped import row_blocks

# Model of the forecasts of a series without history.
ZERO = "zero"
# A global model is fitted again for the next fold once more than this fraction of its known periods was added.
REFIT_GROWTH = 0.06


def fit_groups(known_periods: Sequence[int]) -> list[tuple[int, ...]]:
    """Folds that share a fit of a global model: it learns at the first one's cutoff and forecasts all of them.

    A few more periods change the fit on all series very little. At each cutoff, the model reads the history up to that
    cutoff. The horizon of the run always has a separate fit.

    >>> fit_groups([426, 720, 748, 755, 762])
    [(0,), (1, 2, 3, 4)]

    Args:
        known_periods: known periods of the folds, ascending.

    Returns:
        Positions of the folds, group by group.
    """
    groups: list[list[int]] = []
    for position, known in enumerate(known_periods):
        if groups and known <= (1.0 + REFIT_GROWTH) * known_periods[groups[-1][0]]:
            groups[-1].append(position)
        else:
            groups.append([position])
    return [tuple(group) for group in groups]


def forecast_folds(  # noqa: PLR0913
    forecaster: Forecaster,
    panel: Panel,
    folds: Sequence[Fold],
    live: bool,
    quantiles: Sequence[float],
    seed: int,
    keep_paths: Callable[[pd.DataFrame], None] | None = None,
    keep_parts: Callable[[Iterator[pd.DataFrame]], None] | None = None,
    *,
    series: IndexArray | None = None,
) -> FoldForecasts:
    """Fit and forecast at every cutoff, in ascending order, the panel's own last.

    Args:
        forecaster: fitted on what was known at each cutoff, without the effects of planned events; a global model once
            per group of folds (:func:`fit_groups`).
        panel: history and horizon of all series; the effects of planned events are estimated on them.
        folds: cutoffs, ascending.
        live: whether to forecast the panel's own horizon.
        quantiles: levels, ascending.
        seed: seed of the run.
        keep_paths: receives the sample paths of the panel's own horizon (see :func:`path_rows`), if the model has any.
        keep_parts: receives the parts of the medians of the panel's own horizon, some series at a time, if the model
            explains them.
        series: forecast only these series; all if None.
    """
    made: list[CutoffForecast] = []
    failures: list[Failure] = []
    notes: list[str] = []
    as_of = panel.horizon_periods[0]
    model = facts().get(forecaster.name)
    groups = fit_groups([fold.known_periods for fold in folds]) if model is not None and model.shares_fits else []
    served = {position for group in groups for position in group[1:]}
    fitted: FittedForecaster | None = None
    for position, fold in enumerate([*folds, *([None] if live else [])]):
        now = fold is None
        network = panel if fold is None else panel.until(fold.known_periods, row_blocks(panel.n, len(panel.periods)))
        effects = event_effects(network).take(series)
        known = effects.without(network if series is None else network.take(series))
        # Structures such as ARIMA orders are searched once, on the first cutoff at which they can be found.
        if isinstance(fitted, RefittableForecaster):
            fitted = fitted.refit(known, seed)
        elif fitted is None or position not in served:
            fitted = forecaster.fit(known, seed)
        if now and keep_paths is not None and isinstance(fitted, SamplingForecaster):
            forecast = effects.on(fitted.predict_with_paths(known, quantiles), quantiles)
            if forecast.paths is not None:
                keep_paths(path_rows(forecaster.name, known, forecast.paths))
        else:
            forecast = effects.on(fitted.predict(known, quantiles), quantiles)
        if now and keep_parts is not None and isinstance(fitted, ExplainedForecaster):
            parts = effects.parts(fitted.parts(known), known)
            keep_parts(frame.assign(**{c.MODEL: forecaster.name}) for frame in parts)
        # A fold's horizon may reach beyond as_of: no actuals exist there.
        made.append(CutoffForecast.of(forecaster.name, known, forecast, quantiles, None if now else as_of))
        failures += _failures(forecaster.name, known, forecast)
        notes += forecast.notes
    return FoldForecasts(made, failures, list(dict.fromkeys(notes)))


def past_forecasts(
    forecaster: Forecaster, panel: Panel, cutoffs: Sequence[int], quantiles: Sequence[float], seed: int
) -> pd.DataFrame:
    """Forecasts at past cutoffs by one fit at the earliest of them, which costs far less than a fit per cutoff.

    Args:
        forecaster: fitted on what was known at the first cutoff; at the others it reads what was known there.
        panel: history and horizon.
        cutoffs: numbers of known periods, ascending; at least one.
        quantiles: levels, ascending.
        seed: seed of the run.

    Returns:
        Rows as of :meth:`FoldForecasts.rows`, for the whole horizon of every cutoff.
    """
    first = panel.until(cutoffs[0])
    fitted = forecaster.fit(event_effects(first).without(first), seed)
    frames = []
    for cutoff in cutoffs:
        known = panel.until(cutoff)
        effects = event_effects(known)
        forecast = effects.on(fitted.predict(effects.without(known), quantiles), quantiles)
        frames.append(forecast_rows(forecaster.name, known, forecast, quantiles))
    return pd.concat(frames, ignore_index=True)


def forecast_rows(name: str, panel: Panel, forecast: Forecast, quantiles: Sequence[float]) -> pd.DataFrame:
    """One row per series and period of the horizon."""
    return CutoffForecast.of(name, panel, forecast, quantiles).rows()


@dataclass(frozen=True)
class CutoffForecast:
    """The forecast of n series at one cutoff.

    Attributes:
        name: the model.
        heads: store_id and category of each series, as categories.
        labels: H labels of the horizon.
        kept: number of labels from the first on that have rows.
        forecast: mean and quantiles.
        quantiles: Q levels.
    """

    name: str
    heads: pd.DataFrame
    labels: pd.DatetimeIndex
    kept: int
    forecast: Forecast
    quantiles: Sequence[float]

    @classmethod
    def of(
        cls,
        name: str,
        panel: Panel,
        forecast: Forecast,
        quantiles: Sequence[float],
        before: pd.Timestamp | None = None,
    ) -> CutoffForecast:
        """Of a panel whose horizon was forecast; with rows only for labels before a date."""
        labels = panel.horizon_periods
        kept = len(labels) if before is None else int((labels < before).sum())
        heads = panel.series[[c.STORE_ID, c.CATEGORY]].astype("category")
        return cls(name, heads, labels, kept, forecast, quantiles)

    def __len__(self) -> int:
        return len(self.heads) * self.kept

    def rows(self, chosen: slice | None = None) -> pd.DataFrame:
        """One row per series and period, series by series; all of them, or a slice."""
        series, step = np.divmod(np.arange(*(chosen or slice(None)).indices(len(self))), max(1, self.kept))
        frame = pd.DataFrame(
            {
                c.CUTOFF: np.full(len(series), self.labels[0].to_datetime64(), dtype="datetime64[ns]"),
                c.STORE_ID: self.heads[c.STORE_ID].array.take(series),
                c.CATEGORY: self.heads[c.CATEGORY].array.take(series),
                c.DATE: self.labels.to_numpy()[step],
                c.MODEL: pd.Categorical.from_codes(np.zeros(len(series), dtype=np.int8), [self.name]),
                c.MEAN: self.forecast.mean[series, step],
            }
        )
        for position, level in enumerate(self.quantiles):
            frame[c.quantile_column(level)] = self.forecast.quantiles[series, step, position]
        return frame


@dataclass(frozen=True)
class FoldForecasts:
    """Forecasts of one model at several cutoffs.

    Attributes:
        made: the forecast of each cutoff, ascending; its arrays may be on disk.
        failures: the series that fell back, one entry per cutoff.
        notes: notes of the forecaster, each once.
    """

    made: list[CutoffForecast]
    failures: list[Failure]
    notes: list[str]

    def rows(self) -> pd.DataFrame:
        """All rows: cutoff, store_id, category, date, model, mean, one column per quantile."""
        return pd.concat([forecast.rows() for forecast in self.made], ignore_index=True)

    def row_groups(self, size: int = PART_ROWS) -> Iterator[pd.DataFrame]:
        """Yield the rows one after the other, ``size`` rows at a time; at least one frame."""
        begins = np.cumsum([0, *(len(forecast) for forecast in self.made)])
        for first in range(0, max(1, int(begins[-1])), size):
            frames = [
                forecast.rows(slice(max(first - begin, 0), max(first + size - begin, 0)))
                for forecast, begin in zip(self.made, begins[:-1].tolist(), strict=True)
                if begin < first + size and (begin + len(forecast) > first or not begins[-1])
            ]
            yield pd.concat(frames, ignore_index=True)


def path_rows(name: str, panel: Panel, paths: SmallFloatArray) -> pd.DataFrame:
    """One row per served series and period of the horizon: store_id, category, date, model, s0, s1, ..."""
    served = np.flatnonzero(np.isfinite(paths).all(axis=(1, 2)))
    repeated = np.repeat(served, panel.horizon)
    heads = panel.series[[c.STORE_ID, c.CATEGORY]].iloc[repeated].reset_index(drop=True)
    heads[c.DATE], heads[c.MODEL] = np.tile(panel.horizon_periods.to_numpy(), len(served)), name
    numbers = paths[served].reshape(len(repeated), -1)
    return pd.concat([heads, pd.DataFrame(numbers, columns=c.sample_path_columns(numbers.shape[1]))], axis=1)


def _failures(name: str, panel: Panel, forecast: Forecast) -> list[Failure]:
    stores, categories = panel.series[c.STORE_ID], panel.series[c.CATEGORY]
    return [
        Failure(
            store_id=str(stores.iloc[index]),
            category=str(categories.iloc[index]),
            stage=name,
            reason=failure.reason,
            fallback=ZERO if name in BASELINES else BASELINES[0],
            kind=failure.kind,
        )
        for index, failure in forecast.failed.items()
    ]
