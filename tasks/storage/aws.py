"""The AWS session: one place that knows how this process reaches AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.errors import ConfigError, StorageError

_MAX_ATTEMPTS = 5
_NO_BUCKET = ("NoSuchBucket", "InvalidBucketName")


def client(service: str) -> Any:
    """A client of an AWS service, from the environment's credentials, region and ``AWS_ENDPOINT_URL``.

    Raises:
        ConfigError: the AWS packages are not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigError(
            "An s3:// address needs the AWS packages, which are an extra: pip install 'restock[aws]' "
            "(in a checkout: pip install -e '.[aws]')."
        ) from error
    return boto3.session.Session().client(
        service, config=Config(retries={"mode": "standard", "max_attempts": _MAX_ATTEMPTS})
    )


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
