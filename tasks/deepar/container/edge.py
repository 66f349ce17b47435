"""Exports a trained model for machines without GluonTS: TorchScript, a description, and the script that reads both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from tasks.deepar.container.archive import unpacked
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.hyperparameters import TIME_FREQUENCY
from tasks.deepar.container.model_files import Model, load

NETWORK, DESCRIPTION, READER = "network.pt", "edge.json", "reader.py"
_FREQUENCIES = ("M", "W", "D")
_LIKELIHOODS = ("student-T", "gaussian", "negative-binomial")


class _Steps(nn.Module):  # type: ignore[misc]
    """The parts of GluonTS's network that have weights."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.embedder, self.rnn, self.projection = network.embedder, network.rnn, network.param_proj

    def embed(self, cat: torch.Tensor) -> torch.Tensor:
        """Vectors of the categories."""
        return cast(torch.Tensor, self.embedder(cat))

    def step(
        self, inputs: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Parameters of the distribution, shape (parameters, N, periods), and the state after the inputs."""
        output, (hidden, cell) = self.rnn(inputs, (hidden, cell))
        return torch.stack(self.projection(output)), hidden, cell


def export(archive: Path, folder: Path, encoding: dict[str, Any] | None = None) -> None:
    """Write an exported model: ``network.pt``, ``edge.json`` and ``reader.py``.

    Args:
        archive: ``model.tar.gz`` of the local container.
        folder: folder to write to; created if it does not exist.
        encoding: how categories and dynamic features of requests are coded; part of ``edge.json``.

    Raises:
        ClientError: the model is not one of the local container, or its frequency or likelihood cannot be exported.
    """
    with unpacked(archive) as unpacked_folder:
        model = load(unpacked_folder)
    given = model.network.given
    frequency = TIME_FREQUENCY.fullmatch(given.time_freq)
    if frequency is None or frequency[1] not in (None, "", "1") or frequency[2] not in _FREQUENCIES:
        raise ClientError(f"time_freq {given.time_freq} cannot be exported; expected one of {', '.join(_FREQUENCIES)}.")
    if given.likelihood not in _LIKELIHOODS:
        raise ClientError(f"likelihood {given.likelihood} cannot be exported; expected {', '.join(_LIKELIHOODS)}.")
    network = _network(model)
    folder.mkdir(parents=True, exist_ok=True)
    cat = torch.zeros(2, max(len(model.network.shape.cardinality), 1), dtype=torch.long)
    state = torch.zeros(given.num_layers, 2, given.num_cells)
    inputs = torch.zeros(2, 3, network.rnn.input_size)
    traced = torch.jit.trace_module(
        _Steps(network).eval(), {"embed": (cat,), "step": (inputs, state, state)}, check_trace=False
    )
    traced.save(str(folder / NETWORK))
    description = _description(model, network, frequency[2]) | {"encoding": encoding or {}}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("edge_reader.py"), folder / READER)


def _network(model: Model) -> Any:
    module = model.network.module(model.network.estimator())
    module.model.load_state_dict(model.weights)
    return module.model.eval()


def _description(model: Model, network: Any, frequency: str) -> dict[str, Any]:
    given, shape = model.network.given, model.network.shape
    return {
        "freq": frequency,
        "horizon": given.prediction_length,
        "context": given.context_length,
        "lags": [int(lag) for lag in network.lags_seq],
        "past": int(network._past_length),
        "cells": given.num_cells,
        "layers": given.num_layers,
        "likelihood": given.likelihood,
        "cardinality": list(shape.cardinality),
        "dynamic_features": shape.dynamic_features,
        "least_scale": shape.smallest / given.context_length,
        "non_negative": shape.non_negative,
        "seed": model.seed,
    }
