"""The parts of an endpoint: who owns it, its configurations and models, and how all of them are deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import calls, is_absent, is_refused
from tasks.deepar.sagemaker.models import ENDPOINT_TAG
from tasks.deepar.sagemaker.names import DIGEST, digest
from tasks.deepar.sagemaker.requests import INSTALLATION_TAG
from tasks.deepar.sagemaker.work import Pause

PERMANENT, TEMPORARY = "endpoint", "temporary-endpoint"
UNKNOWN_STORAGE = "(unknown storage)"  # of endpoints from before the tag of the installation
_NAME_ROOM = 50
_NAME_BEFORE_DIGEST = 37
_TRIES_AT_DELETION = 60


def tags_of(api: SageMakerApi, arn: str) -> dict[str, str]:
    """The tags of a resource; none if it no longer exists."""
    try:
        pages = api.client.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {str(tag["Key"]): str(tag["Value"]) for page in pages for tag in page["Tags"]}
    except ClientError as error:
        if is_absent(error):
            return {}
        raise


def owner_of(tags: Mapping[str, str], endpoint: str) -> str:
    """The storage of the installation that an endpoint belongs to; "" if Restock has not created it.

    >>> owner_of({"restock:endpoint": "x", "restock:installation": "s3://b/restock"}, "x")
    's3://b/restock'
    """
    if tags.get(ENDPOINT_TAG) != endpoint:
        return ""
    return tags.get(INSTALLATION_TAG, UNKNOWN_STORAGE)


def delete_endpoint(api: SageMakerApi, name: str, pause: Pause, poll_seconds: float) -> bool:
    """Delete an endpoint, then its configurations and their models; missing ones are ignored.

    Args:
        api: the SDK on its session.
        name: name of the endpoint.
        pause: waits for a number of seconds.
        poll_seconds: between two tries at an endpoint that is just being made or changed.

    Returns:
        Whether there was an endpoint.

    Raises:
        ConfigError: rights are missing.
        TrainingError: SageMaker keeps refusing.
    """
    with calls(f"deleting endpoint {name}"):
        existed = delete_alone(api, name, pause, poll_seconds)
        for configuration in configurations_of(api, name):
            delete_configuration(api, configuration, used=set())
        return existed


def delete_alone(api: SageMakerApi, name: str, pause: Pause, poll_seconds: float) -> bool:
    """Delete an endpoint without its parts; return whether there was one."""
    for tries in range(1, _TRIES_AT_DELETION + 1):
        try:
            api.client.delete_endpoint(EndpointName=name)
            return True
        except ClientError as error:
            if is_absent(error):
                return False
            # An endpoint that is being made or changed cannot always be deleted at once.
            if not is_refused(error) or tries == _TRIES_AT_DELETION:
                raise
            pause(poll_seconds)
    return False


def delete_configuration(api: SageMakerApi, name: str, used: set[str]) -> None:
    """Delete a configuration, and its models except those that are used."""
    models = variants_of(answer_of(api.client.describe_endpoint_config, EndpointConfigName=name) or {}).values()
    answer_of(api.client.delete_endpoint_config, EndpointConfigName=name)
    for model in set(models) - used:
        answer_of(api.client.delete_model, ModelName=model)


def configurations_of(api: SageMakerApi, endpoint: str) -> list[str]:
    """The configurations that Restock has created for the endpoint, by their names and tags."""
    stem = stem_of(endpoint)
    own = re.compile(re.escape(stem) + DIGEST)
    pages = api.client.get_paginator("list_endpoint_configs").paginate(NameContains=stem)
    found = [configuration for page in pages for configuration in page["EndpointConfigs"]]
    return [
        str(configuration["EndpointConfigName"])
        for configuration in found
        if own.fullmatch(configuration["EndpointConfigName"])
        and tags_of(api, str(configuration["EndpointConfigArn"])).get(ENDPOINT_TAG) == endpoint
    ]


def stem_of(endpoint: str) -> str:
    """Prefix of the names of its configurations; an endpoint with a long name has its own."""
    if len(endpoint) <= _NAME_ROOM:
        return f"{endpoint}-"
    return f"{endpoint[:_NAME_BEFORE_DIGEST].rstrip('-')}-{digest({'endpoint': endpoint})}-"


def variants_of(configuration: dict[str, Any]) -> dict[str, str]:
    """Variant to model name of an endpoint configuration."""
    return {
        str(variant["VariantName"]): str(variant["ModelName"])
        for variant in configuration.get("ProductionVariants", [])
    }


def answer_of(call: Any, **names: str) -> dict[str, Any] | None:
    """Return the answer of a call; None if the named resource does not exist."""
    try:
        answer: dict[str, Any] = call(**names)
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    return answer
