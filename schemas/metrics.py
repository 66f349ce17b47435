"""The facts about each accuracy metric: what it measures, its unit, and whether it may rank models.

:mod:`tasks.evaluation.metrics.definitions` holds the formula of each metric. It fails on import if a metric of this
module has no formula. The columns of ``metrics.parquet``, the headings of the report, the first columns of the
comparison artifact and ``docs/reference/metrics.md`` follow from these records.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas import columns as c


class Direction(StrEnum):
    """Whether a low or a high figure is better."""

    LOWER = "lower is better"
    HIGHER = "higher is better"
    TARGET = "closest to the target is best"
    NEITHER = "neither"


class Judged(StrEnum):
    """The part of a forecast that a metric compares with the actuals."""

    MEDIAN = "median"
    MEAN = "mean"
    QUANTILES = "quantiles"


@dataclass(frozen=True)
class MetricFacts:
    """One metric.

    Attributes:
        name: column of ``metrics.parquet``.
        title: name in the report, without the unit.
        formula: definition in text; y = actual, f = forecast, both in units, sums over rows with a known actual.
        unit: ``units``, ``fraction``, ``ratio`` (no unit) or ``currency per series and period``.
        judged: the part of the forecast that is compared.
        direction: which figures are better.
        optimum: the best possible figure; None if it depends on the settings or does not exist.
        undefined: when the figure is null. Without any counted row, every metric is null.
        evaluate_only: the metric is reported and never ranks models.
        in_report: the report's model table has a column for it.
        as_percent: people read it as a percentage.
        headline: the comparison artifact shows it among the first columns.
        unreadable_above: artifacts leave out larger figures; None = no limit.
    """

    name: str
    title: str
    formula: str
    unit: str
    judged: Judged
    direction: Direction = Direction.LOWER
    optimum: float | None = 0.0
    undefined: str = "never"
    evaluate_only: bool = False
    in_report: bool = False
    as_percent: bool = False
    headline: bool = False
    unreadable_above: float | None = None

    @property
    def heading(self) -> str:
        """Column heading: the title, with the unit if it is units.

        >>> METRICS[c.MAE].heading, METRICS[c.WAPE].heading
        ('MAE, units', 'WAPE')
        """
        return f"{self.title}, units" if self.unit == "units" else self.title


_NOTHING_SOLD = "all actuals are 0, unless the forecast is 0 too: then 0"
_NO_SCALE = "no series has a scale above 0"


def _band(name: str, title: str, range_text: str, direction: Direction, optimum: float | None) -> MetricFacts:
    return MetricFacts(
        name,
        title,
        f"rows with {range_text} / rows",
        "fraction",
        Judged.MEDIAN,
        direction,
        optimum,
        evaluate_only=direction is Direction.NEITHER,
        as_percent=True,
        headline=direction is not Direction.NEITHER,
    )


# In the order of the columns of metrics.parquet.
_PUBLISHED = (
    MetricFacts(c.MAE, "MAE", "mean |y - f|", "units", Judged.MEDIAN, in_report=True),
    MetricFacts(c.RMSE, "RMSE", "sqrt(mean (y - f)^2)", "units", Judged.MEAN, in_report=True),
    MetricFacts(
        c.MAPE,
        "MAPE",
        "mean |y - f| / max(|y|, 1e-6)",
        "fraction",
        Judged.MEDIAN,
        evaluate_only=True,
        as_percent=True,
        unreadable_above=10.0,
    ),
    MetricFacts(
        c.WAPE,
        "WAPE",
        "sum |y - f| / sum |y|",
        "fraction",
        Judged.MEDIAN,
        undefined=_NOTHING_SOLD,
        as_percent=True,
        headline=True,
    ),
    MetricFacts(
        c.MASE,
        "MASE",
        "mean over series and folds of: mean |y - f| / scale",
        "ratio",
        Judged.MEDIAN,
        undefined=_NO_SCALE,
        in_report=True,
    ),
    MetricFacts(
        c.RMSSE,
        "RMSSE",
        "mean over series and folds of: sqrt(mean (y - f)^2 / squared scale)",
        "ratio",
        Judged.MEAN,
        undefined=_NO_SCALE,
        in_report=True,
    ),
    MetricFacts(
        c.R2,
        "R²",
        "1 - sum (y - f)^2 / sum (y - mean y)^2",
        "ratio",
        Judged.MEAN,
        Direction.HIGHER,
        optimum=1.0,
        undefined="the actuals do not vary",
        in_report=True,
    ),
    MetricFacts(
        c.BIAS,
        "Bias",
        "sum (f - y) / sum |y|",
        "fraction",
        Judged.MEAN,
        Direction.TARGET,
        undefined=_NOTHING_SOLD,
        evaluate_only=True,
        as_percent=True,
        headline=True,
    ),
    MetricFacts(
        c.WQL,
        "wQL",
        "mean over quantile levels q of: 2 sum max(q (y - f), (q - 1) (y - f)) / sum |y|",
        "fraction",
        Judged.QUANTILES,
        undefined=_NOTHING_SOLD,
        in_report=True,
    ),
    MetricFacts(
        c.COVERAGE,
        "Coverage of band",
        "rows with lowest <= y <= highest quantile of the outermost symmetric pair / rows",
        "fraction",
        Judged.QUANTILES,
        Direction.TARGET,
        optimum=None,
        undefined="no two quantile levels are symmetric",
        evaluate_only=True,
        in_report=True,
        as_percent=True,
        headline=True,
    ),
    _band(c.SHARE_EXCELLENT, "Excellent (Excelente)", "f within 5 % of y", Direction.HIGHER, 1.0),
    _band(c.SHARE_GOOD, "Good (Bueno)", "f within 10 %, not within 5 % of y", Direction.NEITHER, None),
    _band(c.SHARE_ACCEPTABLE, "Acceptable (Aceptable)", "f within 20 %, not within 10 % of y", Direction.NEITHER, None),
    _band(c.SHARE_POOR, "Poor (Necesita mejora)", "f further than 20 % from y", Direction.LOWER, 0.0),
)
METRICS = {facts.name: facts for facts in _PUBLISHED}
# Only in tables of runs that rank models by the simulated inventory cost; after all other columns.
INVENTORY_COST = MetricFacts(
    c.INVENTORY_COST,
    "Inventory cost a period",
    "sum of simulated inventory costs / rows with a counted cost",
    "currency per series and period",
    Judged.QUANTILES,
    undefined="no cost was simulated",
    headline=True,
)
ACCEPTANCE_BANDS = (c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR)
HEADLINES = tuple(facts.name for facts in (INVENTORY_COST, *_PUBLISHED) if facts.headline)


def readable(name: str, figure: float | None) -> float | None:
    """The figure, or None if people cannot use it (``unreadable_above``).

    >>> readable(c.MAPE, 12.0), readable(c.MAPE, 0.4), readable(c.MAE, 12.0)
    (None, 0.4, 12.0)
    """
    facts = METRICS.get(name)
    if facts is None or facts.unreadable_above is None or figure is None:
        return figure
    return None if figure > facts.unreadable_above else figure
