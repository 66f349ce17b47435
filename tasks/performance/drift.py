"""Drift: changes of the inputs against the past, and errors that are larger than the forecasts imply.

Inputs are compared over the last four weeks (frequency MS: three months) with all earlier data and with the same weeks
of last year: profiles by window and comparisons of windows, two tables. Forecast errors are watched by a sequential
test (:mod:`tasks.performance.sequential`). docs/reference/performance.md lists the statistics and limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, Panel, SmallFloatArray
from schemas.performance import OVERALL, STORE
from tasks.demand.features.promotions import PROMOTION_SHARE
from tasks.performance.sequential import detect

CURRENT, TRAINING, LAST_YEAR, EXPECTED = "current", "training", "last_year", "expected"
UNITS, ZERO_SHARE, PRICE, PROMOTED, SERIES_SET = "units", "zero_share", "price", "promoted_share", "series"
FORECAST_ERROR, FORECAST_BIAS = "forecast_error", "forecast_bias"
# Weeks of the current window, in periods.
WINDOW = {"D": 28, "W": 4, "MS": 3}
# Probability of a false finding over all comparisons of distributions of one evaluation, and smallest distance that
# matters: with thousands of series, a test alone finds differences that do not matter.
FALSE_FINDINGS, LEAST_DISTANCE = 0.01, 0.2
# A drift is reported if a mean changes by at least this fraction. If last year is not known, the season may be the
# reason; the limit of seasonal inputs is then twice as high.
LEAST_CHANGE = {UNITS: 0.3, ZERO_SHARE: 0.3, PRICE: 0.15, PROMOTED: 0.5}
SEASONAL = (UNITS, ZERO_SHARE, PROMOTED)
# Share of the series or stores that appeared or vanished, and of planned promotions that are missing.
LEAST_SHARE, LEAST_MISSING = 0.1, 0.5
# Minimum mean number of years between two false alarms of each detector. Two detectors would need 2; losses of
# successive weeks may be correlated, which makes false alarms about twice as frequent (benchmarks/drift.py).
YEARS_PER_FALSE_ALARM = 4.0
# A series has stopped selling if its periods without sales are less probable than this at its own rate of periods with
# sales.
LEAST_CHANCE = 0.01
# Minimum number of values on each side of a comparison.
FEWEST = 20


@dataclass(frozen=True)
class Findings:
    """Result of the comparison.

    Attributes:
        profiles: rows of the table ``profiles``.
        drift: rows of the table ``drift``.
    """

    profiles: pd.DataFrame
    drift: pd.DataFrame

    def new_messages(self, earlier: pd.DataFrame) -> list[str]:
        """The findings that the last evaluation did not have, in words. A drift that continues is reported once.

        Args:
            earlier: table ``drift`` before this evaluation.
        """
        if self.drift.empty:
            return []
        keys = [c.LEVEL, c.STORE_ID, c.FEATURE, c.WINDOW, c.TEST]
        found = self.drift[self.drift[c.DRIFTED].astype(bool)]
        last = earlier[earlier[c.DRIFTED] & earlier[c.AS_OF].eq(earlier[c.AS_OF].max())]
        known = set(last[keys].itertuples(index=False, name=None))
        own = zip(found[keys].itertuples(index=False, name=None), found[c.MESSAGE], strict=True)
        return [str(text) for key, text in own if key not in known]


def input_drift(panel: Panel) -> Findings:
    """Compare the last weeks of a panel with its training window and with last year.

    Args:
        panel: demand before the run date.
    """
    inputs = WatchedInputs()
    inputs.add(panel)
    return inputs.findings()


class WatchedInputs:
    """The figures that :func:`input_drift` compares, of a panel that comes in parts."""

    def __init__(self) -> None:
        self._windows: dict[str, slice] = {}
        self._stores: list[NDArray[np.object_]] = []
        self._values: dict[str, dict[str, list[FloatArray]]] = {}
        self._alive: dict[str, list[FloatArray]] = {}
        self._of_store: dict[str, BoolArray] = {}
        self._promoted: list[tuple[SmallFloatArray, SmallFloatArray]] = []

    def add(self, panel: Panel) -> None:
        """Read the next series, all with the same periods and features."""
        windows = dict(_windows(panel, min(WINDOW[panel.frequency.kind], panel.history // 2)))
        if CURRENT not in windows:
            return
        self._windows = windows
        stores = panel.series[c.STORE_ID].astype(str).to_numpy()
        self._stores.append(stores)
        for feature, values in _measured(panel, windows).items():
            for name, own in values.items():
                self._values.setdefault(feature, {}).setdefault(name, []).append(own)
        sold = np.nan_to_num(panel.demand) > 0
        for name, found in _activity(sold, windows).items():
            self._alive.setdefault(name, []).append(found)
        names, codes = np.unique(stores, return_inverse=True)
        of_store = np.zeros((len(names), panel.history), dtype=bool)
        np.logical_or.at(of_store, codes, sold)
        for name, own_days in zip(names, of_store, strict=True):
            self._of_store[name] = self._of_store[name] | own_days if name in self._of_store else own_days
        promo, year = panel.known.get(PROMOTION_SHARE), panel.frequency.periods_per_year
        if promo is not None and panel.history >= year:
            rows, start = promo.row_of_series, panel.history - year
            ahead = promo.values[rows, panel.history : panel.history + panel.horizon]
            self._promoted.append((ahead, promo.values[rows, start : start + panel.horizon]))

    def findings(self) -> Findings:
        """Compare the windows of all series."""
        windows = self._windows
        if CURRENT not in windows:
            return Findings(pd.DataFrame(), pd.DataFrame())
        profiles: list[dict[str, object]] = []
        rows: list[dict[str, object]] = []
        for level, store, feature, values in self._features():
            place = {c.LEVEL: level, c.STORE_ID: store, c.CATEGORY: "", c.FEATURE: feature}
            profiles += [{**place, c.WINDOW: name, **_profile(own)} for name, own in values.items() if len(own)]
            rows += [row for name in (TRAINING, LAST_YEAR) if name in values for row in _compared(place, values, name)]
        of_store = np.stack([self._of_store[name] for name in sorted(self._of_store)])
        series = {name: np.concatenate(parts) for name, parts in self._alive.items()}
        for feature, activity in ((SERIES_SET, series), ("stores", _activity(of_store, windows))):
            rows += list(_set_changes(feature, activity, windows[CURRENT]))
        drift = with_findings(pd.DataFrame(rows))
        if self._promoted:
            ahead, before = (np.concatenate(parts) for parts in zip(*self._promoted, strict=True))
            drift = pd.concat([drift, pd.DataFrame([_missing_promotions(ahead, before)])], ignore_index=True)
        return Findings(pd.DataFrame(profiles), drift)

    def _features(self) -> Iterator[tuple[str, str, str, dict[str, FloatArray]]]:
        """Yield level, store and feature with one value per series and window."""
        stores = np.concatenate(self._stores)
        for feature, parts in self._values.items():
            values = {name: np.concatenate(own) for name, own in parts.items()}
            yield OVERALL, "", feature, {name: own[np.isfinite(own)] for name, own in values.items()}
            for store in np.unique(stores):
                own_rows = {name: own[stores == store] for name, own in values.items()}
                yield STORE, store, feature, {name: own[np.isfinite(own)] for name, own in own_rows.items()}


def _windows(panel: Panel, length: int) -> Iterator[tuple[str, slice]]:
    history, year = panel.history, panel.frequency.periods_per_year
    if length < 1:
        return
    yield CURRENT, slice(history - length, history)
    yield TRAINING, slice(0, history - length)
    if history >= year + length:
        yield LAST_YEAR, slice(history - year - length, history - year)


def _measured(panel: Panel, windows: Mapping[str, slice]) -> dict[str, dict[str, FloatArray]]:
    """Mean units, share of zeros, mean price and share of promotions of each series, by window."""
    price = panel.observed.get(c.UNIT_PRICE)
    measured = {
        UNITS: {name: _row_means(panel.demand[:, window]) for name, window in windows.items()},
        ZERO_SHARE: {name: _zero_shares(panel.demand[:, window]) for name, window in windows.items()},
    }
    if price is not None:
        measured[PRICE] = {
            name: _row_means(np.where(price[:, window] > 0, price[:, window], np.nan).astype(np.float64))
            for name, window in windows.items()
        }
    promo = panel.known.get(PROMOTION_SHARE)
    if promo is not None:
        measured[PROMOTED] = {
            name: promo.values[promo.row_of_series][:, window].mean(axis=1).astype(np.float64)
            for name, window in windows.items()
        }
    return measured


def _row_means(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _zero_shares(demand: FloatArray) -> FloatArray:
    known = np.isfinite(demand)
    count = known.sum(axis=1)
    return np.divide((demand == 0).sum(axis=1), count, out=np.full(len(demand), np.nan), where=count > 0)


def _profile(values: FloatArray) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {
        c.N: len(values),
        c.MEAN: float(values.mean()),
        c.SD: float(values.std()),
        c.quantile_column(0.1): float(low),
        c.MEDIAN: float(median),
        c.quantile_column(0.9): float(high),
    }


def _compared(place: dict[str, str], values: Mapping[str, FloatArray], window: str) -> Iterator[dict[str, object]]:
    """Compare two windows: their distributions, and their means.

    A seasonal input is compared with all earlier data only if last year is not known.
    """
    now, before, feature = values[CURRENT], values[window], place[c.FEATURE]
    seasonal = window == TRAINING and feature in SEASONAL
    if seasonal and LAST_YEAR in values:
        return
    if len(now) >= FEWEST and len(before) >= FEWEST:
        # This import takes half a CPU second, so only runs that compare windows do it.
        from scipy.stats import ks_2samp

        test = ks_2samp(now, before, method="asymp")
        distance = float(test.statistic)
        yield {
            **{**place, c.WINDOW: window, c.TEST: "ks", c.STATISTIC: distance, c.EFFECT: distance},
            **{c.P_VALUE: float(test.pvalue), c.LIMIT_VALUE: LEAST_DISTANCE},
        }
    if len(now) and len(before) and before.mean() > 0:
        change = float(now.mean() / before.mean() - 1.0)
        yield {
            **{**place, c.WINDOW: window, c.TEST: "change", c.STATISTIC: change, c.EFFECT: abs(change)},
            **{c.P_VALUE: np.nan, c.LIMIT_VALUE: LEAST_CHANGE[feature] * (2.0 if seasonal else 1.0)},
        }


def _activity(alive: BoolArray, windows: Mapping[str, slice]) -> dict[str, FloatArray]:
    """Whether series (stores) have sales in the current window, and before it, and how often lately."""
    current = windows[CURRENT]
    recent = slice(max(0, current.start - 2 * (current.stop - current.start)), current.start)
    now, ever = (alive[:, part].any(axis=1).astype(np.float64) for part in (current, slice(0, current.start)))
    return {"now": now, "ever": ever, "rate": alive[:, recent].mean(axis=1)}


def _set_changes(feature: str, activity: Mapping[str, FloatArray], current: slice) -> Iterator[dict[str, object]]:
    """Share of series (stores) with sales that are new in the current window, or vanished from it."""
    now, ever, rate = activity["now"] > 0, activity["ever"] > 0, activity["rate"]
    lately = rate > 0
    # A series that sells rarely often has no sales for weeks.
    gone = lately & ~now & ((1.0 - np.minimum(rate, 0.99)) ** (current.stop - current.start) < LEAST_CHANCE)
    for test, changed, base in (("new", now & ~ever, now), ("vanished", gone, lately)):
        share = float(changed.sum() / max(base.sum(), 1))
        yield {
            **{c.LEVEL: OVERALL, c.STORE_ID: "", c.CATEGORY: "", c.FEATURE: f"{test}_{feature}"},
            **{c.WINDOW: TRAINING, c.TEST: "set", c.STATISTIC: float(changed.sum()), c.EFFECT: share},
            **{c.P_VALUE: np.nan, c.LIMIT_VALUE: LEAST_SHARE},
        }


def with_findings(drift: pd.DataFrame) -> pd.DataFrame:
    """Decide which comparisons are a drift, and describe them in words.

    Comparisons of distributions need a distance above the limit and a p-value that stays significant after the
    correction of Holm (1979) for the number of comparisons. Changes of means by store are information only.
    """
    p = drift[c.P_VALUE].to_numpy(dtype=np.float64)
    significant = np.zeros(len(drift), dtype=bool)
    tested = np.flatnonzero(np.isfinite(p))
    for place, row in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        if p[row] > FALSE_FINDINGS / (len(tested) - place):
            break
        significant[row] = True
    large = drift[c.EFFECT] >= drift[c.LIMIT_VALUE]
    drifted = large & np.where(np.isfinite(p), significant, drift[c.LEVEL].eq(OVERALL))
    words = [_words(row) for row in drift.to_dict("records")]
    return drift.assign(**{c.DRIFTED: drifted, c.MESSAGE: words})


def _words(row: Mapping[str, object]) -> str:
    where = f"store {row[c.STORE_ID]}" if row[c.STORE_ID] else "all stores"
    against = {TRAINING: "the training window", LAST_YEAR: "the same weeks of last year"}.get(str(row[c.WINDOW]), "")
    feature, statistic, effect = row[c.FEATURE], float(str(row[c.STATISTIC])), float(str(row[c.EFFECT]))
    if row[c.TEST] == "ks":
        return f"{feature}, {where}: the distribution differs from {against} (distance {effect:.2f})"
    if row[c.TEST] == "set":
        return f"{str(feature).replace('_', ' ')}: {statistic:.0f} ({effect:.1%})"
    return f"{feature}, {where}: the mean changed by {statistic:+.0%} against {against}"


def _missing_promotions(ahead: SmallFloatArray, before: SmallFloatArray) -> dict[str, object]:
    """Compare the planned promotions of the horizon with the same periods of last year.

    A horizon without promotions if last year had them usually means that they were not delivered yet.
    """
    share, last = float(ahead.mean()), float(before.mean())
    missing = last > 0 and share < (1.0 - LEAST_MISSING) * last
    return {
        **{c.LEVEL: OVERALL, c.STORE_ID: "", c.CATEGORY: "", c.FEATURE: "planned_promotions", c.WINDOW: LAST_YEAR},
        **{c.TEST: "change", c.STATISTIC: share / last - 1.0 if last > 0 else 0.0, c.P_VALUE: np.nan},
        **{c.EFFECT: max(0.0, 1.0 - share / last) if last > 0 else 0.0, c.LIMIT_VALUE: LEAST_MISSING},
        c.DRIFTED: missing,
        c.MESSAGE: f"planned promotions cover {share:.1%} of the horizon; last year it was {last:.1%}",
    }


def error_drift(weeks: pd.DataFrame, until: date, per_year: int) -> pd.DataFrame:
    """Watch the errors of the champions one week ahead.

    The loss of a week is its absolute error over the error that its forecasts imply, so that seasons and levels do not
    matter; the second loss is the absolute bias over the same.

    Args:
        weeks: accuracy of the champions over all series at lag 1, one row per week, oldest first.
        until: run date of the evaluation.
        per_year: evaluations a year: 52, or 12.

    Returns:
        Rows of the table ``drift``; drifted = the alarm is raised by the last week.
    """
    weeks = weeks[weeks[c.AS_OF] < pd.Timestamp(until)].sort_values(c.AS_OF)
    if weeks.empty:
        return pd.DataFrame()
    implied = weeks[c.EXPECTED_ABSOLUTE_ERROR].where(weeks[c.EXPECTED_ABSOLUTE_ERROR] > 0)
    rows = []
    for feature, units in ((FORECAST_ERROR, weeks[c.ABSOLUTE_ERROR]), (FORECAST_BIAS, weeks[c.ERROR].abs())):
        losses = (units / implied).tolist()
        found = detect(losses, YEARS_PER_FALSE_ALARM * per_year)
        usual = float(np.nanmedian(losses[:-1])) if len(losses) > 1 else np.nan
        rows.append(
            {
                **{c.LEVEL: OVERALL, c.STORE_ID: "", c.CATEGORY: "", c.FEATURE: feature, c.WINDOW: EXPECTED},
                **{c.TEST: "sequential", c.STATISTIC: found.statistic, c.LIMIT_VALUE: found.limit, c.P_VALUE: np.nan},
                c.EFFECT: losses[-1] / usual - 1.0 if usual > 0 else np.nan,
                c.DRIFTED: found.alarm_at(len(losses) - 1),
                c.MESSAGE: f"{feature.replace('_', ' ')}: {losses[-1]:.2f} times the error that the forecasts imply; "
                f"usually {usual:.2f}",
            }
        )
    return pd.DataFrame(rows)
