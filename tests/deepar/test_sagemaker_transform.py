"""Forecasts by batch transform on the twin of AWS."""

from __future__ import annotations

import json

import pytest

from schemas.deepar import DeepArChannel, JobProgress, TrainedModel
from schemas.errors import TrainingError
from schemas.records import FileRef
from tasks.deepar.sagemaker.answers import check_answers
from tasks.deepar.sagemaker.backend import SageMakerBackend
from tests.aws_twin.client import BUCKET, ROLE_ARN, TwinClient
from tests.deepar import sagemaker_stage as stage

LEVELS = (0.1, 0.5, 0.95)


def trained(backend: SageMakerBackend, lake: object, **hyperparameters: str) -> tuple[TrainedModel, DeepArChannel]:
    request = stage.training(lake, **hyperparameters)  # type: ignore[arg-type]
    return backend.train(request, stage.Told()), request.channel


def transforms() -> list[str]:
    return [job["TransformJobName"] for job in stage.sagemaker().list_transform_jobs()["TransformJobSummaries"]]


def test_every_series_is_answered_in_its_order(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    told = stage.Told()
    answers = backend.predict(model, channel, LEVELS, 30, told)

    (job,) = transforms()
    assert job.startswith("shoes-co-forecast-cleaned-student-t-")
    assert answers.key == f"{stage.PREFIX}/output/{job}/predictions/input.json.gz.out"
    assert lake.holds(answers)
    lines = [json.loads(line) for line in lake.read_bytes(answers.key).splitlines()]
    assert [line["mean"] for line in lines] == [[level] * stage.LENGTH for level in (5.0, 6.0, 7.0)]
    assert list(lines[0]["quantiles"]) == ["0.1", "0.5", "0.95"]
    assert told.steps[-1].state == "finished"
    assert stage.sagemaker().list_models()["Models"] == []
    assert lake.keys("deepar/running") == []


def test_what_the_settings_say_is_what_is_sent(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(
        lake,
        transform_instance={"type": "ml.m5.xlarge"},
        max_concurrent_transforms=50,
        model_server_timeout_seconds=90,
        kms_key="key-1",
        tags={"team": "planning"},
    )
    model, channel = trained(backend, lake)
    backend.predict(model, channel, LEVELS, 30, stage.Told())
    sent = stage.sagemaker().describe_transform_job(TransformJobName=transforms()[0])
    assert sent["TransformInput"] == {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/lake/{channel.inference.key}"}
        },
        "ContentType": "application/jsonlines",
        "CompressionType": "Gzip",
        "SplitType": "Line",
    }
    assert sent["BatchStrategy"] == "SingleRecord"
    assert sent["TransformOutput"]["AssembleWith"] == "Line"
    assert sent["TransformOutput"]["KmsKeyId"] == "key-1"
    assert sent["MaxConcurrentTransforms"] * sent["MaxPayloadInMB"] == 100
    assert sent["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": 90, "InvocationsMaxRetries": 3}
    assert sent["TransformResources"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1,
        "VolumeKmsKeyId": "key-1",
    }


def test_the_same_question_finds_its_answers_and_another_asks_anew(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    first = backend.predict(model, channel, LEVELS, 30, stage.Told())
    assert stage.backend(lake, "run-2").predict(model, channel, LEVELS, 30, stage.Told()) == first
    assert len(transforms()) == 1
    other = backend.predict(model, channel, LEVELS[:2], 30, stage.Told())
    assert other.key != first.key
    assert len(transforms()) == 2


def test_a_transform_that_failed_is_tried_again(twin: TwinClient) -> None:
    twin.disturb("transform", "fail", reason="InternalServerError: We encountered an internal error.")
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    answers = backend.predict(model, channel, LEVELS, 30, stage.Told())
    assert "-2/predictions/" in answers.key


def test_a_lost_input_is_no_error_of_the_data_and_its_model_is_deleted(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    lake.delete(channel.inference.key)
    with pytest.raises(TrainingError, match=r"attempt 2 of 2 .*No S3 objects found(.|\n)*Check role, bucket"):
        backend.predict(model, channel, LEVELS, 30, stage.Told())
    assert len(transforms()) == 2
    assert stage.sagemaker().list_models()["Models"] == []


def test_a_model_outlives_the_error_of_a_run_whose_transform_still_runs(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    twin.disturb("transform", "delay", seconds=2)

    def token_expires(step: JobProgress) -> None:
        if transforms():
            raise TrainingError("the token has expired")

    with pytest.raises(TrainingError, match="token has expired"):
        backend.predict(model, channel, LEVELS, 30, token_expires)
    assert len(stage.sagemaker().list_models()["Models"]) == 1
    answers = stage.backend(lake, "run-2").predict(model, channel, LEVELS, 30, stage.Told())
    assert "-1/predictions/" in answers.key
    assert stage.sagemaker().list_models()["Models"] == []


def test_answers_that_do_not_fit_the_series_are_an_error(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    with pytest.raises(TrainingError, match=r"holds 3 answers; 4 series were asked"):
        backend.predict(model, channel.model_copy(update={"series": 4}), LEVELS, 30, stage.Told())
    with pytest.raises(TrainingError, match=r"line 1: mean, quantile 0.1, .* of another length than 9"):
        backend.predict(model, channel.model_copy(update={"prediction_length": 9}), LEVELS, 30, stage.Told())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"quantiles": {"0.5": [1.0]}}', "expected mean and quantiles"),
        (b'{"mean": [1.0], "quantiles": {"0.1": [1.0]}}', "does not have the quantiles 0.5; it has 0.1"),
        (b'{"error": "out of memory"', "expected mean and quantiles, got .*out of memory"),
    ],
)
def test_a_damaged_answer_is_named(line: bytes, message: str) -> None:
    nothing = FileRef(key="x", bytes=0, sha256="")
    channel = DeepArChannel(
        prefix="p",
        configuration="c",
        train=nothing,
        test=None,
        inference=nothing,
        key_file=nothing,
        time_freq="D",
        prediction_length=1,
        series=1,
        observations=1,
    )
    with pytest.raises(TrainingError, match=message):
        check_answers(line, "s3://b/x.out", channel, [0.5])


def test_a_transform_past_its_time_is_stopped(twin: TwinClient) -> None:
    """SageMaker itself sets a transform no limit."""
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model, channel = trained(backend, lake)
    twin.disturb("transform", "delay", seconds=600)
    hasty = stage.backend(lake, unchecked={"transform_timeout_seconds": 0.3})
    with pytest.raises(TrainingError, match=r"took longer than transform_timeout_seconds.*Raise it"):
        hasty.predict(model, channel, LEVELS, 30, stage.Told())


def test_the_model_carries_the_question_and_the_role(twin: TwinClient) -> None:
    """The model is gone after the transform, so it is looked at while the transform waits."""
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, subnets=["subnet-1"], security_groups=["sg-1"])
    model, channel = trained(backend, lake)
    twin.disturb("transform", "delay", seconds=1.0)
    seen: list[dict] = []

    def look(step: object) -> None:
        names = [found["ModelName"] for found in stage.sagemaker().list_models()["Models"]]
        seen.extend(stage.sagemaker().describe_model(ModelName=name) for name in names)

    backend.predict(model, channel, LEVELS, 30, look, paths=True)
    assert seen[0]["ExecutionRoleArn"] == ROLE_ARN
    assert seen[0]["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert json.loads(seen[0]["PrimaryContainer"]["Environment"]["DEEPAR_INFERENCE_CONFIG"]) == {
        "num_samples": 30,
        "output_types": ["mean", "quantiles", "samples"],
        "quantiles": ["0.1", "0.5", "0.95"],
    }
