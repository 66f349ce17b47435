from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

NUMBERS = count(1)


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """An S3 emulator in this process; one for a module, because boto3 reads its service model again for each."""
    from moto import mock_aws

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws():
            yield


@pytest.fixture
def bucket(s3: None) -> str:
    """An empty bucket of the emulator."""
    import boto3

    name = f"restock-test-{next(NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
