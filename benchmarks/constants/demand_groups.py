"""Constants of cleaning and features, and of series with a short history."""

from __future__ import annotations

from benchmarks.constants import evidence as e
from benchmarks.constants.record import Group

GROUPS = (
    Group(
        e.DEMAND,
        "tasks.demand.features.levels:RULE",
        e.D7_ALONE,
        {"years": "years", "largest_growth": "factor", "long_weights": "weight", "smallest": "fraction"},
    ),
    Group(
        e.DEMAND,
        "tasks.demand.features.history:RULE",
        e.D7_ALONE,
        {"longer_weight": "fraction of a window", "smallest": "fraction"},
    ),
    Group(e.DEMAND, "tasks.demand.features.rows:RULE", e.UNRECORDED, {"largest_multiple": "factor"}),
    Group(
        e.DEMAND, "tasks.demand.features.lags:RULE", e.D8, {"same_weekdays": "values", "smallest_deviation": "fraction"}
    ),
    Group(
        e.DEMAND,
        "tasks.demand.features.lags:SEASON_AROUND",
        e.D8,
        {"": "periods by frequency"},
        "Periods on each side of the target a year ago that are averaged into its seasonal value.",
    ),
    Group(
        e.DEMAND,
        "tasks.demand.features.known:RULE",
        e.UNRECORDED,
        {"farthest": "periods", "frequent_share": "fraction", "largest_id_share": "fraction"},
        sources={"farthest": e.decision(7, "7 or 15 days, on drug stores")},
    ),
    Group(
        e.DEMAND,
        "tasks.demand.features.known:_NEAR",
        e.D7_ALONE,
        {"": "periods by frequency"},
        "Named special days affect this many periods on each side.",
    ),
    Group(
        e.DEMAND,
        "tasks.demand.cleaning.outliers:RULE",
        "[domain](domain.md): replaces the review of box plots by hand; the numbers are set by judgment",
        {
            "percentile": "quantile level",
            "similar": "fraction",
            "fewest_others": "periods",
            "shared_by_share": "fraction",
            "shared_by_series": "series",
        },
    ),
    Group(
        e.DEMAND,
        "tasks.demand.cleaning.outliers:_RECURRENCE_WINDOW",
        e.UNRECORDED,
        {"": "periods by frequency"},
        "A peak recurs if another one lies within this many periods of the same date a year before or after.",
    ),
    Group(e.DEMAND, "tasks.demand.cleaning.exposure:RULE", e.UNRECORDED, {"out_of_stock_share": "fraction"}),
    Group(
        e.SHORT_HISTORY,
        "tasks.forecasting.comparables:ComparableRule",
        e.D14,
        {
            "longest": "fraction of a year",
            "whole": "fraction",
            "recent_weeks": "weeks",
            "fewest": "series",
            "active_weeks": "weeks",
            "closed_weeks": "weeks",
            "reopened_weeks": "weeks",
            "prior_weeks": "weeks",
            "profile_weeks": "weeks",
            "drift": "relative standard deviation",
            "size_limits": "factors",
            "most_loss": "fraction",
        },
        unmeasured=e.NO_SHORT,
    ),
    Group(
        e.SHORT_HISTORY,
        "tasks.forecasting.new_levels:RULE",
        e.decision(20, "launches of sporting goods and groceries"),
        {
            "prior": "series",
            "most_values": "fraction",
            "bins": "groups",
            "smallest": "fraction",
        },
        unmeasured=e.NO_SHORT,
    ),
    Group(
        e.SHORT_HISTORY,
        "tasks.forecasting.last_season:SeasonRule",
        e.decision(14, "generated school shoes, daily and weekly"),
        {
            "longest": "days, weeks or months",
            "share": "fraction",
            "quiet": "days, weeks or months",
            "most_quiet": "fraction",
            "learned": "years",
            "most_loss": "fraction",
            "tested": "fraction",
            "most_ended": "fraction",
            "least_units": "units",
            "repeated": "fraction",
            "least_near": "fraction",
            "trend_weeks": "weeks",
            "trend_limits": "factors",
            "prior": "fraction",
            "shifted": "probability",
            "variation": "relative standard deviation",
        },
        unmeasured=e.NO_SHORT,
    ),
    Group(
        e.SHORT_HISTORY,
        "tasks.demand.new_series:NewRule",
        e.decision(14, "no data"),
        {"most_stores": "fraction", "oldest_opening": "days", "fewest_alike": "stores", "carried_by": "fraction"},
        unmeasured=e.NO_SHORT,
    ),
)
