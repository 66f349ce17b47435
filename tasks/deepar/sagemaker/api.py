"""SageMaker's SDK on one session: where its clients and resource classes come from."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

from schemas.errors import ConfigError
from schemas.settings import DeepArSageMakerSettings
from tasks.storage.aws import AwsSession

_INVOCATION_SECONDS = 70  # SageMaker ends an invocation after 60


class SageMakerApi:
    """The SDK's resources and boto3's clients, with the session's credentials, region and retries.

    Attributes:
        region: of all jobs.
        session: boto3's.
        where: the arguments that make a resource of ``sagemaker.core`` use this session.
    """

    def __init__(self, session: AwsSession) -> None:
        """Open.

        Raises:
            ConfigError: no region is known.
        """
        self._session = session
        self.session = session.boto
        self._opening = threading.Lock()
        self.region = session.region
        self.where = {"session": session.boto, "region": self.region}

    @cached_property
    def client(self) -> Any:
        """boto3's client of the service; ``sagemaker.core`` uses the same one."""
        return self._session.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        """boto3's client for invocations, which waits as long as SageMaker lets a model answer."""
        return self._session.client("sagemaker-runtime", read_timeout=_INVOCATION_SECONDS)

    @cached_property
    def resources(self) -> Any:
        """``sagemaker.core.resources``: importing it costs seconds, so not before it is needed."""
        with self._opening:
            from sagemaker.core import resources
            from sagemaker.core.utils.utils import SageMakerClient

            # The SDK would make a client with its own retries; it keeps one client per session and region.
            SageMakerClient(session=self._session.boto, region_name=self.region).sagemaker_client = self.client
        return resources

    def image(self, settings: DeepArSageMakerSettings) -> str:
        """The container image of training and inference.

        Raises:
            ConfigError: DeepAR is not offered in the region.
        """
        if settings.image_uri:
            return settings.image_uri
        from sagemaker.core import image_uris

        try:
            return str(image_uris.retrieve("forecasting-deepar", self.region))
        except ValueError as error:
            raise ConfigError(
                f"models.deepar.sagemaker: DeepAR's image in the region {self.region} is unknown ({error}). Set "
                "region to another one, or image_uri."
            ) from error


def given(value: Any, otherwise: Any = None) -> Any:
    """A value of a resource; the SDK marks a missing value with a special object, which is false."""
    return value if value or value in (0, False) else otherwise
