"""Sample paths as DeepAR's answers, and as metrics of the test channel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.deepar.container.failures import ClientError

OUTPUT_TYPES = ("mean", "quantiles", "samples")
CONFIGURATION_VARIABLE = "DEEPAR_INFERENCE_CONFIG"
_DECIMALS = 6
# More would fill the memory of the endpoint.
MOST_SAMPLES = 100_000


@dataclass(frozen=True)
class Asked:
    """The requested content of an answer.

    Attributes:
        num_samples: sample paths per series.
        output_types: some of ``mean``, ``quantiles``, ``samples``.
        quantiles: levels as text; they are the names of the quantiles in the answer.
    """

    num_samples: int = 100
    output_types: tuple[str, ...] = ("mean", "quantiles")
    quantiles: tuple[str, ...] = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9")


def parse_configuration(given: object) -> Asked:
    """Inference options, decoded or as JSON text; what is absent keeps SageMaker's default.

    Raises:
        ClientError: an option is unknown or invalid.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise ClientError(f"{CONFIGURATION_VARIABLE} is not valid JSON ({error}).") from error
    if not isinstance(given, Mapping):
        raise ClientError("The inference configuration must be a JSON object.")
    unknown = sorted(set(given) - {"num_samples", "output_types", "quantiles"})
    if unknown:
        raise ClientError(f"The inference configuration does not know {', '.join(unknown)}.")
    for name in ("output_types", "quantiles"):
        if not isinstance(given.get(name, []), list | tuple):
            raise ClientError(f"{name} must be an array, not {given[name]!r:.40}.")
    asked = Asked(
        given.get("num_samples", Asked.num_samples),
        tuple(given.get("output_types", Asked.output_types)),
        tuple(str(level) for level in given.get("quantiles", Asked.quantiles)),
    )
    _check(asked)
    return asked


def _check(asked: Asked) -> None:
    wanted = asked.num_samples
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MOST_SAMPLES:
        raise ClientError(f"num_samples must be a whole number from 1 to {MOST_SAMPLES}, not {wanted!r:.40}.")
    odd = [name for name in asked.output_types if name not in OUTPUT_TYPES]
    if odd or not asked.output_types:
        raise ClientError(f"output_types must be some of {', '.join(OUTPUT_TYPES)}, not {list(asked.output_types)}.")
    for level in asked.quantiles:
        try:
            inside = 0 < float(level) < 1
        except ValueError:
            inside = False
        if not inside:
            raise ClientError(f"quantiles must be numbers between 0 and 1, not '{level}'.")


def answer(samples: NDArray[np.float32], asked: Asked) -> dict[str, Any]:
    """One series' answer.

    Args:
        samples: paths, shape (num_samples, H).
        asked: what it holds.
    """
    found: dict[str, Any] = {}
    if "mean" in asked.output_types:
        found["mean"] = _listed(samples.mean(axis=0, dtype=np.float64))
    if "quantiles" in asked.output_types:
        values = np.quantile(samples.astype(np.float64), [float(level) for level in asked.quantiles], axis=0)
        found["quantiles"] = {level: _listed(row) for level, row in zip(asked.quantiles, values, strict=True)}
    if "samples" in asked.output_types:
        found["samples"] = [_listed(row) for row in samples.astype(np.float64)]
    return found


class TestMetrics:
    """``test:RMSE`` of the mean and ``test:mean_wQuantileLoss``, over known values, series by series.

    wQL(q) = 2 * sum of max(q (y - f), (q - 1)(y - f)) / sum of |y|; its mean over the levels is the metric.

    Args:
        levels: between 0 and 1.
    """

    __test__ = False

    def __init__(self, levels: Sequence[float]) -> None:
        self._levels = np.array(levels, dtype=np.float64)
        self._squares = 0.0
        self._known = 0
        self._absolute = 0.0
        self._pinball = np.zeros(len(levels))

    def add(self, samples: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
        """Count one series in.

        Args:
            samples: paths, shape (num_samples, H).
            actual: shape (H,); NaN = unknown.
        """
        known = ~np.isnan(actual)
        paths, truth = samples[:, known].astype(np.float64), actual[known].astype(np.float64)
        if not len(truth):
            return
        self._squares += float(np.square(truth - paths.mean(axis=0)).sum())
        self._known += len(truth)
        self._absolute += float(np.abs(truth).sum())
        missed = truth - np.quantile(paths, self._levels, axis=0)
        levels = self._levels[:, None]
        self._pinball += np.maximum(levels * missed, (levels - 1) * missed).sum(axis=1)

    def values(self) -> dict[str, float]:
        """Metrics by SageMaker's names; a metric that is undefined (no known value, all zero) is left out."""
        found: dict[str, float] = {}
        if self._known:
            found["test:RMSE"] = float(np.sqrt(self._squares / self._known))
        if self._absolute > 0:
            found["test:mean_wQuantileLoss"] = float((2 * self._pinball / self._absolute).mean())
        return found


def _listed(row: NDArray[np.float64]) -> list[float]:
    rounded: list[float] = np.round(row, _DECIMALS).tolist()
    return rounded
