"""A test's way to a running twin: boto3 clients, faults, counts, and requests to start from."""

from __future__ import annotations

import functools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BUCKET = "restock-twin"
ROLE_ARN = "arn:aws:iam::123456789012:role/restock-twin"
REGION = "us-east-1"
IMAGE = "522234722520.dkr.ecr.us-east-1.amazonaws.com/forecasting-deepar:1"
PATIENCE_SECONDS = 180.0
# A look takes 20 milliseconds of processor time, here and in the twin.
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class TwinClient:
    """A running twin.

    Args:
        endpoint: Its address.
    """

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment so that the twin is its AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "twin",
            "AWS_SECRET_ACCESS_KEY": "twin",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str, attempts: int = 1, region: str = REGION) -> Any:
        """A boto3 client of the twin that tries each call this number of times."""
        return _client(self.endpoint, service, attempts, region)

    def refuse(self, operation: str, error: str = "InternalFailure", times: int = 1, **details: Any) -> None:
        """The next calls of an operation answer an error; performed=True loses only the answer."""
        self._ask("POST", "faults", {"operation": operation, "error": error, "times": times, **details})

    def restore(self, operation: str) -> None:
        """The next calls of an operation are answered again."""
        self._ask("POST", "faults", {"operation": operation, "forget": True})

    def disturb(self, job: str, fault: str, times: int = 1, **details: Any) -> None:
        """Something happens in the next jobs: job training, transform or endpoint; fault fail, interrupt, ..."""
        self._ask("POST", "faults", {"job": job, "fault": fault, "times": times, **details})

    def asked(self, operation: str) -> int:
        """How often an operation was called since the start or the last reset."""
        return int(self._ask("GET", "calls").get(operation, {}).get("asked", 0))

    def accepted(self, operation: str) -> int:
        """How often it did what it was called for."""
        return int(self._ask("GET", "calls").get(operation, {}).get("accepted", 0))

    def requests(self) -> list[dict[str, Any]]:
        """Every request that was answered, as far as IAM judges it."""
        found: list[dict[str, Any]] = self._ask("GET", "requests")
        return found

    def reset(self) -> None:
        """End every job and forget everything; the bucket and the role are made again."""
        self._ask("POST", "reset", {})

    def put(self, key: str, content: bytes | str) -> str:
        """Write an object of the twin's bucket; its URI."""
        body = content.encode() if isinstance(content, str) else content
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def read(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def put_series(self, prefix: str, series: int = 3, length: int = 24) -> str:
        """JSON Lines of small series with different levels; the prefix's URI."""
        lines = [
            {"start": "2024-01-01 00:00:00", "target": [float(10 * number + day % 7) for day in range(length)]}
            for number in range(1, series + 1)
        ]
        self.put(f"{prefix}/series.json", "".join(json.dumps(line) + "\n" for line in lines))
        return f"s3://{BUCKET}/{prefix}"

    def wait(self, describe: Callable[[], dict[str, Any]], status: str) -> dict[str, Any]:
        """Describe until the status is neither in progress nor on its way."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = describe()
            if answer[status] not in ("InProgress", "Stopping", "Creating", "Updating", "Deleting"):
                return answer
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise TimeoutError(f"still {answer[status]} after {PATIENCE_SECONDS:.0f} s: {answer}")

    def wait_for_training(self, name: str) -> dict[str, Any]:
        sagemaker = self.client("sagemaker")
        return self.wait(lambda: sagemaker.describe_training_job(TrainingJobName=name), "TrainingJobStatus")

    def wait_for_transform(self, name: str) -> dict[str, Any]:
        sagemaker = self.client("sagemaker")
        return self.wait(lambda: sagemaker.describe_transform_job(TransformJobName=name), "TransformJobStatus")

    def wait_for_tuning(self, name: str) -> dict[str, Any]:
        sagemaker = self.client("sagemaker")
        return self.wait(
            lambda: sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
            "HyperParameterTuningJobStatus",
        )

    def wait_for_endpoint(self, name: str) -> dict[str, Any]:
        sagemaker = self.client("sagemaker")
        return self.wait(lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus")

    def _ask(self, method: str, control: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.endpoint}/twin/{control}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another process or thread will do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.02)


@functools.cache
def _client(endpoint: str, service: str, attempts: int, region: str) -> Any:
    import boto3  # every worker imports this module at its start
    from botocore.config import Config

    session = boto3.session.Session(aws_access_key_id="twin", aws_secret_access_key="twin", region_name=region)
    return session.client(service, endpoint_url=endpoint, config=Config(retries={"total_max_attempts": attempts}))


def channel(name: str, uri: str) -> dict[str, Any]:
    """A channel of a training job."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def training_definition(channels: dict[str, str], **hyperparameters: str) -> dict[str, Any]:
    """A CreateTrainingJob request without its name.

    Args:
        channels: Channel name to S3 prefix.
        hyperparameters: In addition to the required ones.
    """
    return {
        "RoleArn": ROLE_ARN,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "time_freq": "D",
            "prediction_length": "7",
            "context_length": "7",
            "epochs": "1",
            **hyperparameters,
        },
        "InputDataConfig": [channel(name, uri) for name, uri in channels.items()],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {"InstanceType": "ml.c5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def model_definition(archive: str, **environment: str) -> dict[str, Any]:
    """A CreateModel request without its name."""
    container = {"Image": IMAGE, "ModelDataUrl": archive, "Environment": environment}
    return {"ExecutionRoleArn": ROLE_ARN, "PrimaryContainer": container}


def transform_definition(model: str, source: str, target: str, **environment: str) -> dict[str, Any]:
    """A CreateTransformJob request without its name, with the options that DeepAR needs."""
    return {
        "ModelName": model,
        "BatchStrategy": "SingleRecord",
        "Environment": environment,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
            "CompressionType": "None",
        },
        "TransformOutput": {"S3OutputPath": target, "AssembleWith": "Line", "Accept": "application/jsonlines"},
        "TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    }


def tuning_definition(
    training: dict[str, Any], ranges: dict[str, Any], most: int = 4, parallel: int = 2, seed: int = 1
) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request without its name.

    Args:
        training: What `training_definition` gives.
        ranges: ParameterRanges.
        most: MaxNumberOfTrainingJobs.
        parallel: MaxParallelTrainingJobs.
        seed: RandomSeed.
    """
    definition = {name: value for name, value in training.items() if name != "HyperParameters"}
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "test:mean_wQuantileLoss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": most, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": ranges,
            "RandomSeed": seed,
        },
        "TrainingJobDefinition": {**definition, "StaticHyperParameters": training["HyperParameters"]},
    }


def variant(name: str, model: str, weight: float = 1.0) -> dict[str, Any]:
    """A production variant of an endpoint configuration."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
    }
