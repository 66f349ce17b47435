"""Sample paths of a trained model, many series at a time, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.deepar.container.failures import non_finite_in_short
from tasks.deepar.container.model_files import Model
from tasks.deepar.container.network import seed_everything
from tasks.deepar.container.series import Series

# Past values that sampling holds at once, over series and samples: 4 bytes each, a few times over.
_CELLS = 8_000_000
_MOST_SERIES = 512
_NO_NUMBERS = "the trained network returns values that are not numbers; a smaller learning_rate may help"


class Sampler:
    """Samples the horizon of series.

    Args:
        model: the trained model.
        num_samples: paths per series.
    """

    def __init__(self, model: Model, num_samples: int) -> None:
        torch.set_num_threads(1)
        self._network = model.network
        estimator = model.network.estimator(num_samples=num_samples)
        module = model.network.module(estimator)
        module.model.load_state_dict(model.weights)
        self._predictor = estimator.create_predictor(estimator.create_transformation(), module)
        self._predictor.to(torch.device("cpu"))
        at_once = _CELLS // (num_samples * model.network.past_length)
        self._predictor.batch_size = min(max(at_once, 1), _MOST_SERIES)

    def paths(self, series: Sequence[Series], seed: int, held_out: int = 0) -> Iterator[NDArray[np.float32]]:
        """Paths of each series in its order, shape (num_samples, H).

        Args:
            series: records whose dynamic features reach over the horizon.
            seed: the same seed and series give the same paths.
            held_out: last periods of the target that are forecast rather than read.
        """
        seed_everything(seed)
        entries = self._network.entries(series, -held_out if held_out else None)
        with non_finite_in_short(_NO_NUMBERS):
            for forecast in self._predictor.predict(entries):
                samples: NDArray[np.float32] = forecast.samples
                yield np.maximum(samples, 0) if self._network.shape.non_negative else samples
