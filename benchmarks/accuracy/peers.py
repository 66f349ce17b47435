"""Other libraries, fitted on the same history with their default settings.

Nothing is tuned for a set. All peers see the panel's demand up to the cutoff, in which stock-outs and outliers are
already unknown. Inside a series, an unknown period takes the last known value. A series begins with its first known
period. A series without a known period is forecast as 0. Closed days of the horizon and forecasts below 0 become 0.
Quantiles that cross are sorted.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, Panel

SEASONAL_NAIVE, AUTO_ARIMA, AUTO_ETS = "seasonal_naive", "auto_arima", "auto_ets"
ENSEMBLE = "arima_ets_mean"
LIGHTGBM, LIGHTGBM_DIRECT = "lightgbm", "lightgbm_direct"
AUTOGLUON = "autogluon"
STATSFORECAST, BOOSTED = ("statsforecast",), ("mlforecast", "lightgbm")
# AutoGluon requires other versions of our packages (`make bench-autogluon` makes its environment).
AUTOGLUON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-autogluon"
# Its models without the pretrained ones, which would be loaded from a hub; maximum seconds of fitting.
AUTOGLUON_TASK = {"preset": "high_quality", "seconds": 900}
ID, DATE, VALUE = "unique_id", "ds", "y"
# Longest season that is given to these methods.
LONGEST_SEASON = 24
# With years of daily data AutoARIMA takes seconds per series, so it reads only the last half year. It always uses the
# approximate search for the orders (statsforecast's own choice from 150 periods on).
ARIMA_SEASONS = 26
# Date features that mlforecast makes itself.
OWN_DATE_FEATURES = "time_"
SEED = 1
# Lags, and windows of the rolling means, per kind of frequency. The longest are one year of weeks and months.
LAGS = {"D": (*range(1, 8), 14, 21, 28), "W": (*range(1, 9), 13, 26, 52), "MS": (*range(1, 7), 12)}
WINDOWS = {"D": (7, 28, 56), "W": (4, 13, 26), "MS": (3, 6, 12)}
DATE_FEATURES = {
    "D": ["dayofweek", "day", "week", "month"],
    "W": ["week", "month"],
    "MS": ["month", "quarter"],
}

AUTOGLUON_SCRIPT = Path(__file__).with_name("autogluon_run.py")
# What a kept forecast depends on.
CODE = (Path(__file__), AUTOGLUON_SCRIPT)

Fitted = tuple[FloatArray, FloatArray]


def peer_forecast(name: str, panel: Panel, levels: Sequence[float]) -> pd.DataFrame:
    """Fit a peer on the panel's history and forecast its horizon.

    Args:
        name: one of :data:`PEERS`.
        panel: n series, cut at the cutoff.
        levels: Q rising levels.

    Returns:
        n x H rows in the order of the panel: mean and one column per level, units, at least 0.
    """
    shape = (panel.n, panel.horizon)
    mean, quantiles = np.zeros(shape), np.zeros((*shape, len(levels)))
    known = np.flatnonzero(np.isfinite(panel.demand).any(axis=1))
    mean[known], quantiles[known] = PEERS[name](panel.take(known), levels)
    return as_frame(panel, mean, quantiles, levels)


def as_frame(panel: Panel, mean: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> pd.DataFrame:
    """Rows of :func:`peer_forecast` from arrays of shapes (n, H) and (n, H, Q): closed days 0, clipped, sorted."""
    closed = panel.closed[:, panel.history :]
    mean = np.where(closed, 0.0, np.maximum(np.nan_to_num(mean), 0.0))
    quantiles = np.where(closed[..., None], 0.0, np.maximum(np.sort(np.nan_to_num(quantiles), axis=2), 0.0))
    columns = dict(zip(c.quantile_columns(levels), quantiles.reshape(-1, len(levels)).T, strict=True))
    return pd.DataFrame({c.MEAN: mean.ravel(), **columns})


def mean_of(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The plain mean of several peers' rows, of the mean and of each quantile."""
    return sum(frames[1:], frames[0]) / len(frames)


def packages(name: str) -> tuple[str, ...]:
    """Packages that a peer comes from, apart from AutoGluon, which has a separate environment."""
    if name == AUTOGLUON:
        return ()
    return BOOSTED if name in (LIGHTGBM, LIGHTGBM_DIRECT) else STATSFORECAST


def missing_packages(names: Sequence[str]) -> list[str]:
    """Packages that the named peers need and that are not installed."""
    needed = dict.fromkeys(package for name in names for package in packages(name))
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    return missing + [AUTOGLUON] * (AUTOGLUON in names and not versions(AUTOGLUON))


def versions(name: str) -> list[str]:
    """Versions of a peer's packages."""
    if name == AUTOGLUON:
        installed = AUTOGLUON_ENVIRONMENT.glob("lib/python*/site-packages/autogluon*timeseries-*.dist-info")
        return sorted(path.name for path in installed)
    return [version(package) for package in packages(name)]


def history_frame(panel: Panel, longest: int | None = None) -> pd.DataFrame:
    """The history in long form: unique_id (row of the panel), ds, y; from each series' first known period on.

    Args:
        panel: every series holds a known period.
        longest: maximum number of last periods.
    """
    demand = panel.demand
    known = np.isfinite(demand)
    last = np.maximum.accumulate(np.where(known, np.arange(panel.history), 0), axis=1)
    filled = np.take_along_axis(demand, last, axis=1)
    begun = np.logical_or.accumulate(known, axis=1)
    if longest is not None:
        begun[:, : max(panel.history - longest, 0)] = False
    series, period = np.nonzero(begun)
    return pd.DataFrame({ID: series, DATE: panel.history_periods[period], VALUE: filled[begun]})


def _seasonal_naive(panel: Panel, levels: Sequence[float]) -> Fitted:
    """The value of one season before (7 days, 52 weeks, 12 months); the last one if there is no whole season."""
    from statsforecast.models import Naive, SeasonalNaive

    season = panel.frequency.season
    history = history_frame(panel)
    # An interval needs residuals: two periods more than the season.
    long = history.groupby(ID)[VALUE].transform("size").to_numpy() >= season + 2
    mean, quantiles = np.zeros((panel.n, panel.horizon)), np.zeros((panel.n, panel.horizon, len(levels)))
    for model, rows in ((SeasonalNaive(season_length=season), long), (Naive(), ~long)):
        part = history[rows]
        if len(part):
            chosen = part[ID].unique()
            mean[chosen], quantiles[chosen] = _statsforecast(model, panel, part, levels)
    return mean, quantiles


def _auto_arima(panel: Panel, levels: Sequence[float]) -> Fitted:
    """AutoARIMA of the frequency's season, without one on weekly data; the last 26 seasons where it has one."""
    from statsforecast.models import AutoARIMA

    season = _season(panel)
    history = history_frame(panel, longest=ARIMA_SEASONS * season if season > 1 else None)
    return _statsforecast(AutoARIMA(season_length=season, approximation=True), panel, history, levels)


def _auto_ets(panel: Panel, levels: Sequence[float]) -> Fitted:
    """AutoETS of the frequency's season, without one on weekly data."""
    from statsforecast.models import AutoETS

    return _statsforecast(AutoETS(season_length=_season(panel)), panel, history_frame(panel), levels)


def _season(panel: Panel) -> int:
    season = panel.frequency.season
    return season if season <= LONGEST_SEASON else 1


def _statsforecast(model: Any, panel: Panel, history: pd.DataFrame, levels: Sequence[float]) -> Fitted:
    """Forecast of one model with its own intervals; naive where it cannot fit a series."""
    from statsforecast import StatsForecast
    from statsforecast.models import Naive

    # The level q is the bound of the interval of |2 q - 1|, the median its middle.
    widths = [round(100 * abs(2 * level - 1), 6) for level in levels]
    runner = StatsForecast(models=[model], freq=panel.frequency.code, n_jobs=1, fallback_model=Naive())
    found = runner.forecast(df=history, h=panel.horizon, level=sorted({width for width in widths if width}))
    found = found.sort_values([ID, DATE], kind="stable")
    name = repr(model)
    # "lo-80" or "lo-80.0", as the level was given.
    bounds = {(part.split("-")[-2], float(part.split("-")[-1])): part for part in found.columns if "-" in part}
    columns = [
        bounds["lo" if level < 0.5 else "hi", width] if width else name
        for level, width in zip(levels, widths, strict=True)
    ]
    mean = found[name].to_numpy(np.float64).reshape(-1, panel.horizon)
    quantiles = found[columns].to_numpy(np.float64).reshape(*mean.shape, len(levels))
    # A series too short for an interval has its mean for all levels.
    return mean, np.where(np.isfinite(quantiles), quantiles, mean[..., None])


def _lightgbm(panel: Panel, levels: Sequence[float]) -> Fitted:
    """One LightGBM over all series, step by step: each forecast is a lag of the next."""
    return _boosted(panel, levels, 1)


def _lightgbm_direct(panel: Panel, levels: Sequence[float]) -> Fitted:
    """One LightGBM over all series, no lag below the horizon: no quantile feeds on forecasts."""
    return _boosted(panel, levels, panel.horizon)


def _boosted(panel: Panel, levels: Sequence[float], nearest: int) -> Fitted:
    """mlforecast: lags, rolling means, date features, features known in advance and statics; series are standardized.

    LightGBM's own defaults; squared error for the mean, one model per quantile. Lags count from ``nearest``.
    """
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import LocalStandardScaler

    kind = panel.frequency.kind
    basics = {"n_jobs": 1, "verbosity": -1, "random_state": SEED, "deterministic": True, "force_row_wise": True}
    models = {c.MEAN: LGBMRegressor(**basics)} | {
        column: LGBMRegressor(objective="quantile", alpha=level, **basics)
        for column, level in zip(c.quantile_columns(levels), levels, strict=True)
    }
    lags = [lag + nearest - 1 for lag in LAGS[kind] if lag + nearest <= panel.history]
    forecaster = MLForecast(
        models=models,
        freq=panel.frequency.code,
        lags=lags,
        lag_transforms={nearest: [RollingMean(window, min_samples=1) for window in WINDOWS[kind]]},
        date_features=DATE_FEATURES[kind],
        target_transforms=[LocalStandardScaler()],
    )
    statics = _statics(panel)
    history = history_frame(panel)
    period = panel.periods.get_indexer(history[DATE])
    history = _with_known(history, panel, period).merge(statics, left_on=ID, right_index=True)
    with warnings.catch_warnings():
        # Short series do not have all lags; LightGBM accepts missing values.
        warnings.filterwarnings("ignore", message="Found null values")
        forecaster.fit(history, static_features=list(statics.columns), dropna=False)
        found = forecaster.predict(panel.horizon, X_df=_ahead(panel))
    found = found.sort_values([ID, DATE], kind="stable")
    mean = found[c.MEAN].to_numpy(np.float64).reshape(panel.n, panel.horizon)
    return mean, found[c.quantile_columns(levels)].to_numpy(np.float64).reshape(*mean.shape, len(levels))


def _autogluon(panel: Panel, levels: Sequence[float]) -> Fitted:
    """AutoGluon-TimeSeries with its own choice and ensemble of models; the last value for series that it leaves out."""
    history = history_frame(panel)
    ahead, last = _ahead(panel), history.groupby(ID)[VALUE].last().to_numpy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _with_known(history, panel, panel.periods.get_indexer(history[DATE])).to_parquet(folder / "history.parquet")
        (pd.DataFrame(columns=[ID, DATE]) if ahead is None else ahead).to_parquet(folder / "ahead.parquet")
        _statics(panel).rename_axis(ID).reset_index().to_parquet(folder / "statics.parquet")
        task = {"horizon": panel.horizon, "freq": panel.frequency.code, "levels": list(levels), "seed": SEED}
        (folder / "task.json").write_text(json.dumps(task | AUTOGLUON_TASK), "utf-8")
        subprocess.run([AUTOGLUON_ENVIRONMENT / "bin/python", AUTOGLUON_SCRIPT, folder], check=True)
        found = pd.read_parquet(folder / "forecast.parquet").sort_values([ID, DATE], kind="stable")
    columns = [c.MEAN, *map(str, levels)]
    values = np.full((panel.n, panel.horizon, len(columns)), np.nan)
    values[found[ID].unique()] = found[columns].to_numpy(np.float64).reshape(-1, panel.horizon, len(columns))
    values = np.where(np.isfinite(values), values, last[:, None, None])
    return values[..., 0], values[..., 1:]


def _ahead(panel: Panel) -> pd.DataFrame | None:
    """The known future covariates of the horizon, in long form; None if there are no covariates."""
    period = panel.history + np.tile(np.arange(panel.horizon), panel.n)
    rows = pd.DataFrame({ID: np.repeat(np.arange(panel.n), panel.horizon), DATE: panel.periods[period]})
    known = _with_known(rows, panel, period)
    return known if known.shape[1] > rows.shape[1] else None


def _with_known(rows: pd.DataFrame, panel: Panel, period: np.ndarray) -> pd.DataFrame:
    """The rows with every feature known in advance that is no plain date feature: holidays, events, promotions."""
    series = rows[ID].to_numpy()
    names = [name for name in panel.known if not name.startswith(OWN_DATE_FEATURES)]
    # LightGBM refuses names with JSON's characters.
    return rows.assign(**{f"known_{i}": panel.known[name].at(series, period) for i, name in enumerate(names)})


def _statics(panel: Panel) -> pd.DataFrame:
    """Store and category and their features: numbers as they are, text as numbered categories."""
    columns = {}
    for i, name in enumerate(panel.series.columns):
        column = panel.series[name]
        number = pd.api.types.is_numeric_dtype(column)
        columns[f"static_{i}"] = column if number else pd.Series(pd.factorize(column, sort=True)[0]).astype("category")
    return pd.DataFrame(columns)


PEERS: dict[str, Callable[[Panel, Sequence[float]], Fitted]] = {
    SEASONAL_NAIVE: _seasonal_naive,
    AUTO_ARIMA: _auto_arima,
    AUTO_ETS: _auto_ets,
    LIGHTGBM: _lightgbm,
    LIGHTGBM_DIRECT: _lightgbm_direct,
    AUTOGLUON: _autogluon,
}
# Peers that are the mean of others.
MEANS = {ENSEMBLE: (AUTO_ARIMA, AUTO_ETS)}
PEER_NAMES = (SEASONAL_NAIVE, AUTO_ARIMA, AUTO_ETS, ENSEMBLE, LIGHTGBM, LIGHTGBM_DIRECT, AUTOGLUON)
# Those that `make bench-accuracy` installs.
DEFAULT_PEERS = PEER_NAMES[:-1]
