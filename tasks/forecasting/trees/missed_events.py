"""Effects of named days that the trees did not learn: what was sold on past occurrences, over what they forecast.

A tree needs about 30 rows for a split. In a company with few series, a holiday or an event of the calendar has fewer,
and the trees forecast it like any other day. Where they have learned it, units sold and forecasts are equal, and
nothing changes. This is a last stage of boosting with a prior.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray, KnownFeature, Panel
from tasks.demand.features.lags import AROUND_YEAR, SEASON_AROUND, YEAR
from tasks.forecasting.event_effects import EventEffects
from tasks.forecasting.trees.missed_logarithms import RULE, Cells, Seen, logs, posterior, relative

# Means after an origin each: series (m,), numbers of known periods (m,) and a number of steps give (m, steps).
Ahead = Callable[[IndexArray, IndexArray, int], FloatArray]
# Occurrences with fewer known periods before them do not count: models on lags say little there.
FIRST_ORIGIN = {"D": 91, "W": 13, "MS": 6}
# Forecasts and units sold are compared in this number of periods before and after an occurrence as well.
AROUND = {"D": 28, "W": 4, "MS": 2}
# Periods around a year before the target that the columns of that year contain.
READ = {kind: max(*AROUND_YEAR, around) for kind, around in SEASON_AROUND.items()}
_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class _Occurrence:
    """A past occurrence of an event of the horizon, in one calendar.

    Attributes:
        calendar: number of the calendar.
        event: number of the event.
        origin: number of known periods when it is forecast.
        steps: to the last period that counts.
    """

    calendar: int
    event: int
    origin: int
    steps: int


def missed_effects(panel: Panel, near: Mapping[str, KnownFeature], ahead: Ahead) -> EventEffects:
    """Effects of the events of the horizon, relative to what a model forecasts there.

    Each period near an event has the nearest event and the signed distance to it. For each distance in the horizon, the
    same distance of past occurrences is forecast by the fitted model, from the corresponding origin: as many periods
    before the event as the run date, or as the first period near it if the run date is earlier. The logarithm of units
    sold over forecasts, summed over the series of a category and relative to the periods around, is normal with the
    variance by chance and ``between`` of :class:`tasks.forecasting.event_effects.EventRule`. Its expectation has a
    prior (spike and slab; Mitchell and Beauchamp 1988): 0 with the probability 1 - ``likely``, else normal with
    ``unstated``. The effect on a category is also compared with that on all series, with ``doubt``. The forecasts are
    multiplied by the posterior mean.

    Example: two occurrences of many units sold 1.8 times their forecasts, relative to the periods around: the factor is
    1.79. Two that sold 1.1 times theirs: 1.00.

    Args:
        panel: n series over T periods, and H to forecast.
        near: by event, the signed distance of each period; the largest value means that no occurrence is near.
        ahead: the model's forecasts.
    """
    empty = np.zeros((1, 0))
    none = EventEffects(_NOTHING, np.zeros(panel.n, dtype=np.int64), empty, empty, panel.history, panel.horizon)
    events = _rare_events(near, panel.history)
    horizon = slice(panel.history, panel.history + panel.horizon)
    if not any((np.abs(feature.values[:, horizon]) < feature.values.max()).any() for feature in events):
        return none
    calendar = np.zeros(panel.n, dtype=np.int64)
    for feature in events:
        if len(feature.values) > 1:
            calendar = np.unique(calendar * len(feature.values) + feature.row_of_series, return_inverse=True)[1]
    first = np.unique(calendar, return_index=True)[1]
    code, names = pd.factorize(panel.series[c.CATEGORY], sort=True)
    seen = _seen(panel, events, calendar, first, code, ahead)
    if not seen:
        return none
    event, distance = _nearest(events, first, horizon)
    plans, plan = np.unique(np.hstack([event, distance]), axis=0, return_inverse=True)
    kinds, kind = np.unique(plan.ravel()[calendar] * len(names) + code, return_inverse=True)
    event, distance = np.hsplit(plans[kinds // len(names)], 2)
    factor, deviation = np.ones(event.shape), np.zeros(event.shape)
    for one in seen:
        log, spread = posterior(one.log, one.variance)
        for at, own in enumerate(one.distances):
            chosen = (event == one.event) & (distance == own)
            factor = np.where(chosen, np.exp(log[at])[kinds % len(names), None], factor)
            deviation = np.where(chosen, spread[at][kinds % len(names), None], deviation)
    periods = np.arange(horizon.start, horizon.stop)
    return EventEffects(periods, kind, factor, deviation, panel.history, panel.horizon)


def _rare_events(near: Mapping[str, KnownFeature], history: int) -> list[KnownFeature]:
    """The events that are rare enough, the rarest first: of two names of a day, it says more."""
    share = {name: float((feature.values[:, :history] == 0).mean()) for name, feature in near.items()}
    return [
        near[name] for name in sorted(near, key=lambda name: (share[name], name)) if share[name] <= RULE.largest_share
    ]


def _nearest(events: Sequence[KnownFeature], series: IndexArray, span: slice) -> tuple[IndexArray, IndexArray]:
    """Number of the nearest event of the periods of a span, -1 = none, and the distance; shape (series, periods)."""
    event = distance = np.zeros((0, 0), dtype=np.int64)
    for number, feature in enumerate(events):
        own = feature.values[feature.row_of_series[series], span].astype(np.int64)
        if not number:
            event, distance = np.full(own.shape, -1), np.full(own.shape, np.iinfo(np.int64).max)
        closer = (np.abs(own) < feature.values.max()) & (np.abs(own) < np.abs(distance))
        event, distance = np.where(closer, number, event), np.where(closer, own, distance)
    return event, np.where(event >= 0, distance, 0)


def _seen(
    panel: Panel,
    events: Sequence[KnownFeature],
    calendar: IndexArray,
    first: IndexArray,
    code: IndexArray,
    ahead: Ahead,
) -> list[Seen]:
    """What is known of the past occurrences of the events of the horizon.

    Args:
        panel: all series.
        events: the rarest first.
        calendar: shape (n,), number of the calendar of each series.
        first: the first series of each calendar.
        code: shape (n,), number of the category of each series.
        ahead: the model's forecasts.
    """
    sample = _spaced(np.argsort(code, kind="stable"), RULE.series)
    used = np.unique(calendar[sample])
    event, distance = _nearest(events, first[used], slice(0, panel.history + panel.horizon))
    past = list(_past(events, first[used], event, distance, panel))
    if not past:
        return []
    around = min(panel.horizon, AROUND[panel.frequency.kind])
    steps = min(panel.horizon, max(one.steps for one in past) + around)
    sample = _spaced(sample, RULE.rows // ((steps + around) * -(-len(past) // len(used))))
    row = np.searchsorted(used, calendar[sample])
    chosen = [sample[row == one.calendar] for one in past]
    series, lengths = np.concatenate(chosen), [len(own) for own in chosen]
    origin, of = (np.repeat([getattr(one, name) for one in past], lengths) for name in ("origin", "event"))
    # From an earlier origin up to this one, and from this one on.
    before, after = origin[:, None] + np.arange(-around, 0), origin[:, None] + np.arange(steps)
    forecast = np.hstack([ahead(series, origin - around, around), ahead(series, origin, steps)])
    target = np.hstack([before, after])
    at = series[:, None], np.minimum(target, panel.history - 1)
    known = (target < panel.history) & ~panel.closed[at]
    sold = np.where(known, panel.demand[at], np.nan)
    own = np.searchsorted(used, calendar[series])[:, None], at[1]
    near = event[own] == of[:, None]
    found = []
    for number in np.unique(of).tolist():
        rows = of == number
        occurrence = np.unique(origin[rows], return_inverse=True)[1]
        counts, groups = near[rows] & (np.arange(target.shape[1]) >= around), (code[series[rows]], int(code.max()) + 2)
        of_event = Cells(np.where(counts, sold[rows], np.nan), forecast[rows], distance[own][rows])
        usual = Cells(
            np.where(near[rows], np.nan, sold[rows]),
            forecast[rows],
            np.broadcast_to(np.arange(target.shape[1]), counts.shape),
        )
        if np.isfinite(of_event.sold).any():
            found.append(relative(number, logs(of_event, *groups, occurrence), logs(usual, *groups, occurrence)))
    return found


def _spaced(series: IndexArray, most: int) -> IndexArray:
    """At most this number of series, evenly spaced."""
    return series if len(series) <= most else series[np.linspace(0, len(series) - 1, max(1, most)).astype(np.int64)]


def _past(
    events: Sequence[KnownFeature], series: IndexArray, event: IndexArray, distance: IndexArray, panel: Panel
) -> Iterator[_Occurrence]:
    """Yield the past occurrences of the events of the horizon, by calendar.

    Args:
        events: the rarest first.
        series: shape (calendars,), a series of each calendar.
        event: shape (calendars, T + H), number of the nearest event.
        distance: shape (calendars, T + H), periods since it.
        panel: T known periods, and H to forecast.
    """
    for calendar, one in enumerate(series.tolist()):
        coming = event[calendar, panel.history :]
        for number in np.unique(coming[coming >= 0]).tolist():
            feature = events[number]
            on = feature.values[feature.row_of_series[one]] == 0
            starts = np.flatnonzero(on & ~np.pad(on, (1, 0))[:-1])
            at = np.flatnonzero(event[calendar] == number)
            away = distance[calendar, at]
            # The first period of the occurrence: an event may last for several.
            begun = starts[np.searchsorted(starts, at - away, side="right") - 1]
            ahead = at >= panel.history
            lead = max(panel.history - int(begun[ahead][0]), int(away.min()))
            counts = ~ahead & np.isin(away, away[ahead]) & (at >= begun + lead) & (at < begun + lead + panel.horizon)
            # A model that reads an occurrence a year before the horizon is compared where it could read one as well.
            kind = panel.frequency.kind
            a_year_ago = at[ahead & (away == 0)][:, None] - YEAR[kind] + np.arange(-READ[kind], READ[kind] + 1)
            reads = on[np.maximum(a_year_ago, 0)][a_year_ago >= 0].any()
            first = YEAR[kind] if reads else FIRST_ORIGIN[kind]
            for start in np.unique(begun[counts]).tolist():
                origin = start + lead
                if origin >= first:
                    yield _Occurrence(calendar, number, origin, int(at[counts & (begun == start)][-1]) - origin + 1)
