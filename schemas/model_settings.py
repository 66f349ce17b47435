"""Settings of the forecasting models and of their backtest."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from schemas.deepar_settings import DeepArSettings
from schemas.strict import Strict


class ArimaSettings(Strict):
    """ARIMA per series."""

    engine: Literal["statsforecast", "pmdarima"] = Field(default="statsforecast", description="Fast or source B's")
    max_series: int = Field(default=300, ge=1, description="Fit at most this many series, the largest first")
    max_history: int = Field(default=800, ge=20, description="Periods of history that a fit reads")


class ProphetSettings(Strict):
    """Prophet per series."""

    max_series: int = Field(default=300, ge=1, description="Fit at most this many series, the largest first")
    max_history: int = Field(default=730, ge=20, description="Periods of history that a fit reads")
    changepoint_prior_scale: float = Field(default=0.05, gt=0)
    seasonality_prior_scale: float = Field(default=10.0, gt=0)
    cross_validation: bool = Field(default=True, description="Choose the prior by sliding-window validation")


class XgboostSettings(Strict):
    """One gradient-boosted model over all series."""

    max_rows: int = Field(default=120_000, ge=1_000, description="Training rows kept (series x origin x step)")
    max_rounds: int = Field(default=80, ge=1, description="Boosting rounds at most")
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    max_depth: int = Field(default=6, ge=1, le=16)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample_bytree: float = Field(default=0.5, gt=0, le=1)
    reg_lambda: float = Field(default=5.0, ge=0)
    reg_alpha: float = Field(default=0.0, ge=0)
    min_child_weight: float = Field(default=20.0, ge=0)


class XgboostLagsSettings(Strict):
    """One gradient-boosted model over all series on plain lags."""

    max_rows: int = Field(default=120_000, ge=1_000, description="Training rows kept (series x origin x step)")
    max_rounds: int = Field(default=120, ge=1, description="Boosting rounds")
    learning_rate: float = Field(default=0.08, gt=0, le=1)
    max_leaves: int = Field(default=16, ge=2, le=1024)
    subsample: float = Field(default=0.7, gt=0, le=1)
    colsample_bytree: float = Field(default=0.5, gt=0, le=1)
    reg_lambda: float = Field(default=1.0, ge=0)
    min_child_weight: float = Field(default=30.0, ge=0)


class XgboostRecursiveSettings(XgboostLagsSettings):
    """One gradient-boosted model over all series on plain lags, step by step."""


class LocalModelSettings(Strict):
    """A cheap statistical model per series (Croston, TSB, Theta, ETS)."""

    max_series: int = Field(default=5_000, ge=1, description="Fit at most this many series, the largest first")
    max_history: int = Field(default=400, ge=20, description="Periods of history that a fit reads")


class EnsembleSettings(Strict):
    """The other models' forecasts averaged quantile by quantile, with weights learnt on the folds."""

    members: list[str] | None = Field(
        default=None, description="Models to combine, all alike; when absent all models, weighted by their fold losses"
    )


class ModelsSettings(Strict):
    """Which models are fitted. What is named is fitted; the floors always are."""

    arima: ArimaSettings | None = None
    prophet: ProphetSettings | None = None
    xgboost: XgboostSettings | None = None
    xgboost_lags: XgboostLagsSettings | None = None
    xgboost_recursive: XgboostRecursiveSettings | None = None
    croston: LocalModelSettings | None = None
    tsb: LocalModelSettings | None = None
    theta: LocalModelSettings | None = None
    ets: LocalModelSettings | None = None
    deepar: DeepArSettings | None = None
    ensemble: EnsembleSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_without_mapping(cls, data: Any) -> Any:
        """``arima:`` with nothing behind it means its defaults."""
        if not isinstance(data, dict):
            return data
        return {name: {} if value is None else value for name, value in data.items()}

    def named(self) -> dict[str, Strict]:
        """The models to fit besides the floors, by name, in a fixed order."""
        return {name: model for name in type(self).model_fields if (model := getattr(self, name)) is not None}


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


class ReconciliationSettings(Strict):
    """The champions' forecasts made to agree with forecasts of total, stores and categories."""

    method: Literal["none", "top_down", "mint", "auto"] = Field(
        default="none",
        description="`top_down`: the total's forecast, split by the series' own. `mint`: a compromise of all levels, "
        "weighted by their errors on the folds. `auto`: the better one where the folds say it helps",
    )
