"""The lake: the folder or bucket that holds everything Restock writes.

Objects have keys ("panel/0123.parquet") relative to the lake's root. Every write is atomic: a reader
never sees a partial object, even while two processes write the same key.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.storage.arrow_tables import PART_ROWS, arrow_table, row_groups, write_parquet
from tasks.storage.mapped import release

KEY_DIGITS = 24
RECORDS = "records"
# Folder of the planners' entries in the app (statuses of exceptions). Pruning keeps it.
PLANNER = "planner"
S3_SCHEME = "s3://"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ObjectFacts:
    """Size in bytes of an object, and when it was last written or used (UTC)."""

    bytes: int
    modified: datetime


class Lake(ABC):
    """Store tables, files and records by key; see the module for the guarantees of a write.

    Attributes:
        root: the folder's absolute path, or ``s3://bucket/prefix``.
    """

    root: str

    def uri(self, key: str) -> str:
        """Return the full address of a key: path or ``s3://`` URI.

        Raises:
            StorageError: the key is absolute or points outside the lake.
        """
        return f"{self.root}/{checked_key(key)}"

    def write_table(self, prefix: str, frame: pd.DataFrame) -> TableRef:
        """Store a frame as Parquet under a key derived from its content.

        The index is not stored. Equal frames have equal bytes and therefore the same key. Reading returns the
        same categories, text, dates and float widths.

        Args:
            prefix: folder of the key; the key is ``prefix/<first 24 digits of the checksum>.parquet``.
            frame: column names are text; one type per column.

        Raises:
            StorageError: a column cannot be stored (mixed types), or the lake is not writable.
        """
        with self._temporary_file() as file:
            write_parquet(frame, file)
            sha256 = sha256_of(file)
            key = f"{prefix}/{sha256[:KEY_DIGITS]}.parquet"
            self._put(file, key, sha256)
        return TableRef(key=key, rows=len(frame), sha256=sha256)

    def write_parts(self, prefix: str, parts: Iterator[pd.DataFrame], empty: Collection[str] = ()) -> TableRef:
        """Store a frame that comes in parts of :data:`PART_ROWS` rows: the same bytes as :meth:`write_table`.

        Args:
            prefix: folder of the key.
            parts: at least one frame; all but the last have :data:`PART_ROWS` rows.
            empty: text columns without a single value in any part.
        """
        with self._temporary_file() as file:
            rows = _write_parquet_parts(parts, file, empty)
            sha256 = sha256_of(file)
            key = f"{prefix}/{sha256[:KEY_DIGITS]}.parquet"
            self._put(file, key, sha256)
        return TableRef(key=key, rows=rows, sha256=sha256)

    def read_table(self, ref: TableRef, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a stored table, or some of its columns.

        Args:
            ref: the table.
            columns: columns to read; None = all.

        Raises:
            StorageError: the object is missing or damaged, or a column is missing.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = self.local_copy(ref.key)
        try:
            with pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                table = parquet.read(columns=None if columns is None else list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(ref, error) from error
        missing = sorted(set(columns or []) - set(names))
        if missing:
            raise StorageError(
                f"{self.uri(ref.key)}: missing columns {', '.join(missing)}; it has {', '.join(names)}. "
                "Another version of Restock wrote it. Run again with --force."
            )
        return table.to_pandas()

    def read_blocks(
        self,
        ref: TableRef,
        columns: Sequence[str] | None = None,
        categories: Collection[str] = (),
        rows: int = PART_ROWS,
        between: tuple[int, int] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """Read a stored table in blocks of rows, to keep some of its rows.

        Args:
            ref: the table.
            columns: columns to read; those that the table does not have are left out; None = all.
            categories: text columns to return as categories: less memory per row.
            rows: most rows of a block.
            between: first row, and the row after the last one; None = all rows.

        Yields:
            At least one frame; the index starts at 0 in each.

        Raises:
            StorageError: the object is missing or damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = self.local_copy(ref.key)
        names = None if columns is None else list(columns)
        try:
            with pq.ParquetFile(file, read_dictionary=list(categories)) as parquet:
                if not parquet.metadata.num_rows:
                    yield parquet.read(columns=names).to_pandas()
                first, last = between or (0, parquet.metadata.num_rows)
                groups, start = row_groups(parquet, first, last)
                # One group at a time: pyarrow keeps the bytes of all groups that one call has read.
                batches = (parquet.iter_batches(rows, row_groups=[group], columns=names) for group in groups)
                for batch in itertools.chain.from_iterable(batches):
                    begin, end = min(max(first - start, 0), batch.num_rows), max(min(last - start, batch.num_rows), 0)
                    start += batch.num_rows
                    yield pa.Table.from_batches([batch.slice(begin, max(end - begin, 0))]).to_pandas()
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(ref, error) from error

    def _unreadable(self, ref: TableRef, error: Exception) -> StorageError:
        return StorageError(
            f"{self.uri(ref.key)} is not a readable Parquet file ({error}). Delete it and run again; Restock "
            "recomputes missing files."
        )

    def write_bytes(self, key: str, data: bytes) -> FileRef:
        """Store a file atomically; it replaces an earlier object of the key.

        Raises:
            StorageError: the lake is not writable.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        with self._temporary_file() as file:
            file.write_bytes(data)
            self._put(file, key, sha256)
        return FileRef(key=key, bytes=len(data), sha256=sha256)

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        try:
            with tempfile.TemporaryDirectory(prefix=f"{_writer()}-", dir=self._scratch()) as folder:
                yield Path(folder) / "file"
        except OSError as error:
            raise StorageError(
                f"{self.root} is not writable ({error}). Check disk space and permissions, and run again."
            ) from error

    def load_record(self, stage: str, key: str) -> dict[str, Any] | None:
        """Return the stored record of a stage and key; None if it is missing or unreadable."""
        name = record_key(stage, key)
        if not self.exists(name):
            return None
        try:
            record = json.loads(self.read_bytes(name))
        except ValueError:
            return None
        return record if isinstance(record, dict) else None

    def store_record(self, stage: str, key: str, record: dict[str, Any]) -> None:
        """Store a JSON record for a stage and key; it replaces an earlier one and keeps the order of its fields."""
        text = json.dumps(record, ensure_ascii=False, indent=1)
        self.write_bytes(record_key(stage, key), text.encode())

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """Return the content of a file.

        Raises:
            StorageError: the file does not exist.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Return True if an object has this key."""

    @abstractmethod
    def keys(self, prefix: str) -> list[str]:
        """Return the sorted keys in the folder ``prefix`` at any depth; "" = the whole lake."""

    @abstractmethod
    def objects(self, prefix: str) -> dict[str, ObjectFacts]:
        """Return size and time of every object in the folder ``prefix``, at any depth; "" = the whole lake."""

    @abstractmethod
    def touch(self, key: str) -> None:
        """Mark an object as used now, so that pruning keeps it. In a bucket this does nothing."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; do nothing if it does not exist."""

    @abstractmethod
    def holds(self, ref: TableRef | FileRef) -> bool:
        """Return True if the object exists with the checksum of the reference."""

    @abstractmethod
    def local_copy(self, key: str) -> Path:
        """Return a local file to read: the object itself (folder) or a download (bucket).

        Do not modify the file. A download is deleted together with this lake instance.

        Raises:
            StorageError: the object does not exist.
        """

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Let one publication, rollback or pruning at a time work on this lake.

        In a folder, the system releases the lock when the process ends. A bucket has no lock: run only one of them at
        a time there. An interrupted one is undone first.
        """

    @abstractmethod
    def promote(self, folder: Path, key: str, last: str) -> None:
        """Replace the published folder ``key`` with the content of a local folder.

        Args:
            folder: a local folder; all its files, at any depth, are published.
            key: the published folder; earlier files that ``folder`` does not contain are deleted.
            last: the file, relative to ``folder``, that is published last: readers wait for it.

        Raises:
            StorageError: ``folder`` does not contain ``last``, or the lake failed; the previous folder is kept.
        """

    @abstractmethod
    def _scratch(self) -> Path | None:
        """Return the folder for temporary files; None = the system's default."""

    @abstractmethod
    def _put(self, file: Path, key: str, sha256: str) -> None:
        """Store a complete local file under its key, atomically."""


def _writer() -> str:
    """Names the process that writes a temporary file, so that a later one can remove it if the process is dead."""
    return f"write-{platform.node()}-{os.getpid()}"


def record_key(stage: str, key: str) -> str:
    """Return the key under which the record of a stage and cache key is stored."""
    return f"{RECORDS}/{stage}/{key}.json"


def open_lake(storage: str) -> Lake:
    """Open the lake of a ``storage`` setting; create the folder if it does not exist.

    Args:
        storage: folder, or ``s3://bucket/prefix``.

    Raises:
        ConfigError: the folder cannot be created or written, the bucket does not exist, or the AWS
            packages are not installed.
    """
    import pyarrow as pa

    # The system's allocator returns freed memory at once; pyarrow's default one keeps up to a fifth of a run's peak.
    pa.set_memory_pool(pa.system_memory_pool())
    if storage.startswith(S3_SCHEME):
        from tasks.storage.s3 import S3Lake

        return S3Lake(storage)
    from tasks.storage.local import LocalLake

    return LocalLake(Path(storage))


def open_existing_lake(storage: str) -> Lake:
    """Open the lake of a ``storage`` setting, as :func:`open_lake`; do not create one."""
    if not storage.startswith(S3_SCHEME):
        from tasks.storage.local import is_local_lake

        if not is_local_lake(Path(storage).expanduser()):
            raise ConfigError(
                f"storage: {storage} is not a lake: no run has written to it, or its disk or share is not mounted. "
                "Check the setting, mount it, or start the first run: restock weekly."
            )
    return open_lake(storage)


def checked_key(key: str) -> str:
    """Return the key if it is valid.

    Raises:
        StorageError: the key is empty or absolute, or a part of it is empty, ``.`` or ``..``.
    """
    if "\\" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise StorageError(f"'{key}' is not a valid key of the lake; expected names separated by '/', without '..'.")
    return key


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal text."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_below(folder: Path, last: str) -> list[str]:
    """Return the relative paths of a folder's files, sorted, with ``last`` at the end.

    Raises:
        StorageError: the folder does not contain ``last``.
    """
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if last not in names:
        raise StorageError(f"{folder} cannot be published: {last} is missing; found {', '.join(names) or 'no files'}.")
    return [name for name in names if name != last] + [last]


def _write_parquet_parts(parts: Iterator[pd.DataFrame], file: Path, empty: Collection[str]) -> int:
    """Write one row group per part; return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for part in parts:
            if writer is None:
                schema = arrow_table(part).schema
                # A text column may begin with a part without values.
                for at, column in enumerate(schema):
                    if pa.types.is_null(column.type) and column.name not in empty:
                        schema = schema.set(at, column.with_type(pa.string()))
                schema = arrow_table(part, schema).schema
                writer = pq.ParquetWriter(file, schema, compression="zstd")
            writer.write_table(arrow_table(part, schema), row_group_size=PART_ROWS)
            rows += len(part)
            del part  # before the next one is made
            release()
    finally:
        if writer is not None:
            writer.close()
    return rows
