"""The worker's way to S3: an ordinary client of the twin's own endpoint."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
REGION = "us-east-1"
WORKER = "twin-worker"  # whose calls meet no fault and are not counted
KEYS = {"aws_access_key_id": WORKER, "aws_secret_access_key": "twin"}


class MissingDataError(Exception):
    """No object where data was promised."""


@dataclass(frozen=True)
class StoredObject:
    """An object, and its name relative to the prefix that led to it."""

    key: str
    relative: str


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class Objects:
    """Objects in the twin's S3."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}
        self.s3 = self.client("s3")

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def _new_client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 2}, s3={"addressing_style": "path"})
        return boto3.session.Session().client(
            service, endpoint_url=self.endpoint, region_name=REGION, config=config, **KEYS
        )

    def under(self, uri: str, role: str = "") -> list[StoredObject]:
        """The objects under a prefix, without what SageMaker skips; at least one, or MissingDataError."""
        bucket, prefix = split_uri(uri)
        missing = MissingDataError(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f'exists in the selected region, that objects exist under that S3 prefix, and that the role "{role}" has '
            f'"s3:ListBucket" permissions on bucket "{bucket}".'
        )
        found = []
        try:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                found += [entry["Key"] for entry in page.get("Contents", [])]
        except ClientError:
            raise missing from None
        folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        objects = []
        for key in found:
            relative = key[len(folder) :] if key.startswith(folder) else key[prefix.rfind("/") + 1 :]
            name = relative.rpartition("/")[2]
            if name and not name.startswith(".") and name != "_SUCCESS":
                objects.append(StoredObject(key, relative))
        if not objects:
            raise missing
        return objects

    def listed_in(self, uri: str, role: str = "") -> list[StoredObject]:
        """The objects that a manifest names: [{"prefix": "s3://..."}, "a.json", ...]."""
        try:
            head, *names = json.loads(self.read(uri))
            _, prefix = split_uri(head["prefix"])
        except (ClientError, ValueError, KeyError, TypeError) as problem:
            raise MissingDataError(f'Could not read the manifest at S3 URL "{uri}": {problem}') from None
        for name in names:
            self.under(head["prefix"] + name, role)
        return [StoredObject(prefix + name, name) for name in names]

    def read(self, uri: str) -> bytes:
        bucket, key = split_uri(uri)
        body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def exists(self, uri: str) -> bool:
        bucket, key = split_uri(uri)
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            return False
        return True

    def fetch(self, source: dict[str, Any], folder: Path, role: str, unpack: bool = False) -> list[str]:
        """Copy the objects of an S3 data source into a folder.

        Args:
            source: S3DataSource of a channel or a transform input.
            folder: Where the files go, under their names relative to the prefix.
            role: Named in messages.
            unpack: The objects are gzip streams; the files are what is inside.

        Returns:
            The relative names, in order.
        """
        uri = source["S3Uri"]
        is_manifest = source.get("S3DataType") == "ManifestFile"
        objects = self.listed_in(uri, role) if is_manifest else self.under(uri, role)
        bucket = split_uri(uri)[0]
        for stored in objects:
            content = self.read(f"s3://{bucket}/{stored.key}")
            target = folder / stored.relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.decompress(content) if unpack else content)
        return [stored.relative for stored in objects]

    def write(self, uri: str, content: bytes) -> None:
        bucket, key = split_uri(uri)
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)
