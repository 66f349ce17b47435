"""A weekly run's forecasts and choice at one cutoff, without Prefect; forecasts are kept on disk."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.scores import score
from benchmarks.accuracy.sets import DataSet
from schemas import columns as c
from schemas.panel import Fold, Panel
from schemas.settings import Settings, digest_of
from tasks.demand.folds import rolling_folds
from tasks.evaluation.comparison import compare
from tasks.forecasting import registry
from tasks.forecasting.registry import forecast_folds, make_forecaster, model_names
from tasks.forecasting.shards import shards

CHAMPIONS = "champions"
ROOMS = ("demand", "forecasting")


def run_cutoff(data: DataSet, known: int, cache: Path, models: Sequence[str] | None = None) -> pd.DataFrame:
    """Fit all models on the folds and the horizon, choose champions, and score what followed.

    Args:
        data: the set.
        known: known periods at the cutoff.
        cache: folder for forecasts, outside the repository.
        models: only these of the settings' models; all where None.

    Returns:
        One row per model that serves every series, then the champions: set, cutoff, model, the figures of
        :func:`benchmarks.accuracy.scores.score`, series for which the model is champion, and seconds.
    """
    panel, settings = data.panel(known), data.settings
    folds = rolling_folds(panel, **settings.backtest.model_dump())
    names = [name for name in model_names(settings) if models is None or name in models]
    tables, seconds = [], {}
    for name in names:
        begun = time.perf_counter()
        tables.append(_forecasts(name, data, panel, folds, cache))
        seconds[name] = time.perf_counter() - begun
    found = compare(tables, panel, folds, settings)
    counts = found.champions[c.MODEL].value_counts()
    actual, rows = data.actual(panel), []
    live = found.forecast
    for name in [*sorted(live[c.MODEL].astype(str).unique()), CHAMPIONS]:
        own = live[live[c.CHAMPION]] if name == CHAMPIONS else live[live[c.MODEL].astype(str) == name]
        if len(own) != panel.n * panel.horizon:
            continue
        own = own.sort_values([c.STORE_ID, c.CATEGORY, c.DATE], kind="stable")
        mean = own[c.MEAN].to_numpy(np.float64).reshape(actual.shape)
        spread = own[c.quantile_columns(settings.quantiles)].to_numpy(np.float64).reshape(*actual.shape, -1)
        figures = score(actual, mean, spread, settings.quantiles)
        at = {"set": data.name, "cutoff": panel.horizon_periods[0].date().isoformat(), "model": name}
        rows.append({**at, **figures, "champion of": int(counts.get(name, 0)), "seconds": seconds.get(name, np.nan)})
    return pd.DataFrame(rows)


def _forecasts(name: str, data: DataSet, panel: Panel, folds: Sequence[Fold], cache: Path) -> pd.DataFrame:
    """The model's rows on the series that a run gives it; read from the cache where nothing has changed."""
    settings = data.settings
    parts = [spec for spec in shards(settings, panel, len(folds)) if spec.model == name]
    series = sorted({at for spec in parts if spec.series for at in spec.series})
    key = digest_of(
        {
            "model": [name, _model_settings(name, settings)],
            "panel": [data.name, panel.history, hashlib.sha256(panel.demand.tobytes()).hexdigest()],
            "folds": [fold.known_periods for fold in folds],
            "code": _code(),
            "quantiles": settings.quantiles,
        }
    )
    path = cache / f"{data.name}-{panel.history}-{name}-{key[:16]}.parquet"
    if not path.exists():
        used = panel.take(np.array(series)) if series else panel
        if not parts:
            return pd.DataFrame()
        frame, _, _ = forecast_folds(
            make_forecaster(name, settings), used, folds, True, settings.quantiles, settings.seed
        )
        cache.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    return pd.read_parquet(path)


def _model_settings(name: str, settings: Settings) -> object:
    model = getattr(settings.models, name, None)
    return None if model is None else model.model_dump(mode="json")


def _code() -> str:
    """Digest of the rooms that forecasts come from."""
    root = Path(inspect.getfile(registry)).parent.parent
    files = sorted(path for room in ROOMS for path in (root / room).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
