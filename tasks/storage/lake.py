"""The lake behind one seam: everything the product writes, in a folder or in a bucket.

Objects are named by keys ("panel/0123.parquet") below the lake's root. Every write is atomic: a reader
sees the object whole or not at all, also while two processes write the same key.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from schemas.errors import StorageError
from schemas.records import FileRef, TableRef

KEY_DIGITS = 24
RECORDS = "records"
S3_SCHEME = "s3://"
_BLOCK = 1 << 20


class Lake(ABC):
    """Tables, files and memos by key; see the module for what every write guarantees.

    Attributes:
        root: the folder's absolute path, or ``s3://bucket/prefix``.
    """

    root: str

    def uri(self, key: str) -> str:
        """The full address of a key: path or ``s3://`` URI.

        Raises:
            StorageError: the key is absolute, or leaves the lake.
        """
        return f"{self.root}/{checked_key(key)}"

    def write_table(self, prefix: str, frame: pd.DataFrame) -> TableRef:
        """Store a frame as Parquet under a name that follows from its content.

        The index is not stored. The same frame gives the same bytes, so the same key; categories,
        text, dates and float widths come back as they were.

        Args:
            prefix: folder of the key; the key is ``prefix/<first 24 digits of the checksum>.parquet``.
            frame: columns named by text, one type per column.

        Raises:
            StorageError: a column cannot be stored (mixed types), or the lake cannot be written.
        """
        with self._temporary_file() as file:
            _write_parquet(frame, file)
            sha256 = sha256_of(file)
            key = f"{prefix}/{sha256[:KEY_DIGITS]}.parquet"
            self._place(file, key, sha256)
        return TableRef(key=key, rows=len(frame), sha256=sha256)

    def read_table(self, ref: TableRef, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a stored table, or some of its columns.

        Raises:
            StorageError: the object is missing or damaged, or lacks a column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = self.local_copy(ref.key)
        try:
            with pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                table = parquet.read(columns=None if columns is None else list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise StorageError(
                f"{self.uri(ref.key)} is no readable Parquet file ({error}). Delete it and run again: "
                "what is missing is computed anew."
            ) from error
        missing = sorted(set(columns or []) - set(names))
        if missing:
            raise StorageError(
                f"{self.uri(ref.key)} lacks the columns {', '.join(missing)}; it has {', '.join(names)}. "
                "It comes from another version: run again with --force."
            )
        return table.to_pandas()

    def write_bytes(self, key: str, data: bytes) -> FileRef:
        """Store a file, whole or not at all, in place of what the key held.

        Raises:
            StorageError: the lake cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        with self._temporary_file() as file:
            file.write_bytes(data)
            self._place(file, key, sha256)
        return FileRef(key=key, bytes=len(data), sha256=sha256)

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        try:
            with tempfile.TemporaryDirectory(prefix="write-", dir=self._scratch()) as folder:
                yield Path(folder) / "file"
        except OSError as error:
            raise StorageError(
                f"{self.root} cannot be written ({error}). Check space and permissions, and run again."
            ) from error

    def recall(self, stage: str, key: str) -> dict[str, Any] | None:
        """The record remembered for a stage and key; None where there is none or it is unreadable."""
        name = f"{RECORDS}/{stage}/{key}.json"
        if not self.exists(name):
            return None
        try:
            record = json.loads(self.read_bytes(name))
        except ValueError:
            return None
        return record if isinstance(record, dict) else None

    def remember(self, stage: str, key: str, record: dict[str, Any]) -> None:
        """Keep a JSON record for a stage and key, in place of an earlier one; its keys keep their order."""
        text = json.dumps(record, ensure_ascii=False, indent=1)
        self.write_bytes(f"{RECORDS}/{stage}/{key}.json", text.encode())

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            StorageError: there is none.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether an object has this key."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """The keys below the folder ``prefix`` (at any depth; "" = the whole lake), sorted."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""

    @abstractmethod
    def holds(self, ref: TableRef | FileRef) -> bool:
        """Whether the object exists and its checksum is the reference's."""

    @abstractmethod
    def local_copy(self, key: str) -> Path:
        """A file to read on this machine: the object itself (folder) or a download (bucket).

        Not to be changed; a download lives as long as the lake object.

        Raises:
            StorageError: there is none.
        """

    @abstractmethod
    def promote(self, folder: Path, key: str, last: str) -> None:
        """Replace the published folder ``key`` by the content of a local folder.

        Args:
            folder: a local folder; its files, at any depth, become the published ones.
            key: the published folder; what it held and ``folder`` lacks is gone afterwards.
            last: the file, relative to ``folder``, whose arrival tells readers that the rest is there.

        Raises:
            StorageError: ``folder`` lacks ``last``, or the lake failed; the previous folder stands whole.
        """

    @abstractmethod
    def _scratch(self) -> Path | None:
        """Folder for temporary files; None = the system's."""

    @abstractmethod
    def _place(self, file: Path, key: str, sha256: str) -> None:
        """Move a finished temporary file to its key, atomically."""


def open_lake(storage: str) -> Lake:
    """Open the lake of a ``storage`` setting, creating the folder where it is missing.

    Args:
        storage: folder, or ``s3://bucket/prefix``.

    Raises:
        ConfigError: the folder cannot be made or written, the bucket does not exist, or the AWS
            packages are missing.
    """
    if storage.startswith(S3_SCHEME):
        from tasks.storage.s3 import S3Lake

        return S3Lake(storage)
    from tasks.storage.local import LocalLake

    return LocalLake(Path(storage))


def checked_key(key: str) -> str:
    """The key itself, where it names something below the root.

    Raises:
        StorageError: it is empty, absolute, or has a part that is empty, ``.`` or ``..``.
    """
    if "\\" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise StorageError(f"'{key}' is no key of the lake: expected names joined by '/', without '..'.")
    return key


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_below(folder: Path, last: str) -> list[str]:
    """The files of a folder, relative, sorted, with ``last`` at the end.

    Raises:
        StorageError: ``last`` is not among them.
    """
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if last not in names:
        raise StorageError(f"{folder} cannot be published: it lacks {last}; it has {', '.join(names) or 'no files'}.")
    return [name for name in names if name != last] + [last]


def _write_parquet(frame: pd.DataFrame, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise StorageError(f"A table cannot be stored: {'; '.join(str(part) for part in error.args)}.") from error
    pq.write_table(table, file, compression="zstd")
