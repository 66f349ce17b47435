"""``report.html``: one self-contained page for the planner, the same bytes for the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS, METRICS
from schemas.outputs import SERIES, Change, RunFacts, RunOutputs
from schemas.run import RunContext
from tasks.report import reasons, tables
from tasks.report.accuracy import Accuracy, largest_series
from tasks.report.drawing import COLOURS, Drawing
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
_BASELINE = "eoq"
_PERIOD_WORDS = {"D": ("day", "days"), "W": ("week", "weeks"), "MS": ("month", "months")}


@dataclass(frozen=True)
class ReportData:
    """What the report is made from.

    Attributes:
        run: settings, ``as_of`` and scope.
        outputs: the run's tables; those for figures may be absent or empty.
        facts: what the run knows about itself.
        change: against the last earlier replenishment file; None where there is none.
        code_version: of the code that made the run.
    """

    run: RunContext
    outputs: RunOutputs
    facts: RunFacts
    change: Change | None
    code_version: str


@dataclass(frozen=True)
class Card:
    """A figure of the headline: what it is, the figure, and a line that explains it."""

    label: str
    figure: str
    detail: str


@dataclass(frozen=True)
class Chart:
    """A drawing with its caption."""

    title: str
    detail: str
    drawing: Drawing


@dataclass(frozen=True)
class StorePage:
    """Stores shown together: a heading and their cards."""

    heading: str
    cards: Sequence[StoreCard]


def render_report(data: ReportData) -> str:
    """Render the page.

    Args:
        data: frames in the contract's form and facts; what is absent is left out of the page, or told.

    Returns:
        HTML with embedded style and pictures; it refers to no address outside itself.
    """
    return _template().render(page=Page(data), colours=COLOURS, percent=percent, number=number, day=day)


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
    """Everything that the template asks for, by name."""

    def __init__(self, data: ReportData) -> None:
        """Order what the run's frames leave open, so that their row order shows nowhere."""
        self.data = data
        self.run, self.facts, self.outputs = data.run, data.facts, data.outputs
        self.settings = data.run.settings
        champions = data.outputs.champions
        self._champions = champions.iloc[row_order(champions, SERIES)].reset_index(drop=True)

    @property
    def period_words(self) -> tuple[str, str]:
        """The period's name, singular and plural."""
        return _PERIOD_WORDS[self.settings.period.kind]

    @property
    def horizon(self) -> pd.DatetimeIndex:
        """The labels that are forecast."""
        return self.settings.period.range(self.run.as_of, self.settings.horizon)

    @cached_property
    def accuracy(self) -> Accuracy | None:
        """Backtest errors; None where nothing can be judged."""
        if self.outputs.backtest.empty or self._champions.empty:
            return None
        accuracy = Accuracy(self.outputs.backtest, self._champions)
        return accuracy if accuracy.known else None

    @property
    def headlines(self) -> list[str]:
        """What every figure depends on."""
        return headlines(self.run, self.facts)

    @property
    def remarks(self) -> list[Remarks]:
        """Warnings and remarks by kind."""
        return remarks(self.facts)

    @property
    def cards(self) -> list[Card]:
        """The headline."""
        return [self._targets_card(), *self._accuracy_cards(), self._cost_card(), self._series_card()]

    @property
    def model_table(self) -> Table | None:
        """Models and baselines."""
        return None if self.accuracy is None else tables.model_table(self.accuracy, self.outputs.metrics)

    @property
    def band_titles(self) -> list[str]:
        """Names of the acceptance bands, best first."""
        return [METRICS[band].title for band in ACCEPTANCE_BANDS]

    @cached_property
    def band_bars(self) -> list[Bar]:
        """Acceptance bands."""
        if self.accuracy is None:
            return []
        return tables.band_bars(self.accuracy, self.outputs.metrics, self._champions)

    @property
    def bands_table(self) -> Table:
        """The figures of the acceptance bands."""
        return tables.bands_table(self.band_bars)

    @property
    def champions_table(self) -> Table:
        """Champions per model."""
        return tables.champions_table(self._champions, self.outputs.forecast, self.facts.failures)

    @property
    def fallbacks_table(self) -> Table:
        """Fallbacks, counted."""
        return tables.fallbacks_table(self.facts.failures)

    @property
    def movers_table(self) -> Table | None:
        """Largest changes; None without an earlier file or without a change."""
        change = self.data.change
        return None if change is None or change.rows.empty else tables.movers_table(change)

    @property
    def moved_stores_table(self) -> Table | None:
        """Changes by store; None without an earlier file or without a change."""
        change = self.data.change
        return None if change is None or change.rows.empty else tables.moved_stores_table(change)

    @property
    def visits_maps(self) -> list[Drawing]:
        """Which store is visited when; empty without visits."""
        if self.outputs.visits.empty:
            return []
        stores = self._champions[c.STORE_ID].astype(str).unique().tolist()
        return list(visits_maps(self.outputs.visits, stores, self.horizon))

    @property
    def overrides_table(self) -> Table | None:
        """Planners' overrides; None where none was given."""
        return tables.overrides_table(self.facts.overrides) if self.facts.overrides else None

    @property
    def cost_table(self) -> Table:
        """Costs by policy."""
        return tables.cost_table(self.outputs.costs)

    @property
    def bound_scope(self) -> str:
        """For which plans and which demand the lower bound holds; empty where the table does not say."""
        costs = self.outputs.costs
        return str(costs[c.BOUND_HOLDS_FOR].iloc[0]) if c.BOUND_HOLDS_FOR in costs.columns and len(costs) else ""

    @property
    def cost_bars(self) -> list[Bar]:
        """Costs by policy as bars."""
        return tables.cost_bars(self.outputs.costs)

    @property
    def visits_drawing(self) -> Drawing | None:
        """Visits by period; None without visits."""
        if self.outputs.visits.empty:
            return None
        return visits_figure(self.outputs.visits, self.horizon, self.settings.inventory.max_visits_per_period)

    @property
    def reason_tables(self) -> list[tuple[str, Table]]:
        """Why targets are what they are; empty where the run does not tell."""
        told = self.outputs.explanations
        if told is None or told.empty:
            return []
        bound = reasons.bound_table(told)
        return [
            ("What decided the targets", reasons.limits_table(told)),
            ("The largest targets", reasons.largest_table(told)),
            *([("Furthest below their forecast because of a limit, stock counted", bound)] if bound else []),
        ]

    @property
    def shortage_table(self) -> Table | None:
        """Shortages by constraint; None if there are none."""
        shortages = self.outputs.shortages
        return None if shortages is None or shortages.empty else reasons.shortage_table(shortages)

    @property
    def inputs_table(self) -> Table:
        """Source files."""
        return tables.inputs_table(self.facts)

    @property
    def reasons_table(self) -> Table:
        """Reasons of rejected rows."""
        return tables.reasons_table(self.facts)

    @property
    def cleaning_log_table(self) -> Table | None:
        """What cleaning did; None where it did nothing."""
        cleaning_log = self.outputs.cleaning_log
        return None if cleaning_log is None or cleaning_log.empty else tables.cleaning_log_table(cleaning_log)

    @property
    def summary_tables(self) -> list[tuple[str, Table]]:
        """Further tables of the stages."""
        return tables.summary_tables(self.facts.summary)

    @property
    def band_words(self) -> str:
        """What the band of the figures covers; empty where the settings have one quantile only."""
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
        """Total demand and its forecast."""
        frames = self._forecast_frames
        if frames is None:
            return None
        drawing = forecast_figure(frames.total(), 0, "Whole network: demand and forecast", width=1120, height=260)
        return Chart("Whole network", f"units per {self.period_words[0]}, mean forecast", drawing)

    @property
    def series_charts(self) -> list[Chart]:
        """The largest series and their forecasts."""
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
        """The policies whose stock is drawn, the chosen one first; empty without figures."""
        return [] if self._stock_figures is None else self._stock_figures.policies

    @property
    def store_pages(self) -> Iterator[StorePage]:
        """Every store's stock, some stores a page."""
        if self._stock_figures is None:
            return
        cards = self._stock_figures.cards()
        for start in range(0, len(cards), STORES_PER_PAGE):
            page = cards[start : start + STORES_PER_PAGE]
            crowded = sum(card.crowded for card in page)
            words = f"{len(page)} of {number(len(cards))} stores, {page[0].store} to {page[-1].store}"
            yield StorePage(f"{words}{f' · {crowded} over capacity at times' if crowded else ''}", page)

    @property
    def _policies_shown(self) -> list[str]:
        """The chosen policy beside the baseline, or beside the cheapest other one."""
        ordered = self.outputs.costs.sort_values([c.TOTAL, c.POLICY], kind="stable")
        names = [str(name) for name in ordered[c.POLICY]]
        chosen = [name for name, flag in zip(names, ordered[c.CHOSEN].astype(bool), strict=True) if flag]
        others = sorted((name for name in names if name not in chosen), key=lambda name: name != _BASELINE)
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
            return [Card("Forecast error (WAPE)", "not known", "no backtest period with a known actual")]
        pooled = self.accuracy.of_champions
        reduction = f"error reduction {percent(pooled.gain, 0)}"
        baseline = f"baseline {pooled.baseline} {percent(pooled.baseline_wape)}; {reduction}"
        return [
            Card(
                "Forecast error (WAPE)",
                percent(pooled.wape),
                baseline if pooled.baseline else "no baseline on the same series",
            ),
            Card("Bias", percent(pooled.bias, signed=True), "of units sold; above 0 = forecast too much"),
        ]

    def _cost_card(self) -> Card:
        costs = self.outputs.costs
        chosen = costs[costs[c.CHOSEN].astype(bool)].iloc[0]
        others = costs[~costs[c.CHOSEN].astype(bool)].sort_values([c.TOTAL, c.POLICY], kind="stable")
        named = ", ".join(
            f"{row[c.POLICY]} {quantity(float(row[c.TOTAL]))}" for row in others.head(3).to_dict("records")
        )
        detail = f"policy {chosen[c.POLICY]}" + (f"; instead of {named}" if named else "")
        return Card("Expected cost of the plan", quantity(float(chosen[c.TOTAL])), detail)

    def _series_card(self) -> Card:
        stores = self._champions[c.STORE_ID].nunique()
        live = self.outputs.forecast[self.outputs.forecast[c.CHAMPION].astype(bool)]
        units = quantity(float(live[c.MEAN].sum()))
        detail = f"in {stores:,} stores; {units} units expected over {self.settings.horizon} {self.period_words[1]}"
        return Card("Series forecast", number(len(self._champions)), detail)
