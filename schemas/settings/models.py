"""Settings of the forecasting models: `models`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from schemas.settings.deepar import DeepArSettings
from schemas.settings.strict import Strict

# Baselines: always fitted.
BASELINES = ("seasonal_naive", "moving_average")


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


# Where tuning searches parameters of trees: least, most, and whether in logarithms. Whole numbers stay whole.
TREE_RANGES: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (0.02, 0.2, True),
    "max_leaves": (4, 64, True),
    "subsample": (0.5, 1.0, False),
    "colsample_bytree": (0.2, 1.0, False),
    "reg_lambda": (0.1, 30.0, True),
    "min_child_weight": (3.0, 300.0, True),
}


class TreeTuningSettings(Strict):
    """Search parameters of trees by Optuna, on windows of the history before the first fold."""

    trials: int | None = Field(
        default=None,
        ge=2,
        description="Parameters to compare, those of the settings first; null: what 600 core-seconds pay for by the "
        "size of the data, 10 to 40",
    )


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
    tuning: TreeTuningSettings | None = None

    @model_validator(mode="after")
    def _tuning_has_something_to_search(self) -> Self:
        if self.tuning is not None and not self.searched():
            raise ValueError(
                f"tuning keeps what is set, and all of {', '.join(TREE_RANGES)} are; take out those to search, or "
                "tuning"
            )
        return self

    def searched(self) -> list[str]:
        """Names of the parameters that tuning searches: those that the settings leave at their defaults."""
        fields = type(self).model_fields
        return [name for name in TREE_RANGES if getattr(self, name) == fields[name].default]


class XgboostRecursiveSettings(XgboostLagsSettings):
    """One gradient-boosted model over all series on plain lags, step by step."""


class LocalModelSettings(Strict):
    """A cheap statistical model per series (Croston, TSB, Theta, ETS)."""

    max_series: int = Field(default=5_000, ge=1, description="Fit at most this many series, the largest first")
    max_history: int = Field(default=400, ge=20, description="Periods of history that a fit reads")


class EnsembleSettings(Strict):
    """The other models' forecasts averaged, with the spread of their mixture and weights learnt on the folds."""

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

    def tuned(self) -> list[str]:
        """Names of the tree models whose parameters are to be searched, in a fixed order."""
        return [name for name, model in self.named().items() if isinstance(model, XgboostLagsSettings) and model.tuning]
