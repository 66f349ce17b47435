"""The lake in an S3 bucket, and source files in buckets."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.storage.aws import aws_errors, client
from tasks.storage.lake import S3_SCHEME, Lake, checked_key, files_below, sha256_of

_CHECKSUM = "sha256"
_SWAPS = ".promote"
_NOT_FOUND = ("404", "NoSuchKey", "NotFound")
_DELETE_BATCH = 1000


class S3Lake(Lake):
    """A lake below ``s3://bucket/prefix``. A single object is replaced atomically by S3 itself."""

    def __init__(self, root: str) -> None:
        """Open.

        Raises:
            ConfigError: the address names no bucket, the bucket does not exist, or the AWS packages
                are missing.
            StorageError: the bucket cannot be reached.
        """
        self._bucket, self._prefix = split_uri(root)
        self.root = f"{S3_SCHEME}{self._bucket}/{self._prefix}".rstrip("/")
        self._client = client("s3")
        self._downloads = tempfile.TemporaryDirectory(prefix="restock-s3-")
        with aws_errors(self.root):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._object(".tmp"), MaxKeys=1)

    def read_bytes(self, key: str) -> bytes:
        """The content of an object."""
        with aws_errors(self.uri(key)):
            try:
                return bytes(self._client.get_object(Bucket=self._bucket, Key=self._object(key))["Body"].read())
            except self._client.exceptions.NoSuchKey as error:
                raise self._missing(key) from error

    def exists(self, key: str) -> bool:
        """Whether an object has this key."""
        return self._head(key) is not None

    def keys(self, prefix: str) -> list[str]:
        """The keys below a folder, sorted; a publication under way is not listed."""
        below = f"{self._object(prefix)}/" if prefix else (f"{self._prefix}/" if self._prefix else "")
        with aws_errors(self.root):
            found = list(_list(self._client, self._bucket, below))
        start = len(self._prefix) + 1 if self._prefix else 0
        return sorted(key[start:] for key in found if not key[start:].startswith(f"{_SWAPS}/"))

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""
        with aws_errors(self.uri(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._object(key))

    def holds(self, ref: TableRef | FileRef) -> bool:
        """Whether the object exists with the reference's checksum.

        The checksum stored with the object counts: S3 replaces bytes and checksum together. An object
        without one (written by another program) is read.
        """
        head = self._head(ref.key)
        if head is None:
            return False
        stored = head.get("Metadata", {}).get(_CHECKSUM)
        return (stored or hashlib.sha256(self.read_bytes(ref.key)).hexdigest()) == ref.sha256

    def local_copy(self, key: str) -> Path:
        """A download, gone with this object."""
        file = Path(tempfile.mkdtemp(dir=self._downloads.name)) / key.rsplit("/", maxsplit=1)[-1]
        with aws_errors(self.uri(key)):
            try:
                self._client.download_file(self._bucket, self._object(key), str(file))
            except self._client.exceptions.ClientError as error:
                if _is_missing(error):
                    raise self._missing(key) from error
                raise
        return file

    def promote(self, folder: Path, key: str, last: str) -> None:
        """Upload aside, then copy into place with ``last`` at the end, then delete what is no more there.

        S3 cannot replace a folder at once. What was published is copied aside first and brought back
        where a copy fails, or at the next promotion where the process died.
        """
        names = files_below(folder, last)
        swap = f"{_SWAPS}/{key}"
        self._recover(key)
        self._clear(f"{swap}/new")
        for name in names:
            self._place(folder / name, f"{swap}/new/{name}", sha256_of(folder / name))
        before = self._below(key)
        self._copy_all(before, key, f"{swap}/old")
        # The list tells a later promotion that the copy aside is complete.
        self.write_bytes(f"{swap}/previous", "\n".join(before).encode())
        try:
            self._copy_all(names, f"{swap}/new", key)
        except (StorageError, ConfigError):
            self._recover(key)
            raise
        self._delete_all([f"{key}/{name}" for name in before if name not in set(names)])
        self.delete(f"{swap}/previous")
        self._clear(swap)

    def _recover(self, key: str) -> None:
        """Bring back the folder as it was before a promotion that did not end."""
        swap = f"{_SWAPS}/{key}"
        if not self.exists(f"{swap}/previous"):
            return
        before = [name for name in self.read_bytes(f"{swap}/previous").decode().split("\n") if name]
        self._copy_all(before, f"{swap}/old", key)
        self._delete_all([f"{key}/{name}" for name in self._below(key) if name not in set(before)])
        self.delete(f"{swap}/previous")
        self._clear(swap)

    def _below(self, key: str) -> list[str]:
        """Names of the objects below a folder, relative to it."""
        start = f"{self._object(key)}/"
        with aws_errors(self.uri(key)):
            return sorted(name[len(start) :] for name in _list(self._client, self._bucket, start))

    def _copy_all(self, names: Iterable[str], source: str, target: str) -> None:
        for name in names:
            origin = {"Bucket": self._bucket, "Key": self._object(f"{source}/{name}")}
            with aws_errors(self.uri(target)):
                self._client.copy(origin, self._bucket, self._object(f"{target}/{name}"))

    def _clear(self, key: str) -> None:
        self._delete_all([f"{key}/{name}" for name in self._below(key)])

    def _delete_all(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETE_BATCH):
            objects = [{"Key": self._object(key)} for key in keys[start : start + _DELETE_BATCH]]
            with aws_errors(self.root):
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})

    def _head(self, key: str) -> dict[str, Any] | None:
        with aws_errors(self.uri(key)):
            try:
                head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=self._object(key))
            except self._client.exceptions.ClientError as error:
                if _is_missing(error):
                    return None
                raise
        return head

    def _missing(self, key: str) -> StorageError:
        return StorageError(
            f"{self.uri(key)} is missing from the lake. Run again with --force: what is missing is computed anew."
        )

    def _object(self, key: str) -> str:
        return f"{self._prefix}/{checked_key(key)}" if self._prefix else checked_key(key)

    def _scratch(self) -> Path | None:
        return None

    def _place(self, file: Path, key: str, sha256: str) -> None:
        with aws_errors(self.uri(key)):
            self._client.upload_file(
                str(file), self._bucket, self._object(key), ExtraArgs={"Metadata": {_CHECKSUM: sha256}}
            )


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` URI.

    >>> split_uri("s3://bucket/a/b")
    ('bucket', 'a/b')

    Raises:
        ConfigError: it names no bucket.
    """
    bucket, _, key = uri.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        raise ConfigError(f"'{uri}' names no bucket; expected s3://bucket/path.")
    return bucket, key.strip("/")


def download_matching(uri: str, folder: Path) -> dict[str, Path]:
    """Download every object that an ``s3://`` URI names: one key, or a pattern with ``*``, ``?`` or ``[``.

    Returns:
        The object's URI to its copy in ``folder``; empty where nothing matches.

    Raises:
        ConfigError: no such bucket, or the AWS packages are missing.
        StorageError: the bucket cannot be reached.
    """
    bucket, pattern = split_uri(uri)
    s3 = client("s3")
    start = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    with aws_errors(uri):
        keys = [key for key in _list(s3, bucket, start) if key == pattern or _matches(key, pattern)]
        found = {}
        for number, key in enumerate(sorted(keys)):
            copy = folder / f"{number}-{key.rsplit('/', maxsplit=1)[-1]}"
            s3.download_file(bucket, key, str(copy))
            found[f"{S3_SCHEME}{bucket}/{key}"] = copy
    return found


def _matches(key: str, pattern: str) -> bool:
    """Match part by part, so that ``*`` stays within one folder as it does on a disk; ``**`` is any depth."""
    names, parts = key.split("/"), pattern.split("/")
    return not key.endswith("/") and _match_parts(names, parts)


def _match_parts(names: list[str], parts: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_match_parts(names[skipped:], parts[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _match_parts(names[1:], parts[1:])


def _list(s3: Any, bucket: str, prefix: str) -> Iterable[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))


def _is_missing(error: Any) -> bool:
    return str(error.response.get("Error", {}).get("Code")) in _NOT_FOUND
