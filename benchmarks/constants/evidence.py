"""On which data the constants were chosen, why some cannot be measured, and the headings of the page."""

from __future__ import annotations

from benchmarks.constants.record import Limits

_LINKS = {
    3: "0003-champions-by-shrunk-loss",
    5: "0005-constraints-on-targets",
    6: "0006-overstock-cost-by-replay",
    7: "0007-two-sub-models-and-recalibrated-quantiles",
    8: "0008-global-model-on-plain-lags",
    9: "0009-recursive-global-model",
    10: "0010-tree-tuning-before-the-first-fold",
    11: "0011-reconciliation",
    12: "0012-ensemble-quantiles",
    14: "0014-short-history",
    19: "0019-one-calibration",
    20: "0020-rates-events-and-seasons",
    23: "0023-one-fit-for-neighboring-folds",
    25: "0025-the-first-christmas",
    26: "0026-calibration-by-one-factor",
    35: "0035-intermittent-series",
    37: "0037-missed-events",
}


def decision(number: int, text: str) -> str:
    """A link to a decision, and the data that it names."""
    return f"[decision {number}](../decisions/{_LINKS[number]}.md): {text}"


D3 = decision(3, "six sets; the window one horizon before the end of four")
D5 = decision(5, "no data")
D6 = decision(6, "26 weekly runs of grocery")
D7 = decision(7, "one to three cutoffs of six sets, mostly drug stores")
D7_ALONE = decision(7, "the same cutoffs, without a comparison of this value alone")
D8 = decision(8, "cutoffs 1, 3 and 6 horizons before the end of five sets")
D9 = decision(9, "26 weekly cutoffs of grocery; two sets unchanged or slightly worse")
D10 = decision(10, "one cutoff of three sets")
D11 = decision(11, "cutoffs 6, 3 and 1 horizons before the end of six sets")
D14 = decision(14, "stores of drug stores, supermarkets, sporting goods and a generated chain cut to 8 to 14 weeks")
D19 = decision(19, "small runs of five sets and the drug stores, departments and supermarkets at one to three cutoffs")
D23 = decision(23, "one cutoff of five sets, `xgboost` alone")
UNRECORDED = "not recorded"
USUAL = "a usual value; no data"
LIMIT = "a limit on cost; no data"

CHANGED = "not measured since decision 19 changed it"
NO_FORECAST = "no forecast depends on it"
NO_RECONCILIATION = "reconciliation is off by default"
NO_TUNING = "tuning is off by default"
NO_SHORT = "the guard's panels have no series with a short history, no seasonal goods and nothing new"
ENOUGH = "the guard's panels stay away from this limit"

EVALUATION = "Evaluation"
SHORT_HISTORY = "Short history"
TREES = "Tree models"
SERIES = "Baselines and models of single series"
COMBINED = "Quantiles and reconciliation"
DEMAND = "Demand and features"
INVENTORY = "Inventory"
SHARE: Limits = (0.0, 1.0)
