"""Effects of planned events: an expected uplift that observed occurrences replace step by step.

Models do not see events. They read demand divided by the effects of past occurrences, and their forecasts are
multiplied by the effect expected in the horizon. A model that repeats last year's event week therefore does not count
the event twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, Forecast, IndexArray, Panel, PlannedEvent
from tasks.forecasting.baselines import open_demand
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.quantiles import normal_scores

# Periods between an occurrence and the periods that it is compared with, before and after it: the same weekdays of the
# four weeks around a day, the four weeks around a week, the two months around a month.
AROUND = {"D": (7, 14, 21, 28), "W": (1, 2, 3, 4), "MS": (1, 2)}
# The part of a forecast that events add.
EVENTS = "events"


@dataclass(frozen=True)
class EventRule:
    """The numbers of the effects of events (docs/decisions/0020-rates-events-and-seasons.md).

    Attributes:
        doubt: standard deviation of the logarithm of an expected uplift.
        between: standard deviation of the logarithm of an uplift between occurrences of one event.
        largest: an observed uplift lies between 1 / largest and largest.
    """

    doubt: float = 0.3
    between: float = 0.15
    largest: float = 10.0


RULE = EventRule()


@dataclass(frozen=True)
class EventEffects:
    """Factors on the demand of n series in m periods with an event; 1 in all others.

    Attributes:
        periods: shape (m,), positions on the panel's axis.
        factor: shape (n, m).
        deviation: shape (n, m), relative standard deviation of the factor of an occurrence ahead.
        history, horizon: T and H of the panel.
    """

    periods: IndexArray
    factor: FloatArray
    deviation: FloatArray
    history: int
    horizon: int

    def take(self, series: IndexArray | None) -> EventEffects:
        """The effects of some series; of all if None."""
        if series is None:
            return self
        return replace(self, factor=self.factor[series], deviation=self.deviation[series])

    def ahead(self, values: FloatArray, absent: float) -> FloatArray:
        """A value per period of the horizon, shape (n, H)."""
        found = np.full((len(values), self.horizon), absent)
        coming = self.periods >= self.history
        found[:, self.periods[coming] - self.history] = values[:, coming]
        return found

    def without(self, panel: Panel) -> Panel:
        """The panel as if there had been no event; without planned events."""
        if not len(self.periods):
            return panel
        past = self.periods < self.history
        at, factor = self.periods[past], self.factor[:, past]

        def divided(units: FloatArray) -> FloatArray:
            units = units.copy()
            units[:, at] /= factor
            return units

        sold = None if panel.sold is None else divided(panel.sold)
        return replace(panel, demand=divided(panel.demand), sold=sold, events={})

    def on(self, forecast: Forecast, levels: Sequence[float]) -> Forecast:
        """The forecast of the panel without events, with the events of the horizon."""
        if not (self.periods >= self.history).any():
            return forecast
        mean, quantiles = self.on_values(forecast.mean, forecast.quantiles, levels)
        paths = forecast.paths
        if paths is not None:
            paths = (paths * self.ahead(self.factor, 1.0)[:, :, None]).astype(np.float32)
        return replace(forecast, mean=mean, quantiles=quantiles, paths=paths)

    def on_values(
        self, mean: FloatArray, quantiles: FloatArray, levels: Sequence[float]
    ) -> tuple[FloatArray, FloatArray]:
        """Mean (n, h) and quantiles (n, h, Q) with the effects; the doubt about them widens the quantiles.

        The distance of a quantile from the median m is hypot(f * distance, z * f * m * s) with the factor f, its
        relative standard deviation s, and the normal quantile z of the level.
        """
        h = mean.shape[1]
        factor, deviation = self.ahead(self.factor, 1.0)[:, :h, None], self.ahead(self.deviation, 0.0)[:, :h, None]
        median = factor * quantiles[:, :, [list(levels).index(MEDIAN)]]
        distance = factor * quantiles - median
        spread = np.hypot(distance, normal_scores(levels) * median * deviation)
        moved = np.maximum(median + np.sign(np.array(levels) - MEDIAN) * spread, 0.0)
        changed = (factor != 1.0) | (deviation > 0)
        return mean * factor[:, :, 0], np.where(changed, moved, quantiles)

    def parts(self, parts: pd.DataFrame, panel: Panel) -> pd.DataFrame:
        """The parts of the medians of the horizon, with one more for events.

        Args:
            parts: store_id, category, date, part and units of the forecast without events.
            panel: the panel of these series.
        """
        factor = self.ahead(self.factor, 1.0)
        at, period = np.nonzero(factor != 1.0)
        if not len(at) or parts.empty:
            return parts
        keys = [c.STORE_ID, c.CATEGORY, c.DATE]
        text = {c.STORE_ID: object, c.CATEGORY: object}
        total = parts.astype(text).groupby(keys, sort=False)[c.UNITS].sum()
        rows = panel.series[[c.STORE_ID, c.CATEGORY]].astype(object).iloc[at].reset_index(drop=True)
        rows[c.DATE] = panel.horizon_periods.to_numpy()[period]
        base = total.reindex(pd.MultiIndex.from_frame(rows)).fillna(0.0).to_numpy(dtype=np.float64)
        rows = rows.assign(**{c.PART: EVENTS, c.UNITS: base * (factor[at, period] - 1.0)})
        return pd.concat([parts.astype(text | {c.PART: object}), rows], ignore_index=True)


def event_effects(panel: Panel) -> EventEffects:
    """Effects of the panel's planned events, from what is known at its run date.

    The uplift u of an occurrence is observed on the sums over its series: sold = usual * (1 + share * (u - 1)), where
    usual is the mean of the same weekdays of the weeks around it (``AROUND``) without events. Its logarithm is normal
    with a variance by chance v from the errors of the series (Cochran 1977, chapter 6) plus ``between`` squared. An
    expected uplift is normal with ``doubt``. The uplift of the next occurrence is the posterior mean, weighted by the
    precisions (credibility; Buhlmann and Gisler 2005, chapter 2):

        log u = (log expected / doubt^2 + sum of w * log observed) / (1 / doubt^2 + sum of w), w = 1 / (between^2 + v)

    Example: 1.5 is expected, two occurrences without chance had 1.2: u = 1.23. With one occurrence it is 1.25, with
    none 1.5. A past occurrence counts with its own observed uplift, shrunk toward u by its chance.

    Args:
        panel: all series of the network.
    """
    busy = np.zeros((panel.n, len(panel.periods) if panel.events else 0), dtype=bool)
    for event in panel.events.values():
        busy |= _grid(event)[0] > 0
    periods = np.flatnonzero(busy.any(axis=0))
    factor, variance = np.ones((panel.n, len(periods))), np.zeros((panel.n, len(periods)))
    if not len(periods):
        # A fold may end before the first day of the only event.
        return EventEffects(periods, factor, variance, panel.history, panel.horizon)
    demand = open_demand(panel)
    usual = _usual(panel, demand, periods, busy)
    for event in panel.events.values():
        share, expected = (grid[:, periods] for grid in _grid(event))
        uplift, doubt = _uplifts(share, expected, demand, usual, periods)
        own = 1.0 + share * (uplift - 1.0)
        factor *= own
        variance += np.square(share * uplift * doubt / own)
    return EventEffects(periods, factor, np.sqrt(variance), panel.history, panel.horizon)


def _grid(event: PlannedEvent) -> tuple[FloatArray, FloatArray]:
    """Share and expected uplift per series and period, shape (n, T + H) each."""
    share, uplift = (f.values[f.row_of_series].astype(np.float64) for f in (event.share, event.uplift))
    return share, uplift


def _usual(panel: Panel, demand: FloatArray, periods: IndexArray, busy: BoolArray) -> FloatArray:
    """Mean of the known periods around each one that have no event, shape (n, m); NaN if none exists."""
    free = np.where(busy[:, : panel.history], np.nan, demand)
    total, count = np.zeros((panel.n, len(periods))), np.zeros((panel.n, len(periods)))
    for offset in AROUND[panel.frequency.kind]:
        for at in (periods - offset, periods + offset):
            inside = (at >= 0) & (at < panel.history)
            values = free[:, np.clip(at, 0, panel.history - 1)]
            used = np.isfinite(values) & inside
            total += np.where(used, values, 0.0)
            count += used
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _uplifts(
    share: FloatArray, expected: FloatArray, demand: FloatArray, usual: FloatArray, periods: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Uplift of one event, and the standard deviation of its logarithm for an occurrence ahead, shape (n, m) each."""
    past = periods < demand.shape[1]
    sold = np.full(share.shape, np.nan)
    sold[:, past] = demand[:, periods[past]]
    used = (share > 0) & np.isfinite(sold) & np.isfinite(usual)
    weight, precision = 0.0, 1.0 / RULE.doubt**2
    observed = []
    for run in _runs(share, periods):
        found = _observed(np.where(used, share, 0.0)[:, run], sold[:, run], usual[:, run])
        if found is not None:
            observed.append((run, *found))
            precision += 1.0 / (RULE.between**2 + found[1])
            weight += found[0] / (RULE.between**2 + found[1])
    log = (np.log(expected) / RULE.doubt**2 + weight) / precision
    doubt = np.where(past, 0.0, np.sqrt(1.0 / precision + RULE.between**2))
    for run, own, chance in observed:
        mixed = (own * RULE.between**2 + log[:, run] * chance) / (RULE.between**2 + chance)
        log[:, run] = np.where(past[run], mixed, log[:, run])
    return np.exp(log), np.broadcast_to(doubt, log.shape)


def _runs(share: FloatArray, periods: IndexArray) -> Iterator[IndexArray]:
    """The occurrences: positions in ``periods`` of consecutive periods with a day of the event."""
    at = np.flatnonzero((share > 0).any(axis=0))
    if len(at):
        yield from np.split(at, np.flatnonzero(np.diff(periods[at]) > 1) + 1)


def _observed(share: FloatArray, sold: FloatArray, usual: FloatArray) -> tuple[float, float] | None:
    """Logarithm of the uplift of one occurrence and its variance by chance; None if nothing is known."""
    own = share > 0
    usual, sold = np.where(own, usual, 0.0), np.where(own, sold, 0.0)
    base = float((share * usual).sum())
    if base <= 0.0:
        return None
    uplift = float(np.clip(1.0 + (sold.sum() - usual.sum()) / base, 1.0 / RULE.largest, RULE.largest))
    errors = (sold - usual * (1.0 + share * (uplift - 1.0))).sum(axis=1)
    return float(np.log(uplift)), float(np.square(errors).sum()) / (uplift * base) ** 2
