"""``report.html``: a self-contained page for planners, with equal bytes for equal runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS, METRICS
from schemas.outputs import SERIES, Change, EarlierWeek, RunFacts, RunOutputs
from schemas.run import RunContext
from tasks.report import reasons, tables
from tasks.report.accuracy import Accuracy, largest_series
from tasks.report.drawing import COLORS, Drawing
from tasks.report.figures import ForecastFrames, forecast_figure, visits_figure
from tasks.report.formats import Table, day, number, percent, quantity
from tasks.report.remarks import Remarks, headlines, remarks
from tasks.report.stock_figures import StockFigures, StoreCard
from tasks.report.tables import Bar
from tasks.report.visits_map import visits_maps
from tasks.storage.row_order import row_order

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "report.html.j2"
SERIES_SHOWN = 12
STORES_PER_PAGE = 60
_REFERENCE_POLICY = "eoq"
_PERIOD_WORDS = {"D": ("day", "days"), "W": ("week", "weeks"), "MS": ("month", "months")}


@dataclass(frozen=True)
class ReportData:
    """Data of the report.

    Attributes:
        run: settings, ``as_of`` and scope.
        outputs: tables of the run; tables for figures may be missing or empty.
        facts: other facts of the run.
        change: changes since the last earlier replenishment file; None without one.
        code_version: version of the code that computed the run.
        earlier: what the last earlier publication says; None without one.
    """

    run: RunContext
    outputs: RunOutputs
    facts: RunFacts
    change: Change | None
    code_version: str
    earlier: EarlierWeek | None = None


@dataclass(frozen=True)
class Card:
    """A key figure at the top of the page: label, value and explanation."""

    label: str
    figure: str
    detail: str


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


def render_report(data: ReportData) -> str:
    """Render the page.

    Args:
        data: tables and facts of the run. The page leaves out missing tables or says that they are missing.

    Returns:
        HTML with embedded styles and images, without external references.
    """
    return _template().render(page=Page(data), colors=COLORS, percent=percent, number=number, day=day)


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE)


class Page:
    """The values that the template uses."""

    def __init__(self, data: ReportData) -> None:
        """Sort the champions, so that the page does not depend on the row order of the tables."""
        self.data = data
        self.run, self.facts, self.outputs = data.run, data.facts, data.outputs
        self.settings = data.run.settings
        champions = data.outputs.champions
        self._champions = champions.iloc[row_order(champions, SERIES)].reset_index(drop=True)

    @property
    def period_words(self) -> tuple[str, str]:
        """Name of a period, singular and plural."""
        return _PERIOD_WORDS[self.settings.period.kind]

    @property
    def horizon(self) -> pd.DatetimeIndex:
        """Labels of the forecast periods."""
        return self.settings.period.range(self.run.as_of, self.settings.horizon)

    @cached_property
    def accuracy(self) -> Accuracy | None:
        """Backtest errors; None without known actuals."""
        if self.outputs.backtest.empty or self._champions.empty:
            return None
        accuracy = Accuracy(self.outputs.backtest, self._champions)
        return accuracy if accuracy.known else None

    @property
    def headlines(self) -> list[str]:
        """Remarks that concern the whole page."""
        return headlines(self.run, self.facts)

    @property
    def remarks(self) -> list[Remarks]:
        """Warnings and remarks by type."""
        return remarks(self.facts)

    @property
    def cards(self) -> list[Card]:
        """Key figures at the top of the page."""
        return [self._targets_card(), *self._accuracy_cards(), self._cost_card(), self._series_card()]

    @property
    def model_table(self) -> Table | None:
        """Errors of models and baselines."""
        return None if self.accuracy is None else tables.model_table(self.accuracy, self.outputs.metrics)

    @property
    def band_titles(self) -> list[str]:
        """Names of the acceptance bands, best first."""
        return [METRICS[band].title for band in ACCEPTANCE_BANDS]

    @cached_property
    def band_bars(self) -> list[Bar]:
        """Acceptance bands as bars."""
        if self.accuracy is None:
            return []
        return tables.band_bars(self.accuracy, self.outputs.metrics, self._champions)

    @property
    def bands_table(self) -> Table:
        """Acceptance bands as a table."""
        return tables.bands_table(self.band_bars)

    @property
    def champions_table(self) -> Table:
        """Series and champions per model."""
        return tables.champions_table(self._champions, self.outputs.forecast, self.facts.failures)

    @property
    def fallbacks_table(self) -> Table:
        """Number of fallbacks by stage and reason."""
        return tables.fallbacks_table(self.facts.failures)

    @property
    def movers_table(self) -> Table | None:
        """Largest changes of targets; None without an earlier file or without changes."""
        change = self.data.change
        return None if change is None or change.rows.empty else tables.movers_table(change)

    @property
    def moved_stores_table(self) -> Table | None:
        """Changes of targets by store; None without an earlier file or without changes."""
        change = self.data.change
        return None if change is None or change.rows.empty else tables.moved_stores_table(change)

    @property
    def visits_maps(self) -> list[Drawing]:
        """Maps of deliveries by store and period; empty without deliveries."""
        if self.outputs.visits.empty:
            return []
        stores = self._champions[c.STORE_ID].astype(str).unique().tolist()
        return list(visits_maps(self.outputs.visits, stores, self.horizon))

    @property
    def overrides_table(self) -> Table | None:
        """Planners' overrides; None without overrides."""
        return tables.overrides_table(self.facts.overrides) if self.facts.overrides else None

    @property
    def cost_table(self) -> Table:
        """Costs by policy as a table."""
        return tables.cost_table(self.outputs.costs)

    @property
    def bound_scope(self) -> str:
        """Plans and demand for which the lower bound is valid; empty if the table does not have it."""
        costs = self.outputs.costs
        return str(costs[c.BOUND_HOLDS_FOR].iloc[0]) if c.BOUND_HOLDS_FOR in costs.columns and len(costs) else ""

    @property
    def cost_bars(self) -> list[Bar]:
        """Costs by policy as bars."""
        return tables.cost_bars(self.outputs.costs)

    @property
    def visits_drawing(self) -> Drawing | None:
        """Deliveries by period; None without deliveries."""
        if self.outputs.visits.empty:
            return None
        return visits_figure(self.outputs.visits, self.horizon, self.settings.inventory.max_visits_per_period)

    @property
    def reason_tables(self) -> list[tuple[str, Table]]:
        """Explanations of the targets by title; empty without explanations."""
        explanations = self.outputs.explanations
        if explanations is None or explanations.empty:
            return []
        constrained = reasons.constrained_table(explanations)
        title = "Targets furthest below the forecast because of a constraint, stock included"
        return [
            ("Binding constraints", reasons.constraints_table(explanations)),
            ("Largest targets", reasons.largest_table(explanations)),
            *([(title, constrained)] if constrained else []),
        ]

    @property
    def shortage_table(self) -> Table | None:
        """Shortages by constraint; None without shortages."""
        shortages = self.outputs.shortages
        return None if shortages is None or shortages.empty else reasons.shortage_table(shortages)

    @property
    def inputs_table(self) -> Table:
        """Source files."""
        return tables.inputs_table(self.facts)

    @property
    def reasons_table(self) -> Table:
        """Reasons for quarantined rows."""
        return tables.reasons_table(self.facts)

    @property
    def cleaning_log_table(self) -> Table | None:
        """Counts of the cleaning log; None if it is empty."""
        cleaning_log = self.outputs.cleaning_log
        return None if cleaning_log is None or cleaning_log.empty else tables.cleaning_log_table(cleaning_log)

    @property
    def summary_tables(self) -> list[tuple[str, Table]]:
        """Additional tables of the stages, by title."""
        return tables.summary_tables(self.facts.summary)

    @property
    def band_words(self) -> str:
        """Description of the quantile band in the figures; empty if the settings have one quantile."""
        levels = self.settings.quantiles
        if len(levels) == 1:
            return ""
        return f"{percent(levels[-1] - levels[0], 0)} band (quantiles {levels[0]:g} to {levels[-1]:g})"

    @cached_property
    def _forecast_frames(self) -> ForecastFrames | None:
        history, outputs = self.outputs.history, self.outputs
        if history is None or history.empty or self._champions.empty:
            return None
        return ForecastFrames.of(self._champions, history, outputs.backtest, outputs.forecast)

    @property
    def network_chart(self) -> Chart | None:
        """Total demand and forecast; None without history."""
        frames = self._forecast_frames
        if frames is None:
            return None
        drawing = forecast_figure(frames.total(), 0, "Network: demand and forecast", width=1120, height=260)
        return Chart("Network", f"units per {self.period_words[0]}, mean forecast", drawing)

    @property
    def series_charts(self) -> list[Chart]:
        """Demand and forecast of the largest series."""
        frames = self._forecast_frames
        if frames is None or self.outputs.history is None:
            return []
        positions = largest_series(self.outputs.history, self._champions, SERIES_SHOWN)
        quantiles = c.quantile_columns(self.settings.quantiles)
        curves = frames.of_series(positions, (quantiles[0], quantiles[-1]) if len(quantiles) > 1 else None)
        errors = None if self.accuracy is None else self.accuracy.of_series()
        charts = []
        for row, position in enumerate(positions):
            store, category, model = self._champions.loc[position, [*SERIES, c.MODEL]]
            error = "" if errors is None else f" · WAPE {percent(errors[position])}"
            title = f"{store} · {category}"
            charts.append(
                Chart(title, f"{model}{error}", forecast_figure(curves, row, f"{title}: demand and forecast"))
            )
        return charts

    @cached_property
    def _stock_figures(self) -> StockFigures | None:
        frame = self.outputs.stock_by_day
        return None if frame is None or frame.empty else StockFigures(frame, self._policies_shown)

    @property
    def stock_policies(self) -> list[str]:
        """Policies in the stock figures, the chosen one first; empty without figures."""
        return [] if self._stock_figures is None else self._stock_figures.policies

    @property
    def store_pages(self) -> Iterator[StorePage]:
        """Stock figures of all stores, in groups."""
        if self._stock_figures is None:
            return
        cards = self._stock_figures.cards()
        for start in range(0, len(cards), STORES_PER_PAGE):
            page = cards[start : start + STORES_PER_PAGE]
            over = sum(card.over_capacity for card in page)
            heading = f"{len(page)} of {number(len(cards))} stores, {page[0].store} to {page[-1].store}"
            yield StorePage(f"{heading}{f' · {over} over capacity in some periods' if over else ''}", page)

    @property
    def _policies_shown(self) -> list[str]:
        """The chosen policy and EOQ, or the chosen policy and the cheapest other one."""
        ordered = self.outputs.costs.sort_values([c.TOTAL, c.POLICY], kind="stable")
        names = [str(name) for name in ordered[c.POLICY]]
        chosen = [name for name, flag in zip(names, ordered[c.CHOSEN].astype(bool), strict=True) if flag]
        others = sorted((name for name in names if name not in chosen), key=lambda name: name != _REFERENCE_POLICY)
        return [*chosen, *others][:2]

    def _targets_card(self) -> Card:
        targets = self.outputs.replenishment
        units = number(float(targets[c.TARGET_QUANTITY].sum()))
        pairs = f"{len(targets):,} store-SKU pairs in {targets[c.STORE_ID].nunique():,} stores"
        change = self.data.change
        moved = "the first file" if change is None else f"{percent(change.share)} changed since {day(change.against)}"
        return Card("Target stock", f"{units} units", f"{pairs}; {moved}")

    def _accuracy_cards(self) -> list[Card]:
        if self.accuracy is None:
            return [Card("Forecast error (WAPE)", "unknown", "no backtest period has a known actual")]
        pooled = self.accuracy.of_champions
        reduction = f"error reduction {percent(pooled.gain, 0)}"
        baseline = f"baseline {pooled.baseline} {percent(pooled.baseline_wape)}; {reduction}"
        return [
            Card(
                "Forecast error (WAPE)",
                percent(pooled.wape),
                baseline if pooled.baseline else "no baseline on the same series",
            ),
            Card("Bias", percent(pooled.bias, signed=True), "of units sold; above 0 the forecast is too high"),
        ]

    def _cost_card(self) -> Card:
        costs = self.outputs.costs
        chosen = costs[costs[c.CHOSEN].astype(bool)].iloc[0]
        others = costs[~costs[c.CHOSEN].astype(bool)].sort_values([c.TOTAL, c.POLICY], kind="stable")
        named = ", ".join(
            f"{row[c.POLICY]} {quantity(float(row[c.TOTAL]))}" for row in others.head(3).to_dict("records")
        )
        detail = f"policy {chosen[c.POLICY]}" + (f"; other policies: {named}" if named else "")
        return Card("Expected cost of the plan", quantity(float(chosen[c.TOTAL])), detail)

    def _series_card(self) -> Card:
        stores = self._champions[c.STORE_ID].nunique()
        live = self.outputs.forecast[self.outputs.forecast[c.CHAMPION].astype(bool)]
        units = quantity(float(live[c.MEAN].sum()))
        detail = f"in {stores:,} stores; {units} units expected over {self.settings.horizon} {self.period_words[1]}"
        return Card("Series forecast", number(len(self._champions)), detail)
