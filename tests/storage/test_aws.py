from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from schemas.errors import ConfigError
from schemas.settings import Settings
from tasks.storage.aws import AwsSession, _block_access, client, use_block


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def test_region_argument_overrides_the_environment() -> None:
    assert AwsSession().region == "eu-west-1"
    assert AwsSession("us-east-2").region == "us-east-2"
    assert AwsSession("us-east-2").client("sagemaker").meta.region_name == "us-east-2"


def test_given_boto_session_provides_credentials_and_region() -> None:
    boto = boto3.session.Session(aws_access_key_id="mine", aws_secret_access_key="x", region_name="sa-east-1")
    session = AwsSession(boto=boto)
    assert session.region == "sa-east-1"
    made = session.client("s3")
    assert made.meta.region_name == "sa-east-1"
    assert boto.get_credentials().access_key == "mine"
    assert AwsSession("us-east-2", boto).client("s3").meta.region_name == "us-east-2"


def test_client_uses_adaptive_retries_and_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    made = client("s3")
    assert made.meta.config.retries == {"mode": "adaptive", "total_max_attempts": 8}
    assert made.meta.endpoint_url == "http://127.0.0.1:9"
    assert AwsSession().client("s3", read_timeout=70).meta.config.read_timeout == 70


def test_a_process_keeps_one_client_until_credentials_or_endpoint_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = first\naws_secret_access_key = x\n", "utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    first = client("s3")
    assert client("s3") is first
    credentials.write_text("[default]\naws_access_key_id = renewed\naws_secret_access_key = x\n", "utf-8")
    os.utime(credentials, (1, 1))
    renewed = client("s3")
    assert renewed._request_signer._credentials.access_key == "renewed"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert client("s3").meta.endpoint_url == "http://127.0.0.1:9"
    monkeypatch.setattr("os.getpid", lambda: 1)  # as in a fork
    assert client("s3") is not renewed


def test_missing_region_and_unknown_profile_raise_config_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    with pytest.raises(ConfigError, match="No AWS region is configured"):
        _ = AwsSession().region
    monkeypatch.setenv("AWS_PROFILE", "unknown")
    with pytest.raises(ConfigError, match=r"unknown.*Correct AWS_PROFILE"):
        AwsSession()


KEYS = {"aws_access_key_id": "of-the-block", "aws_secret_access_key": "x", "region_name": "sa-east-1"}


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes the settings of this process name a block; no credentials are in the environment."""
    from prefect_aws import AwsCredentials  # takes a second

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)

    def use(**values: Any) -> None:
        made = AwsCredentials(**{**KEYS, **values})
        monkeypatch.setattr(AwsCredentials, "load", classmethod(lambda cls, name: made))
        use_block("planning-account")

    _block_access.cache_clear()
    yield use
    use_block(None)
    _block_access.cache_clear()


def test_lake_sources_and_sagemaker_use_the_block_of_the_settings(block: Callable[..., None]) -> None:
    block(aws_client_parameters={"endpoint_url": "http://127.0.0.1:9", "config": {"read_timeout": 9}})
    made = client("s3")
    assert made._request_signer._credentials.access_key == "of-the-block"
    assert (made.meta.region_name, made.meta.endpoint_url) == ("sa-east-1", "http://127.0.0.1:9")
    assert made.meta.config.read_timeout == 9
    assert made.meta.config.retries == {"mode": "adaptive", "total_max_attempts": 8}
    sagemaker = AwsSession("us-east-2").client("sagemaker-runtime", read_timeout=70)
    assert sagemaker._request_signer._credentials.access_key == "of-the-block"
    assert (sagemaker.meta.region_name, sagemaker.meta.config.read_timeout) == ("us-east-2", 70)


def test_credentials_of_an_assumed_role_are_renewed(
    block: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect_aws.assume_role_parameters import AssumeRoleParameters

    asked: list[dict[str, Any]] = []

    class Sts:
        def assume_role(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            expiration = datetime.now(UTC) + timedelta(seconds=60)  # sooner than botocore renews: at once too old
            keys = {"AccessKeyId": f"key-{len(asked)}", "SecretAccessKey": "x", "SessionToken": "t"}
            return {"Credentials": {**keys, "Expiration": expiration}}

    monkeypatch.setattr("tasks.storage.aws._sts", lambda *_, **__: Sts())
    block(
        assume_role_arn="arn:aws:iam::123456789012:role/planner",
        assume_role_kwargs=AssumeRoleParameters(ExternalId="7"),
    )
    credentials = AwsSession().boto.get_credentials()
    first = credentials.get_frozen_credentials().access_key
    assert credentials.get_frozen_credentials().access_key != first
    assert asked[0] == {
        "RoleArn": "arn:aws:iam::123456789012:role/planner",
        "RoleSessionName": "restock",
        "ExternalId": "7",
    }


def test_a_missing_block_and_two_accounts_are_errors(block: Callable[..., None], monkeypatch: Any) -> None:
    from prefect_aws import AwsCredentials

    def absent(cls: Any, name: str) -> None:
        raise ValueError(f"Unable to find block document named {name}")

    use_block("nowhere")
    monkeypatch.setattr(AwsCredentials, "load", classmethod(absent))
    with pytest.raises(ConfigError, match=r"the AwsCredentials block 'nowhere' does not exist"):
        client("s3")
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    deepar = {"sagemaker": {"credentials_block": "b"}}
    with pytest.raises(ValueError, match="data and jobs would be in two accounts"):
        Settings.model_validate(
            {"name": "x", "sources": sources, "aws": {"credentials_block": "a"}, "models": {"deepar": deepar}}
        )
