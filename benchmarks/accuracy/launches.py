"""Launches in real data, forecast before their first sale: comparables against the category-share rule.

Usage: .venv/bin/python -m benchmarks.accuracy.launches DATA [--sets NAME ...]

A launch is a (store, category) whose first sale is at least half a year after the first sales of the set and eight
weeks before the last ones. At its first period the series is hidden, and its next 4 and 8 weeks are forecast. The other
series are forecast by their moving average, for both methods. Prints one row per set and kind of launch: the WAPE of
the sums of the first 4 and 8 weeks per series.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.sets import DataSet
from schemas import columns as c
from schemas.panel import FloatArray, IndexArray, Panel
from tasks.forecasting.baselines import MovingAverage, last_mean
from tasks.forecasting.comparables import comparable_forecasts

LEVELS = (0.1, 0.5, 0.9)
FIRST_WEEKS, RECENT_WEEKS, WEEKS = 26, 8, (4, 8)
COMPARABLES, RULE = "comparables", "category share"


def launches(panel: Panel) -> IndexArray:
    """The series that are launches, shape (k,)."""
    week = panel.frequency.periods_per_week
    first = _first(panel)
    found: IndexArray = np.flatnonzero((first >= FIRST_WEEKS * week) & (first <= panel.history - max(WEEKS) * week))
    return found


def forecast_launches(panel: Panel) -> pd.DataFrame:
    """Return every launch with its sold units and the forecasts of both methods.

    Returns:
        store_id, category, new_store (the store began with it), weeks, sold, and median and mean of both methods; the
        rule has one forecast.
    """
    first, week = _first(panel), panel.frequency.periods_per_week
    store = panel.series[c.STORE_ID].astype(str)
    opening = pd.Series(first).groupby(store.to_numpy()).transform("min").to_numpy()
    rows = []
    for cut, chosen in _by_period(first, launches(panel)):
        known = _cut(panel, cut, max(WEEKS) * week)
        there = np.flatnonzero(first < cut)
        others = known.take(there)
        ahead = MovingAverage().fit(others, 0).predict(others, LEVELS)
        new = panel.series.iloc[chosen]
        found = comparable_forecasts(others, ahead.mean, ahead.quantiles, LEVELS, new)
        middle = found.quantiles[:, :, LEVELS.index(0.5)]
        made = {tuple(key): both for key, *both in zip(found.series.to_numpy(), middle, found.mean, strict=True)}
        share = category_share(others, new)
        for at, level in zip(chosen, share, strict=True):
            key = (store.iloc[at], str(panel.series[c.CATEGORY].iloc[at]))
            for weeks in WEEKS:
                size = weeks * week
                sold = float(np.nansum(panel.demand[at, cut : cut + size]))
                median, mean = (float(units[:size].sum()) for units in made.get(key, np.zeros((2, size))))
                ruled = float(level) * size
                rows.append((*key, bool(opening[at] >= cut), weeks, sold, median, mean, ruled, ruled))
    medians_and_means = [f"{value} {name}" for name in (COMPARABLES, RULE) for value in ("median", "mean")]
    return pd.DataFrame(rows, columns=[c.STORE_ID, c.CATEGORY, "new_store", "weeks", "sold", *medians_and_means])


def category_share(panel: Panel, new: pd.DataFrame) -> FloatArray:
    """The rule: the store's recent units times the share of the category in the network, per period, shape (k,).

    A new store has the mean units of the stores. A category that nobody sells has the mean share of a category.
    """
    recent = np.nan_to_num(last_mean(panel.demand[:, -RECENT_WEEKS * panel.frequency.periods_per_week :], 10**6))
    frame = panel.series[[c.STORE_ID, c.CATEGORY]].astype(str).assign(units=recent)
    by_store, by_category = (frame.groupby(name)["units"].sum() for name in (c.STORE_ID, c.CATEGORY))
    share = by_category / max(float(frame["units"].sum()), np.finfo(float).tiny)
    stores = by_store.reindex(new[c.STORE_ID].astype(str)).fillna(by_store.mean()).to_numpy(dtype=np.float64)
    shares = share.reindex(new[c.CATEGORY].astype(str)).fillna(share.mean()).to_numpy(dtype=np.float64)
    found: FloatArray = stores * shares
    return found


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """WAPE of the median and bias of the mean of both methods, by kind of launch and number of weeks."""
    found = []
    for (new_store, weeks), own in rows.groupby(["new_store", "weeks"]):
        sold = own["sold"].sum()
        row = {"launch": "new store" if new_store else "new in the store", "weeks": weeks, "series": len(own)}
        for name in (COMPARABLES, RULE):
            row[f"WAPE {name}"] = round(float((own["sold"] - own[f"median {name}"]).abs().sum() / sold), 3)
            row[f"bias {name}"] = round(float(own[f"mean {name}"].sum() / sold - 1.0), 2)
        found.append(row)
    return pd.DataFrame(found)


def _first(panel: Panel) -> IndexArray:
    known = np.isfinite(panel.demand)
    return np.where(known.any(axis=1), known.argmax(axis=1), np.iinfo(np.int64).max)


def _by_period(first: IndexArray, chosen: IndexArray) -> Iterator[tuple[int, IndexArray]]:
    for period in np.unique(first[chosen]):
        yield int(period), chosen[first[chosen] == period]


def _cut(panel: Panel, known: int, horizon: int) -> Panel:
    """The panel when only the first periods were known, with another horizon."""
    from dataclasses import replace

    return replace(panel, horizon=horizon).until(known)


def main() -> None:
    """Print the table of every set that has launches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="Folder with one folder per set.")
    parser.add_argument("--sets", nargs="*", metavar="NAME", help="Sets; all if none is named.")
    given = parser.parse_args()
    for folder in sorted(path.parent for path in given.data.glob("*/settings.yaml")):
        if given.sets and folder.name not in given.sets:
            continue
        rows = forecast_launches(DataSet.read(folder).whole)
        text = summary(rows).to_string(index=False) if len(rows) else "no launches"
        sys.stdout.write(f"{folder.name}\n{text}\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
