"""The AWS session: credentials, region, retries and errors of every AWS call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, StorageError

_MAX_ATTEMPTS = 8
_NO_BUCKET = ("NoSuchBucket", "InvalidBucketName")
_CLIENT_LOCK = threading.Lock()


@dataclass(frozen=True)
class Access:
    """A ``boto3.Session``, and what every client of it is made with, such as ``endpoint_url``."""

    session: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)


class _Block:
    """The block that the settings of this process name."""

    name: str | None = None


def use_block(name: str | None) -> None:
    """Take the credentials of all AWS calls of this process from a Prefect AwsCredentials block.

    Args:
        name: name of the block; None = the environment's credentials.
    """
    _Block.name = name


def current_access() -> Access:
    """The access that the settings name.

    Raises:
        ConfigError: the AWS packages are not installed, or the block or the profile does not exist.
    """
    return Access(_environment_session()) if _Block.name is None else _block_access(_Block.name)


class AwsSession:
    """Create AWS clients with the same credentials, region and retries.

    boto3 repeats throttled and failed calls with growing pauses and lowers its request rate when it is throttled
    (retry mode ``adaptive``). ``AWS_ENDPOINT_URL`` redirects the calls, for example to an emulator of AWS.
    """

    def __init__(self, region: str | None = None, boto: Any = None, max_attempts: int = _MAX_ATTEMPTS) -> None:
        """Create the session.

        Args:
            region: AWS region; None = the region of the boto3 session or the environment.
            boto: a ``boto3.Session`` with credentials; None = those of :func:`use_block` or of the environment.
            max_attempts: maximum number of calls for one request, including the first one.

        Raises:
            ConfigError: the AWS packages are not installed, or the environment names an unknown profile.
        """
        access = Access(boto) if boto is not None else current_access()
        self.boto = access.session
        self._parameters = access.parameters
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
            parameters = dict(self._parameters)
            config = Config(retries=retries, **options)
            if "config" in parameters:
                config = parameters.pop("config").merge(config)
            return self.boto.client(service, region_name=self._region, config=config, **parameters)


def client(service: str) -> Any:
    """Return a client of an AWS service with the credentials of the settings, else the environment's.

    Region and ``AWS_ENDPOINT_URL`` come from the environment, unless the block has them. A process has one client per
    service, with its connections, until the environment or a configuration file of AWS changes.

    Raises:
        ConfigError: the AWS packages are not installed.
    """
    block = None if _Block.name is None else _block_access(_Block.name).session
    return _kept_client(service, block or _environment(), os.getpid())


@lru_cache(maxsize=8)
def _kept_client(service: str, access: Any, process: int) -> Any:
    """A client is not shared with a fork, because two processes cannot use one connection."""
    del access, process
    return AwsSession().client(service)


def _environment() -> tuple[object, ...]:
    """Everything that the environment's credentials, region and endpoint depend on."""
    variables = sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    named = (("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config"))
    files = [Path(os.environ.get(variable, file)).expanduser() for variable, file in named]
    return *variables, *(file.stat().st_mtime_ns if file.is_file() else None for file in files)


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


@cache
def _block_access(name: str) -> Access:
    """The access of a block. Credentials of an assumed role are renewed before they expire."""
    try:
        import boto3
        import botocore.session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from prefect_aws import AwsCredentials
    except ImportError as error:
        raise ConfigError("aws.credentials_block requires the AWS packages: pip install 'restock[aws]'") from error
    try:
        block: Any = AwsCredentials.load(name)
    except ValueError as error:
        raise ConfigError(
            f"aws.credentials_block: the AwsCredentials block '{name}' does not exist ({error}). Create it in the "
            "Prefect UI under Blocks, or remove the key to use the environment's credentials."
        ) from error
    parameters = block.aws_client_parameters.get_params_override()
    base = block.model_copy(update={"assume_role_arn": None}).get_boto3_session()
    if not block.assume_role_arn:
        return Access(base, parameters)
    extra = {"RoleSessionName": "restock", **block.assume_role_kwargs.get_params_override()}
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(_sts, base, parameters.get("endpoint_url")),
        source_credentials=base.get_credentials(),
        role_arn=block.assume_role_arn,
        extra_args=extra,
    )
    core = botocore.session.get_session()
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return Access(boto3.session.Session(botocore_session=core, region_name=base.region_name), parameters)


def _sts(base: Any, endpoint_url: str | None, service: str, **options: Any) -> Any:
    """A client of the service that gives the credentials of a role."""
    region = base.region_name or "us-east-1"
    return base._session.create_client(service, **{"region_name": region, "endpoint_url": endpoint_url, **options})
