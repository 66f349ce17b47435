"""SageMaker's errors: which of them are temporary, and who must act on the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from schemas.errors import ConfigError, PipelineError, TrainingError

RIGHTS = "docs/sagemaker.md#permissions"
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429
_PASSING = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|ServiceUnavailable|InternalFailure|InternalServer|RequestTimeout"
)
_ABSENT = re.compile(r"not found|could not find|does ?n[o']t exist|no such", re.IGNORECASE)
_PRESENT = re.compile(r"already exist", re.IGNORECASE)
_NO_RIGHT = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure")
_NO_IDENTITY = re.compile(
    r"UnrecognizedClient|InvalidClientTokenId|ExpiredToken|InvalidSignature|SignatureDoesNotMatch"
)
_SKEWED = re.compile(r"RequestTimeTooSkewed|RequestExpired|Signature (not yet current|expired)", re.IGNORECASE)
_NONE_ALLOWED = re.compile(r"\bis 0 \w+")


def code_of(error: ClientError) -> str:
    """AWS's code of an error, such as ``ValidationException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed a little later: throttling, a lost connection, an internal server error."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return bool(_PASSING.search(code_of(error))) or status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
    return isinstance(error, (ConnectionError, HTTPClientError))


def is_absent(error: ClientError) -> bool:
    """Whether the requested name does not exist: SageMaker reports that with one of two codes."""
    code = code_of(error)
    return code == "ResourceNotFound" or (code.startswith("Validation") and bool(_ABSENT.search(str(error))))


def is_present(error: ClientError) -> bool:
    """Whether something with the requested name already exists."""
    return code_of(error) == "ResourceInUse" or bool(_PRESENT.search(str(error)))


def has_no_right(error: ClientError) -> bool:
    """Whether the role may not make the call."""
    return code_of(error) in _NO_RIGHT


def is_over_quota(error: ClientError) -> bool:
    """Whether the account's quota of instances is used up."""
    return code_of(error) == "ResourceLimitExceeded"


def allows_none(error: ClientError) -> bool:
    """Whether that quota is zero, so that waiting does not help."""
    return bool(_NONE_ALLOWED.search(str(error)))


def is_refused(error: ClientError) -> bool:
    """Whether a request is not possible in the current state, such as stopping a job that has ended."""
    return code_of(error).startswith("Validation")


@contextmanager
def calls(doing: str) -> Iterator[None]:
    """Convert AWS errors into errors that say who must act.

    Args:
        doing: what is being done, for the message, such as ``starting training job x``.

    Raises:
        ConfigError: credentials, rights, quota or a setting are wrong.
        TrainingError: AWS cannot be reached, or keeps failing.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explained(doing, error) from error


def explained(doing: str, error: Exception) -> PipelineError:
    """The error that an operator sees."""
    said = f"SageMaker, {doing}: {error}"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return ConfigError(_credentials(said))
    if isinstance(error, ClientError):
        if _SKEWED.search(str(error)):
            return ConfigError(f"{said} This machine's clock is wrong by minutes. Correct it and run again.")
        if code_of(error) in _NO_RIGHT:
            return ConfigError(f"{said} The rights that are needed are listed in {RIGHTS}.")
        if _NO_IDENTITY.search(code_of(error)):
            return ConfigError(_credentials(said))
        if is_over_quota(error):
            return ConfigError(
                f"{said} Ask AWS for a higher quota, wait for other jobs to end, or set another instance type or a "
                "lower max_parallel_jobs under models.deepar.sagemaker."
            )
        if is_refused(error):
            return ConfigError(f"{said} Correct models.deepar.sagemaker in the settings.")
    return TrainingError(f"{said} Run again: jobs that are in progress are found and not paid twice.")


def _credentials(said: str) -> str:
    return (
        f"{said} Jobs that are in progress continue, and the next run finds them. Give credentials in the environment "
        "(AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or in a Prefect AwsCredentials block "
        "(aws.credentials_block)."
    )
