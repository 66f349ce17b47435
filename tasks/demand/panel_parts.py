"""The panel a part of the series at a time, so that its arrays over series and periods are never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature, Panel, PlannedEvent, SmallFloatArray
from tasks.demand.axis import informative
from tasks.demand.cleaning.exposure import StorePeriods, known_demand, units_sold
from tasks.demand.cleaning.pair_periods import PairPeriods
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import CellPart, SaleCells
from tasks.demand.features.dates import public_holidays, special_periods, time_features
from tasks.demand.features.planned_events import planned_events, with_christmas
from tasks.demand.features.promotions import promotion_features
from tasks.storage.shards import Arrays


@dataclass(frozen=True)
class PanelParts:
    """A panel in parts.

    Attributes:
        prepared: cleaned tables.
        stores: what is known of each store and period.
        unknown: periods of pairs whose demand is unknown.
        series: see :class:`schemas.panel.Panel`; the chosen ones.
        chosen: numbers of the chosen series among those of ``prepared``, ascending.
        known: known features by name; None = one row per series, made a part at a time.
        events: planned events.
        priced: there is a known price.
        promotions: promotion features by part.
    """

    prepared: Prepared
    stores: StorePeriods
    unknown: PairPeriods
    series: pd.DataFrame
    chosen: IndexArray
    known: Mapping[str, KnownFeature | None]
    events: Mapping[str, PlannedEvent]
    priced: bool
    promotions: Arrays

    @classmethod
    def of(cls, prepared: Prepared, stores: StorePeriods, unknown: PairPeriods, series: pd.DataFrame) -> PanelParts:
        """The parts of all series.

        Args:
            prepared: cleaned tables.
            stores: what is known of each store and period.
            unknown: periods of pairs whose demand is unknown.
            series: all series.
        """
        cells, axis, country = prepared.cells, prepared.axis, prepared.settings.country
        events = with_christmas(prepared.tables.get("events"), axis, country)
        names, promotions = promotion_features(
            prepared.tables.get("promotions"), prepared.tables["products"], cells, axis
        )
        known: dict[str, KnownFeature | None] = {
            **time_features(axis, cells.n),
            **public_holidays(axis, country, cells.n),
            **special_periods(axis, prepared.settings.special_periods, cells.n),
            **dict.fromkeys(names),
            **prepared.calendar.features,
        }
        if _closes(prepared):
            known[c.OPEN] = None
        return cls(
            prepared=prepared,
            stores=stores,
            unknown=unknown,
            series=series,
            chosen=np.arange(cells.n),
            known=known,
            events=planned_events(events, cells, axis),
            priced=_priced(cells, prepared.outliers),
            promotions=promotions,
        )

    @property
    def n(self) -> int:
        """Number of chosen series."""
        return len(self.series)

    def take(self, chosen: IndexArray) -> PanelParts:
        """The parts of some series; rows of features stay as they are."""
        return replace(self, series=self.series.iloc[chosen].reset_index(drop=True), chosen=self.chosen[chosen])

    def parts(self) -> Iterator[Panel]:
        """Yield panels of consecutive series."""
        start = 0
        for part in self.prepared.cells.parts():
            own = self.chosen[slice(*np.searchsorted(self.chosen, [part.series.start, part.series.stop]))]
            panel = self._panel(part, own - part.series.start, slice(start, start + len(own))) if len(own) else None
            start += len(own)
            del part  # its arrays are not needed while the panel is used
            if panel is not None:
                yield panel
            del panel

    def closed_parts(self) -> Iterator[BoolArray]:
        """Yield the closed periods of the chosen series of every part, shape (series, T + H)."""
        for part in self.prepared.cells.parts():
            own = self.chosen[slice(*np.searchsorted(self.chosen, [part.series.start, part.series.stop]))]
            yield self.stores.closed[self.prepared.cells.series_store[own]]

    def known_parts(self, names: list[str]) -> Iterator[dict[str, SmallFloatArray]]:
        """Yield the values of features that have one row per series, for the series of every part."""
        for part in self.prepared.cells.parts():
            found = {}
            for name in names:
                feature = self.known[name]
                found[name] = self._by_series(name, part) if feature is None else feature.values[part.series]
            yield found

    def whole(self) -> Panel:
        """The panel of all series."""
        parts = list(self.parts())
        known: dict[str, KnownFeature] = {}
        for name, feature in self.known.items():
            if feature is None:
                values = np.concatenate([self._by_series(name, part) for part in self.prepared.cells.parts()])
                known[name] = KnownFeature(values, self.chosen)
            else:
                known[name] = feature
        return replace(
            parts[0],
            series=self.series,
            demand=np.concatenate([part.demand for part in parts]),
            closed=np.concatenate([part.closed for part in parts]),
            known=known,
            observed={name: np.concatenate([part.observed[name] for part in parts]) for name in parts[0].observed},
            sold=np.concatenate([part.sold for part in parts if part.sold is not None]),
            events=self.events,
        )

    def _panel(self, cells: CellPart, rows: IndexArray, place: slice) -> Panel:
        """The panel of some series of a part.

        Args:
            cells: the part.
            rows: positions of the series in it.
            place: positions of the series in ``series``.
        """
        axis, every = self.prepared.axis, len(rows) == cells.n
        of_series = self.chosen[place]
        known = {}
        for name, feature in self.known.items():
            if feature is None:
                known[name] = KnownFeature(self._by_series(name, cells), rows)
            else:
                known[name] = KnownFeature(feature.values, feature.row_of_series[of_series])
        demand, sold = known_demand(cells, self.stores, self.unknown.of(cells)), units_sold(cells, self.stores)
        price = last_price(cells, self.prepared.outliers) if self.priced else None
        return Panel(
            frequency=cells.frequency,
            series=self.series.iloc[place].reset_index(drop=True),
            periods=axis.periods,
            demand=demand if every else demand[rows],
            closed=self.stores.closed[cells.series_store[rows]],
            horizon=self.prepared.settings.horizon,
            known=known,
            observed={} if price is None else {c.UNIT_PRICE: price if every else price[rows]},
            sold=sold if every else sold[rows],
            events={
                name: event.each(lambda f: KnownFeature(f.values, f.row_of_series[of_series]))
                for name, event in self.events.items()
            },
        )

    def _by_series(self, name: str, cells: CellPart) -> SmallFloatArray:
        """Values of a feature that has one row per series, for the series of a part."""
        if name != c.OPEN:
            return self.promotions.read(cells.number, name)
        return _open_share(self.prepared, cells.series_store, cells.series)


def _closes(prepared: Prepared) -> bool:
    """Whether stores are closed on some days but not on others, so that the feature ``open`` has one row per series."""
    if not (prepared.usual | prepared.closing).any():
        return False
    first = np.searchsorted(prepared.cells.series_store, np.arange(len(prepared.cells.stores)))
    share = np.concatenate(
        [_open_share(prepared, prepared.cells.series_store[at : at + 1], slice(at, at + 1)) for at in first]
    )
    return bool(informative({c.OPEN: KnownFeature(share, np.arange(len(share)))}))


def _open_share(prepared: Prepared, store: IndexArray, series: slice) -> SmallFloatArray:
    """The calendar's feature ``open`` of some series, with the days on which their store is usually closed."""
    closed = prepared.usual[store] | prepared.closing[store]
    share: SmallFloatArray = (~closed).astype(np.float32)
    calendar = prepared.calendar.features.get(c.OPEN)
    if calendar is not None:
        share = np.minimum(share, calendar.values[calendar.row_of_series[series]])
    return share


def _priced(cells: SaleCells, outliers: IndexArray) -> bool:
    return any(bool((part.priced_units[~part.marked(outliers)] > 0).any()) for part in cells.parts())


def last_price(cells: CellPart, outliers: IndexArray) -> SmallFloatArray:
    """The last known unit price at the end of each period, shape (n, T); NaN before the first one."""
    counted: BoolArray = ~cells.marked(outliers)
    units = cells.by_series(cells.priced_units, counted)
    return _carried(cells.by_series(cells.priced_amount, counted), units).astype(np.float32)


def _carried(amount: FloatArray, units: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        price = amount / units
    last: IndexArray = np.maximum.accumulate(np.where(units > 0, np.arange(units.shape[1]), -1), axis=1)
    carried = np.take_along_axis(price, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, np.nan)
