"""The process that computes a pretrained network: ``python -m tasks.forecasting.pretrained.worker DESCRIPTOR``.

It answers over a socket until the other end is closed. One thread, no network, no GPU: the same bytes everywhere.
Only this module imports torch and transformers, which takes seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULE = "tasks.forecasting.pretrained.worker"
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
}
# Advice of the package for LoRA.
LEARNING_RATE, BATCH = 1e-5, 32


@dataclass(frozen=True)
class NetworkInput:
    """One series as the network reads it.

    Attributes:
        values: shape (m,); units, NaN = unknown.
        covariates: shape (K, m + lead); known future covariates, one row each.
    """

    values: NDArray[np.float32]
    covariates: NDArray[np.float32]

    def asked(self, rows: int | None = None) -> dict[str, Any]:
        """The input of the package; ``rows`` covariates, zeros if there are fewer."""
        m = len(self.values)
        known = self.covariates
        if rows is not None:
            known = np.pad(known, ((0, rows - len(known)), (0, 0)))
        names = [str(number) for number in range(len(known))]
        past = {"past_covariates": dict(zip(names, known[:, :m], strict=True))} if names else {}
        ahead = {"future_covariates": dict(zip(names, known[:, m:], strict=True))} if names else {}
        return {"target": self.values, **past, **ahead}


class Chronos2Network:
    """Chronos-2 with the weights of a folder.

    Each series is computed by itself, so that its forecast does not depend on the other series, to the last bit.

    Args:
        folder: folder with config.json and model.safetensors.

    Attributes:
        levels: quantile levels of its forecasts, rising.

    Raises:
        ValueError: the weights are not those of the configuration.
    """

    def __init__(self, folder: str) -> None:
        import torch
        from chronos.chronos2 import Chronos2Model, Chronos2Pipeline

        model, loaded = Chronos2Model.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        # The library gives absent weights random values.
        absent = [*loaded["missing_keys"], *loaded["mismatched_keys"]]
        if absent:
            raise ValueError(f"{len(absent)} weights of the configuration are not in the file, for example {absent[0]}")
        self._pipeline = Chronos2Pipeline(model=model.eval())
        self.levels = tuple(float(level) for level in self._pipeline.quantiles)
        if 0.5 not in self.levels:  # noqa: PLR2004
            raise ValueError("the configuration has no quantile level 0.5")

    def forecast(self, series: NetworkInput, lead: int, context: int) -> NDArray[np.float32]:
        """Quantiles of the ``lead`` periods after the values, shape (lead, levels).

        Args:
            series: values and covariates.
            lead: periods to forecast.
            context: periods of history that the network reads at most.
        """
        (found,) = self._pipeline.predict(
            [series.asked()], prediction_length=lead, batch_size=1, context_length=context, cross_learning=False
        )
        return np.ascontiguousarray(found[0].numpy().T)

    def check(self) -> None:
        """Do nothing, because the network is computed in this process."""

    def tune(self, series: Sequence[NetworkInput], horizon: int, steps: int, context: int, seed: int) -> None:
        """Adapt the weights to some series by LoRA.

        Args:
            series: series with at least two horizons of values each; their covariates end with the values.
            horizon: periods to forecast.
            steps: optimizer steps, of 32 rows each.
            context: periods of history that a step reads at most.
            seed: seed of the drawn windows and of the initial values.
        """
        import torch
        from chronos.chronos2 import Chronos2Pipeline

        torch.manual_seed(seed)
        np.random.seed(seed)  # what the package draws from
        rows = max(len(one.covariates) for one in series)
        inputs = [one.asked(rows) for one in series]
        for one in inputs:
            # None: known in advance. Their values after the history are not needed.
            one["future_covariates"] = dict.fromkeys(one.pop("future_covariates", {}))
        with TemporaryDirectory(prefix="restock-tuning-") as folder:
            tuned = self._pipeline.fit(
                inputs,
                prediction_length=horizon,
                finetune_mode="lora",
                learning_rate=LEARNING_RATE,
                num_steps=steps,
                batch_size=BATCH,
                context_length=context,
                output_dir=folder,
                remove_printer_callback=True,
                disable_tqdm=True,
                seed=seed,
            )
        self._pipeline = Chronos2Pipeline(model=tuned.model.merge_and_unload().eval())


def main() -> None:
    """Load the folder that the first message names, then answer: ("forecast" or "tune", arguments)."""
    os.dup2(2, 1)  # libraries print
    connection = Connection(int(sys.argv[1]))
    network: Chronos2Network | None = None
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if network is None:
                import torch

                torch.set_num_threads(1)
                network = Chronos2Network(*arguments)
                answer: object = network.levels
            else:
                answer = getattr(network, name)(*arguments)
        except Exception as error:
            connection.send((False, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"))
        else:
            connection.send((True, answer))


if __name__ == "__main__":
    main()
