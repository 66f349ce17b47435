from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_twin.client import BUCKET, TwinClient, model_definition, training_definition, transform_definition

START = "2024-01-01 00:00:00"
RECORDS = [{"start": START, "target": [level] * 9} for level in (1.0, 2.0, 3.0)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.fixture
def transform(aws_twin: TwinClient, new_name: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """Runs a transform job to its end; its description."""

    def run(model: str, source: str, changed_input: dict[str, str] | None = None, **environment: str) -> dict[str, Any]:
        name = new_name("transform")
        request = transform_definition(model, source, f"s3://{BUCKET}/answers/{name}/", **environment)
        request["TransformInput"] |= changed_input or {}
        aws_twin.client("sagemaker").create_transform_job(TransformJobName=name, **request)
        return aws_twin.wait_for_transform(name)

    return run


def answers(twin: TwinClient, job: dict[str, Any], name: str) -> list[dict[str, Any]]:
    content = twin.read(job["TransformOutput"]["S3OutputPath"] + name).decode()
    return [json.loads(line) for line in content.splitlines()]


def test_every_line_is_answered_in_its_order(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]
) -> None:
    job = transform(model, aws_twin.put("asked/lines.json", LINES))
    assert job["TransformJobStatus"] == "Completed"
    assert "FailureReason" not in job
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    found = answers(aws_twin, job, "lines.json.out")
    assert [answer["mean"] for answer in found] == [[1.0] * 7, [2.0] * 7, [3.0] * 7]


def test_every_file_under_a_prefix_has_an_answer_of_its_own(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]
) -> None:
    aws_twin.put("asked-many/a.json", LINES)
    aws_twin.put("asked-many/deep/b.json", json.dumps(RECORDS[1]))
    job = transform(model, f"s3://{BUCKET}/asked-many/")
    assert len(answers(aws_twin, job, "a.json.out")) == 3
    assert len(answers(aws_twin, job, "deep/b.json.out")) == 1


def test_the_inference_options_are_the_job_s_before_the_model_s(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]], new_name: Callable[..., str]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    archive = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"]
    only_mean = json.dumps({"num_samples": 10, "output_types": ["mean"], "quantiles": []})
    only_median = json.dumps({"num_samples": 10, "output_types": ["quantiles"], "quantiles": ["0.5"]})
    configured = new_name("configured")
    sagemaker.create_model(ModelName=configured, **model_definition(archive, DEEPAR_INFERENCE_CONFIG=only_mean))
    source = aws_twin.put("options/one.json", json.dumps(RECORDS[0]))

    by_model = answers(aws_twin, transform(configured, source), "one.json.out")
    by_job = answers(aws_twin, transform(configured, source, DEEPAR_INFERENCE_CONFIG=only_median), "one.json.out")

    assert by_model == [{"mean": [1.0] * 7}]
    assert by_job == [{"quantiles": {"0.5": [1.0] * 7}}]


def test_gzip_is_read_only_when_it_is_announced(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]
) -> None:
    source = aws_twin.put("packed/lines.json.gz", gzip.compress(LINES.encode()))
    announced = transform(model, source, {"CompressionType": "Gzip"})
    assert len(answers(aws_twin, announced, "lines.json.gz.out")) == 3
    assert transform(model, source)["TransformJobStatus"] == "Failed"


def test_the_defaults_of_splitting_and_assembling_are_traps(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]], new_name: Callable[..., str]
) -> None:
    source = aws_twin.put("traps/lines.json", LINES)
    unsplit = transform(model, source, {"SplitType": "None"})
    assert unsplit["TransformJobStatus"] == "Failed"
    assert "set SplitType to Line" in unsplit["FailureReason"]
    request = transform_definition(model, source, f"s3://{BUCKET}/answers/glued")
    del request["TransformOutput"]["AssembleWith"]
    name = new_name("glued")
    aws_twin.client("sagemaker").create_transform_job(TransformJobName=name, **request)
    aws_twin.wait_for_transform(name)
    assert aws_twin.read(f"s3://{BUCKET}/answers/glued/lines.json.out").count(b"\n") == 0


def test_a_bad_line_fails_the_job_with_its_number(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]
) -> None:
    job = transform(model, aws_twin.put("bad/lines.json", LINES + '{"start": "2024-01-01 00:00:00"}\n'))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: line 4 of the input is no DeepAR record")


def test_a_prefix_without_data_fails_the_job(model: str, transform: Callable[..., dict[str, Any]]) -> None:
    assert transform(model, f"s3://{BUCKET}/void/")["FailureReason"].startswith("ClientError: No S3 objects found")


def test_a_failure_on_demand(aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]) -> None:
    aws_twin.disturb("transform", "fail", reason="InternalServerError: We encountered an internal error.")
    job = transform(model, aws_twin.put("demand/lines.json", LINES))
    assert job["FailureReason"] == "InternalServerError: We encountered an internal error."


def test_a_stopped_transform_ends_stopped_and_is_not_stopped_twice(
    aws_twin: TwinClient, new_model: Callable[..., str], new_name: Callable[..., str]
) -> None:
    slow, sagemaker, name = new_model(fake_transform_seconds="60"), aws_twin.client("sagemaker"), new_name("slow")
    source = aws_twin.put("slow/lines.json", LINES)
    request = transform_definition(slow, source, f"s3://{BUCKET}/answers/slow")
    sagemaker.create_transform_job(TransformJobName=name, **request)
    sagemaker.stop_transform_job(TransformJobName=name)
    assert aws_twin.wait_for_transform(name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match=r"ValidationException.*the transform job is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName=name)
    listed = sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert [(job["TransformJobName"], job["TransformJobStatus"]) for job in listed] == [(name, "Stopped")]


def test_a_taken_name_and_an_unknown_model_are_refused(
    aws_twin: TwinClient, model: str, transform: Callable[..., dict[str, Any]]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    source = aws_twin.put("names/lines.json", LINES)
    name = transform(model, source)["TransformJobName"]
    request = transform_definition(model, source, f"s3://{BUCKET}/answers/names")
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="Transform job names must be unique"):
        sagemaker.create_transform_job(TransformJobName=name, **request)
    with pytest.raises(ClientError, match=r'ValidationException.*Could not find model "arn:aws:sagemaker:.*/nobody"'):
        sagemaker.create_transform_job(TransformJobName="orphan", **{**request, "ModelName": "nobody"})


def test_a_model_needs_an_archive_that_is_there(aws_twin: TwinClient, model: str) -> None:
    sagemaker = aws_twin.client("sagemaker")
    with pytest.raises(ClientError, match=f"ValidationException.*Could not find model data at s3://{BUCKET}/no.tar.gz"):
        sagemaker.create_model(ModelName="hollow", **model_definition(f"s3://{BUCKET}/no.tar.gz"))
    taken = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"]
    with pytest.raises(ClientError, match=r"ValidationException.*Cannot create already existing model"):
        sagemaker.create_model(ModelName=model, **model_definition(taken))


def test_a_deleted_model_is_gone(aws_twin: TwinClient, new_model: Callable[..., str]) -> None:
    sagemaker, name = aws_twin.client("sagemaker"), new_model()
    assert [found["ModelName"] for found in sagemaker.list_models(NameContains=name)["Models"]] == [name]
    sagemaker.delete_model(ModelName=name)
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=name)


def test_training_on_what_a_manifest_names(
    aws_twin: TwinClient, channels: dict[str, str], new_name: Callable[..., str]
) -> None:
    aws_twin.put("manifest/used.json", LINES)
    aws_twin.put("manifest/unused.json", "no JSON")
    manifest = aws_twin.put("manifest.json", json.dumps([{"prefix": f"s3://{BUCKET}/manifest/"}, "used.json"]))
    definition = training_definition({"train": manifest})
    definition["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataType"] = "ManifestFile"
    name = new_name("manifest")
    aws_twin.client("sagemaker").create_training_job(TrainingJobName=name, **definition)
    assert aws_twin.wait_for_training(name)["TrainingJobStatus"] == "Completed"
