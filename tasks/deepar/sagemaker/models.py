"""SageMaker models: a trained archive and its container, ready for a transform or an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from schemas.deepar import TrainedModel
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import calls, is_absent, is_present
from tasks.deepar.sagemaker.names import work_name
from tasks.deepar.sagemaker.requests import Requests

ENDPOINT_TAG = "restock:endpoint"


class Models:
    """Makes and deletes models; both calls may be repeated.

    Uses boto3, because ``sagemaker.core`` reads back every model that it creates and fails on empty parts of the
    answer.

    Args:
        api: the SDK on its session.
        requests: builds the arguments.
        name: name of the settings.
    """

    def __init__(self, api: SageMakerApi, requests: Requests, name: str) -> None:
        self._api = api
        self._requests = requests
        self._name = name

    def named(
        self, model: TrainedModel, environment: Mapping[str, str] | None = None, endpoint: str | None = None
    ) -> str:
        """The name of a model.

        Args:
            model: the finished training.
            environment: variables of the container.
            endpoint: that the models are for; each endpoint has its own models and deletes them.
        """
        identity = {"archive": model.archive.sha256, **self._request(model, environment)}
        return work_name(self._name, "model", identity | ({"endpoint": endpoint} if endpoint else {})).stem

    def ensure(
        self, model: TrainedModel, environment: Mapping[str, str] | None = None, endpoint: str | None = None
    ) -> str:
        """Make the model if it does not exist, and return its name; the arguments are those of :meth:`named`."""
        name = self.named(model, environment, endpoint)
        tags = endpoint_tags(self._requests, "model", endpoint)
        with calls(f"making model {name}"):
            try:
                self._api.client.create_model(ModelName=name, Tags=tags, **self._request(model, environment))
            except ClientError as error:
                if not is_present(error):
                    raise
        return name

    def delete(self, name: str) -> None:
        """Delete a model; a missing one is ignored."""
        with calls(f"deleting model {name}"):
            try:
                self._api.client.delete_model(ModelName=name)
            except ClientError as error:
                if not is_absent(error):
                    raise

    def _request(self, model: TrainedModel, environment: Mapping[str, str] | None) -> dict[str, Any]:
        settings = self._requests.settings
        network = {"Subnets": list(settings.subnets), "SecurityGroupIds": list(settings.security_groups)}
        return {
            "PrimaryContainer": {
                "Image": self._requests.image,
                "ModelDataUrl": self._requests.lake.uri(model.archive.key),
                "Environment": dict(environment or {}),
            },
            "ExecutionRoleArn": settings.role,
            **({"VpcConfig": network} if settings.subnets else {}),
        }


def endpoint_tags(requests: Requests, purpose: str, endpoint: str | None) -> list[dict[str, str]]:
    """The tags of a part of an endpoint; they name it, so that it deletes nothing but its own parts.

    Args:
        requests: the settings' tags and the run's.
        purpose: what the part is.
        endpoint: that it is for.
    """
    tags = requests.tags(purpose) | ({ENDPOINT_TAG: endpoint} if endpoint else {})
    return [{"Key": key, "Value": text} for key, text in tags.items()]
