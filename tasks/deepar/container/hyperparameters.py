"""SageMaker's DeepAR hyperparameters: text in, typed and checked values out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.deepar.container.failures import ClientError

LIKELIHOODS = ("student-T", "gaussian", "negative-binomial", "beta")
POINT_LIKELIHOOD = "deterministic-L1"
TIME_FREQUENCY = re.compile(r"([1-9][0-9]*)?(M|W|D|H|min)")
AUTO: Literal["auto"] = "auto"
IGNORE: Literal["ignore"] = "ignore"


@dataclass(frozen=True)
class Hyperparameters:
    """Checked hyperparameters, by SageMaker's names.

    Attributes:
        time_freq: such as ``M``, ``W`` or ``5min``.
        cardinality: values of each categorical feature; ``auto`` = from the training data, ``ignore`` = none is used.
        num_dynamic_feat: number of dynamic features; ``auto`` and ``ignore`` as above.
        early_stopping_patience: epochs without a better training loss before the end; None = all epochs.
    """

    time_freq: str
    prediction_length: int
    context_length: int
    epochs: int
    likelihood: str = "student-T"
    num_cells: int = 40
    num_layers: int = 2
    mini_batch_size: int = 128
    dropout_rate: float = 0.1
    learning_rate: float = 0.001
    early_stopping_patience: int | None = None
    cardinality: tuple[int, ...] | Literal["auto", "ignore"] = AUTO
    embedding_dimension: int = 10
    num_dynamic_feat: int | Literal["auto", "ignore"] = AUTO
    num_eval_samples: int = 100
    test_quantiles: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


REQUIRED = ("time_freq", "prediction_length", "context_length", "epochs")


def parse_hyperparameters(texts: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters of a job.

    Args:
        texts: name to value; every value is text.

    Raises:
        ClientError: unknown names, missing names and invalid values, all in one message.
    """
    unknown = sorted(set(texts) - set(_PARSERS))
    problems = [f"Additional hyperparameters are not allowed ('{name}' was unexpected)" for name in unknown]
    problems += [f"'{name}' is a required hyperparameter" for name in REQUIRED if name not in texts]
    values: dict[str, Any] = {}
    for name, parser in _PARSERS.items():
        if name in texts:
            try:
                values[name] = parser(texts[name])
            except ValueError as error:
                problems.append(f"{name}: {error}, not {texts[name]!r}")
    if problems:
        raise ClientError(f"Failed to validate hyperparameters: {'; '.join(problems)}.")
    return Hyperparameters(**values)


def _number(text: object, kind: Callable[[str], Any], expected: str) -> Any:
    try:
        return kind(text) if isinstance(text, str) else kind("")
    except ValueError as error:
        raise ValueError(f"expected {expected} as text") from error


def _positive_whole(text: object) -> int:
    value: int = _number(text, int, "a whole number of at least 1")
    if value < 1:
        raise ValueError("expected a whole number of at least 1 as text")
    return value


def _step(text: object) -> float:
    value: float = _number(text, float, "a number above 0 and at most 1")
    if not 0 < value <= 1:
        raise ValueError("expected a number above 0 and at most 1 as text")
    return value


def _share(text: object) -> float:
    value: float = _number(text, float, "a number from 0 to below 1")
    if not 0 <= value < 1:
        raise ValueError("expected a number from 0 to below 1 as text")
    return value


def _time_frequency(text: object) -> str:
    if not isinstance(text, str) or TIME_FREQUENCY.fullmatch(text) is None:
        raise ValueError("expected M, W, D, H or min, with a whole number in front or none")
    return text


def _likelihood(text: object) -> str:
    if text == POINT_LIKELIHOOD:
        raise ValueError(
            "GluonTS's DeepAR forecasts a distribution and has no such point forecast; expected one of "
            f"{', '.join(LIKELIHOODS)} (SageMaker's own container takes it)"
        )
    if text not in LIKELIHOODS:
        raise ValueError(f"expected one of {', '.join(LIKELIHOODS)}, with this spelling")
    return str(text)


def _array(text: object, expected: str) -> list[Any]:
    value = _number(text, json.loads, expected)
    if not isinstance(value, list) or not value or any(isinstance(item, bool) for item in value):
        raise ValueError(f"expected {expected} as text")
    return value


def _cardinality(text: object) -> tuple[int, ...] | Literal["auto", "ignore"]:
    if text == AUTO:
        return AUTO
    if text in (IGNORE, ""):
        return IGNORE
    expected = "auto, ignore or an array of whole numbers of at least 1"
    values = _array(text, expected)
    if not all(isinstance(value, int) and value >= 1 for value in values):
        raise ValueError(f"expected {expected} as text")
    return tuple(values)


def _dynamic_features(text: object) -> int | Literal["auto", "ignore"]:
    if text == AUTO:
        return AUTO
    if text in (IGNORE, ""):
        return IGNORE
    return _positive_whole(text)


def _levels(text: object) -> tuple[float, ...]:
    expected = "an array of numbers between 0 and 1"
    values = _array(text, expected)
    if not all(isinstance(value, (int, float)) and 0 < value < 1 for value in values):
        raise ValueError(f"expected {expected} as text")
    return tuple(float(value) for value in values)


_PARSERS: dict[str, Callable[[object], Any]] = {
    "time_freq": _time_frequency,
    "prediction_length": _positive_whole,
    "context_length": _positive_whole,
    "epochs": _positive_whole,
    "likelihood": _likelihood,
    "num_cells": _positive_whole,
    "num_layers": _positive_whole,
    "mini_batch_size": _positive_whole,
    "dropout_rate": _share,
    "learning_rate": _step,
    "early_stopping_patience": _positive_whole,
    "cardinality": _cardinality,
    "embedding_dimension": _positive_whole,
    "num_dynamic_feat": _dynamic_features,
    "num_eval_samples": _positive_whole,
    "test_quantiles": _levels,
}
