"""SageMaker's SDK on one session: its clients and resource classes."""

from __future__ import annotations

import threading
from functools import cache, cached_property
from typing import Any

from schemas.errors import ConfigError
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.faults import calls
from tasks.storage.aws import AwsSession

_COLONS_BEFORE_NAME = 4  # arn:partition:iam:region:account:name
_INVOCATION_SECONDS = 70  # SageMaker ends an invocation after 60


class SageMakerApi:
    """The SDK's resources and boto3's clients, with the session's credentials, region and retries.

    Attributes:
        region: region of all jobs.
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

    def check_account(self, role: str) -> None:
        """Check that credentials and role are of one account: SageMaker passes no role of another one to a job.

        Raises:
            ConfigError: they are not, or there are no credentials.
            TrainingError: AWS cannot be reached.
        """
        with calls("asking for the account"):
            account = str(self._session.client("sts").get_caller_identity()["Account"])
        expected = role.split(":")[4] if role.count(":") > _COLONS_BEFORE_NAME else account
        if account != expected:
            raise ConfigError(
                f"models.deepar.sagemaker.role is {role}, but the credentials are of account {account}: data and jobs "
                "would be in two accounts. Correct the role, AWS_PROFILE or aws.credentials_block."
            )

    @cached_property
    def client(self) -> Any:
        """boto3's client of the service; ``sagemaker.core`` uses the same one."""
        return self._session.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        """boto3's client for invocations, which waits as long as SageMaker lets a model answer."""
        return self._session.client("sagemaker-runtime", read_timeout=_INVOCATION_SECONDS)

    @cached_property
    def scaling(self) -> Any:
        """boto3's client of Application Auto Scaling."""
        return self._session.client("application-autoscaling")

    @cached_property
    def logs(self) -> Any:
        """boto3's client of CloudWatch Logs."""
        return self._session.client("logs")

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
        try:
            return _image(self.region)
        except ValueError as error:
            raise ConfigError(
                f"models.deepar.sagemaker: DeepAR's image in the region {self.region} is unknown ({error}). Set "
                "region to another one, or image_uri."
            ) from error


@cache
def _image(region: str) -> str:
    """The image that the SDK names for a region. It reads its tables again for every question."""
    from sagemaker.core import image_uris

    return str(image_uris.retrieve("forecasting-deepar", region))
