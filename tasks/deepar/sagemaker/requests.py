"""The requests to SageMaker, as arguments of ``sagemaker.core``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.columns import level_text
from schemas.deepar import DeepArChannel, TrainingRequest, TuningRequest
from schemas.settings import DeepArInstance, DeepArSageMakerSettings
from tasks.storage.lake import Lake

MOST_MEGABYTES = 100  # of all requests in progress at one instance
_LARGEST_PAYLOAD = 6
LONGEST_TAG = 256
INSTALLATION_TAG, NAME_TAG = "restock:installation", "restock:name"
RUN_TAG, PURPOSE_TAG = "restock:run", "restock:purpose"
JSON_LINES = "application/jsonlines"


@dataclass(frozen=True)
class Requests:
    """Builds the arguments of jobs and models.

    Attributes:
        lake: the lake of data and results.
        settings: instances, limits, network and keys.
        image: container image.
        run_id: what the tag ``restock:run`` says.
        name: name of the settings.
    """

    lake: Lake
    settings: DeepArSageMakerSettings
    image: str
    run_id: str
    name: str = ""

    def training(self, request: TrainingRequest, spot: bool) -> dict[str, Any]:
        """A training job.

        Args:
            request: what to train.
            spot: whether on spot capacity.
        """
        return {
            **self._training_parts(request.channel, spot, self.settings.training_instance),
            "algorithm_specification": self._algorithm(),
            "hyper_parameters": dict(request.hyperparameters),
            "tags": self._tags(request.purpose),
        }

    def tuning(self, request: TuningRequest, parallel: int, spot: bool, parent: str | None = None) -> dict[str, Any]:
        """A tuning job.

        Args:
            request: what to search.
            parallel: parallel trainings that the account allows.
            spot: whether on spot capacity.
            parent: tuning job to learn from.
        """
        training = request.training
        definition = {
            **self._training_parts(training.channel, spot, self.settings.tuning_instance),
            "algorithm_specification": self._algorithm(),
            "static_hyper_parameters": {
                name: value for name, value in training.hyperparameters.items() if name not in request.ranges
            },
        }
        return {
            "hyper_parameter_tuning_job_config": {
                "strategy": "Bayesian",
                "random_seed": training.seed,
                "hyper_parameter_tuning_job_objective": {"type": "Minimize", "metric_name": request.objective},
                "resource_limits": {
                    "max_number_of_training_jobs": request.configurations,
                    "max_parallel_training_jobs": parallel,
                    "max_runtime_in_seconds": request.max_runtime_seconds,
                },
                **_completion(request),
                "parameter_ranges": _ranges(request),
                # Not offered for DeepAR, whose test metrics are reported only at the end; early_stopping_patience
                # serves instead.
                "training_job_early_stopping_type": "Off",
            },
            "training_job_definition": definition,
            **(_warm_start(parent) if parent else {}),
            "tags": self._tags(f"tuning-{training.purpose}"),
        }

    def transform(self, job: str, model: str, channel: DeepArChannel) -> dict[str, Any]:
        """A batch transform of a channel's inference file: one series a request, one answer a line."""
        settings = self.settings
        instance = settings.transform_instance
        concurrent = settings.max_concurrent_transforms
        return {
            "model_name": model,
            "max_concurrent_transforms": concurrent,
            "max_payload_in_mb": min(_LARGEST_PAYLOAD, MOST_MEGABYTES // concurrent),
            "batch_strategy": "SingleRecord",
            "model_client_config": {
                "invocations_timeout_in_seconds": settings.model_server_timeout_seconds,
                "invocations_max_retries": 3,
            },
            "transform_input": {
                "data_source": {
                    "s3_data_source": {"s3_data_type": "S3Prefix", "s3_uri": self.lake.uri(channel.inference.key)}
                },
                "content_type": JSON_LINES,
                "compression_type": "Gzip" if channel.inference.key.endswith(".gz") else "None",
                "split_type": "Line",
            },
            "transform_output": {
                "s3_output_path": self.lake.uri(predictions_folder(channel, job)),
                "accept": JSON_LINES,
                "assemble_with": "Line",
                **_given(kms_key_id=settings.kms_key),
            },
            "transform_resources": {
                "instance_type": instance.type,
                "instance_count": instance.count,
                **_given(volume_kms_key_id=settings.kms_key),
            },
            "tags": self._tags(f"forecast-{channel.configuration}"),
        }

    def tags(self, purpose: str) -> dict[str, str]:
        """The settings' tags, the installation (its storage), the settings' name, the run and the purpose."""
        own = {INSTALLATION_TAG: self.lake.root, NAME_TAG: tag_text(self.name), RUN_TAG: self.run_id}
        return {**self.settings.tags, **own, PURPOSE_TAG: purpose}

    def network(self) -> dict[str, Any]:
        """Subnets and security groups, if the settings name some."""
        if not self.settings.subnets:
            return {}
        return {
            "vpc_config": {
                "subnets": list(self.settings.subnets),
                "security_group_ids": list(self.settings.security_groups),
            }
        }

    def _tags(self, purpose: str) -> list[dict[str, str]]:
        return [{"key": key, "value": value} for key, value in self.tags(purpose).items()]

    def _training_parts(self, channel: DeepArChannel, spot: bool, instance: DeepArInstance) -> dict[str, Any]:
        settings = self.settings
        stopping = {"max_runtime_in_seconds": settings.max_runtime_seconds}
        if spot:
            runtime, wait = settings.spot_seconds
            stopping = {"max_runtime_in_seconds": runtime, "max_wait_time_in_seconds": wait}
        files = {"train": channel.train.key} | ({"test": channel.test.key} if channel.test else {})
        return {
            "role_arn": settings.role,
            "input_data_config": [self._channel(name, key) for name, key in files.items()],
            "output_data_config": {
                "s3_output_path": self.lake.uri(output_folder(channel)),
                **_given(kms_key_id=settings.kms_key),
            },
            "resource_config": {
                **_instances(instance),
                "volume_size_in_gb": settings.volume_gb,
                **_given(volume_kms_key_id=settings.kms_key),
            },
            "stopping_condition": stopping,
            "enable_managed_spot_training": spot,
            **self.network(),
        }

    def _channel(self, name: str, key: str) -> dict[str, Any]:
        """A channel is a folder; DeepAR unpacks ``.json.gz`` itself, and File mode takes no compression type."""
        folder = key.rsplit("/", maxsplit=1)[0]
        return {
            "channel_name": name,
            "input_mode": "File",
            "data_source": {
                "s3_data_source": {
                    "s3_data_type": "S3Prefix",
                    "s3_uri": f"{self.lake.uri(folder)}/",
                    "s3_data_distribution_type": "FullyReplicated",
                }
            },
        }

    def _algorithm(self) -> dict[str, Any]:
        return {"training_image": self.image, "training_input_mode": "File"}


def output_folder(channel: DeepArChannel) -> str:
    """Lake key below which the jobs of an experiment write."""
    return f"{channel.prefix}/output"


def predictions_folder(channel: DeepArChannel, job: str) -> str:
    """Lake key below which a job writes its forecasts."""
    return f"{output_folder(channel)}/{job}/predictions"


@dataclass(frozen=True)
class Asked:
    """DeepAR's requested output: mean and quantiles, and sample paths if requested.

    Attributes:
        quantiles: levels between 0 and 1.
        num_samples: sample paths that they are computed from.
        paths: the sample paths themselves too.
    """

    quantiles: tuple[float, ...]
    num_samples: int
    paths: bool = False

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration in a request to an endpoint."""
        return {
            "num_samples": self.num_samples,
            "output_types": ["mean", "quantiles", *(["samples"] if self.paths else [])],
            "quantiles": [level_text(quantile) for quantile in self.quantiles],
        }

    @property
    def environment(self) -> dict[str, str]:
        """The configuration for batch transform, whose requests have none: a variable of the container."""
        return {"DEEPAR_INFERENCE_CONFIG": json.dumps(self.configuration)}


def tag_text(text: str) -> str:
    """A text with the characters that AWS allows in the value of a tag.

    >>> tag_text("Shoes & Co")
    'Shoes - Co'
    """
    return re.sub(r"[^\w\s.:/=+\-@]", "-", text)[:LONGEST_TAG]


def plain_number(value: float) -> str:
    """A number as text without an exponent.

    >>> plain_number(1e-05), plain_number(200.0)
    ('0.00001', '200')
    """
    return format(Decimal(repr(value)).normalize(), "f")


def _completion(request: TuningRequest) -> dict[str, Any]:
    """Criteria on the values of finished trainings, which DeepAR has, unlike values during a training."""
    criteria: dict[str, Any] = {}
    if request.stop_without_progress is not None:
        most = request.stop_without_progress
        criteria["best_objective_not_improving"] = {"max_number_of_training_jobs_not_improving": most}
    if request.stop_at_convergence:
        criteria["convergence_detected"] = {"complete_on_convergence": "Enabled"}
    return {"tuning_job_completion_criteria": criteria} if criteria else {}


def _warm_start(parent: str) -> dict[str, Any]:
    """The data of another week differ, so the kind is a transfer."""
    parents = [{"hyper_parameter_tuning_job_name": parent}]
    return {"warm_start_config": {"parent_hyper_parameter_tuning_jobs": parents, "warm_start_type": "TransferLearning"}}


def _ranges(request: TuningRequest) -> dict[str, list[dict[str, str]]]:
    parts: dict[str, list[dict[str, str]]] = {}
    for name, (least, most, scale, whole) in request.ranges.items():
        kind = "integer_parameter_ranges" if whole else "continuous_parameter_ranges"
        parts.setdefault(kind, []).append(
            {
                "name": name,
                "min_value": plain_number(least),
                "max_value": plain_number(most),
                "scaling_type": "Logarithmic" if scale == "log" else "Linear",
            }
        )
    return parts


def _instances(instance: DeepArInstance) -> dict[str, Any]:
    return {"instance_type": instance.type, "instance_count": instance.count}


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
