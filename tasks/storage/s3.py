"""The lake in an S3 bucket, and source files in buckets."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.storage.aws import aws_errors, client
from tasks.storage.lake import S3_SCHEME, Lake, ObjectFacts, checked_key, files_below, sha256_of
from tasks.storage.temporary import named

_CHECKSUM = "sha256"
_SWAPS = ".promote"
_PREVIOUS = "previous"
_NOT_FOUND = ("404", "NoSuchKey", "NotFound")
_DELETE_BATCH = 1000


class S3Lake(Lake):
    """A lake in ``s3://bucket/prefix``. S3 itself replaces a single object atomically."""

    def __init__(self, root: str) -> None:
        """Open the lake.

        Raises:
            ConfigError: the address has no bucket, the bucket does not exist, or the AWS packages
                are not installed.
            StorageError: the bucket cannot be accessed.
        """
        self._bucket, self._prefix = split_uri(root)
        self.root = f"{S3_SCHEME}{self._bucket}/{self._prefix}".rstrip("/")
        self._client = client("s3")
        self._downloads = tempfile.TemporaryDirectory(prefix=named("bucket"))
        with aws_errors(self.root):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._object(".tmp"), MaxKeys=1)

    def read_bytes(self, key: str) -> bytes:
        """Return the content of an object."""
        with aws_errors(self.uri(key)):
            try:
                return bytes(self._client.get_object(Bucket=self._bucket, Key=self._object(key))["Body"].read())
            except self._client.exceptions.NoSuchKey as error:
                raise self._missing(key) from error

    def exists(self, key: str) -> bool:
        """Return True if an object has this key."""
        return self._head(key) is not None

    def keys(self, prefix: str) -> list[str]:
        """Return the sorted keys in a folder, without the temporary objects of a publication."""
        return sorted(self.objects(prefix))

    def objects(self, prefix: str) -> dict[str, ObjectFacts]:
        """Return size and time of every object in a folder, without the temporary objects of a publication."""
        below = f"{self._object(prefix)}/" if prefix else (f"{self._prefix}/" if self._prefix else "")
        with aws_errors(self.root):
            found = list(_entries(self._client, self._bucket, below))
        start = len(self._prefix) + 1 if self._prefix else 0
        return {
            entry["Key"][start:]: ObjectFacts(entry["Size"], entry["LastModified"])
            for entry in found
            if not entry["Key"][start:].startswith(f"{_SWAPS}/")
        }

    def touch(self, key: str) -> None:
        """Do nothing: S3 changes the time of an object only by writing it again."""

    def delete(self, key: str) -> None:
        """Delete an object; do nothing if it does not exist."""
        with aws_errors(self.uri(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._object(key))

    def holds(self, ref: TableRef | FileRef) -> bool:
        """Return True if the object exists with the checksum of the reference.

        The checksum is part of the object's metadata, which S3 replaces together with its bytes. An object
        without it (written by another program) is downloaded.
        """
        head = self._head(ref.key)
        if head is None:
            return False
        stored = head.get("Metadata", {}).get(_CHECKSUM)
        return (stored or hashlib.sha256(self.read_bytes(ref.key)).hexdigest()) == ref.sha256

    def local_copy(self, key: str) -> Path:
        """Download an object; the file is deleted together with this lake instance."""
        file = Path(tempfile.mkdtemp(dir=self._downloads.name)) / key.rsplit("/", maxsplit=1)[-1]
        with aws_errors(self.uri(key)):
            try:
                self._client.download_file(self._bucket, self._object(key), str(file))
            except self._client.exceptions.ClientError as error:
                if _is_missing(error):
                    raise self._missing(key) from error
                raise
        return file

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Undo interrupted publications. A bucket has no lock: the caller must be the only one that publishes."""
        for name in self._below(_SWAPS):
            if name.endswith(f"/{_PREVIOUS}"):
                self._recover(name.removesuffix(f"/{_PREVIOUS}"))
        self._clear(_SWAPS)
        yield

    def promote(self, folder: Path, key: str, last: str) -> None:
        """Upload to a temporary prefix, copy to ``key`` with ``last`` at the end, then delete obsolete objects.

        S3 cannot replace a folder atomically. The previous objects are copied to a backup prefix first and
        restored if a copy fails. If the process dies, the next publication, rollback or pruning restores them.
        """
        names = files_below(folder, last)
        swap = f"{_SWAPS}/{key}"
        self._recover(key)
        self._clear(f"{swap}/new")
        for name in names:
            self._put(folder / name, f"{swap}/new/{name}", sha256_of(folder / name))
        before = self._below(key)
        self._copy_all(before, key, f"{swap}/old")
        # The list marks the backup as complete for a later publication.
        self.write_bytes(f"{swap}/{_PREVIOUS}", "\n".join(before).encode())
        try:
            self._copy_all(names, f"{swap}/new", key)
        except (StorageError, ConfigError):
            self._recover(key)
            raise
        self._delete_all([f"{key}/{name}" for name in before if name not in set(names)])
        self.delete(f"{swap}/{_PREVIOUS}")
        self._clear(swap)

    def _recover(self, key: str) -> None:
        """Restore the folder as it was before an interrupted publication."""
        swap = f"{_SWAPS}/{key}"
        if not self.exists(f"{swap}/{_PREVIOUS}"):
            return
        before = [name for name in self.read_bytes(f"{swap}/{_PREVIOUS}").decode().split("\n") if name]
        self._copy_all(before, f"{swap}/old", key)
        self._delete_all([f"{key}/{name}" for name in self._below(key) if name not in set(before)])
        self.delete(f"{swap}/{_PREVIOUS}")
        self._clear(swap)

    def _below(self, key: str) -> list[str]:
        """Return the names of the objects in a folder, relative to it."""
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
            f"{self.uri(key)} is missing from the lake. Run again with --force; Restock recomputes missing files."
        )

    def _object(self, key: str) -> str:
        return f"{self._prefix}/{checked_key(key)}" if self._prefix else checked_key(key)

    def _scratch(self) -> Path | None:
        return None

    def _put(self, file: Path, key: str, sha256: str) -> None:
        with aws_errors(self.uri(key)):
            self._client.upload_file(
                str(file), self._bucket, self._object(key), ExtraArgs={"Metadata": {_CHECKSUM: sha256}}
            )


def split_uri(uri: str) -> tuple[str, str]:
    """Split an ``s3://`` URI into bucket and key (or prefix).

    >>> split_uri("s3://bucket/a/b")
    ('bucket', 'a/b')

    Raises:
        ConfigError: the URI has no bucket.
    """
    bucket, _, key = uri.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        raise ConfigError(f"'{uri}' has no bucket; expected s3://bucket/path.")
    return bucket, key.strip("/")


def download_matching(uri: str, folder: Path) -> dict[str, Path]:
    """Download every object that matches an ``s3://`` URI: one key, or a pattern with ``*``, ``?`` or ``[``.

    Returns:
        Maps each object's URI to its copy in ``folder``; empty if nothing matches.

    Raises:
        ConfigError: the bucket does not exist, or the AWS packages are not installed.
        StorageError: the bucket cannot be accessed.
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
    """Match a key part by part, as on a disk: ``*`` matches within one folder, ``**`` at any depth."""
    names, parts = key.split("/"), pattern.split("/")
    return not key.endswith("/") and _match_parts(names, parts)


def _match_parts(names: list[str], parts: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_match_parts(names[skipped:], parts[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _match_parts(names[1:], parts[1:])


def _list(s3: Any, bucket: str, prefix: str) -> Iterable[str]:
    return (entry["Key"] for entry in _entries(s3, bucket, prefix))


def _entries(s3: Any, bucket: str, prefix: str) -> Iterable[dict[str, Any]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def _is_missing(error: Any) -> bool:
    return str(error.response.get("Error", {}).get("Code")) in _NOT_FOUND
