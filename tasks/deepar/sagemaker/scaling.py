"""The number of instances of an endpoint's variants, adjusted to their requests by Application Auto Scaling.

The metric is SageMaker's ``SageMakerVariantInvocationsPerInstance``: requests per instance and minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from schemas.settings import DeepArEndpointSettings
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import has_no_right

_SERVICE, _DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
_POLICY = "restock-requests"
_METRIC = "SageMakerVariantInvocationsPerInstance"


def scale(api: SageMakerApi, endpoint: str, variants: Iterable[str], settings: DeepArEndpointSettings) -> None:
    """Bring the scaling of an endpoint into line with the settings; may be called twice.

    Args:
        api: the SDK on its session.
        endpoint: its name; it is in service.
        variants: names of its variants.
        settings: the ``models.deepar.sagemaker.endpoint`` block.
    """
    asked = settings.scaling
    wanted = {resource(endpoint, variant) for variant in variants} if asked else set()
    stop_scaling(api, endpoint, keep=wanted)
    for one in sorted(wanted):
        assert asked is not None
        api.scaling.register_scalable_target(
            **_target(one), MinCapacity=settings.instance.count, MaxCapacity=asked.most_instances
        )
        api.scaling.put_scaling_policy(
            **_target(one),
            PolicyName=_POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": asked.requests_per_minute,
                "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            },
        )


def stop_scaling(api: SageMakerApi, endpoint: str, keep: Iterable[str] = ()) -> None:
    """End the scaling of an endpoint's variants, with its policies, except of some.

    Args:
        api: the SDK on its session.
        endpoint: its name.
        keep: what :func:`resource` returns for variants whose scaling stays.
    """
    kept = set(keep)
    for one in _scaled(api):
        if one.startswith(resource(endpoint, "")) and one not in kept:
            api.scaling.deregister_scalable_target(**_target(one))


def _scaled(api: SageMakerApi) -> list[str]:
    """The variants with a scaling in the account and region; none for a role that may not look at it."""
    pages = api.scaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace=_SERVICE, ScalableDimension=_DIMENSION
    )
    try:
        return [str(target["ResourceId"]) for page in pages for target in page["ScalableTargets"]]
    except ClientError as error:
        if has_no_right(error):
            return []
        raise


def resource(endpoint: str, variant: str) -> str:
    """The name by which Application Auto Scaling knows a variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


def _target(one: str) -> dict[str, Any]:
    return {"ServiceNamespace": _SERVICE, "ResourceId": one, "ScalableDimension": _DIMENSION}
