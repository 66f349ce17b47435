"""The panel as Parquet-friendly frames, and back without loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import StorageError
from schemas.frequency import Frequency
from schemas.panel import FloatArray, KnownFeature, Panel, PlannedEvent, SmallFloatArray

if TYPE_CHECKING:
    from tasks.demand.panel_parts import PanelParts

SERIES = "series"
PERIODS = "periods"
HISTORY = "history"
CLOSED = "closed"
FEATURES = "features"
ROWS = "rows"
KNOWN = "known_"
Table = pd.DataFrame | Iterator[pd.DataFrame]
# Prefixes of the names of the two features of a planned event.
EVENT_SHARE, EVENT_UPLIFT = "planned_event_share:", "planned_event_uplift:"


def to_frames(panel: Panel) -> dict[str, pd.DataFrame]:
    """The panel as frames by name.

    Returns:
        ``series`` (one row per series), ``periods`` (one row per label), ``history`` (n x T rows, series
        by series: demand, units sold and the observed covariates), ``closed`` (n x (T + H) rows), ``features`` (known
        feature and its group), ``rows`` (one row per series, one column per group: which row of the group
        holds for it) and per group ``known_0``, ... (rows x (T + H) rows, one column per feature).
        Features that share their rows form a group. A planned event is two features.
    """
    frames = {
        SERIES: panel.series,
        PERIODS: pd.DataFrame({c.DATE: panel.periods}),
        HISTORY: _history(panel),
        CLOSED: pd.DataFrame({c.CLOSED: panel.closed.ravel()}, copy=False),
    }
    groups: list[dict[str, KnownFeature]] = []
    features = {**panel.known, **_event_features(panel.events)}
    for name, feature in features.items():
        group = next((g for g in groups if _same_rows(next(iter(g.values())), feature)), None)
        if group is None:
            groups.append(group := {})
        group[name] = feature
    frames[FEATURES] = _feature_groups(list(features), groups)
    frames[ROWS] = pd.DataFrame(
        {str(i): next(iter(group.values())).row_of_series for i, group in enumerate(groups)},
        index=pd.RangeIndex(panel.n),
    )
    for i, group in enumerate(groups):
        frames[f"{KNOWN}{i}"] = pd.DataFrame({name: f.values.ravel() for name, f in group.items()})
    return frames


def panel_tables(
    panel: PanelParts, read: Callable[[Panel], None]
) -> Iterator[tuple[str, pd.DataFrame | Iterator[pd.DataFrame]]]:
    """The frames of :func:`to_frames` by name, in parts: those with a row per period are never held as a whole.

    Args:
        panel: the parts.
        read: receives every part once, when the history is made.

    Yields:
        Name and frame, or its parts; exhaust the parts before the next frame.
    """
    yield SERIES, panel.series
    yield PERIODS, pd.DataFrame({c.DATE: panel.prepared.axis.periods})
    yield HISTORY, (_history(part, read) for part in panel.parts())
    yield CLOSED, (pd.DataFrame({c.CLOSED: closed.ravel()}, copy=False) for closed in panel.closed_parts())
    features: dict[str, KnownFeature | None] = {**panel.known, **_event_features(panel.events)}
    shape, everything = (panel.prepared.cells.n, len(panel.prepared.axis.periods)), np.arange(panel.prepared.cells.n)
    groups: list[dict[str, KnownFeature | None]] = []
    light = KnownFeature(np.broadcast_to(np.float32(0), shape), everything)
    for name, feature in features.items():
        group = next((g for g in groups if _same_rows(next(iter(g.values())) or light, feature or light)), None)
        if group is None:
            groups.append(group := {})
        group[name] = feature
    yield FEATURES, _feature_groups(list(features), groups)
    rows = [(next(iter(group.values())) or light).row_of_series[panel.chosen] for group in groups]
    yield ROWS, pd.DataFrame({str(i): own for i, own in enumerate(rows)}, index=pd.RangeIndex(panel.n))
    for i, group in enumerate(groups):
        values = {name: feature.values for name, feature in group.items() if feature is not None}
        parts = iter([values]) if len(values) == len(group) else panel.known_parts(list(group))
        yield f"{KNOWN}{i}", (pd.DataFrame({name: own.ravel() for name, own in part.items()}) for part in parts)


def _history(panel: Panel, read: Callable[[Panel], None] | None = None) -> pd.DataFrame:
    if read is not None:
        read(panel)
    return pd.DataFrame({c.DEMAND: panel.demand.ravel()} | _sold(panel) | _observed(panel), copy=False)


def _feature_groups(features: Sequence[str], groups: Sequence[Mapping[str, KnownFeature | None]]) -> pd.DataFrame:
    number = {name: i for i, group in enumerate(groups) for name in group}
    frame = pd.DataFrame({c.FEATURE: pd.Series(features, dtype=object), c.GROUP: [number[name] for name in features]})
    return frame.astype({c.GROUP: np.int64})


def from_frames(frames: Mapping[str, pd.DataFrame], frequency: Frequency, horizon: int) -> Panel:
    """The panel that :func:`to_frames` converted.

    Args:
        frames: as written, rows in their order.
        frequency: the panel's frequency.
        horizon: H.

    Raises:
        StorageError: the frames do not match.
    """
    series, labels = frames[SERIES].reset_index(drop=True), frames[PERIODS][c.DATE]
    periods = pd.DatetimeIndex(labels.to_numpy(dtype="datetime64[ns]"), freq=frequency.code if len(labels) else None)
    n, length = len(series), len(periods)
    past = frames[HISTORY]
    if len(past) != n * (length - horizon) or len(frames[CLOSED]) != n * length:
        raise StorageError(
            f"panel frames do not belong together: {n} series and {length} periods with horizon {horizon}, but "
            f"{len(past)} rows of history and {len(frames[CLOSED])} of closed. Run the stage again with --force"
        )
    known: dict[str, KnownFeature] = {}
    for name, group in zip(frames[FEATURES][c.FEATURE], frames[FEATURES][c.GROUP], strict=True):
        values = frames[f"{KNOWN}{group}"][name].to_numpy(dtype=np.float32).reshape(-1, length)
        known[str(name)] = KnownFeature(values, frames[ROWS][str(group)].to_numpy(dtype=np.int64))
    events = {
        name.removeprefix(EVENT_SHARE): PlannedEvent(known[name], known[EVENT_UPLIFT + name.removeprefix(EVENT_SHARE)])
        for name in known
        if name.startswith(EVENT_SHARE)
    }
    known = {name: feature for name, feature in known.items() if not name.startswith((EVENT_SHARE, EVENT_UPLIFT))}
    observed = [str(name) for name in past.columns if name not in (c.DEMAND, c.SOLD)]
    return Panel(
        frequency=frequency,
        series=series,
        periods=periods,
        demand=past[c.DEMAND].to_numpy(dtype=np.float64).reshape(n, length - horizon),
        closed=frames[CLOSED][c.CLOSED].to_numpy(dtype=np.bool_).reshape(n, length),
        horizon=horizon,
        known=known,
        observed={k: past[k].to_numpy(dtype=np.float32).reshape(n, length - horizon) for k in observed},
        sold=past[c.SOLD].to_numpy(dtype=np.float64).reshape(n, length - horizon) if c.SOLD in past else None,
        events=events,
    )


def _event_features(events: Mapping[str, PlannedEvent]) -> dict[str, KnownFeature]:
    shares = {f"{EVENT_SHARE}{name}": event.share for name, event in events.items()}
    return shares | {f"{EVENT_UPLIFT}{name}": event.uplift for name, event in events.items()}


def _sold(panel: Panel) -> dict[str, FloatArray]:
    return {} if panel.sold is None else {c.SOLD: panel.sold.ravel()}


def _observed(panel: Panel) -> dict[str, SmallFloatArray]:
    return {name: values.ravel() for name, values in panel.observed.items()}


def _same_rows(one: KnownFeature, other: KnownFeature) -> bool:
    return one.values.shape == other.values.shape and np.array_equal(one.row_of_series, other.row_of_series)
