"""The losses by which models are ranked, and the constants of the selection.

Bias, coverage and other ``evaluate_only`` metrics are reported and never used for ranking.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.panel import FloatArray
from schemas.settings import BASELINES
from tasks.evaluation.metrics.definitions import COST_METRIC, METRICS, Metric
from tasks.evaluation.metrics.sums import Sums

WAPE_AND_WQL = f"{c.WAPE}_{c.WQL}"
# A loss is the mean of its metrics. All metrics of a loss have the same denominator and count the same rows.
LOSSES: dict[str, tuple[str, ...]] = {
    c.WAPE: (c.WAPE,),
    c.WQL: (c.WQL,),
    WAPE_AND_WQL: (c.WAPE, c.WQL),
    c.INVENTORY_COST: (c.INVENTORY_COST,),
}


@dataclass(frozen=True)
class SelectionRule:
    """The rule that selects champions.

    The numbers were chosen by replays on six retail data sets (docs/decisions/0003-champions-by-shrunk-loss.md).

    Attributes:
        loss: ``wape``, ``wql``, ``wape_wql`` (their mean) or ``inventory_cost`` (simulated, see
            :mod:`tasks.evaluation.backtest.inventory_cost`).
        prior_periods: prior weight k, in periods. The mean difference of a series over n periods weighs n / (n + k),
            the mean difference over all series k / (n + k).
        margin: standard errors by which another model must beat the global winner on a series. Two, because
            errors of adjacent periods are correlated and the standard error is too small.
        tolerance: the ensemble is the global winner while its loss is at most this fraction above the lowest. Single
            models replace it only if those selected on the earlier folds beat it by more on the last one.
        covariate_free: models that repeat a level or an earlier season. They cannot follow the next promotion or
            season, so their loss over the network is multiplied by ``covariate_free_penalty``.
        covariate_free_penalty: factor on the loss of these models over the network, at least 1.
        network_share: a model competes for the global winner if it is scored on at least this fraction of the series
            of the model with most series.
    """

    loss: str = WAPE_AND_WQL
    prior_periods: float = 28.0
    margin: float = 2.0
    tolerance: float = 0.05
    covariate_free: frozenset[str] = frozenset(BASELINES)
    covariate_free_penalty: float = 1.1
    network_share: float = 0.9

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(
                f"selection.loss: expected one of {', '.join(LOSSES)}, found {self.loss!r}; "
                "other metrics, such as bias, are reported and never rank models"
            )
        if min(self.prior_periods, self.margin, self.tolerance) < 0:
            raise ConfigError(
                f"selection: prior_periods, margin and tolerance must be at least 0, "
                f"found {self.prior_periods:g}, {self.margin:g} and {self.tolerance:g}"
            )

    def penalty_of(self, model: str) -> float:
        """The factor on a model's loss over the network.

        >>> SelectionRule().penalty_of("seasonal_naive"), SelectionRule().penalty_of("xgboost")
        (1.1, 1.0)
        """
        return self.covariate_free_penalty if model in self.covariate_free else 1.0


def ranking_metrics(loss: str) -> list[Metric]:
    """The metrics of a loss."""
    return [(METRICS | {COST_METRIC.name: COST_METRIC})[name] for name in LOSSES[loss]]


def loss_parts(sums: Sums, loss: str) -> list[FloatArray]:
    """The numerator of each metric of a loss, shape (G,) each."""
    return [sums[metric.numerator] for metric in ranking_metrics(loss)]


def loss_rows(sums: Sums, loss: str) -> FloatArray:
    """Rows that count in a loss, shape (G,): those with a known actual, or with a counted cost."""
    return sums[ranking_metrics(loss)[0].counted]


def loss_base(sums: Sums, loss: str) -> FloatArray:
    """The denominator of a loss, shape (G,): units sold, or periods with a counted cost."""
    return sums[ranking_metrics(loss)[0].denominator]
