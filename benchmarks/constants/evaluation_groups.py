"""Constants that the comparison of forecasts depends on."""

from __future__ import annotations

from benchmarks.constants import evidence as e
from benchmarks.constants.record import Group

GROUPS = (
    Group(
        e.EVALUATION,
        "tasks.evaluation.ranking:SelectionRule",
        e.D3,
        {
            "prior_periods": "periods",
            "margin": "standard errors",
            "tolerance": "fraction",
            "covariate_free_penalty": "factor",
            "network_share": "fraction",
        },
        limits={"covariate_free_penalty": (1.0, 10.0)},
        sources={
            "margin": e.UNRECORDED,
            "tolerance": e.decision(3, "two cutoffs of sportswear"),
            "covariate_free": e.D9,
            "covariate_free_penalty": e.D9,
            "network_share": e.UNRECORDED,
        },
        not_numbers=("loss", "covariate_free"),
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.selection.weights:WeightRule",
        e.D19,
        {"sharpness": "power", "sharpness_per_horizon": "power per horizon", "smallest_weight": "fraction"},
        unmeasured=e.CHANGED,
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.backtest.recalibration:RecalibrationRule",
        e.UNRECORDED,
        {"fewest_rows": "rows"},
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.selection.reasons:ReasonRule",
        e.UNRECORDED,
        {"largest_bias": "fraction"},
        unmeasured="only the text of a reason depends on it",
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.selection.reconcile:ReconciliationRule",
        e.D11,
        {"least_gain": "fraction", "mint_most_series": "series"},
        unmeasured=e.NO_RECONCILIATION,
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.selection.configurations:ConfigurationRule",
        e.UNRECORDED,
        {"equal_rmse": "factor"},
        unmeasured="DeepAR is not among the guard's models",
    ),
    Group(
        e.EVALUATION,
        "tasks.evaluation.replay:ReplayRule",
        e.D6,
        {"most_forecasts": "forecasts", "cutoffs_per_fit": "cutoffs"},
        unmeasured=e.NO_FORECAST,
    ),
)
