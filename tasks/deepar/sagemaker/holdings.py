"""The resources of Restock in an AWS account and region: endpoints, models and jobs in progress, by their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.endpoint_parts import TEMPORARY, tags_of
from tasks.deepar.sagemaker.faults import calls
from tasks.deepar.sagemaker.models import ENDPOINT_TAG
from tasks.deepar.sagemaker.requests import INSTALLATION_TAG, NAME_TAG, PURPOSE_TAG, RUN_TAG

# Without a note of a live run, an endpoint of a run or a transform counts as left after this time.
LEFT_AFTER = timedelta(minutes=30)
UNUSED_MODEL_AFTER = timedelta(days=1)
_GPU = re.compile(r"ml\.(p|g|inf|trn)\d")
_SIZE = re.compile(r"(?P<times>\d*)(?P<size>xlarge|large|medium)$")
_CORES_OF_XLARGE = 4
_FEW_CORES, _MANY_CORES = 4, 16


@dataclass(frozen=True)
class Holding:
    """Something that exists in AWS and has Restock's tags.

    Attributes:
        kind: endpoint, model, training, tuning or transform.
        name: its name.
        arn: its ARN.
        status: as SageMaker says; "" for a model.
        created: when it was created.
        instances: such as ``ml.m5.large x 4``; "" for a model.
        tags: all of its tags.
    """

    kind: str
    name: str
    arn: str
    status: str
    created: datetime
    instances: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def age(self, now: datetime) -> timedelta:
        """Time since it was created."""
        return now - self.created

    def row(self, now: datetime) -> dict[str, str]:
        """As a row of a table."""
        hours = self.age(now).total_seconds() / 3_600
        return {
            "kind": self.kind,
            "name": self.name,
            "status": self.status,
            "age": f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} d",  # noqa: PLR2004
            "instances": self.instances,
            "price class": price_class(self.instances),
            "storage": self.tags.get(INSTALLATION_TAG, ""),
            "settings": self.tags.get(NAME_TAG, ""),
            "run": self.tags.get(RUN_TAG, ""),
        }


def price_class(instances: str) -> str:
    """The class of the hourly price by cores: low up to 4, medium up to 16, high above or with a GPU.

    Prices differ between regions and change, so that Restock names none.

    >>> [price_class(one) for one in ("ml.m5.large x 2", "ml.c5.2xlarge x 2", "ml.c5.18xlarge x 1", "ml.g5.xlarge x 1")]
    ['low', 'medium', 'high', 'high']
    >>> price_class("")
    'none'
    """
    cores, known = 0.0, False
    for part in filter(None, instances.split(", ")):
        name, _, count = part.partition(" x ")
        found = _SIZE.search(name)
        if _GPU.match(name) or found is None:
            return "high"
        size = {"medium": 1, "large": 2, "xlarge": _CORES_OF_XLARGE}[found["size"]]
        cores += size * int(found["times"] or 1) * int(count or 1)
        known = True
    if not known:
        return "none"
    return "low" if cores <= _FEW_CORES else "medium" if cores <= _MANY_CORES else "high"


def holdings(api: SageMakerApi) -> list[Holding]:
    """Endpoints, models and jobs in progress with Restock's tags, of every installation in the account and region.

    Raises:
        ConfigError: credentials or rights are missing.
        TrainingError: AWS cannot be reached.
    """
    with calls("listing what exists"):
        found = [*_endpoints(api), *_models(api), *_jobs(api)]
    return sorted(found, key=lambda one: (one.kind, one.name))


def is_left_by_dead_run(holding: Holding, installation: str, live: set[str], transforms: int, now: datetime) -> bool:
    """Whether a dead run of an installation has left something that nobody else will end.

    Trainings and searches end by themselves, and the next run uses their results; permanent endpoints stay.

    Args:
        holding: what exists.
        installation: storage of the installation that asks.
        live: names in the notes of live runs.
        transforms: transform jobs of the installation in progress.
        now: current time.
    """
    if holding.tags.get(INSTALLATION_TAG) != installation or holding.name in live:
        return False
    if holding.kind == "endpoint":
        return holding.tags.get(PURPOSE_TAG) == TEMPORARY and holding.age(now) > LEFT_AFTER
    if holding.kind == "model":
        unused = ENDPOINT_TAG not in holding.tags and not transforms
        return unused and holding.age(now) > UNUSED_MODEL_AFTER
    return False


def _endpoints(api: SageMakerApi) -> Iterator[Holding]:
    for found in _listed(api, "list_endpoints", "Endpoints"):
        tags = _own_tags(api, found["EndpointArn"])
        if tags is None:
            continue
        described = api.client.describe_endpoint(EndpointName=found["EndpointName"])
        config = api.client.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
        instances = [_instances(one, "InitialInstanceCount") for one in config.get("ProductionVariants") or []]
        yield _holding("endpoint", "Endpoint", found, ", ".join(instances), tags)


def _models(api: SageMakerApi) -> Iterator[Holding]:
    for found in _listed(api, "list_models", "Models", NameContains="-model-"):
        tags = _own_tags(api, found["ModelArn"])
        if tags is not None:
            yield _holding("model", "Model", found, "", tags)


def _jobs(api: SageMakerApi) -> Iterator[Holding]:
    for kind, noun, operation in (
        ("training", "TrainingJob", "training_job"),
        ("transform", "TransformJob", "transform_job"),
        ("tuning", "HyperParameterTuningJob", "hyper_parameter_tuning_job"),
    ):
        for found in _listed(api, f"list_{operation}s", f"{noun}Summaries", StatusEquals="InProgress"):
            tags = _own_tags(api, found[f"{noun}Arn"])
            if tags is None:
                continue
            answer = getattr(api.client, f"describe_{operation}")(**{f"{noun}Name": found[f"{noun}Name"]})
            inner = answer.get("TrainingJobDefinition") or answer
            resources = inner.get("TransformResources") or inner.get("ResourceConfig") or {}
            yield _holding(kind, noun, found, _instances(resources, "InstanceCount") if resources else "", tags)


def _listed(api: SageMakerApi, operation: str, key: str, **filters: str) -> Iterator[dict[str, Any]]:
    for page in api.client.get_paginator(operation).paginate(**filters):
        yield from page[key]


def _own_tags(api: SageMakerApi, arn: str) -> dict[str, str] | None:
    tags = tags_of(api, arn)
    return tags if RUN_TAG in tags or INSTALLATION_TAG in tags else None


def _instances(resources: dict[str, Any], count: str) -> str:
    return f"{resources.get('InstanceType', '?')} x {resources.get(count, 1)}"


def _holding(kind: str, noun: str, found: dict[str, Any], instances: str, tags: dict[str, str]) -> Holding:
    return Holding(
        kind=kind,
        name=str(found[f"{noun}Name"]),
        arn=str(found[f"{noun}Arn"]),
        status=str(found.get(f"{noun}Status", "")),
        created=found.get("CreationTime") or datetime.now(UTC),
        instances=instances,
        tags=tags,
    )
