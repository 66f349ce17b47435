"""What the twin leans on: moto's server and botocore's model; and typed clients, which lean on the twin."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

from tests.aws_twin.client import (
    BUCKET,
    TwinClient,
    training_definition,
    transform_definition,
    tuning_definition,
    variant,
)
from tests.aws_twin.containers import Containers
from tests.aws_twin.faults import FaultBook
from tests.aws_twin.fixture import ROOT
from tests.aws_twin.jobs import Workshop
from tests.aws_twin.objects import Objects
from tests.aws_twin.service import Region
from tests.aws_twin.validation import known_operations


def test_moto_s_server_is_where_the_twin_takes_it_from() -> None:
    from moto.moto_api._internal.models import moto_api_backend
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import WSGIRequestHandler

    assert list(inspect.signature(DomainDispatcherApplication).parameters) == ["create_app"]
    assert list(inspect.signature(DomainDispatcherApplication.__call__).parameters)[1:] == ["environ", "start_response"]
    assert list(inspect.signature(create_backend_app).parameters) == ["service"]
    assert issubclass(MotoRequestHandler, WSGIRequestHandler)
    assert not inspect.signature(moto_api_backend.reset).parameters


def test_every_operation_that_the_twin_plays_is_sagemaker_s(tmp_path: Path) -> None:
    region = Region("us-east-1", Workshop(Objects("http://127.0.0.1:9"), Containers(), FaultBook(), tmp_path))
    assert len(region.operations) > 20
    assert not set(region.operations) - set(known_operations())


# In a separate process: the package is heavy, and takes its settings from the environment.
SCRIPT = """
import sys
from sagemaker.core.resources import Endpoint, EndpointConfig, HyperParameterTuningJob, Model, TrainingJob, TransformJob

model, transform, tuning, endpoint = sys.argv[1:]
training = TrainingJob.get(model)
training.wait(poll=1)
print(training.training_job_status, training.model_artifacts.s3_model_artifacts)
print(Model.get(model).primary_container.model_data_url)
print(TransformJob.get(transform).transform_job_status)
tuned = HyperParameterTuningJob.get(tuning)
print(tuned.hyper_parameter_tuning_job_status, len(list(tuned.get_all_training_jobs())))
print(EndpointConfig.get(endpoint).production_variants[0].variant_name, Endpoint.get(endpoint).endpoint_status)
"""


def test_sagemaker_core_reads_the_twin_s_answers(aws_twin: TwinClient, channels: dict[str, str], model: str) -> None:
    sagemaker = aws_twin.client("sagemaker")
    source = aws_twin.put("typed/lines.json", '{"start": "2024-01-01 00:00:00", "target": [1, 2, 3, 4, 5, 6, 7, 8]}\n')
    sagemaker.create_transform_job(
        TransformJobName="typed", **transform_definition(model, source, f"s3://{BUCKET}/typed/answers")
    )
    ranges = {"IntegerParameterRanges": [{"Name": "num_cells", "MinValue": "30", "MaxValue": "40"}]}
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="typed", **tuning_definition(training_definition(channels), ranges, most=3)
    )
    sagemaker.create_endpoint_config(EndpointConfigName="typed", ProductionVariants=[variant("only", model)])
    sagemaker.create_endpoint(EndpointName="typed", EndpointConfigName="typed")
    aws_twin.wait_for_transform("typed")
    aws_twin.wait_for_tuning("typed")
    aws_twin.wait_for_endpoint("typed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model, "typed", "typed", "typed"],
        cwd=ROOT,
        env={**os.environ, **aws_twin.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    sagemaker.delete_endpoint(EndpointName="typed")
    archive = f"s3://{BUCKET}/models/{model}/output/model.tar.gz"
    expected = [f"Completed {archive}", archive, "Completed", "Completed 3", "only InService"]
    assert [line for line in done.stdout.splitlines() if line in expected] == expected, done.stdout + done.stderr
