"""Settings of the comparison of models: `backtest`, `selection` and `reconciliation`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.settings.strict import Strict


class BacktestSettings(Strict):
    """Rolling-origin folds: the last one's horizon ends just before ``as_of``."""

    windows: int = Field(default=3, ge=1, description="Number of folds")
    step: int = Field(default=7, ge=1, description="Periods between the cutoffs of two folds")
    further: int = Field(
        default=2,
        ge=0,
        le=2,
        description="Folds on top, if the history bears them: the coming season a year ago, and the horizon before "
        "the first fold; 0 where windows or step is set and this is not",
    )


class SelectionSettings(Strict):
    """How models are ranked: for the champions, for the network's winner and for the ensemble's weights."""

    loss: Literal["wape_wql", "wape", "wql", "inventory_cost"] = Field(
        default="wape_wql",
        description="Error of the median (`wape`), of the quantiles (`wql`), the mean of both, or what orders from the "
        "folds' forecasts would have cost (`inventory_cost`; needs `inventory.holding_cost` and a shortage cost)",
    )


class ReconciliationSettings(Strict):
    """The champions' forecasts made to agree with forecasts of total, stores and categories."""

    method: Literal["none", "top_down", "mint", "auto"] = Field(
        default="none",
        description="`top_down`: the total's forecast, split by the series' own. `mint`: a compromise of all levels, "
        "weighted by their errors on the folds. `auto`: the better one where the folds say it helps",
    )
