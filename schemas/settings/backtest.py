"""Settings of the model comparison: `backtest`, `selection` and `reconciliation`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from schemas.settings.strict import IN_ITS_SECTION, Strict


class BacktestSettings(Strict):
    """Rolling-origin folds. The horizon of the last fold ends just before the run date."""

    renamed: ClassVar[dict[str, str]] = {"further": "extra_folds"}

    windows: int = Field(default=3, ge=1, le=1000, description="Number of folds", json_schema_extra=IN_ITS_SECTION)
    step: int = Field(
        default=7,
        ge=1,
        le=730,
        description="Periods between the cutoffs of two folds",
        json_schema_extra=IN_ITS_SECTION,
    )
    extra_folds: int = Field(
        default=2,
        ge=0,
        le=2,
        description="Extra folds if the history is long enough: the coming season one year ago, and the horizon before "
        "the first fold. Default 0 if `windows` or `step` is set",
    )


class SelectionSettings(Strict):
    """The rule that ranks models: for the champions, for the network-wide winner and for the ensemble weights."""

    loss: Literal["wape_wql", "wape", "wql", "inventory_cost"] = Field(
        default="wape_wql",
        description="`wape`: error of the median. `wql`: error of the quantiles. `wape_wql`: mean of both. "
        "`inventory_cost`: cost of the orders that the fold forecasts lead to; needs `inventory.holding_cost` and "
        "`inventory.shortage_cost` above 0",
    )


class ReconciliationSettings(Strict):
    """Makes the champions' forecasts agree with forecasts of the total, the stores and the categories."""

    method: Literal["none", "top_down", "mint", "auto"] = Field(
        default="none",
        description="`top_down`: splits the forecast of the total by the series' forecasts. `mint`: weights all levels "
        "by their errors on the folds. `auto`: the better method, if it reduces the loss on the folds",
    )
