"""Settings of the forecasting models: `models`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.facts import SearchRange
from schemas.settings.deepar import DeepArSettings
from schemas.settings.strict import IN_ITS_SECTION, LibraryParameters, Strict

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


_XGBOOST = "[XGBoost](https://xgboost.readthedocs.io/en/stable/parameter.html)"


def _help(library: str, parameters: type[LibraryParameters]) -> str:
    """Description of a mapping of library parameters."""
    further = ", ".join(f"`{name}`" for name in sorted(parameters.further - parameters.model_fields.keys()))
    return f"Parameters of {library} that differ from the library's defaults. Also accepted: {further}"


class ProphetParameters(LibraryParameters):
    """Arguments of ``prophet.Prophet``."""

    further: ClassVar[frozenset[str]] = frozenset(
        {"changepoint_range", "holidays_prior_scale", "n_changepoints", "seasonality_mode"}
    )

    changepoint_prior_scale: float = Field(default=0.05, gt=0)
    seasonality_prior_scale: float = Field(default=10.0, gt=0)


class ProphetSettings(Strict):
    """Prophet per series."""

    renamed: ClassVar[dict[str, str]] = {name: f"params.{name}" for name in ProphetParameters.model_fields}

    max_series: int = Field(
        default=300, ge=1, description="Maximum number of series to fit, those with the highest sales first"
    )
    max_history: int = Field(default=730, ge=20, description="Maximum number of history periods that a fit uses")
    params: ProphetParameters = Field(
        default=ProphetParameters(),
        description=_help("[Prophet](https://facebook.github.io/prophet/docs/diagnostics.html)", ProphetParameters),
    )
    cross_validation: bool = Field(
        default=True, description="Choose the trend flexibility by sliding-window validation"
    )


class TreeParameters(LibraryParameters):
    """Parameters of XGBoost."""

    further: ClassVar[frozenset[str]] = frozenset(
        {
            "colsample_bylevel",
            "colsample_bynode",
            "gamma",
            "grow_policy",
            "max_bin",
            "max_delta_step",
            "num_parallel_tree",
            "reg_alpha",
            "sampling_method",
            "scale_pos_weight",
            "tree_method",
        }
    )

    learning_rate: float = Field(default=0.05, gt=0, le=1)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample_bytree: float = Field(default=0.5, gt=0, le=1)
    reg_lambda: float = Field(default=5.0, ge=0)
    min_child_weight: float = Field(default=20.0, ge=0)


class XgboostParameters(TreeParameters):
    """Parameters of XGBoost for the model `xgboost`."""

    max_depth: int = Field(default=6, ge=1, le=16)
    reg_alpha: float = Field(default=0.0, ge=0)


class XgboostLagsParameters(TreeParameters):
    """Parameters of XGBoost for the models on lags."""

    learning_rate: float = Field(default=0.08, gt=0, le=1)
    max_leaves: int = Field(default=16, ge=2, le=1024)
    subsample: float = Field(default=0.7, gt=0, le=1)
    reg_lambda: float = Field(default=1.0, ge=0)
    min_child_weight: float = Field(default=30.0, ge=0)


class XgboostSettings(Strict):
    """XGBoost with a level and a seasonal sub-model, one model for all series."""

    renamed: ClassVar[dict[str, str]] = {name: f"params.{name}" for name in XgboostParameters.model_fields}

    max_rows: int = Field(
        default=120_000, ge=1_000, description="Maximum number of training rows (series x origin x step)"
    )
    max_rounds: int = Field(default=80, ge=1, description="Maximum number of boosting rounds")
    params: XgboostParameters = Field(default=XgboostParameters(), description=_help(_XGBOOST, XgboostParameters))


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

    renamed: ClassVar[dict[str, str]] = {name: f"params.{name}" for name in XgboostLagsParameters.model_fields}

    max_rows: int = Field(
        default=120_000, ge=1_000, description="Maximum number of training rows (series x origin x step)"
    )
    max_rounds: int = Field(default=120, ge=1, description="Number of boosting rounds")
    params: XgboostLagsParameters = Field(
        default=XgboostLagsParameters(), description=_help(_XGBOOST, XgboostLagsParameters)
    )
    tuning: TreeTuningSettings | None = Field(
        default=None,
        description="If present (`{}`), search the parameters of `params` that have their default value: "
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
        defaults = type(self.params)()
        return [name for name in TREE_RANGES if getattr(self.params, name) == getattr(defaults, name)]


class XgboostRecursiveSettings(XgboostLagsSettings):
    """XGBoost on lags, recursive (one step at a time), one model for all series."""


class LocalModelSettings(Strict):
    """A cheap statistical model per series: Croston, TSB, Theta, ETS."""

    max_series: int = Field(
        default=5_000, ge=1, description="Maximum number of series to fit, those with the highest sales first"
    )
    max_history: int = Field(default=400, ge=20, description="Maximum number of history periods that a fit uses")


class Chronos2Settings(Strict):
    """Pretrained network Chronos-2, with weights from a folder (extra `pretrained`)."""

    weights: str | None = Field(
        default=None,
        description="Folder with the model's config.json, model.safetensors and license text; required. Nothing is "
        "downloaded, so the name of a model on a hub is not accepted",
        examples=["models/chronos-2-small"],
        json_schema_extra=IN_ITS_SECTION,
    )
    accept_noncommercial: bool = Field(
        default=False,
        description="Use the weights although their license seems to allow no commercial use",
        json_schema_extra=IN_ITS_SECTION,
    )
    max_series: int = Field(
        default=1_000, ge=1, description="Maximum number of series to forecast, those with the highest sales first"
    )
    max_history: int = Field(
        default=512, ge=20, le=8_192, description="Maximum number of history periods that the network reads"
    )
    max_covariates: int = Field(
        default=2,
        ge=0,
        le=10,
        description="Maximum number of known future covariates per series, the most useful first; each adds about half "
        "of the time of a series without covariates",
    )
    fine_tune_steps: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Steps of fine-tuning (LoRA) on the history before the first fold; 0: the weights as they are",
    )


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
    chronos2: Chronos2Settings | None = None
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
    ensemble=EnsembleSettings(),
)
