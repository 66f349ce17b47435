"""A run whose sources and lake lie in a bucket."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow


def test_sources_and_storage_may_lie_in_a_bucket(
    prefect_server: dict[str, str], restock: Restock, company: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        access = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in access.items():
            monkeypatch.setenv(name, value)
            monkeypatch.setitem(prefect_server, name, value)
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="retailer")
        bucket.upload_file(str(company.parent / "sales.csv"), "retailer", "in/sales.csv")
        arguments = (
            *("weekly", "--settings", company, "--as-of", mini_company.AS_OF),
            *("--set", "storage=s3://retailer/lake", "--set", "sources.sales.path=s3://retailer/in/sales.csv"),
        )
        code, out, err = restock(*arguments)
        assert code == 0, err
        assert "s3://retailer/lake/runs/2024-07-01/replenishment.csv" in out
        in_bucket = bucket.get_object(Bucket="retailer", Key="lake/runs/2024-07-01/replenishment.csv")["Body"].read()

        code, _, err = restock(*arguments)
        assert code == 0, err
        assert "computed" not in err
    finally:
        server.stop()

    local = published.parent / "lake" / "runs" / mini_company.AS_OF / "replenishment.csv"
    assert local.read_bytes() == in_bucket
