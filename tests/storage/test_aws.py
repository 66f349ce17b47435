from __future__ import annotations

import boto3
import pytest

from schemas.errors import ConfigError
from tasks.storage.aws import AwsSession, client


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


def test_missing_region_and_unknown_profile_raise_config_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    with pytest.raises(ConfigError, match="No AWS region is configured"):
        _ = AwsSession().region
    monkeypatch.setenv("AWS_PROFILE", "unknown")
    with pytest.raises(ConfigError, match=r"unknown.*Correct AWS_PROFILE"):
        AwsSession()
