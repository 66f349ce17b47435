"""Three retail tasks of fev-bench, by its protocol: rossmann_1D, rossmann_1W and walmart.

Usage: .venv/bin/python -m benchmarks.accuracy.published DATA [--tasks NAME ...]
           [--run [--windows N ...] [--models NAME ...] [--every N] [--cache FOLDER]]

DATA holds the folders drugstores_daily and departments_weekly, in contract form with a settings.yaml. First the
published rows of the seasonal naive are reproduced; the exit code is 1 if a row differs in the third digit. A published
row is the mean over all windows of a task, so it can be compared only if the data reach to the task's end: otherwise
the output says NOT CHECKED and lists the windows that lie in the data. --run forecasts these windows with Restock.

Protocol: https://github.com/autogluon/fev, benchmarks/fev_bench (tasks.yaml and results). Every window forecasts
`horizon` periods at the levels 0.1 to 0.9 with the known future covariates of the task. WAPE is of the point forecast;
the scaled quantile loss (SQL) of a row is twice the mean pinball loss, divided by the mean absolute seasonal difference
of its series before the window. Both are means over rows, then over windows; unknown actuals are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.runs import champions_at
from benchmarks.accuracy.sets import DataSet
from schemas import columns as c
from schemas.panel import FloatArray
from tasks.forecasting.quantiles import normal_scores

LEVELS = tuple(round(0.1 * k, 1) for k in range(1, 10))
SEASONAL_NAIVE = "seasonal naive"
# How days without a row are read, after the first one of a series. The published tasks do not say; the reading that
# reproduces the published row is the right one.
READINGS = ("unknown", "zero")
HALF_OF_THE_THIRD_DIGIT = 0.0005
WEEK = 7


@dataclass(frozen=True)
class Task:
    """One published task.

    Attributes:
        folder: data set in contract form that it is made from.
        settings: overrides of the set's settings.
        end: last period label of the published data.
        horizon: periods of a window.
        windows: number of windows; the last one ends with the data.
        season: periods between the values of a seasonal difference.
        series: number of series.
        covariates: known future covariates of the published task, by the calendar's column names.
        rows: model to its published WAPE and SQL.
    """

    folder: str
    settings: tuple[str, ...]
    end: str
    horizon: int
    windows: int
    season: int
    series: int
    covariates: tuple[str, ...]
    rows: Mapping[str, tuple[float, float]]


_QUANTILES = f"quantiles={list(LEVELS)}"
_ROSSMANN = ("open", "promo", "school_holiday", "holiday")
_MARKDOWNS = tuple(f"MarkDown{number}" for number in range(1, 6))
TASKS = {
    "rossmann_1D": Task(
        "drugstores_daily",
        ("horizon=48", _QUANTILES),
        *("2015-07-31", 48, 10, 7, 1_115, _ROSSMANN),
        {
            SEASONAL_NAIVE: (0.2692451894, 0.9136725214),
            "AutoARIMA": (0.222, 0.562),
            "LightGBM": (0.113, 0.341),
            "CatBoost": (0.110, 0.332),
            "Chronos-Bolt": (0.218, 0.525),
            "Chronos-2": (0.120, 0.284),
            "TimesFM-3": (0.144, 0.339),
            "TiRex-2": (0.169, 0.411),
            "TabPFN-TS": (0.100, 0.239),
        },
    ),
    "rossmann_1W": Task(
        "drugstores_daily",
        ("frequency=W-MON", "aggregate=true", "horizon=13", _QUANTILES),
        *("2015-07-20", 13, 8, 1, 1_115, _ROSSMANN),
        {
            SEASONAL_NAIVE: (0.2192445789, 0.8987958652),
            "AutoARIMA": (0.184, 0.521),
            "DeepAR": (0.250, 0.887),
            "LightGBM": (0.188, 0.678),
            "CatBoost": (0.186, 0.669),
            "Chronos-Bolt": (0.176, 0.487),
            "Chronos-2": (0.096, 0.308),
            "TimesFM-3": (0.092, 0.297),
            "TiRex-2": (0.093, 0.291),
            "TabPFN-TS": (0.079, 0.254),
        },
    ),
    "walmart": Task(
        "departments_weekly",
        ("horizon=39", _QUANTILES),
        *("2012-10-26", 39, 1, 1, 2_936, ("holiday", "Temperature", "Fuel_Price", "CPI", "Unemployment", *_MARKDOWNS)),
        {
            SEASONAL_NAIVE: (0.1967352033, 2.0341238516),
            "AutoARIMA": (0.160, 1.02),
            "DeepAR": (0.182, 1.12),
            "LightGBM": (0.151, 1.25),
            "CatBoost": (0.150, 1.23),
            "Chronos-Bolt": (0.117, 0.774),
            "Chronos-2": (0.093, 0.648),
            "TimesFM-3": (0.102, 0.685),
            "TiRex-2": (0.121, 0.792),
            "TabPFN-TS": (0.093, 0.659),
        },
    ),
}


@dataclass(frozen=True)
class Series:
    """The series of a task as published: whole periods only, from the first date of the data on.

    Attributes:
        keys: store_id and category of each series.
        labels: T period labels.
        values: shape (n, T); NaN = no row.
    """

    keys: pd.MultiIndex
    labels: pd.DatetimeIndex
    values: FloatArray

    @classmethod
    def of(cls, task: Task, sales: pd.DataFrame, reading: str = READINGS[0]) -> Series:
        """Read the series out of a sales table.

        Where the data reach to the task's end: only series with a row on the last day and before the last window.

        Args:
            task: which periods.
            sales: date, store_id, sku and units.
            reading: one of :data:`READINGS`.
        """
        table = sales.pivot_table(index=[c.STORE_ID, c.SKU], columns=c.DATE, values=c.UNITS, aggfunc="sum")
        weekly = task.season == 1
        step = pd.Timedelta(days=WEEK if weekly and _is_weekly(table.columns) else 1)
        table = table.reindex(columns=pd.date_range(table.columns.min(), table.columns.max(), freq=step))
        reaches_the_end = table.iloc[:, -1].notna()
        if reading == "zero":
            table = table.where(table.ffill(axis=1).isna() | table.notna(), 0.0)
        if weekly and step.days == 1:
            # A week with an unknown day is unknown; incomplete weeks at both ends are left out.
            table = table.T.resample("W-MON", label="left", closed="left").sum(min_count=WEEK).T
            known = table.notna().any()
            table = table.loc[:, known.idxmax() : known[::-1].idxmax()]
        table = table.loc[:, : task.end]
        if table.columns[-1] == pd.Timestamp(task.end):
            table = table[reaches_the_end & table.iloc[:, : -task.horizon].notna().any(axis=1)]
        return cls(table.index, pd.DatetimeIndex(table.columns), table.to_numpy(np.float64))


def window_starts(task: Task, labels: pd.DatetimeIndex) -> dict[int, int]:
    """Number of each window whose horizon lies in the data, from 1, to the number of periods before it."""
    step = labels[1] - labels[0]
    last = round((pd.Timestamp(task.end) - labels[0]) / step)
    starts = {k: last + 1 - task.horizon * (task.windows + 1 - k) for k in range(1, task.windows + 1)}
    return {k: start for k, start in starts.items() if 0 < start <= len(labels) - task.horizon}


def seasonal_naive(past: FloatArray, horizon: int, season: int) -> tuple[FloatArray, FloatArray]:
    """The published seasonal naive (StatsForecast): point forecast (n, H), and quantiles (n, H, 9) of a normal.

    Unknown values take the last known one; a series begins with its first known one. Its standard deviation is that of
    the seasonal differences times the root of the number of seasons ahead.
    """
    filled = pd.DataFrame(past.T).ffill().to_numpy().T
    point = np.nan_to_num(filled[:, -season:][:, np.arange(horizon) % season])
    steps = filled[:, season:] - filled[:, :-season]
    sigma = np.sqrt(np.nansum(np.square(steps), axis=1) / np.maximum(np.isfinite(steps).sum(axis=1), 1))
    spread = sigma[:, None] * np.sqrt(np.arange(horizon) // season + 1)
    return point, point[..., None] + spread[..., None] * normal_scores(LEVELS)


def figures(
    past: FloatArray, actual: FloatArray, point: FloatArray, quantiles: FloatArray, season: int
) -> tuple[float, float]:
    """WAPE and SQL of one window, as fev computes them.

    Args:
        past: shape (n, T); NaN = unknown.
        actual: shape (n, H); NaN = unknown.
        point: shape (n, H).
        quantiles: shape (n, H, 9).
        season: periods between the values of a difference; without one, the scale is 1.
    """
    wape = float(np.nanmean(np.abs(actual - point)) / max(1.0, float(np.nanmean(np.abs(actual)))))
    beyond = actual[..., None] - quantiles
    loss = (2.0 * np.abs(beyond * ((beyond <= 0) - np.array(LEVELS)))).mean(axis=2)
    steps = np.abs(past[:, season:] - past[:, :-season])
    count = np.isfinite(steps).sum(axis=1)
    scale = np.divide(np.nansum(steps, axis=1), count, out=np.ones(len(past)), where=count > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = loss / scale[:, None]
    return wape, float(scaled[np.isfinite(scaled)].mean())


def naive_figures(task: Task, series: Series) -> dict[int, tuple[float, float]]:
    """WAPE and SQL of the seasonal naive in each window that lies in the data."""
    values, found = series.values, {}
    for number, start in window_starts(task, series.labels).items():
        past, actual = values[:, :start], values[:, start : start + task.horizon]
        found[number] = figures(past, actual, *seasonal_naive(past, task.horizon, task.season), task.season)
    return found


def check(name: str, task: Task, sales: pd.DataFrame) -> tuple[list[str], bool]:
    """Compare the seasonal naive with the published row.

    Returns:
        Lines of text, and True if no figure contradicts the published row.
    """
    expected, tried = task.rows[SEASONAL_NAIVE], {}
    series = Series.of(task, sales)
    by_reading = {reading: naive_figures(task, Series.of(task, sales, reading)) for reading in READINGS}
    there = sorted(by_reading[READINGS[0]])
    lines = []
    for reading, by_window in by_reading.items():
        for number, (wape, sql) in by_window.items():
            lines.append(f"{name}, window {number} of {task.windows}, {reading}: WAPE {wape:.4f}, SQL {sql:.4f}")
        tried[reading] = tuple(np.mean(list(by_window.values()), axis=0)) if by_window else ()
    if len(there) < task.windows:
        windows = f"windows {', '.join(map(str, there))}" if there else "no window"
        lines.append(
            f"NOT CHECKED: {name}: {windows} of {task.windows} lie in the data, which end on "
            f"{series.labels[-1].date()}; the published row (WAPE {expected[0]:.3f}, SQL {expected[1]:.3f}) is the "
            f"mean over all windows, which end on {task.end}"
        )
        return lines, True
    if len(series.values) != task.series:
        lines.append(f"DIFFERENT: {name}: {len(series.values):,} series; published: {task.series:,}")
        return lines, False
    good = [
        reading
        for reading, found in tried.items()
        if np.abs(np.subtract(found, expected)).max() < HALF_OF_THE_THIRD_DIGIT
    ]
    shown = "; ".join(f"{reading}: WAPE {wape:.4f}, SQL {sql:.4f}" for reading, (wape, sql) in tried.items())
    verdict = f"REPRODUCED ({good[0]})" if good else "DIFFERENT"
    lines.append(f"{verdict}: {name}: {shown}; published: WAPE {expected[0]:.4f}, SQL {expected[1]:.4f}")
    return lines, bool(good)


def own_figures(
    task: Task,
    data: DataSet,
    series: Series,
    cache: Path,
    windows: Sequence[int] | None,
    models: Sequence[str] | None,
    every: int,
) -> list[tuple[int, int, float, float]]:
    """Number of the window, number of series, WAPE and SQL of Restock's champions.

    Args:
        task: what to forecast.
        data: the set, with the task's settings.
        series: what is scored.
        cache: folder for forecasts.
        windows: numbers of windows; all that lie in the data if None.
        models: only these of the settings' models; all if None.
        every: take each ``every``-th series only.
    """
    rows = []
    for number, start in window_starts(task, series.labels).items():
        if windows is not None and number not in windows:
            continue
        panel = data.panel(data.whole.periods.get_loc(series.labels[start]))
        panel = panel.take(np.arange(0, panel.n, every))
        found = champions_at(data, panel, cache, models)
        place = series.keys.get_indexer(pd.MultiIndex.from_frame(panel.series[[c.STORE_ID, c.CATEGORY]]))
        scored = place >= 0
        levels = found[c.quantile_columns(LEVELS)].to_numpy(np.float64).reshape(panel.n, task.horizon, -1)[scored]
        values = series.values[place[scored]]
        actual = values[:, start : start + task.horizon]
        wape, sql = figures(values[:, :start], actual, levels[..., LEVELS.index(0.5)], levels, task.season)
        rows.append((number, int(scored.sum()), wape, sql))
    return rows


def main() -> None:
    """Check the published rows, run the windows if requested, and print the results."""
    given = _given()
    good = True
    for name in given.tasks:
        task = TASKS[name]
        folder = given.data / task.folder
        if not (folder / "settings.yaml").exists():
            print(f"NOT CHECKED: {name}: there is no {folder}")
            continue
        data = DataSet.read(folder, task.settings)
        series = Series.of(task, data.tables["sales"])
        lines, same = check(name, task, data.tables["sales"])
        good &= same
        print(*lines, sep="\n", flush=True)
        absent = [column for column in task.covariates if column not in data.tables["calendar"].columns]
        if absent:
            print(f"{name}: the calendar has no {', '.join(absent)}: known in advance in the published task")
        if given.run:
            for number, n, wape, sql in own_figures(
                task, data, series, given.cache, given.windows, given.models, given.every
            ):
                part = "" if given.every == 1 else f" (one of {given.every})"
                print(
                    f"{name}, window {number}, Restock, {n:,} series{part}: WAPE {wape:.4f}, SQL {sql:.4f}", flush=True
                )
    sys.exit(0 if good else 1)


def _is_weekly(dates: pd.Index) -> bool:
    return bool((np.diff(np.unique(dates.to_numpy(dtype="datetime64[D]"))) % np.timedelta64(WEEK, "D") == 0).all())


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--run", action="store_true", help="forecast the windows with Restock")
    parser.add_argument("--windows", nargs="*", type=int, help="only these windows, from 1")
    parser.add_argument("--models", nargs="*", help="only these of the default models")
    parser.add_argument("--every", type=int, default=1, help="only each N-th series")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restock-accuracy")
    return parser.parse_args()


if __name__ == "__main__":
    main()
