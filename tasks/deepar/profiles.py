"""Hyperparameters per frequency and backend, by SageMaker's names, if the settings leave them open."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from schemas.frequency import Frequency
from schemas.settings import DeepArConfiguration
from schemas.settings.slices import DeepArTraining

TIME_FREQUENCIES = {"D": "D", "W": "W", "MS": "M"}
# What ``test:mean_wQuantileLoss`` averages over: the same for every run, since a hyperparameter is part of its job's
# identity, and other quantiles of a run must not cause a new training.
TEST_QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# From this number of series on, a batch of the larger size still contains few windows twice.
MANY_SERIES = 200


@dataclass(frozen=True)
class _Profile:
    """Defaults of a training's hyperparameters; names are SageMaker's.

    Attributes:
        context_length: periods; at least the horizon, up to ``LONGEST_CONTEXT``, is taken if that is longer.
    """

    context_length: int
    epochs: int
    learning_rate: float
    mini_batch_size: int
    early_stopping_patience: int
    num_layers: int = 2
    num_cells: int = 40
    dropout_rate: float = 0.1
    embedding_dimension: int = 10
    num_eval_samples: int = 100


# A longer context costs time and gains little: the network also reads lags of up to three years.
LONGEST_CONTEXT = {"D": 56, "W": 26, "MS": 18}

# Months on SageMaker: the settings of the DeepAR study (docs/reference/domain.md). Days and weeks: within the ranges
# of SageMaker's developer guide, where an epoch is one pass over the data.
_SAGEMAKER = {
    "D": _Profile(28, epochs=200, learning_rate=0.001, mini_batch_size=128, early_stopping_patience=20),
    "W": _Profile(13, epochs=300, learning_rate=0.001, mini_batch_size=128, early_stopping_patience=30),
    "MS": _Profile(18, epochs=400, learning_rate=0.001, mini_batch_size=449, early_stopping_patience=40, num_cells=56),
}

# Here an epoch is `local.batches_per_epoch` steps. With the default of ten a training took 7 to 18 CPU seconds of one
# core (docs/deepar.md); twice as long on the months lowered the training loss further, but not the errors of the test.
_LOCAL = {
    "D": _Profile(
        28, epochs=80, learning_rate=0.003, mini_batch_size=32, early_stopping_patience=20, embedding_dimension=5
    ),
    "W": _Profile(
        13, epochs=60, learning_rate=0.003, mini_batch_size=32, early_stopping_patience=20, embedding_dimension=5
    ),
    "MS": _Profile(
        18, epochs=100, learning_rate=0.003, mini_batch_size=32, early_stopping_patience=25, embedding_dimension=5
    ),
}


def hyperparameters(
    settings: DeepArTraining,
    configuration: DeepArConfiguration,
    frequency: Frequency,
    horizon: int,
    series: int,
) -> dict[str, str]:
    """All hyperparameters of a training, in the form that SageMaker's container reads.

    Args:
        settings: values under ``hyperparameters`` have precedence over the profile.
        configuration: gives the likelihood.
        frequency: frequency of the series.
        horizon: periods to forecast [H], at least 1.
        series: number of series; few of them get smaller batches.

    Returns:
        SageMaker's name to value, every value text.
    """
    profile = _profile(settings, frequency, horizon, series)
    chosen = asdict(profile) | settings.hyperparameters.model_dump(exclude_none=True)
    return {
        "time_freq": TIME_FREQUENCIES[frequency.kind],
        "prediction_length": str(horizon),
        "likelihood": configuration.likelihood,
        "cardinality": "auto",
        "num_dynamic_feat": "auto",
        "test_quantiles": json.dumps(list(TEST_QUANTILES)),
        **{name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in chosen.items()},
    }


def _profile(settings: DeepArTraining, frequency: Frequency, horizon: int, series: int) -> _Profile:
    own = (_LOCAL if settings.backend == "local" else _SAGEMAKER)[frequency.kind]
    values = asdict(own)
    values["context_length"] = max(own.context_length, min(horizon, LONGEST_CONTEXT[frequency.kind]))
    if settings.backend == "local" and series >= MANY_SERIES:
        values["mini_batch_size"] = 2 * own.mini_batch_size
    return _Profile(**values)
