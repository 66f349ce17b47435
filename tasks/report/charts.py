"""The figures of the report: forecasts, deliveries, and stock by store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import pandas as pd

from schemas import columns as c
from schemas.outputs import SERIES, RunOutputs
from schemas.run import RunContext
from tasks.report.accuracy import largest_series
from tasks.report.costs import policies_shown
from tasks.report.drawing import Drawing
from tasks.report.figures import ForecastFrames, forecast_figures, visits_figure
from tasks.report.language import Language, message
from tasks.report.stock_figures import StockFigures, StoreCard
from tasks.report.visits_map import STORES_PER_MAP, visits_maps

SERIES_SHOWN = 12
STORES_PER_PAGE = 60
MAPS_SHOWN = 5
_REFERENCE_POLICY = "eoq"
_UNITS_PER = {
    "D": message("units per day, mean forecast"),
    "W": message("units per week, mean forecast"),
    "MS": message("units per month, mean forecast"),
}


@dataclass(frozen=True)
class Chart:
    """A drawing with title and detail."""

    title: str
    detail: str
    drawing: Drawing


@dataclass(frozen=True)
class StorePage:
    """A group of store cards with a heading."""

    heading: str
    cards: Sequence[StoreCard]


class Charts:
    """Figures of a run."""

    def __init__(self, run: RunContext, outputs: RunOutputs, champions: pd.DataFrame, say: Language) -> None:
        """Keep the tables; figures are drawn when they are read.

        Args:
            run: settings and ``as_of``.
            outputs: tables of the run; tables for figures may be missing or empty.
            champions: store_id, category, model; one row per series, sorted.
            say: language of the figures.
        """
        self.outputs, self.say, self._champions = outputs, say, champions
        self.settings = run.settings
        self.horizon = run.settings.period.range(run.as_of, run.settings.horizon)

    @property
    def visits_maps(self) -> list[Drawing]:
        """The first maps of deliveries by store and period, sixty stores each; empty without deliveries."""
        if self.outputs.visits.empty:
            return []
        return list(islice(visits_maps(self.outputs.visits, self._stores, self.horizon, self.say), MAPS_SHOWN))

    @property
    def stores_without_map(self) -> int:
        """Number of stores beyond the maps of deliveries."""
        return max(0, len(self._stores) - MAPS_SHOWN * STORES_PER_MAP)

    @property
    def visits_drawing(self) -> Drawing | None:
        """Deliveries by period; None without deliveries."""
        if self.outputs.visits.empty:
            return None
        return visits_figure(self.outputs.visits, self.horizon, self.settings.inventory.max_visits_per_period, self.say)

    @property
    def band_words(self) -> str:
        """Description of the quantile band in the figures; empty if the settings have one quantile."""
        levels = self.settings.quantiles
        if len(levels) == 1:
            return ""
        return self.say(
            "{share} band (quantiles {low} to {high})",
            share=self.say.percent(levels[-1] - levels[0], 0),
            low=self.say.quantity(levels[0]),
            high=self.say.quantity(levels[-1]),
        )

    @property
    def network_chart(self) -> Chart | None:
        """Total demand and forecast; None without history."""
        frames = self._forecast_frames
        if frames is None:
            return None
        title = self.say("Network: demand and forecast")
        (drawing,) = forecast_figures(frames.total(), [title], width=1120, height=260, say=self.say)
        return Chart(self.say("Network"), self.say.known(_UNITS_PER[self.settings.period.kind]), drawing)

    @property
    def series_charts(self) -> list[Chart]:
        """Demand and forecast of the largest series."""
        frames = self._forecast_frames
        if frames is None or self.outputs.history is None:
            return []
        positions = largest_series(self.outputs.history, self._champions, SERIES_SHOWN)
        quantiles = c.quantile_columns(self.settings.quantiles)
        curves = frames.of_series(positions, (quantiles[0], quantiles[-1]) if len(quantiles) > 1 else None)
        shown = self._champions.loc[positions]
        titles = [f"{store} · {category}" for store, category in zip(*(shown[name] for name in SERIES), strict=True)]
        alts = [self.say("{series}: demand and forecast", series=title) for title in titles]
        drawings = forecast_figures(curves, alts, say=self.say)
        return [Chart(*one) for one in zip(titles, map(str, shown[c.MODEL]), drawings, strict=True)]

    @property
    def stock_policies(self) -> list[str]:
        """Policies in the stock figures, the chosen one first; empty without figures."""
        return [] if self._stock_figures is None else self._stock_figures.policies

    @property
    def stores_left_out(self) -> int:
        """Number of stores without a stock figure."""
        return 0 if self._stock_figures is None else self._stock_figures.left_out

    @property
    def store_pages(self) -> Iterator[StorePage]:
        """Stock figures of all stores, in groups."""
        if self._stock_figures is None:
            return
        cards, say = self._stock_figures.cards(), self.say
        for start in range(0, len(cards), STORES_PER_PAGE):
            page = cards[start : start + STORES_PER_PAGE]
            over = sum(card.over_capacity for card in page)
            heading = say(
                "{shown} of {count} stores, {first} to {last}",
                shown=len(page),
                count=say.number(len(cards) + self.stores_left_out),
                first=page[0].store,
                last=page[-1].store,
            )
            more = say("{count} over capacity in some periods", count=over)
            yield StorePage(f"{heading} · {more}" if over else heading, page)

    @cached_property
    def _stores(self) -> list[str]:
        """All stores of the network, those without a delivery included."""
        return sorted({*self._champions[c.STORE_ID].astype(str), *self.outputs.visits[c.STORE_ID].astype(str)})

    @cached_property
    def _forecast_frames(self) -> ForecastFrames | None:
        history, outputs = self.outputs.history, self.outputs
        if history is None or history.empty or self._champions.empty:
            return None
        return ForecastFrames.of(self._champions, history, outputs.backtest, outputs.forecast)

    @cached_property
    def _stock_figures(self) -> StockFigures | None:
        frame = self.outputs.stock_by_day
        if frame is None or frame.empty:
            return None
        return StockFigures(frame, policies_shown(self.outputs.costs, _REFERENCE_POLICY), self.say)
