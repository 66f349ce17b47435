"""The performance tables in the lake: what was published, compared with what happened (docs/reference/performance.md).

Every table is append-only: a file is written once and never changed. A restatement is a new version.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas import columns as c

FOLDER = "performance"
# Values of the column level.
OVERALL, STORE, CATEGORY = "overall", "store", "category"
# Lag of rows over all known periods.
ALL_LAGS = 0
# Model of the rows about the forecast that the plan used: each series has the forecast of its champion.
CHAMPION = "champion"
# Model of the rows that compare with the sales of a year before, which planners would use without a forecast.
LAST_YEAR = "last_year"


class Kind(StrEnum):
    """Type of a column: its Parquet type."""

    DATE = "date"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


class Step(StrEnum):
    """Steps of the forecast value added, in order."""

    SEASONAL_NAIVE = "seasonal_naive"
    BEST_SINGLE = "best_single"
    CHAMPION = "champion"
    ENSEMBLE = "ensemble"
    PLAN = "plan"
    OVERRIDE = "override"
    PUBLISHED = "published"


# Each step is compared with this one. Targets are planned from the champions, not from the ensemble.
COMPARED_WITH = {
    Step.BEST_SINGLE: Step.SEASONAL_NAIVE,
    Step.CHAMPION: Step.BEST_SINGLE,
    Step.ENSEMBLE: Step.CHAMPION,
    Step.PLAN: Step.CHAMPION,
    Step.OVERRIDE: Step.PLAN,
    Step.PUBLISHED: Step.OVERRIDE,
}


class Basis(StrEnum):
    """The demand that the costs of a row were simulated with."""

    PLANNED = "planned"
    REALIZED = "realized"
    BOUND = "bound"


class Decision(StrEnum):
    """Result of the comparison of a challenger with the champions, or of a variant of an endpoint with the others."""

    PROMOTE = "promote"
    KEEP = "keep"
    DROP = "drop"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Column:
    """One column: its name, type, and meaning with the unit."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True)
class PerformanceTable:
    """One table.

    Attributes:
        name: folder below ``performance/``.
        meaning: what a row is.
        key: columns that identify a row.
        columns: in the order of the file.
        by_week: whether each version belongs to a row of ``evaluations``.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    by_week: bool = True

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]


def _table(
    name: str, meaning: str, key: tuple[str, ...], *columns: Column, by_week: bool = True, about: str = ""
) -> PerformanceTable:
    about = about or ("of the evaluated publication" if by_week else "of the evaluation: data before it are used")
    first = (
        Column(c.AS_OF, Kind.DATE, f"run date {about}"),
        Column(c.VERSION, Kind.INTEGER, "from 1; the highest version of an as_of is the current one"),
    )
    return PerformanceTable(name, meaning, (c.AS_OF, c.VERSION, *key), (*first, *columns), by_week)


def _text(name: str, meaning: str) -> Column:
    return Column(name, Kind.TEXT, meaning)


def _number(name: str, meaning: str) -> Column:
    return Column(name, Kind.NUMBER, meaning)


def _integer(name: str, meaning: str) -> Column:
    return Column(name, Kind.INTEGER, meaning)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, Kind.BOOLEAN, meaning)


_LEVEL = _text(c.LEVEL, "`overall`, `store` or `category`")
_STORE = _text(c.STORE_ID, "store of the row; empty = all")
_CATEGORY = _text(c.CATEGORY, "category of the row; empty = all")
_PLACE = (_LEVEL, _STORE, _CATEGORY)
_PLACE_KEY = (c.LEVEL, c.STORE_ID, c.CATEGORY)
_LAG = _integer(
    c.LAG, "weeks (frequency MS: months) since the run date: 1 = the first week of the forecast; 0 = all known periods"
)

EVALUATIONS = _table(
    "evaluations",
    "One evaluation of one published week. It is written last: an evaluation without this row is incomplete",
    (),
    Column(c.KNOWN_UNTIL, Kind.DATE, "run date of the evaluation: sales before it are used"),
    _integer(c.PUBLICATION, "version of the publication (`restock publications`); 0 = unknown"),
    _integer(c.PERIODS_KNOWN, "periods of the horizon before `known_until`"),
    _integer(c.PERIODS, "periods of the horizon"),
    _flag(c.FINAL, "the whole horizon is before `known_until`"),
    _flag(c.RESTATED, "an actual that an earlier version used has changed since"),
    _integer(c.RESTATED_CELLS, "series and periods whose actual changed since the version before"),
    _number(c.RESTATED_UNITS, "sum of these changes, units"),
    _text(c.CURRENCY, "currency of all amounts; empty = not named"),
    _text(c.FINGERPRINT, "checksum of publication and actuals; an equal evaluation is not written again"),
    _text(c.CODE_VERSION, "version of Restock that evaluated"),
)
ACTUALS = _table(
    "actuals",
    "Actual demand of one series and period, written when it became known and whenever it changed",
    (c.STORE_ID, c.CATEGORY, c.DATE),
    _text(c.STORE_ID, "store"),
    _text(c.CATEGORY, "category"),
    Column(c.DATE, Kind.DATE, "label of the period"),
    _number(c.ACTUAL, "demand, units; null = unknown (out of stock, data missing)"),
    _number(c.SOLD_UNITS, "units sold; a lower bound of the demand if `actual` is null"),
    _flag(c.RESTATED, "another value was written before"),
    by_week=False,
)
ACCURACY = _table(
    "accuracy",
    "Error of one model's forecast by level and lag; rows with unknown demand do not count",
    (*_PLACE_KEY, c.LAG, c.MODEL),
    *_PLACE,
    _LAG,
    _text(
        c.MODEL,
        "model; `champion` = the forecast that was planned with, one champion per series; `last_year` = demand of the "
        "same period a year (52 weeks, 12 months) before, or the seasonal naive forecast if it is unknown",
    ),
    _integer(c.N, "series and periods with known demand"),
    _number(c.ACTUAL_UNITS, "sum of the demand, units"),
    _number(c.FORECAST_UNITS, "sum of the mean forecasts, units"),
    _number(c.ABSOLUTE_ERROR, "sum of |median - actual|, units"),
    _number(c.EXPECTED_ABSOLUTE_ERROR, "sum of the absolute errors that the quantiles of the forecast imply, units"),
    _number(c.ERROR, "sum of mean - actual, units"),
    _number(c.WAPE, "fraction; formulas of this and the next three: metrics.md"),
    _number(c.BIAS, "fraction; above 0 = the forecast was too high"),
    _number(c.WQL, "fraction"),
    _number(c.COVERAGE, "share of actuals within the outermost symmetric quantiles, fraction"),
    _number(c.COVERAGE_TARGET, "nominal share of these quantiles, fraction"),
    _number(
        c.TRACKING_SIGNAL,
        "sum of the errors of this and up to 12 earlier weeks at this lag / their mean absolute value; beyond -4 to 4 "
        "the forecast is biased; null for lag 0",
    ),
)
SERVICE = _table(
    "service",
    "Sales and stock that the published targets led to, by level and lag",
    (*_PLACE_KEY, c.LAG),
    *_PLACE,
    _LAG,
    _number(c.SOLD_UNITS, "units sold"),
    _number(c.LOST_UNITS, "demand of stock-out periods that was not sold, units: expected forecast minus units sold"),
    _number(c.LOST_VALUE, "`lost_units` times the price, currency"),
    _flag(c.ESTIMATED, "a part of the demand is unknown, so `lost_units` and `fill_rate` are estimates"),
    _number(c.FILL_RATE, "sold / (sold + lost), fraction"),
    _number(c.SERVICE_LEVEL, "`inventory.service_level`, fraction (a cycle service level, for comparison)"),
    _number(c.IN_STOCK_DAYS, "share of series and periods in stock: known demand, or units sold without a stock-out"),
    _integer(c.UNKNOWN_DAYS, "series and periods with unknown demand"),
    _number(
        c.STOCK_UNITS,
        "units on hand at the end of the lag, from the stock of the next publication; null = not known",
    ),
    _number(c.OVERSTOCK_UNITS, "part of `stock_units` above the forecast of the rest of the horizon; null = unknown"),
)
PLAN_COSTS = _table(
    "plan_costs",
    "Costs over the known periods, from the simulator: the published plan on its own forecast (`planned`), on the "
    "actual demand (`realized`), and the lowest cost with the actual demand known in advance (`bound`)",
    (c.LEVEL, c.STORE_ID, c.BASIS),
    _text(c.LEVEL, "`overall` or `store`"),
    _STORE,
    _text(c.BASIS, "`planned`, `realized` or `bound`"),
    _integer(c.PERIODS, "periods simulated"),
    _number(c.TRANSPORT, "currency; null for `bound`, as the next three"),
    _number(c.LOST_SALES, "currency"),
    _number(c.HOLDING, "currency"),
    _number(c.OVER_CAPACITY, "currency"),
    _number(c.TOTAL, "currency"),
    _number(c.GAP, "total / total of the bound - 1, fraction; null for the bound"),
)
VALUE_ADDED = _table(
    "value_added",
    "Forecast value added: error and replayed cost of every step from the seasonal naive forecast to the published "
    "target",
    (*_PLACE_KEY, c.STEP),
    *_PLACE,
    _text(c.STEP, f"{', '.join(f'`{step}`' for step in Step)}"),
    _text(c.AGAINST, "the step that it is compared with; empty for the first"),
    _text(c.MODEL, "model of a forecast step; empty for targets and for `champion`"),
    _integer(c.N, "series and periods with known demand"),
    _number(c.ACTUAL_UNITS, "sum of the demand, units"),
    _number(c.ABSOLUTE_ERROR, "sum of |median - actual|, units; of a target: of the forecast that it implies"),
    _number(c.WAPE, "`absolute_error` / `actual_units`, fraction"),
    _number(c.COST, "lost sales and holding until the next delivery, replayed with the actual demand, currency"),
    _number(c.WAPE_ADDED, "WAPE of `against` minus own, fraction; above 0 = the step added value"),
    _number(c.COST_ADDED, "cost of `against` minus own, currency; above 0 = the step added value"),
    _flag(
        c.DESTROYED,
        "the step destroyed value: `cost_added` below 0, or, at equal cost, `wape_added` below 0; never for `plan`",
    ),
)
OVERRIDE_VALUE = _table(
    "override_value",
    "Effect of one planner's override, once the sales are known",
    (c.NUMBER,),
    _integer(c.NUMBER, "number of the override in its table, from 1"),
    _text(c.AUTHOR, "who made it"),
    _text(c.REASON, "why"),
    _text(c.ACTION, "`set`, `multiply` or `cap`"),
    _number(c.VALUE, "value of the action"),
    _text(c.STORE_ID, "store of the override; empty = all"),
    _text(c.SKU, "SKU of the override; empty = all"),
    _text(c.CATEGORY, "category of the override; empty = all"),
    _text(c.DIRECTION, "`up`, `down` or `none`"),
    _integer(c.PAIRS, "stores and SKUs whose target it changed and whose demand is known"),
    _number(c.UNITS, "change of these targets, units; shared equally if two overrides changed a pair"),
    _number(c.ERROR_BEFORE, "sum of |forecast - actual| until the next delivery, without the override, units"),
    _number(c.ERROR_AFTER, "the same with the override's change added to the forecast, units"),
    _number(c.COST_BEFORE, "replayed cost of the planned targets, currency"),
    _number(c.COST_AFTER, "replayed cost of the overridden targets, currency"),
    _number(c.COST_ADDED, "`cost_before` - `cost_after`, currency; above 0 = the override added value"),
    _flag(c.WON, "`cost_added` above 0, or, at equal cost, a smaller error"),
)
CHALLENGER_WEEKS = _table(
    "challenger_weeks",
    "Loss of the published champions and of a challenger in one week, at lag 1",
    (c.CHALLENGER, c.MEASURE),
    _text(c.CHALLENGER, "name of the challenger"),
    _text(c.MEASURE, "`wape` (fraction) or `cost` (currency per unit of demand)"),
    _number(c.CHAMPION_LOSS, "loss of the champions"),
    _number(c.CHALLENGER_LOSS, "loss of the challenger"),
    _integer(c.N, "series and periods with known demand and both forecasts"),
)
CHALLENGERS = _table(
    "challengers",
    "Paired test of a challenger against the champions over all its weeks so far",
    (c.CHALLENGER, c.MEASURE),
    _text(c.CHALLENGER, "name of the challenger"),
    _text(c.MEASURE, "`wape`, `cost`, or `decision` for the decision on both"),
    _integer(c.WEEKS, "weeks compared"),
    _number(c.DIFFERENCE, "mean of (champion loss - challenger loss) / champion loss, fraction; above 0 = better"),
    _number(c.EVIDENCE_FOR, "e-value for the challenger; 20 or more = significant at an error rate of 0.05"),
    _number(c.EVIDENCE_AGAINST, "e-value against the challenger"),
    _number(c.ERROR_RATE, "stated probability of a wrong decision at any time, fraction"),
    _text(c.DECISION, "`promote`, `keep` or `undecided`"),
    by_week=False,
)
VARIANT_WEEKS = _table(
    "variant_weeks",
    "Loss of one variant of an endpoint in the first week after its kept answers, over the series and periods that all "
    "variants answered",
    (c.ENDPOINT, c.VARIANT, c.MEASURE),
    _text(c.ENDPOINT, "name of the endpoint"),
    _text(c.VARIANT, "name of the variant"),
    _text(c.MEASURE, "`wape` or `wql`"),
    _number(c.LOSS, "loss, fraction"),
    _integer(c.N, "series and periods with known demand"),
    by_week=False,
    about="of the kept answers: their first period",
)
VARIANTS = _table(
    "variants",
    "Paired tests of the variants of an endpoint over all their weeks so far: one row per variant, other variant and "
    "measure, and the decision on each variant",
    (c.ENDPOINT, c.VARIANT, c.AGAINST, c.MEASURE),
    _text(c.ENDPOINT, "name of the endpoint"),
    _text(c.VARIANT, "name of the variant"),
    _text(c.AGAINST, "the variant that it is compared with; empty for the decision"),
    _text(c.MEASURE, "`wape`, `wql`, or `decision` for the decision on the variant"),
    _integer(c.WEEKS, "weeks compared"),
    _number(c.LOSS, "mean of its weekly losses, fraction"),
    _number(c.DIFFERENCE, "mean of (loss of `against` - own loss) / loss of `against`, fraction; above 0 = better"),
    _number(c.EVIDENCE_FOR, "e-value for the variant"),
    _number(c.EVIDENCE_AGAINST, "e-value against the variant"),
    _number(c.LIMIT_VALUE, "evidence from which a difference is significant"),
    _number(c.ERROR_RATE, "stated probability of any wrong decision at any time, fraction"),
    _text(c.DECISION, "`keep`, `drop` or `undecided`"),
    by_week=False,
)
PROFILES = _table(
    "profiles",
    "Distribution of one input in one window",
    (*_PLACE_KEY, c.FEATURE, c.WINDOW),
    *_PLACE,
    _text(c.FEATURE, "input, for example `units`, `price` or `zero_share`"),
    _text(c.WINDOW, "`current` (last four weeks), `training` (all before) or `last_year` (same weeks)"),
    _integer(c.N, "values"),
    _number(c.MEAN, "mean"),
    _number(c.SD, "standard deviation"),
    _number(c.quantile_column(0.1), "10 % quantile"),
    _number(c.MEDIAN, "median"),
    _number(c.quantile_column(0.9), "90 % quantile"),
    by_week=False,
)
DRIFT = _table(
    "drift",
    "Comparison of the current data with a window, or of the errors with what the forecasts imply",
    (*_PLACE_KEY, c.FEATURE, c.WINDOW, c.TEST),
    *_PLACE,
    _text(c.FEATURE, "input, or `forecast_error` and `forecast_bias`"),
    _text(c.WINDOW, "compared with: `training`, `last_year`, or `expected` for forecast errors"),
    _text(c.TEST, "`ks` (Kolmogorov-Smirnov), `change`, `set` or `sequential`"),
    _number(c.STATISTIC, "statistic of the test: see the page"),
    _number(c.EFFECT, "size of the drift: see the page"),
    _number(c.P_VALUE, "probability of such a statistic without drift, fraction; null = the test has none"),
    _number(c.LIMIT_VALUE, "limit of `effect`, or of `statistic` for `sequential`"),
    _flag(c.DRIFTED, "above the limit"),
    _text(c.MESSAGE, "finding in words"),
    by_week=False,
)
IMPORTANCE = _table(
    "importance",
    "What drives the forecasts of a tree model, by group of features",
    (*_PLACE_KEY, c.MODEL, c.GROUP),
    *_PLACE,
    _text(c.MODEL, "tree model"),
    _text(c.GROUP, "group of features: level, season, calendar, promotions, price, stock, store and product"),
    _number(c.UNITS, "mean |contribution| per series and period of the horizon, units"),
    _number(c.SHARE, "share in the sum over all groups, fraction"),
    by_week=False,
    about="of the published forecast",
)
TABLES = {
    table.name: table
    for table in (
        *(EVALUATIONS, ACTUALS, ACCURACY, SERVICE, PLAN_COSTS, VALUE_ADDED, OVERRIDE_VALUE),
        *(CHALLENGER_WEEKS, CHALLENGERS, VARIANT_WEEKS, VARIANTS, PROFILES, DRIFT, IMPORTANCE),
    )
}
