from __future__ import annotations

import json

from tests.aws_twin.client import (
    BUCKET,
    TwinClient,
    model_definition,
    training_definition,
    transform_definition,
    variant,
)

OPTIONS = {"num_samples": 20, "output_types": ["mean", "quantiles"], "quantiles": ["0.1", "0.5", "0.9"]}


def series(level: int) -> dict[str, object]:
    """Ninety days of a week that repeats."""
    return {"start": "2024-01-01 00:00:00", "target": [float(level + day % 7) for day in range(90)]}


def test_deepar_is_trained_asked_by_file_and_asked_by_request(aws_twin_real: TwinClient) -> None:
    twin, records = aws_twin_real, [series(level) for level in (5, 50, 500, 1000)]
    sagemaker = twin.client("sagemaker")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    source = twin.put("real/train/series.json", lines)
    twin.put("real/test/series.json", lines)

    channels = {name: f"s3://{BUCKET}/real/{name}" for name in ("train", "test")}
    sagemaker.create_training_job(TrainingJobName="real", **training_definition(channels))
    job = twin.wait_for_training("real")
    assert job["TrainingJobStatus"] == "Completed", job
    metrics = {metric["MetricName"] for metric in job["FinalMetricDataList"]}
    assert metrics == {"train:final_loss", "test:RMSE", "test:mean_wQuantileLoss"}

    sagemaker.create_model(ModelName="real", **model_definition(job["ModelArtifacts"]["S3ModelArtifacts"]))
    # Both load torch for seconds: side by side.
    sagemaker.create_endpoint_config(EndpointConfigName="real", ProductionVariants=[variant("only", "real")])
    sagemaker.create_endpoint(EndpointName="real", EndpointConfigName="real")
    request = transform_definition(
        "real", source, f"s3://{BUCKET}/real/answers", DEEPAR_INFERENCE_CONFIG=json.dumps(OPTIONS)
    )
    sagemaker.create_transform_job(TransformJobName="real", **request)

    assert twin.wait_for_transform("real")["TransformJobStatus"] == "Completed"
    by_file = [json.loads(line) for line in twin.read(f"s3://{BUCKET}/real/answers/series.json.out").splitlines()]
    assert twin.wait_for_endpoint("real")["EndpointStatus"] == "InService"
    answer = twin.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="real",
        ContentType="application/json",
        Body=json.dumps({"instances": records, "configuration": OPTIONS}),
    )
    by_request = json.loads(answer["Body"].read())["predictions"]

    for found in (by_file, by_request):
        assert len(found) == 4
        assert all(set(one["quantiles"]) == {"0.1", "0.5", "0.9"} for one in found)
        assert all(len(one["mean"]) == 7 for one in found)
        # Even a network that learned next to nothing keeps the order of the series' scales.
        levels = [sum(one["quantiles"]["0.5"]) for one in found]
        assert levels[0] < levels[1] < levels[2]
