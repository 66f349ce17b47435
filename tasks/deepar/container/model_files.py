"""A trained model on disk: weights as plain arrays, the rest as JSON. Nothing is pickled."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from tasks.deepar.container.checks import DataShape
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.hyperparameters import parse_hyperparameters
from tasks.deepar.container.job import TrainingJob
from tasks.deepar.container.network import Network
from tasks.deepar.container.training import Fitted

WEIGHTS = "weights.npz"
DESCRIPTION = "model.json"
FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A model that can forecast.

    Attributes:
        network: how it is built.
        weights: by name.
        seed: seed of its training.
    """

    network: Network
    weights: dict[str, torch.Tensor]
    seed: int


def save(folder: Path, job: TrainingJob, fitted: Fitted) -> None:
    """Write a model's files.

    Args:
        folder: folder to write to; created if it does not exist.
        job: what was trained.
        fitted: the result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, allow_pickle=False, **{name: values.numpy() for name, values in fitted.weights.items()})
    description = {
        "format": FORMAT,
        "hyperparameters": job.texts,
        "data": asdict(job.shape),
        "lags": list(fitted.network.lags),
        "local": asdict(job.local),
        "versions": {name: version(name) for name in ("gluonts", "torch", "numpy")},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def load(folder: Path) -> Model:
    """Read a model's files.

    Raises:
        ClientError: they are missing or damaged, or of another format.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ClientError(f"The model has format {description['format']}, expected {FORMAT}. Train it again.")
        shape = description["data"] | {"cardinality": tuple(description["data"]["cardinality"])}
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        network = Network(
            parse_hyperparameters(description["hyperparameters"]), DataShape(**shape), tuple(description["lags"])
        )
        return Model(network, weights, int(description["local"]["seed"]))
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ClientError(f"The model cannot be read ({type(error).__name__}: {error}).") from error
