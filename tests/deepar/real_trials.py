"""A hyperparameter search whose trials really train, in the lake of a folder: FOLDER. Prints its result as JSON."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from schemas.deepar import DeepArChannel, TrainingRequest, TuningRequest
from schemas.settings import DeepArLocalSettings
from tasks.deepar.local.backend import LocalBackend
from tasks.storage.lake import Lake
from tasks.storage.local import LocalLake

PREFIX = "deepar/daily-6-v1"
HYPERPARAMETERS = {
    "time_freq": "D",
    "prediction_length": "4",
    "context_length": "8",
    "epochs": "2",
    "num_cells": "8",
    "mini_batch_size": "8",
    "likelihood": "negative-binomial",
}


def channel(lake: Lake, lines: Sequence[str] = ("{}",), configuration: str = "cleaned-student-t") -> DeepArChannel:
    """A channel of daily data whose files are all the given lines."""
    packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    file = lake.write_bytes(f"{PREFIX}/data/train.json.gz", packed)
    return DeepArChannel(
        prefix=PREFIX,
        configuration=configuration,
        train=file,
        test=file,
        inference=file,
        key_file=file,
        time_freq="D",
        prediction_length=4,
        series=len(lines),
        observations=300,
    )


def main(folder: Path) -> None:
    """Search with three trials, two at a time."""
    lake, rng = LocalLake(folder), np.random.default_rng(2)
    lines = [
        json.dumps({"start": "2023-01-02 00:00:00", "target": rng.poisson(9.0, 60).tolist(), "cat": [one]})
        for one in range(6)
    ]
    purpose = "cleaned-negative-binomial"
    request = TuningRequest(
        training=TrainingRequest(
            purpose=purpose, channel=channel(lake, lines, purpose), hyperparameters=HYPERPARAMETERS, seed=1
        ),
        configurations=3,
        parallel=2,
        objective="test:mean_wQuantileLoss",
        ranges={"learning_rate": (0.001, 0.1, "log", False), "num_layers": (1, 4, "linear", True)},
    )
    result = LocalBackend(lake, DeepArLocalSettings(batches_per_epoch=2), 2).tune(request, lambda _: None)
    sys.stdout.write(result.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
