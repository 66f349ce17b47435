"""The settings of a run, one module per section of the settings file."""

from __future__ import annotations

from schemas.settings.backtest import BacktestSettings, ReconciliationSettings, SelectionSettings
from schemas.settings.challenger import ChallengerSettings
from schemas.settings.compute import ComputeSettings
from schemas.settings.deepar import (
    TUNABLE,
    WHOLE_NUMBERS,
    Backend,
    DataVariant,
    DeepArConfiguration,
    DeepArHyperparameters,
    DeepArLocalSettings,
    DeepArSettings,
    DeepArTuningSettings,
    Likelihood,
    TuningRange,
)
from schemas.settings.inventory import (
    BlackoutSettings,
    CalibrationSettings,
    EoqSettings,
    GeneticSettings,
    InventorySettings,
    LifecycleSettings,
    SizeRunSettings,
)
from schemas.settings.models import (
    BASELINES,
    DEFAULT_MODELS,
    TREE_RANGES,
    ArimaSettings,
    Chronos2Settings,
    EnsembleSettings,
    LocalModelSettings,
    ModelsSettings,
    ProphetSettings,
    TreeTuningSettings,
    XgboostLagsSettings,
    XgboostRecursiveSettings,
    XgboostSettings,
)
from schemas.settings.output import OutputSettings
from schemas.settings.publication import PublicationSettings
from schemas.settings.quality import CleaningSettings, QualitySettings, SpecialPeriod
from schemas.settings.root import Settings, digest_of
from schemas.settings.sagemaker import LONGEST_ON_SPOT, DeepArEndpointSettings, DeepArInstance, DeepArSageMakerSettings
from schemas.settings.sources import Sources, SourceSettings
from schemas.settings.strict import Strict

__all__ = [
    "BASELINES",
    "DEFAULT_MODELS",
    "LONGEST_ON_SPOT",
    "TREE_RANGES",
    "TUNABLE",
    "WHOLE_NUMBERS",
    "ArimaSettings",
    "Backend",
    "BacktestSettings",
    "BlackoutSettings",
    "CalibrationSettings",
    "ChallengerSettings",
    "Chronos2Settings",
    "CleaningSettings",
    "ComputeSettings",
    "DataVariant",
    "DeepArConfiguration",
    "DeepArEndpointSettings",
    "DeepArHyperparameters",
    "DeepArInstance",
    "DeepArLocalSettings",
    "DeepArSageMakerSettings",
    "DeepArSettings",
    "DeepArTuningSettings",
    "EnsembleSettings",
    "EoqSettings",
    "GeneticSettings",
    "InventorySettings",
    "LifecycleSettings",
    "Likelihood",
    "LocalModelSettings",
    "ModelsSettings",
    "OutputSettings",
    "ProphetSettings",
    "PublicationSettings",
    "QualitySettings",
    "ReconciliationSettings",
    "SelectionSettings",
    "Settings",
    "SizeRunSettings",
    "SourceSettings",
    "Sources",
    "SpecialPeriod",
    "Strict",
    "TreeTuningSettings",
    "TuningRange",
    "XgboostLagsSettings",
    "XgboostRecursiveSettings",
    "XgboostSettings",
    "digest_of",
]
