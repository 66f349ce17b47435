"""A model exported for machines without GluonTS answers as the original does."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

READER = Path(__file__).parents[2] / "tasks" / "deepar" / "container" / "edge_reader.py"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def archive_of(folder: Path, hyperparameters: dict[str, str], shape: Any) -> Path:
    """A model with weights as at the beginning of a training: what it answers does not matter here."""
    from tasks.deepar.container.archive import pack
    from tasks.deepar.container.hyperparameters import parse_hyperparameters
    from tasks.deepar.container.model_files import DESCRIPTION, FORMAT, WEIGHTS
    from tasks.deepar.container.network import Network, seed_everything

    seed_everything(3)
    network = Network.of(parse_hyperparameters(hyperparameters), shape)
    weights = network.module(network.estimator()).model.state_dict()
    model = folder / "model"
    model.mkdir(parents=True)
    np.savez(model / WEIGHTS, allow_pickle=False, **{name: values.numpy() for name, values in weights.items()})
    description = {
        "format": FORMAT,
        "hyperparameters": hyperparameters,
        "data": asdict(shape),
        "lags": list(network.lags),
        "local": {"seed": 7},
    }
    (model / DESCRIPTION).write_text(json.dumps(description))
    pack(model, folder / "model.tar.gz")
    return folder / "model.tar.gz"


@pytest.mark.parametrize(
    ("freq", "likelihood", "cardinality", "dynamic", "periods"),
    [
        ("D", "student-T", (3, 2), 2, 70),
        ("W", "negative-binomial", (), 0, 120),
        ("M", "gaussian", (4,), 1, 10),
    ],
)
def test_the_exported_model_answers_as_the_original(
    tmp_path: Path, freq: str, likelihood: str, cardinality: tuple[int, ...], dynamic: int, periods: int
) -> None:
    from tasks.deepar.container import commands, edge_reader
    from tasks.deepar.container.archive import unpacked
    from tasks.deepar.container.checks import DataShape
    from tasks.deepar.container.edge import READER as COPY
    from tasks.deepar.container.edge import export

    horizon = 5
    asked = {"time_freq": freq, "prediction_length": str(horizon), "context_length": "8", "epochs": "1"}
    asked |= {"likelihood": likelihood, "num_cells": "12", "embedding_dimension": "3"}
    shape = DataShape(cardinality, dynamic, periods, likelihood != "gaussian", 1.0)
    archive = archive_of(tmp_path, asked, shape)
    export(archive, tmp_path / "edge", {"cat": ["store_id"]})
    draw = np.random.default_rng(5)
    instances = []
    for number, length in enumerate((periods, periods // 2, 4)):
        target = [float(value) for value in draw.poisson(6, length)]
        target[length // 2] = None  # type: ignore[call-overload]
        one = {"start": "2023-11-27 00:00:00" if freq != "M" else "2023-11-01 00:00:00", "target": target}
        one |= {"cat": [number % count for count in cardinality]} if cardinality else {}
        one |= {"dynamic_feat": draw.normal(size=(dynamic, length + horizon)).round(3).tolist()} if dynamic else {}
        instances.append(one)
    instances.append({**instances[0], "target": [None] * 3 + [0.0] * (periods - 3)})
    request = {"instances": instances, "configuration": {"num_samples": 40, "quantiles": ["0.1", "0.5", "0.9"]}}
    with unpacked(archive) as folder:
        original = commands._response(commands._loaded(folder), json.dumps(request), None)["predictions"]
    exported = edge_reader.answers(*edge_reader.load(tmp_path / "edge"), request)["predictions"]
    assert len(exported) == len(original) == 4
    for one, other in zip(exported, original, strict=True):
        np.testing.assert_allclose(one["mean"], other["mean"], atol=1e-4)
        for level in ("0.1", "0.5", "0.9"):
            np.testing.assert_allclose(one["quantiles"][level], other["quantiles"][level], atol=1e-4)
    assert (tmp_path / "edge" / COPY).read_bytes() == READER.read_bytes()
    assert json.loads((tmp_path / "edge" / "edge.json").read_text())["encoding"] == {"cat": ["store_id"]}


def test_the_reader_is_short_and_needs_torch_and_numpy_alone() -> None:
    tree = ast.parse(READER.read_text("utf-8"))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"json", "sys", "datetime", "pathlib", "typing", "numpy", "torch"}
    code = [line for line in READER.read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 100
