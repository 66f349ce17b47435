"""Whether records fit the hyperparameters and each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.hyperparameters import AUTO, IGNORE, Hyperparameters
from tasks.deepar.container.series import Series

FEWEST_OBSERVATIONS = 300


@dataclass(frozen=True)
class DataShape:
    """Properties of the training data that a model depends on.

    Attributes:
        cardinality: number of values of each categorical feature that is used.
        dynamic_features: number of dynamic features that are used.
        longest: periods of the longest series.
        non_negative: no known value is below 0, so forecasts are not either.
        smallest: smallest absolute value above 0 among the known values; 1 if all are 0.
    """

    cardinality: tuple[int, ...]
    dynamic_features: int
    longest: int
    non_negative: bool
    smallest: float


def shape_of(training: Sequence[Series], given: Hyperparameters) -> DataShape:
    """Shape of the training data, with checks.

    Raises:
        ClientError: too few observations, no series long enough, or a record that does not fit.
    """
    observations = sum(len(series.known) for series in training)
    if observations < FEWEST_OBSERVATIONS:
        raise ClientError(
            f"The train channel holds {observations} observations in all series; "
            f"DeepAR needs at least {FEWEST_OBSERVATIONS}."
        )
    longest = max(len(series.target) for series in training)
    if longest < given.prediction_length:
        raise ClientError(
            f"No series of the train channel is as long as prediction_length {given.prediction_length}; "
            f"the longest has {longest} periods."
        )
    shape = DataShape(
        _cardinality(training, given),
        _dynamic_features(training, given),
        longest,
        all((series.known >= 0).all() for series in training),
        _smallest(training),
    )
    for series in training:
        check_training_series(series, shape, given)
    return shape


def check_training_series(series: Series, shape: DataShape, given: Hyperparameters) -> None:
    """A record of the train or test channel: features as long as the target, values within the likelihood.

    Raises:
        ClientError: it does not fit.
    """
    check_features(series, shape, len(series.target))
    _check_support(series, given.likelihood)


def check_inference_series(series: Series, shape: DataShape, given: Hyperparameters) -> None:
    """Check a record to forecast from: its features cover the horizon.

    Raises:
        ClientError: it does not fit.
    """
    check_features(series, shape, len(series.target) + given.prediction_length)
    _check_support(series, given.likelihood)


def check_features(series: Series, shape: DataShape, periods: int) -> None:
    """Number and range of the categories, number and length of the dynamic features.

    Raises:
        ClientError: they differ from the training's.
    """
    if shape.cardinality and len(series.cat) != len(shape.cardinality):
        raise ClientError(f"{series.where}: cat has {len(series.cat)} values, expected {len(shape.cardinality)}.")
    for position, (value, count) in enumerate(zip(series.cat, shape.cardinality, strict=False)):
        if value >= count:
            raise ClientError(
                f"{series.where}: cat[{position}] is {value}, expected 0 to {count - 1}, as in the train channel."
            )
    if shape.dynamic_features and len(series.dynamic_feat) != shape.dynamic_features:
        raise ClientError(
            f"{series.where}: dynamic_feat has {len(series.dynamic_feat)} rows, expected {shape.dynamic_features}."
        )
    if shape.dynamic_features and series.dynamic_feat.shape[1] != periods:
        raise ClientError(
            f"{series.where}: dynamic_feat has {series.dynamic_feat.shape[1]} values per row, expected {periods}: "
            f"the target's {len(series.target)}"
            + (f" and {periods - len(series.target)} to forecast." if periods > len(series.target) else ".")
        )


def _cardinality(training: Sequence[Series], given: Hyperparameters) -> tuple[int, ...]:
    if given.cardinality == IGNORE:
        return ()
    counts = {len(series.cat) for series in training}
    if len(counts) > 1:
        odd = next(series for series in training if len(series.cat) != len(training[0].cat))
        raise ClientError(
            f"{odd.where}: cat has {len(odd.cat)} values, {training[0].where} has {len(training[0].cat)}."
        )
    if given.cardinality != AUTO:
        return tuple(int(count) for count in given.cardinality)
    return tuple(int(value) + 1 for value in np.max([series.cat for series in training], axis=0))


def _dynamic_features(training: Sequence[Series], given: Hyperparameters) -> int:
    if given.num_dynamic_feat == IGNORE:
        return 0
    return len(training[0].dynamic_feat) if given.num_dynamic_feat == AUTO else int(given.num_dynamic_feat)


def _smallest(training: Sequence[Series]) -> float:
    values = [np.abs(series.known[series.known != 0]) for series in training]
    return min((float(found.min()) for found in values if len(found)), default=1.0)


def _check_support(series: Series, likelihood: str) -> None:
    for outside, expected in _OUTSIDE.get(likelihood, ()):
        wrong = outside(series.target)
        if wrong.any():
            position = int(wrong.argmax())
            raise ClientError(
                f"{series.where}: target[{position}] is {series.target[position]:g}; "
                f"the likelihood {likelihood} takes {expected}."
            )


# NaN passes the comparison: an unknown value has no sign.
_Outside = Callable[[NDArray[np.float32]], NDArray[np.bool_]]
_OUTSIDE: dict[str, tuple[tuple[_Outside, str], ...]] = {
    "negative-binomial": (
        (lambda target: target < 0, "counts of at least 0"),
        (lambda target: (target != np.floor(target)) & ~np.isnan(target), "whole numbers"),
    ),
    "beta": ((lambda target: (target <= 0) | (target >= 1), "numbers between 0 and 1, both excluded"),),
}
