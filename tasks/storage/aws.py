"""The AWS session: one place that knows how this process reaches AWS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.errors import ConfigError, StorageError

_MAX_ATTEMPTS = 8
_NO_BUCKET = ("NoSuchBucket", "InvalidBucketName")
_MAKING = threading.Lock()


class AwsSession:
    """Credentials, region and retries; every client of AWS is made here.

    Throttled and broken calls are tried again with growing pauses, and a throttled client slows down by itself.
    ``AWS_ENDPOINT_URL`` leads the calls elsewhere, such as to a twin of AWS.
    """

    def __init__(self, region: str | None = None, boto: Any = None, max_attempts: int = _MAX_ATTEMPTS) -> None:
        """Open.

        Args:
            region: AWS region; the session's or the environment's where absent.
            boto: a ``boto3.Session`` with its credentials; the environment's where absent.
            max_attempts: calls sent at most for one request.

        Raises:
            ConfigError: the AWS packages are not installed, or the environment names an unknown profile.
        """
        self.boto = boto if boto is not None else _environment_session()
        self._region = region
        self._max_attempts = max_attempts

    @property
    def region(self) -> str:
        """The region that the clients speak to.

        Raises:
            ConfigError: none is known.
        """
        region: str | None = self._region or self.boto.region_name
        if not region:
            raise ConfigError("No AWS region is known. Set it in the settings, or AWS_DEFAULT_REGION.")
        return region

    def client(self, service: str, **options: Any) -> Any:
        """A client of an AWS service.

        Args:
            service: its name in boto3, such as ``s3``.
            options: further settings of botocore's ``Config``, such as ``read_timeout`` in seconds.
        """
        from botocore.config import Config

        retries = {"mode": "adaptive", "total_max_attempts": self._max_attempts}
        # boto3 sessions are not safe for threads while they make a client; clients are.
        with _MAKING:
            return self.boto.client(service, region_name=self._region, config=Config(retries=retries, **options))


def client(service: str) -> Any:
    """A client of an AWS service, from the environment's credentials, region and ``AWS_ENDPOINT_URL``.

    Raises:
        ConfigError: the AWS packages are not installed.
    """
    return AwsSession().client(service)


@contextmanager
def aws_errors(address: str) -> Iterator[None]:
    """Turn what boto3 raises into errors that an operator can act on.

    Args:
        address: ``s3://`` URI that is being worked on.

    Raises:
        ConfigError: the bucket does not exist.
        StorageError: anything else, such as missing credentials, rights or a connection.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NO_BUCKET:
            raise ConfigError(f"{address}: there is no such bucket. Create it, or correct the address.") from error
        raise _failed(address, error) from error
    except ParamValidationError as error:
        raise ConfigError(f"{address} is no valid address ({error}). Expected s3://bucket/path.") from error
    except (BotoCoreError, Boto3Error) as error:
        raise _failed(address, error) from error


def _failed(address: str, error: Exception) -> StorageError:
    return StorageError(
        f"{address} cannot be reached or used ({error}). Check credentials (AWS_PROFILE or AWS_ACCESS_KEY_ID), region, "
        "AWS_ENDPOINT_URL and the rights on the bucket, and run again."
    )


def _environment_session() -> Any:
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError as error:
        raise ConfigError(
            "An s3:// address needs the AWS packages, which are an extra: pip install 'restock[aws]' "
            "(in a checkout: pip install -e '.[aws]')."
        ) from error
    try:
        return boto3.session.Session()
    except ProfileNotFound as error:
        raise ConfigError(f"{error}. Correct AWS_PROFILE, or add the profile to the AWS configuration.") from error
