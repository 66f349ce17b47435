"""DeepAR really trained on the twin of AWS, and asked by batch transform."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.aws_twin.client import TwinClient
from tests.deepar import sagemaker_stage as stage

LEVELS = (0.1, 0.5, 0.9)


def test_a_trained_network_forecasts_every_series(aws_twin_real: TwinClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_twin_real.environment.items():
        monkeypatch.setenv(name, value)
    lake = stage.lake_on_twin()
    request = stage.training(lake, epochs="4", num_cells="10", num_layers="1", learning_rate="0.01")
    backend = stage.backend(lake)
    model = backend.train(request, stage.Told())
    assert {"train:final_loss", "test:RMSE", "test:mean_wQuantileLoss"} <= set(model.metrics)

    answers = backend.predict(model, request.channel, LEVELS, 40, stage.Told())
    lines = [json.loads(line) for line in lake.read_bytes(answers.key).splitlines()]
    assert len(lines) == stage.SERIES
    quantiles = np.array([[line["quantiles"][level] for level in ("0.1", "0.5", "0.9")] for line in lines])
    assert quantiles.shape == (stage.SERIES, 3, stage.LENGTH)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()
