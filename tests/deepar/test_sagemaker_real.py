"""DeepAR really trained on the twin of AWS, asked by batch transform and by an endpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.aws_twin.client import BUCKET, TwinClient, model_definition, variant
from tests.deepar import sagemaker_stage as stage

LEVELS = (0.1, 0.5, 0.9)


def series(level: int, category: int) -> dict[str, object]:
    """Ninety weeks of a level with a small rhythm."""
    target = [float(level + week % 7) for week in range(90)]
    return {"start": "2024-01-01 00:00:00", "target": target, "cat": [category]}


def test_a_trained_network_forecasts_every_series(aws_twin_real: TwinClient, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = aws_twin_real
    for name, value in twin.environment.items():
        monkeypatch.setenv(name, value)
    lake = stage.lake_on_twin()
    request = stage.training(lake, epochs="2", num_cells="10", num_layers="1", learning_rate="0.01")
    backend = stage.backend(lake)
    model = backend.train(request, stage.Told())
    assert {"train:final_loss", "test:RMSE", "test:mean_wQuantileLoss"} <= set(model.metrics)

    # Loading torch takes the endpoint seconds, so it runs during the transform.
    sagemaker = twin.client("sagemaker")
    sagemaker.create_model(ModelName="real", **model_definition(f"s3://{BUCKET}/lake/{model.archive.key}"))
    sagemaker.create_endpoint_config(EndpointConfigName="real", ProductionVariants=[variant("only", "real")])
    sagemaker.create_endpoint(EndpointName="real", EndpointConfigName="real")

    answers = backend.predict(model, request.channel, LEVELS, 40, stage.Told())
    lines = [json.loads(line) for line in lake.read_bytes(answers.key).splitlines()]
    assert len(lines) == stage.SERIES
    quantiles = np.array([[line["quantiles"][level] for level in ("0.1", "0.5", "0.9")] for line in lines])
    assert quantiles.shape == (stage.SERIES, 3, stage.LENGTH)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()

    assert twin.wait_for_endpoint("real")["EndpointStatus"] == "InService"
    asked = {"num_samples": 20, "output_types": ["mean", "quantiles"], "quantiles": ["0.1", "0.5", "0.9"]}
    instances = [series(level, category) for category, level in enumerate((5, 50, 500))]
    answer = twin.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="real",
        ContentType="application/json",
        Body=json.dumps({"instances": instances, "configuration": asked}),
    )
    found = json.loads(answer["Body"].read())["predictions"]
    assert all(set(one["quantiles"]) == {"0.1", "0.5", "0.9"} for one in found)
    assert [len(one["mean"]) for one in found] == [stage.LENGTH] * 3
    # Even a network that learned next to nothing keeps the order of the series' scales.
    levels = [sum(one["quantiles"]["0.5"]) for one in found]
    assert levels[0] < levels[1] < levels[2]
