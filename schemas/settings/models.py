"""Settings of the forecasting models: `models`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.facts import SearchRange
from schemas.settings.deepar import DeepArSettings
from schemas.settings.strict import Strict

# Baselines: always fitted.
BASELINES = ("seasonal_naive", "moving_average")


class ArimaSettings(Strict):
    """ARIMA per series."""

    engine: Literal["statsforecast", "pmdarima"] = Field(
        default="statsforecast", description="`statsforecast` (fast) or `pmdarima` (slow reference implementation)"
    )
    max_series: int = Field(
        default=300, ge=1, description="Maximum number of series to fit, those with the highest sales first"
    )
    max_history: int = Field(default=800, ge=20, description="Maximum number of history periods that a fit uses")


class ProphetSettings(Strict):
    """Prophet per series."""

    max_series: int = Field(
        default=300, ge=1, description="Maximum number of series to fit, those with the highest sales first"
    )
    max_history: int = Field(default=730, ge=20, description="Maximum number of history periods that a fit uses")
    changepoint_prior_scale: float = Field(default=0.05, gt=0, description="Flexibility of the trend")
    seasonality_prior_scale: float = Field(default=10.0, gt=0, description="Flexibility of the seasonality")
    cross_validation: bool = Field(
        default=True, description="Choose the trend flexibility by sliding-window validation"
    )


class XgboostSettings(Strict):
    """XGBoost with a level and a seasonal sub-model, one model for all series."""

    max_rows: int = Field(
        default=120_000, ge=1_000, description="Maximum number of training rows (series x origin x step)"
    )
    max_rounds: int = Field(default=80, ge=1, description="Maximum number of boosting rounds")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Step size per boosting round")
    max_depth: int = Field(default=6, ge=1, le=16, description="Maximum depth of a tree")
    subsample: float = Field(default=0.8, gt=0, le=1, description="Fraction of the rows that each tree uses")
    colsample_bytree: float = Field(default=0.5, gt=0, le=1, description="Fraction of the features that each tree uses")
    reg_lambda: float = Field(default=5.0, ge=0, description="L2 regularization")
    reg_alpha: float = Field(default=0.0, ge=0, description="L1 regularization")
    min_child_weight: float = Field(default=20.0, ge=0, description="Minimum sum of row weights in a leaf")


# Ranges that tuning searches. Integers stay integers.
TREE_RANGES: dict[str, SearchRange] = {
    "learning_rate": SearchRange(0.02, 0.2, True),
    "max_leaves": SearchRange(4, 64, True),
    "subsample": SearchRange(0.5, 1.0, False),
    "colsample_bytree": SearchRange(0.2, 1.0, False),
    "reg_lambda": SearchRange(0.1, 30.0, True),
    "min_child_weight": SearchRange(3.0, 300.0, True),
}


class TreeTuningSettings(Strict):
    """Search of tree parameters with Optuna, on windows of the history before the first fold."""

    trials: int | None = Field(
        default=None,
        ge=2,
        description="Number of parameter sets to compare, the configured set first; absent: 10 to 40, by the size of "
        "the data",
    )


class XgboostLagsSettings(Strict):
    """XGBoost on lags, one model for all series."""

    max_rows: int = Field(
        default=120_000, ge=1_000, description="Maximum number of training rows (series x origin x step)"
    )
    max_rounds: int = Field(default=120, ge=1, description="Number of boosting rounds")
    learning_rate: float = Field(default=0.08, gt=0, le=1, description="Step size per boosting round")
    max_leaves: int = Field(default=16, ge=2, le=1024, description="Maximum number of leaves of a tree")
    subsample: float = Field(default=0.7, gt=0, le=1, description="Fraction of the rows that each tree uses")
    colsample_bytree: float = Field(default=0.5, gt=0, le=1, description="Fraction of the features that each tree uses")
    reg_lambda: float = Field(default=1.0, ge=0, description="L2 regularization")
    min_child_weight: float = Field(default=30.0, ge=0, description="Minimum sum of row weights in a leaf")
    tuning: TreeTuningSettings | None = Field(
        default=None,
        description="If present (`{}`), search the parameters that have their default value: "
        + ", ".join(f"`{name}` {low:g} to {high:g}" for name, (low, high, _) in TREE_RANGES.items())
        + ". The best set replaces the defaults if its loss is at least 5 % lower",
    )

    @model_validator(mode="after")
    def _tuning_has_something_to_search(self) -> Self:
        if self.tuning is not None and not self.searched():
            raise ValueError(
                f"nothing to tune: all of {', '.join(TREE_RANGES)} are set. Remove the parameters to search, or remove "
                "tuning"
            )
        return self

    def searched(self) -> list[str]:
        """Names of the parameters that tuning searches: those that the settings leave at their defaults."""
        fields = type(self).model_fields
        return [name for name in TREE_RANGES if getattr(self, name) == fields[name].default]


class XgboostRecursiveSettings(XgboostLagsSettings):
    """XGBoost on lags, recursive (one step at a time), one model for all series."""


class LocalModelSettings(Strict):
    """A cheap statistical model per series: Croston, TSB, Theta, ETS."""

    max_series: int = Field(
        default=5_000, ge=1, description="Maximum number of series to fit, those with the highest sales first"
    )
    max_history: int = Field(default=400, ge=20, description="Maximum number of history periods that a fit uses")


class EnsembleSettings(Strict):
    """Weighted average of the other models' forecasts."""

    members: list[str] | None = Field(
        default=None,
        description="Models to combine with equal weights; absent: all models, weighted by their losses on the folds",
    )


class ModelsSettings(Strict):
    """Models to fit. A model is fitted if its key is present; `{}` uses its defaults. Baselines are always fitted."""

    presence_counts: ClassVar[bool] = True

    arima: ArimaSettings | None = None
    prophet: ProphetSettings | None = None
    xgboost: XgboostSettings | None = None
    xgboost_lags: XgboostLagsSettings | None = None
    xgboost_recursive: XgboostRecursiveSettings | None = None
    croston: LocalModelSettings | None = Field(default=None, description="Croston's method per series (SBA variant)")
    tsb: LocalModelSettings | None = Field(default=None, description="Teunter-Syntetos-Babai per series")
    theta: LocalModelSettings | None = Field(default=None, description="Theta method per series")
    ets: LocalModelSettings | None = Field(default=None, description="Exponential smoothing (ETS) per series")
    deepar: DeepArSettings | None = None
    ensemble: EnsembleSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_without_mapping(cls, data: Any) -> Any:
        """``arima:`` without a value means its defaults."""
        if not isinstance(data, dict):
            return data
        return {name: {} if value is None else value for name, value in data.items()}

    def named(self) -> dict[str, Strict]:
        """The models to fit in addition to the baselines, by name, in a fixed order."""
        return {name: model for name in type(self).model_fields if (model := getattr(self, name)) is not None}


# The models that are fitted if the settings have no `models`.
DEFAULT_MODELS = ModelsSettings(
    arima=ArimaSettings(),
    prophet=ProphetSettings(),
    xgboost=XgboostSettings(),
    xgboost_lags=XgboostLagsSettings(),
    xgboost_recursive=XgboostRecursiveSettings(),
    tsb=LocalModelSettings(),
    ensemble=EnsembleSettings(),
)
