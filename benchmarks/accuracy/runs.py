"""Forecasts and champions of a weekly run at one cutoff, without Prefect, and those of peers; all are kept on disk."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy import peers
from benchmarks.accuracy.measured import Measured, measured
from benchmarks.accuracy.scores import score
from benchmarks.accuracy.sets import DataSet
from benchmarks.accuracy.summary import CHAMPIONS, PEER
from schemas import columns as c
from schemas.panel import Fold, Panel
from schemas.settings import Settings, digest_of
from tasks.demand.folds import rolling_folds
from tasks.evaluation.comparison import compare
from tasks.evaluation.metrics import stats
from tasks.forecasting import registry
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.registry import make_forecaster, model_names
from tasks.forecasting.shards import shards

ROOMS = ("demand", "forecasting")


def run_cutoff(
    data: DataSet, known: int, cache: Path, models: Sequence[str] | None = None, against: Sequence[str] = ()
) -> pd.DataFrame:
    """Fit all models on the folds and the horizon, choose champions, fit the peers, and score the forecasts.

    Args:
        data: the set.
        known: known periods at the cutoff.
        cache: folder for forecasts, outside the repository.
        models: only these of the settings' models; all if None.
        against: peers, of :data:`benchmarks.accuracy.peers.PEER_NAMES`.

    Returns:
        One row per model that serves every series, then the champions, then the peers as ``peer:NAME``, all
        over the same series and periods: set, cutoff, model, the figures of
        :func:`benchmarks.accuracy.scores.score`, series for which the model is champion, seconds (own models:
        with the folds, champions: of all models; peers: the horizon alone) and peak memory in MB of the
        process that did it (champions: of the largest).
    """
    panel, settings = data.panel(known), data.settings
    actual = data.actual(panel)
    _, scale = stats.season_differences(panel.demand, panel.frequency.season)
    rows = []
    for name, found, champion_of in [*_own(data, panel, cache, models), *_peers(data, panel, cache, against)]:
        mean = found.frame[c.MEAN].to_numpy(np.float64).reshape(actual.shape)
        spread = found.frame[c.quantile_columns(settings.quantiles)].to_numpy(np.float64).reshape(*actual.shape, -1)
        at = {"set": data.name, "cutoff": panel.horizon_periods[0].date().isoformat(), "model": name}
        figures = score(actual, mean, spread, settings.quantiles, scale)
        rows.append({**at, **figures, "champion of": champion_of, "seconds": found.seconds, "memory": found.memory})
    return pd.DataFrame(rows)


def champions_at(data: DataSet, panel: Panel, cache: Path, models: Sequence[str] | None = None) -> pd.DataFrame:
    """The champions' rows at the panel's cutoff, n x H in the panel's order."""
    return dict((name, found.frame) for name, found, _ in _own(data, panel, cache, models))[CHAMPIONS]


def _own(data: DataSet, panel: Panel, cache: Path, models: Sequence[str] | None) -> list[tuple[str, Measured, int]]:
    """Name, forecast and number of series as champion of every model that serves all series, then the champions."""
    settings = data.settings
    names = [name for name in model_names(settings) if models is None or name in models]
    if not names:
        return []
    folds = rolling_folds(panel, **settings.backtest.model_dump())
    fitted = {name: _forecasts(name, data, panel, folds, cache) for name in names}
    found = compare([own.frame for own in fitted.values()], panel, folds, settings)
    counts = found.champions[c.MODEL].value_counts()
    live, answers = found.forecast, []
    # The ensemble is made of the others' rows.
    took = [own for own in fitted.values() if len(own.frame)]
    whole = Measured(live, sum(own.seconds for own in took), float(np.max([own.memory for own in took])))
    for name in [*sorted(live[c.MODEL].astype(str).unique()), CHAMPIONS]:
        own = live[live[c.CHAMPION]] if name == CHAMPIONS else live[live[c.MODEL].astype(str) == name]
        if len(own) == panel.n * panel.horizon:
            ordered = own.sort_values([c.STORE_ID, c.CATEGORY, c.DATE], kind="stable")
            figures = whole if name == CHAMPIONS else fitted.get(name, Measured(own))
            answers.append((name, replace(figures, frame=ordered), int(counts.get(name, 0))))
    return answers


def _forecasts(name: str, data: DataSet, panel: Panel, folds: Sequence[Fold], cache: Path) -> Measured:
    """The model's rows on the series that a run gives it; read from the cache where nothing has changed."""
    settings = data.settings
    parts = [spec for spec in shards(settings, panel, folds) if spec.model == name]
    if not parts:
        return Measured(pd.DataFrame())
    series = sorted({at for spec in parts if spec.series for at in spec.series})
    key = digest_of(
        {
            "model": [name, _model_settings(name, settings)],
            "panel": _panel_key(data, panel),
            "folds": [fold.known_periods for fold in folds],
            "code": _code(),
            "quantiles": settings.quantiles,
        }
    )
    path = cache / f"{data.name}-{panel.history}-{name}-{key[:16]}.parquet"
    return measured(path, _fit, name, settings, panel.take(np.array(series)) if series else panel, folds)


def _fit(name: str, settings: Settings, panel: Panel, folds: Sequence[Fold]) -> pd.DataFrame:
    forecaster = make_forecaster(name, settings)
    return forecast_folds(forecaster, panel, folds, True, settings.quantiles, settings.seed).rows()


def _peers(data: DataSet, panel: Panel, cache: Path, names: Sequence[str]) -> list[tuple[str, Measured, int]]:
    """Name, forecast and 0 of each peer; a mean of peers takes their forecasts."""
    needed = dict.fromkeys(part for name in names for part in peers.MEANS.get(name, (name,)))
    made = {name: _peer(name, data, panel, cache) for name in needed}
    for name, parts in peers.MEANS.items():
        if name in names:
            own = [made[part] for part in parts]
            made[name] = Measured(
                peers.mean_of([part.frame for part in own]),
                sum(part.seconds for part in own),
                float(np.max([part.memory for part in own])),
            )
    return [(PEER + name, made[name], 0) for name in names]


def _peer(name: str, data: DataSet, panel: Panel, cache: Path) -> Measured:
    known = b"".join(panel.known[feature].values.tobytes() for feature in sorted(panel.known))
    key = digest_of(
        {
            "peer": [name, peers.versions(name)],
            "panel": _panel_key(data, panel),
            "ahead": hashlib.sha256(known + panel.closed.tobytes()).hexdigest(),
            "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in peers.CODE],
            "quantiles": data.settings.quantiles,
        }
    )
    path = cache / f"{data.name}-{panel.history}-peer-{name}-{key[:16]}.parquet"
    return measured(path, peers.peer_forecast, name, panel, data.settings.quantiles)


def _panel_key(data: DataSet, panel: Panel) -> list[object]:
    return [data.name, panel.history, hashlib.sha256(panel.demand.tobytes()).hexdigest()]


def _model_settings(name: str, settings: Settings) -> object:
    model = getattr(settings.models, name, None)
    return None if model is None else model.model_dump(mode="json")


def _code() -> str:
    """Digest of the packages that compute forecasts."""
    root = Path(inspect.getfile(registry)).parent.parent
    files = sorted(path for room in ROOMS for path in (root / room).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
