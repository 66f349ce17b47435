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
from schemas.panel import FloatArray, Forecast, IndexArray, Panel, PlannedEvent
from tasks.forecasting.combine.quantile_factors import MEDIAN
from tasks.forecasting.event_occurrences import KnownOccurrences, observed
from tasks.forecasting.quantiles import by_blocks, normal_scores
from tasks.storage.mapped import empty, row_blocks

# The part of a forecast that events add.
EVENTS = "events"


@dataclass(frozen=True)
class EventRule:
    """The numbers of the effects of events (docs/decisions/0020-rates-events-and-seasons.md).

    Attributes:
        doubt: standard deviation of the logarithm of an expected uplift, and of the uplift of a category around that
            of all categories.
        unstated: the same if no uplift is stated: the expected logarithm is 0.
        between: standard deviation of the logarithm of an uplift between occurrences of one event.
        largest: an observed uplift lies between 1 / largest and largest.
    """

    doubt: float = 0.3
    unstated: float = 0.5
    between: float = 0.15
    largest: float = 10.0


RULE = EventRule()
# Events in the same periods share their effect: each is estimated on what the others leave, in turn.
_ROUNDS = 4


@dataclass(frozen=True)
class EventEffects:
    """Factors on the demand of n series in m periods with an event; 1 in all others.

    Series of one category for which the same events are planned are of one kind.

    Attributes:
        periods: shape (m,), positions on the panel's axis.
        kind: shape (n,), the kind of each series.
        factor: shape (kinds, m).
        deviation: shape (kinds, m), relative standard deviation of the factor of an occurrence ahead.
        history, horizon: T and H of the panel.
    """

    periods: IndexArray
    kind: IndexArray
    factor: FloatArray
    deviation: FloatArray
    history: int
    horizon: int

    def take(self, series: IndexArray | slice | None) -> EventEffects:
        """The effects of some series; of all if None."""
        return self if series is None else replace(self, kind=self.kind[series])

    def ahead(self, values: FloatArray, absent: float) -> FloatArray:
        """The values (kinds, m) of each series and period of the horizon, shape (n, H)."""
        found = np.full((len(values), self.horizon), absent)
        coming = self.periods >= self.history
        found[:, self.periods[coming] - self.history] = values[:, coming]
        return found[self.kind]

    def without(self, panel: Panel) -> Panel:
        """The panel as if there had been no event; without planned events."""
        if not len(self.periods):
            return panel
        past = self.periods < self.history
        at, factor = self.periods[past], self.factor[:, past]

        def divided(units: FloatArray) -> FloatArray:
            found = empty(units.size, np.float64).reshape(units.shape)
            for series in row_blocks(*units.shape):
                found[series] = units[series]
                found[series, at] /= factor[self.kind[series]]
            return found

        sold = None if panel.sold is None else divided(panel.sold)
        return replace(panel, demand=divided(panel.demand), sold=sold, events={})

    def on(self, forecast: Forecast, levels: Sequence[float]) -> Forecast:
        """The forecast of the panel without events, with the events of the horizon."""
        if not (self.periods >= self.history).any():
            return forecast
        n, horizon, size = forecast.quantiles.shape

        def block(series: slice) -> tuple[FloatArray, FloatArray]:
            return self.take(series).on_values(forecast.mean[series], forecast.quantiles[series], levels)

        mean, quantiles = by_blocks((n, horizon, size), block)
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

    def parts(self, parts: Iterator[pd.DataFrame], panel: Panel) -> Iterator[pd.DataFrame]:
        """Yield the parts of the medians of the horizon, and at the end one more for events.

        Args:
            parts: store_id, category, date, part and units of the forecast without events, some series at a time.
            panel: the panel of these series.
        """
        factor = self.ahead(self.factor, 1.0)
        at, period = np.nonzero(factor != 1.0)
        if not len(at):
            yield from parts
            return
        keys, dates = [c.STORE_ID, c.CATEGORY, c.DATE], panel.horizon_periods[np.unique(period)]
        text, totals = {c.STORE_ID: object, c.CATEGORY: object}, []
        for frame in parts:
            of_events = frame[frame[c.DATE].isin(dates)].astype(text)
            totals.append(of_events.groupby(keys, sort=False)[c.UNITS].sum())
            yield frame.astype(text | {c.PART: object})
        if not totals:
            return
        total = pd.concat(totals)
        rows = panel.series[[c.STORE_ID, c.CATEGORY]].astype(object).iloc[at].reset_index(drop=True)
        rows[c.DATE] = panel.horizon_periods.to_numpy()[period]
        base = total.reindex(pd.MultiIndex.from_frame(rows)).fillna(0.0).to_numpy(dtype=np.float64)
        yield rows.assign(**{c.PART: EVENTS, c.UNITS: base * (factor[at, period] - 1.0)})


def event_effects(panel: Panel) -> EventEffects:
    """Effects of the panel's planned events, from what is known at its run date.

    The uplift u of an occurrence is observed on the sums over its series: sold = usual * (1 + share * (u - 1)), where
    usual is the mean of the same weekdays of the weeks around it (``AROUND``) without events. Its logarithm is normal
    with a variance by chance v from the errors of the series (Cochran 1977, chapter 6) and of Poisson counts, plus
    ``between`` squared. An expected uplift is normal with ``doubt``, or ``unstated``. The uplift of the next
    occurrence is the posterior mean, weighted by the precisions (credibility; Buhlmann and Gisler 2005, chapter 2):

        log u = (log expected / doubt^2 + sum of w * log observed) / (1 / doubt^2 + sum of w), w = 1 / (between^2 + v)

    Example: 1.5 is expected, two occurrences without chance had 1.2: u = 1.23. With one occurrence it is 1.25, with
    none 1.5. A past occurrence counts with its own observed uplift, shrunk toward u by its chance.

    If the event concerns several categories, the uplift of each one is the posterior mean of the uplifts observed in it
    in the same way. It expects u, with ``doubt``, and the variance between its occurrences follows from them. Example:
    of two categories, one sold three times the usual units in two occurrences and the other the usual ones. Their
    uplifts are 2.8 and 1.1, not both 1.9.

    Args:
        panel: all series of the network.
    """
    kind, first = _kinds(panel)
    busy = np.zeros((len(first), len(panel.periods) if panel.events else 0), dtype=bool)
    for event in panel.events.values():
        busy |= _grid(event, first)[0] > 0
    periods = np.flatnonzero(busy.any(axis=0))
    factor, variance = np.ones((len(first), len(periods))), np.zeros((len(first), len(periods)))
    if not len(periods):
        # A fold may end before the first day of the only event.
        return EventEffects(periods, kind, factor, variance, panel.history, panel.horizon)
    known = KnownOccurrences.of(panel, periods, busy, kind, first)
    grids = [tuple(grid[:, periods] for grid in _grid(event, first)) for event in panel.events.values()]
    own = [np.ones_like(factor) for _ in grids]
    together = (np.stack([share > 0 for share, _ in grids]).sum(axis=0) > 1).any()
    for last in [*[False] * (_ROUNDS - 1), True] if together else [True]:
        for at, (share, expected) in enumerate(grids):
            factor /= own[at]
            uplift, doubt = _uplifts(share, expected, known, factor)
            own[at] = 1.0 + share * (uplift - 1.0)
            factor *= own[at]
            if last:
                variance += np.square(share * uplift * doubt / own[at])
    return EventEffects(periods, kind, factor, np.sqrt(variance), panel.history, panel.horizon)


def _kinds(panel: Panel) -> tuple[IndexArray, IndexArray]:
    """The kind of each series, shape (n,), and the first series of each kind."""
    if not panel.events:
        return np.zeros(panel.n, dtype=np.int64), np.zeros(min(panel.n, 1), dtype=np.int64)
    kind = np.unique(panel.series[c.CATEGORY].astype(str), return_inverse=True)[1]
    for event in panel.events.values():
        for feature in (event.share, event.uplift):
            kind = np.unique(kind * len(feature.values) + feature.row_of_series, return_inverse=True)[1]
    return kind, np.unique(kind, return_index=True)[1]


def _grid(event: PlannedEvent, series: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Share and expected uplift per period of some series, shape (series, T + H) each."""
    share, uplift = (f.values[f.row_of_series[series]].astype(np.float64) for f in (event.share, event.uplift))
    return share, uplift


def _uplifts(
    share: FloatArray, expected: FloatArray, known: KnownOccurrences, factor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Uplift of one event, and the standard deviation of its logarithm for an occurrence ahead, shape (kinds, m) each.

    Args:
        share: shape (kinds, m), fraction of the days of each period.
        expected: shape (kinds, m), expected uplift; 0 if none is stated.
        known: what is known of the series.
        factor: shape (kinds, m), the effects of the other events.
    """
    stated = expected > 0
    prior = np.log(np.where(stated, expected, 1.0))
    doubt = np.where(stated, RULE.doubt, RULE.unstated)
    runs = list(_runs(share, known.periods))
    network = observed(share, runs, known, factor, np.zeros_like(known.category), RULE.largest)
    log, own, precision = _posterior(prior, doubt, runs, network, RULE.between**2)
    # An event that nobody described, and that was never seen, is no reason for wider intervals than a described one.
    precision += np.where(precision > 0, doubt, RULE.doubt) ** -2.0
    if len(np.unique(known.category[(share > 0).any(axis=1)])) > 1:
        local = observed(share, runs, known, factor, known.category, RULE.largest)
        apart = _of_categories(network, local, known.category)
        log, own, found = _posterior(log, np.full(share.shape, RULE.doubt), runs, local, apart)
        precision = found + 1.0 / (1.0 / precision + RULE.doubt**2)
    ahead = np.where(known.past, 0.0, np.sqrt(1.0 / precision + RULE.between**2))
    return np.exp(np.where(known.past, own, log)), ahead


def _posterior(
    prior: FloatArray,
    doubt: FloatArray,
    runs: Sequence[IndexArray],
    observed: Sequence[tuple[FloatArray, FloatArray]],
    between: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithm of the uplift of the next occurrence, that of each past one, and the observed precision.

    Args:
        prior: shape (kinds, m), expected logarithm.
        doubt: shape (kinds, m), its standard deviation.
        runs: the occurrences.
        observed: of each one, the logarithm of its uplift and the variance by chance, shape (kinds,) each.
        between: variance of the logarithm between occurrences.
    """
    weights = [1.0 / (between + chance) for _, chance in observed]
    precision = sum(weights, start=np.zeros(len(prior)))
    total = sum((weight * own for weight, (own, _) in zip(weights, observed, strict=True)), start=np.zeros(len(prior)))
    log = (prior / doubt**2 + total[:, None]) / (1.0 / doubt**2 + precision[:, None])
    past = log.copy()
    for run, (own, chance) in zip(runs, observed, strict=True):
        part = between / (between + chance[:, None])
        past[:, run] = part * own[:, None] + (1.0 - part) * log[:, run]
    return log, past, np.repeat(precision[:, None], prior.shape[1], axis=1)


def _of_categories(
    network: Sequence[tuple[FloatArray, FloatArray]],
    local: Sequence[tuple[FloatArray, FloatArray]],
    category: IndexArray,
) -> float:
    """Variance between occurrences of the difference between the uplifts of a category and of all categories.

    The mean of that of the categories with two or more occurrences and of ``doubt`` squared, which counts as one
    category with two: promotions and other shocks of a category are no part of the errors of its series.
    """
    first = np.unique(category, return_index=True)[1]
    seen = np.array([np.isfinite(chance[first]) for _, chance in local])
    apart = np.array([(own - of_all)[first] for (own, _), (of_all, _) in zip(local, network, strict=True)])
    count = seen.sum(axis=0)
    middle = np.where(seen, apart, 0.0).sum(axis=0) / np.maximum(count, 1)
    found = np.square(np.where(seen, apart - middle, 0.0)).sum()
    return float((RULE.doubt**2 + found) / (1 + np.maximum(count - 1, 0).sum()))


def _runs(share: FloatArray, periods: IndexArray) -> Iterator[IndexArray]:
    """The occurrences: positions in ``periods`` of consecutive periods with a day of the event."""
    at = np.flatnonzero((share > 0).any(axis=0))
    if len(at):
        yield from np.split(at, np.flatnonzero(np.diff(periods[at]) > 1) + 1)
