"""Known future columns of any period: covariates, their neighboring periods, closures, date, static features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature, Panel, SmallFloatArray
from tasks.demand.features.calendar_table import STATED
from tasks.demand.features.dates import PUBLIC_HOLIDAY, SPECIAL
from tasks.demand.features.promotions import PROMOTION_SHARE
from tasks.demand.features.windows import BLOCK_CELLS, RunningSums, last_known, next_known
from tasks.storage.mapped import empty, row_blocks

AnyArray = TypeVar("AnyArray", BoolArray, SmallFloatArray)

# Features that depend only on the date are computed here, without a trend, because trees cannot extrapolate one.
_DATE_PREFIX = "time_"
# Named special days affect this many periods on each side.
_NEAR = {"D": 10, "W": 2, "MS": 1}
_MINIMUM_VALUES = 2


@dataclass(frozen=True)
class KnownRule:
    """The numbers of the known future columns (docs/reference/constants.md).

    Attributes:
        farthest: distances to flags are clipped here, in periods.
        frequent_share: a flag is frequent if each of its two values has at least this fraction of the history.
        largest_id_share: an id is a feature if it has at most this many distinct values, as a fraction of the series.
    """

    farthest: int = 15
    frequent_share: float = 0.03
    largest_id_share: float = 0.3


RULE = KnownRule()


class KnownColumns:
    """Look-up tables over T + H periods of everything known in advance.

    Args:
        panel: the panel; features whose value never changes in the history are left out.

    Attributes:
        frequent_flags: names of the features of zeros and ones that are often both.
        near: by named special day, the signed distance of each period to it.
    """

    def __init__(self, panel: Panel) -> None:
        self._tables: dict[str, KnownFeature] = {}
        self.frequent_flags: list[str] = []
        self.near: dict[str, KnownFeature] = {}
        for name in sorted(panel.known):
            if not name.startswith(_DATE_PREFIX):
                self._add(panel, name, panel.known[name])
        if any(panel.closed[series].any() for series in row_blocks(*panel.closed.shape)):
            self._add_closures(panel)
        self._date = _date_columns(panel)
        self._static = static_columns(panel)

    def at(self, series: IndexArray, target: IndexArray) -> dict[str, FloatArray]:
        """Columns for pairs of series and target period."""
        found = {name: table.at(series, target).astype(np.float64) for name, table in self._tables.items()}
        found |= {name: values[target] for name, values in self._date.items()}
        return found | {name: values[series] for name, values in self._static.items()}

    def _add(self, panel: Panel, name: str, feature: KnownFeature) -> None:
        values, position, times = _distinct_rows(feature.values)
        row = position[feature.row_of_series]
        past = values[:, : panel.history]
        if past.size == 0 or np.nanmin(past) == np.nanmax(past):
            return
        on = values != 0
        if "=" in name:
            self._add_near(panel, name, on, row)
            self._tables[f"{name}:near"] = self.near[name]
            return
        self._tables[name] = feature
        if name.startswith(SPECIAL):
            self._add_near(panel, name, on, row)
        if not ((past == 0) | (past == 1)).all() or name.endswith(STATED):
            return
        self._add_tables(name, on, row, _distances)
        named = any(other.startswith(f"{name}=") for other in panel.known)
        if not named and not name.startswith((SPECIAL, PROMOTION_SHARE, PUBLIC_HOLIDAY)):
            self._add_near(panel, name, on, row)
        share = (on[:, : panel.history].sum(axis=1) * times).sum() / (len(feature.values) * panel.history)
        if RULE.frequent_share <= share <= 1 - RULE.frequent_share:
            self._add_frequent(panel, name, on, row)

    def _add_near(self, panel: Panel, name: str, on: BoolArray, row: IndexArray) -> None:
        distance = _NEAR[panel.frequency.kind]
        made = _made(on, lambda flags: {"near": _signed_distance(flags, distance)})
        self.near[name] = KnownFeature(made["near"], row)

    def _add_frequent(self, panel: Panel, name: str, on: BoolArray, row: IndexArray) -> None:
        """A frequent flag's share in the weeks around each period. For a rare flag it would only encode the date."""
        self.frequent_flags.append(name)
        width = panel.frequency.periods_per_week
        if width > 1:
            self._add_tables(name, on, row, lambda flags: _window_share(flags, width))

    def _add_closures(self, panel: Panel) -> None:
        # The series of a store are closed on the same days.
        closed, row, _ = _distinct_rows(panel.closed)
        width = panel.frequency.periods_per_week

        def tables(flags: BoolArray) -> dict[str, np.ndarray]:
            return {
                "next": _next_distance(flags),
                "last": _last_distance(flags),
                "length_before": _length_before(flags),
                "length_after": _length_before(flags[:, ::-1])[:, ::-1],
                **_window_share(flags, width),
            }

        self._add_tables(c.CLOSED, closed, row, tables)

    def _add_tables(
        self, name: str, flags: BoolArray, row: IndexArray, make: Callable[[BoolArray], dict[str, np.ndarray]]
    ) -> None:
        """Add what is made of each row of flags."""
        self._tables |= {f"{name}:{key}": KnownFeature(values, row) for key, values in _made(flags, make).items()}


def _made(flags: BoolArray, make: Callable[[BoolArray], dict[str, np.ndarray]]) -> dict[str, SmallFloatArray]:
    """What is made of each row of flags, in blocks of rows."""
    made: dict[str, SmallFloatArray] = {}
    for rows in row_blocks(len(flags), flags.shape[1], BLOCK_CELLS):
        for key, values in make(flags[rows]).items():
            if key not in made:
                made[key] = empty(flags.size, np.float32).reshape(flags.shape)
            made[key][rows] = values
    return made


def static_columns(panel: Panel) -> dict[str, FloatArray]:
    """Features of store and product, shape (n,): numbers as they are, text as codes in alphabetical order."""
    found = {}
    for name in panel.series.columns:
        values = panel.series[name]
        distinct = values.nunique(dropna=True)
        is_id = name in (c.STORE_ID, c.CATEGORY)
        if distinct < _MINIMUM_VALUES or (is_id and distinct > RULE.largest_id_share * panel.n):
            continue
        if not pd.api.types.is_numeric_dtype(values):
            values = pd.Series(np.unique(values.astype(str), return_inverse=True)[1])
        found[f"static:{name}"] = values.to_numpy(dtype=np.float64)
    return found


def _date_columns(panel: Panel) -> dict[str, FloatArray]:
    """Shape (T + H,) each: position in week, month and year, if the frequency has them.

    A week's position is the ISO week of its middle. Its first day's number falls by one a year: the week of Christmas
    2022 begins on day 360, that of 2023 on day 359, which a split learned from the former puts a week too early.
    """
    labels, kind = panel.periods, panel.frequency.kind
    weeks = (labels + pd.Timedelta(days=3)).isocalendar().week
    found = {POSITION_IN_YEAR: weeks if kind == "W" else labels.dayofyear}
    if kind != "MS":
        found["day_of_month"] = labels.day
    if kind == "D":
        found["weekday"] = labels.dayofweek
        found["days_to_month_end"] = labels.days_in_month - labels.day
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


POSITION_IN_YEAR = "position_in_year"


def _distinct_rows(values: AnyArray) -> tuple[AnyArray, IndexArray, IndexArray]:
    """The distinct rows of an array, the position of each row among them, and how often each one occurs.

    Many series share the rows of a store or of the network, so each distinct row is processed once.
    """
    seen: dict[bytes, int] = {}  # by a checksum: with a row per series, the rows would be the whole table
    position = np.empty(len(values), dtype=np.int64)
    for rows in row_blocks(len(values), values.shape[1], BLOCK_CELLS):
        for at, row in enumerate(values[rows], start=rows.start):
            position[at] = seen.setdefault(blake2b(row.tobytes(), digest_size=16).digest(), len(seen))
    if len(seen) == len(values):
        return values, position, np.ones(len(values), dtype=np.int64)
    first = np.full(len(seen), len(values))
    np.minimum.at(first, position, np.arange(len(values)))
    return values[first], position, np.bincount(position, minlength=len(seen))


def _next_distance(on: BoolArray) -> np.ndarray:
    """Periods to the next set flag after each period, 1 to RULE.farthest."""
    following = next_known(on)[:, 1:]
    ahead = np.where(following < on.shape[1], following - np.arange(on.shape[1] - 1), RULE.farthest)
    return np.clip(np.pad(ahead, ((0, 0), (0, 1)), constant_values=RULE.farthest), 1, RULE.farthest).astype(np.float32)


def _last_distance(on: BoolArray) -> np.ndarray:
    """Periods since the last set flag before each period, 1 to RULE.farthest."""
    before = last_known(on)[:, :-1]
    behind = np.where(before >= 0, np.arange(on.shape[1]) - before, RULE.farthest)
    return np.clip(behind, 1, RULE.farthest).astype(np.float32)


def _distances(on: BoolArray) -> dict[str, np.ndarray]:
    return {"next": _next_distance(on), "last": _last_distance(on), "run": _run(on)}


def _signed_distance(on: BoolArray, near: int) -> np.ndarray:
    """0 on a flagged period, negative before it, positive after it; ``near`` if none is nearer."""
    ahead = np.where(on, 0, np.minimum(_next_distance(on), near))
    behind = np.where(on, 0, np.minimum(_last_distance(on), near))
    return np.where(ahead < behind, -ahead, behind).astype(np.float32)


def _run(on: BoolArray) -> np.ndarray:
    """Periods until the flag changes: positive while it is set, negative while it is not."""
    return np.where(on, _next_distance(~on), -_next_distance(on)).astype(np.float32)


def _length_before(closed: BoolArray) -> np.ndarray:
    """Length of the closure that ended last before each period, clipped; 0 where there was none."""
    position = np.arange(closed.shape[1])
    last = last_known(closed)[:, :-1]
    open_before = np.take_along_axis(last_known(~closed), np.maximum(last, 0), axis=1)
    length = np.where(last >= 0, last - open_before, 0)
    recent = position - last <= RULE.farthest
    return np.clip(np.where(recent, length, 0), 0, RULE.farthest).astype(np.float32)


def _window_share(on: BoolArray, width: int) -> dict[str, np.ndarray]:
    """Share of set flags among the ``width`` periods before and after each period."""
    share = RunningSums(on.astype(np.float64))
    series, period = (grid.ravel() for grid in np.indices(on.shape))
    before = share.mean(series, period, width)
    behind_end = np.minimum(period + 1 + width, on.shape[1])
    after = share.mean(series, behind_end, behind_end - period - 1)
    return {"share_before": before.reshape(on.shape), "share_after": after.reshape(on.shape)}
