"""``report.html``: a self-contained page for planners, with equal bytes for equal runs."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from schemas import columns as c
from schemas.outputs import SERIES, Change, EarlierWeek, RunFacts, RunOutputs
from schemas.run import RunContext
from tasks.report import model_tables, reasons, remarks, tables
from tasks.report.accuracy import Accuracy
from tasks.report.calendar_weeks import ForecastComparison
from tasks.report.charts import Charts
from tasks.report.costs import Costs
from tasks.report.drawing import COLORS
from tasks.report.drift import drift_table
from tasks.report.formats import Table
from tasks.report.language import Language, message
from tasks.report.review_accuracy import (
    CATEGORY,
    PAIR,
    STORE,
    ReviewAccuracy,
    groups_table,
    levels_table,
    poisson_error,
)
from tasks.report.tables import Bar
from tasks.report.week import Card, Week
from tasks.storage.row_order import row_order

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "report.html.j2"
_PERIOD_WORDS = {
    "D": (message("day"), message("days")),
    "W": (message("week"), message("weeks")),
    "MS": (message("month"), message("months")),
}


@dataclass(frozen=True)
class ReportData:
    """Data of the report.

    Attributes:
        run: settings, ``as_of`` and scope.
        outputs: tables of the run; tables for figures may be missing or empty.
        facts: other facts of the run.
        change: changes since the last earlier replenishment file; None if it does not exist.
        code_version: version of the code that computed the run.
        earlier: tables of the last earlier publication; None if it does not exist.
    """

    run: RunContext
    outputs: RunOutputs
    facts: RunFacts
    change: Change | None
    code_version: str
    earlier: EarlierWeek | None = None


def render_report(data: ReportData) -> str:
    """Render the page in the language of the settings.

    Args:
        data: tables and facts of the run. The page leaves out missing tables or says that they are missing.

    Returns:
        HTML with embedded styles, images and one script, without external references. A content security policy
        allows only these: the browser runs no other script, whatever the data contain.
    """
    from markupsafe import Markup

    page = Page(data)
    style, script = _style(), (TEMPLATES / "report.js").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    # Style and script are files of the product, not data.
    parts = {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704
    return template().render(page=page, say=page.say, **parts)


@cache
def template() -> Template:
    """Return the compiled template of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE)


def _style() -> str:
    colors = "".join(f"--{name}:{color};" for name, color in COLORS.items())
    return f":root{{{colors}}}\n{(TEMPLATES / 'report.css').read_text(encoding='utf-8')}"


def _source_hash(text: str) -> str:
    """Return the hash of an inline style or script, as a content security policy names it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}"


class Page:
    """The values that the template uses.

    Attributes:
        say: language of the page.
    """

    def __init__(self, data: ReportData) -> None:
        """Sort the champions, so that the page does not depend on the row order of the tables."""
        self.data = data
        self.run, self.facts, self.outputs = data.run, data.facts, data.outputs
        self.settings = data.run.settings
        self.say = Language.of(self.settings)
        champions = data.outputs.champions
        self._champions = champions.iloc[row_order(champions, SERIES)].reset_index(drop=True)

    @property
    def period_words(self) -> tuple[str, str]:
        """Name of a period, singular and plural."""
        one, many = _PERIOD_WORDS[self.settings.period.kind]
        return self.say.known(one), self.say.known(many)

    def span(self, count: int) -> str:
        """Return a number of periods in words, for example 7 days."""
        return f"{self.say.number(count)} {self.period_words[0 if count == 1 else 1]}"

    @property
    def horizon(self) -> pd.DatetimeIndex:
        """Labels of the forecast periods."""
        return self.settings.period.range(self.run.as_of, self.settings.horizon)

    @property
    def alerts(self) -> list[remarks.Alert]:
        """Alarms and warnings, the most severe first."""
        return remarks.alerts(self.run, self.facts, self.say)

    @property
    def infos(self) -> list[remarks.Alert]:
        """Alarms that only inform."""
        return remarks.infos(self.facts, self.say)

    @property
    def remarks(self) -> list[remarks.Remarks]:
        """Remarks of the stages by type."""
        return remarks.remarks(self.facts, self.say)

    @cached_property
    def week(self) -> Week:
        """What to send, changes and exceptions."""
        return Week(self.run, self.outputs, self.facts, self.data.change, self.data.earlier)

    @cached_property
    def cards(self) -> list[Card]:
        """Key figures at the top of the page."""
        rate, detail = self.costs.figure
        fill = Card(self.say("Fill rate"), rate, detail, red=self.costs.below_service_level)
        return [*self.week.cards, fill, self._forecast_card(), self._accuracy_card()]

    @cached_property
    def costs(self) -> Costs:
        """Costs of the plan and of the other policies."""
        return Costs(self.outputs.costs, self.settings.inventory.service_level, self.say)

    @cached_property
    def comparison(self) -> ForecastComparison:
        """The forecast with last year's sales and the previous forecast."""
        return ForecastComparison(self._live, self.outputs.last_year, self.data.earlier, self.settings.period)

    @cached_property
    def accuracy(self) -> Accuracy | None:
        """Backtest errors of single periods; None without known actuals."""
        if self.outputs.backtest.empty or self._champions.empty:
            return None
        accuracy = Accuracy(self.outputs.backtest, self._champions)
        return accuracy if accuracy.known else None

    @cached_property
    def review(self) -> ReviewAccuracy | None:
        """Backtest errors of sums over the lead time and the review period; None without known actuals."""
        if self.accuracy is None:
            return None
        inventory = self.settings.inventory
        periods = inventory.lead_time + inventory.review_period
        review = ReviewAccuracy(self.outputs.backtest, self._champions, periods)
        return review if review.known else None

    @property
    def review_tables(self) -> list[tuple[str, Table]]:
        """Errors of sums by level, by store and by category, with titles."""
        if self.review is None:
            return []
        return [
            (self.say("All levels"), levels_table(self.review, self.say)),
            (self.say("By store"), groups_table(self.review, c.STORE_ID, self.say)),
            (self.say("By category"), groups_table(self.review, c.CATEGORY, self.say)),
        ]

    @property
    def smallest_error(self) -> str:
        """Error of single periods that remains with a perfect forecast of Poisson demand."""
        return self.say.percent(poisson_error(self.outputs.backtest), 0)

    @property
    def model_table(self) -> Table | None:
        """Errors of models and baselines."""
        return (
            None if self.accuracy is None else model_tables.model_table(self.accuracy, self.outputs.metrics, self.say)
        )

    @property
    def band_titles(self) -> list[str]:
        """Names of the acceptance bands, best first."""
        return model_tables.band_titles(self.say)

    @cached_property
    def band_bars(self) -> list[Bar]:
        """Acceptance bands as bars."""
        if self.accuracy is None:
            return []
        return model_tables.band_bars(self.accuracy, self.outputs.metrics, self._champions, self.say)

    @property
    def bands_table(self) -> Table:
        """Acceptance bands as a table."""
        return model_tables.bands_table(self.band_bars, self.say)

    @property
    def champions_table(self) -> Table:
        """Series and champions per model."""
        return model_tables.champions_table(self._champions, self.outputs.forecast, self.facts.failures, self.say)

    @property
    def fallbacks_table(self) -> Table:
        """Number of fallbacks by stage and reason."""
        return tables.fallbacks_table(self.facts.failures, self.say)

    @cached_property
    def charts(self) -> Charts:
        """Figures of forecasts, deliveries and stock."""
        return Charts(self.run, self.outputs, self._champions, self.say)

    @property
    def reason_tables(self) -> list[tuple[str, Table]]:
        """Explanations of the targets by title; empty without explanations."""
        explanations, say, names = self.outputs.explanations, self.say, self.week.names
        if explanations is None or explanations.empty:
            return []
        constrained = reasons.constrained_table(explanations, say, names)
        title = say("Largest shortfalls: forecast not covered because of a constraint, stock included")
        return [
            (say("Binding constraints"), reasons.constraints_table(explanations, say)),
            (say("Largest targets"), reasons.largest_table(explanations, say, names)),
            *([(title, constrained)] if constrained else []),
        ]

    @property
    def shortage_table(self) -> Table | None:
        """Shortages by constraint; None without shortages."""
        shortages = self.outputs.shortages
        if shortages is None or shortages.empty:
            return None
        return reasons.shortage_table(shortages, self.say, self.week.names)

    @property
    def inputs_table(self) -> Table:
        """Source files."""
        return tables.inputs_table(self.facts, self.say)

    @property
    def reasons_table(self) -> Table:
        """Reasons for rejected rows."""
        return tables.reasons_table(self.facts, self.say)

    @property
    def changes_table(self) -> Table:
        """Drift of inputs and of forecast errors."""
        return drift_table(self.facts.changes, self.say)

    @property
    def cleaning_log_table(self) -> Table | None:
        """Counts of the cleaning log; None if it is empty."""
        log = self.outputs.cleaning_log
        return None if log is None or log.empty else tables.cleaning_log_table(log, self.say)

    @property
    def summary_tables(self) -> list[tuple[str, Table]]:
        """Additional tables of the stages, by title."""
        return tables.summary_tables(self.facts.summary, self.say)

    @cached_property
    def _live(self) -> pd.DataFrame:
        return self.outputs.forecast[self.outputs.forecast[c.CHAMPION].astype(bool)]

    def _forecast_card(self) -> Card:
        say = self.say
        label = say("Forecast, {periods}", periods=self.span(self.settings.horizon))
        units = say("{units} units", units=say.number(float(self._live[c.MEAN].sum())))
        change = say.percent(self.comparison.change_on_last_year, signed=True)
        return Card(label, units, say("{change} against last year's sales of the same periods", change=change))

    def _accuracy_card(self) -> Card:
        say = self.say
        if self.review is None:
            label = say("Forecast error")
            return Card(label, say("unknown"), say("no backtest period has a known actual"))
        label = say("Forecast error, sums of {periods}", periods=self.span(self.review.periods))
        found = {level: say.percent(self.review.of(level).error) for level in (STORE, CATEGORY, PAIR)}
        detail = say(
            "per store; per category {category}; per store and category {series}",
            category=found[CATEGORY],
            series=found[PAIR],
        )
        return Card(label, found[STORE], detail)
