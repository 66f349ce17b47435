"""The AWS session: credentials, region, retries and errors of every AWS call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.errors import ConfigError, StorageError

_MAX_ATTEMPTS = 8
_NO_BUCKET = ("NoSuchBucket", "InvalidBucketName")
_CLIENT_LOCK = threading.Lock()


class AwsSession:
    """Create AWS clients with the same credentials, region and retries.

    boto3 repeats throttled and failed calls with growing pauses and lowers its request rate when it is throttled
    (retry mode ``adaptive``). ``AWS_ENDPOINT_URL`` redirects the calls, for example to an emulator of AWS.
    """

    def __init__(self, region: str | None = None, boto: Any = None, max_attempts: int = _MAX_ATTEMPTS) -> None:
        """Create the session.

        Args:
            region: AWS region; None = the region of the boto3 session or the environment.
            boto: a ``boto3.Session`` with credentials; None = a session from the environment.
            max_attempts: maximum number of calls for one request, including the first one.

        Raises:
            ConfigError: the AWS packages are not installed, or the environment names an unknown profile.
        """
        self.boto = boto if boto is not None else _environment_session()
        self._region = region
        self._max_attempts = max_attempts

    @property
    def region(self) -> str:
        """The AWS region of the clients.

        Raises:
            ConfigError: no region is configured.
        """
        region: str | None = self._region or self.boto.region_name
        if not region:
            raise ConfigError(
                "No AWS region is configured. Set it in the settings or in the environment variable AWS_DEFAULT_REGION."
            )
        return region

    def client(self, service: str, **options: Any) -> Any:
        """Create a client of an AWS service.

        Args:
            service: boto3 name of the service, for example ``s3``.
            options: more settings of botocore's ``Config``, for example ``read_timeout`` in seconds.
        """
        from botocore.config import Config

        retries = {"mode": "adaptive", "total_max_attempts": self._max_attempts}
        # Creating a client is not thread-safe in boto3; using it is.
        with _CLIENT_LOCK:
            return self.boto.client(service, region_name=self._region, config=Config(retries=retries, **options))


def client(service: str) -> Any:
    """Create a client of an AWS service with the environment's credentials, region and ``AWS_ENDPOINT_URL``.

    Raises:
        ConfigError: the AWS packages are not installed.
    """
    return AwsSession().client(service)


@contextmanager
def aws_errors(address: str) -> Iterator[None]:
    """Convert exceptions of boto3 into errors that state how to fix them.

    Args:
        address: ``s3://`` URI of the operation, for the message.

    Raises:
        ConfigError: the bucket does not exist.
        StorageError: any other error, for example missing credentials, missing permissions or no connection.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NO_BUCKET:
            raise ConfigError(f"{address}: the bucket does not exist. Create it or correct the address.") from error
        raise _failed(address, error) from error
    except ParamValidationError as error:
        raise ConfigError(f"{address} is not a valid address ({error}). Expected s3://bucket/path.") from error
    except (BotoCoreError, Boto3Error) as error:
        raise _failed(address, error) from error


def _failed(address: str, error: Exception) -> StorageError:
    return StorageError(
        f"{address} cannot be accessed ({error}). Check the credentials (AWS_PROFILE or AWS_ACCESS_KEY_ID), the "
        "region, AWS_ENDPOINT_URL and the permissions on the bucket, and run again."
    )


def _environment_session() -> Any:
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError as error:
        raise ConfigError(
            "An s3:// address requires the AWS packages. Install them: pip install 'restock[aws]' "
            "(in a source checkout: pip install -e '.[aws]')."
        ) from error
    try:
        return boto3.session.Session()
    except ProfileNotFound as error:
        raise ConfigError(f"{error}. Correct AWS_PROFILE or add the profile to the AWS configuration.") from error
