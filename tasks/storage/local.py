"""The lake in a folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.storage.lake import Lake, checked_key, files_below, sha256_of

# Work in progress lies in the lake itself: a rename is atomic only within one file system.
_SCRATCH = ".tmp"
_SWAPS = ".promote"
_NEW = "new"
_OLD = "old"
_LOCK = "lock"


class LocalLake(Lake):
    """A lake in a folder; opening it finishes a publication that a crash cut short."""

    def __init__(self, root: Path) -> None:
        """Open, and create where missing.

        Raises:
            ConfigError: the path is a file, or cannot be created or written.
        """
        self._root = root.expanduser().absolute()
        self.root = str(self._root)
        try:
            (self._root / _SCRATCH).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"storage: {self._root} cannot be used as the lake's folder ({error.strerror}). "
                "Give a folder that can be created and written."
            ) from error
        if not os.access(self._root / _SCRATCH, os.W_OK):
            raise ConfigError(f"storage: {self._root} is not writable. Give a folder that can be written.")
        self._recover_all()

    def read_bytes(self, key: str) -> bytes:
        """The content of a file."""
        return self.local_copy(key).read_bytes()

    def exists(self, key: str) -> bool:
        """Whether a file has this key."""
        return self._path(key).is_file()

    def keys(self, prefix: str) -> list[str]:
        """The keys below a folder, sorted; work in progress is not listed."""
        folder = self._path(prefix) if prefix else self._root
        found = (file.relative_to(self._root) for file in folder.rglob("*") if file.is_file())
        return sorted(path.as_posix() for path in found if path.parts[0] not in (_SCRATCH, _SWAPS))

    def delete(self, key: str) -> None:
        """Remove a file; a missing one is fine."""
        self._path(key).unlink(missing_ok=True)

    def holds(self, ref: TableRef | FileRef) -> bool:
        """Whether the file exists and its bytes have the reference's checksum."""
        path = self._path(ref.key)
        return path.is_file() and sha256_of(path) == ref.sha256

    def local_copy(self, key: str) -> Path:
        """The file itself."""
        path = self._path(key)
        if not path.is_file():
            raise StorageError(
                f"{path} is missing from the lake. Run again with --force: what is missing is computed anew."
            )
        return path

    def promote(self, folder: Path, key: str, last: str) -> None:
        """Copy the folder into the lake, then swap it in by two renames.

        Where the second rename fails the first is undone; where the process dies between them, the
        previous folder comes back at the next opening or promotion.
        """
        names = files_below(folder, last)
        with self._locked():
            self._recover(key)
            swap = self._swap(key)
            try:
                _copy(folder, names, swap / _NEW)
                self._exchange(swap, self._path(key))
            except OSError as error:
                raise StorageError(
                    f"{self._path(key)} could not be replaced ({error}); what it held before stands. "
                    "Check space and permissions, and run again."
                ) from error
            finally:
                if not (swap / _OLD).exists():
                    shutil.rmtree(swap, ignore_errors=True)

    def _exchange(self, swap: Path, published: Path) -> None:
        published.parent.mkdir(parents=True, exist_ok=True)
        if published.exists():
            published.rename(swap / _OLD)
        try:
            (swap / _NEW).rename(published)
        except OSError:
            if (swap / _OLD).exists():
                (swap / _OLD).rename(published)
            raise
        _sync(published.parent)
        shutil.rmtree(swap / _OLD, ignore_errors=True)

    def _recover_all(self) -> None:
        swaps = self._root / _SWAPS
        if not swaps.is_dir() or not any(path.is_dir() for path in swaps.iterdir()):
            return
        with self._locked():
            for swap in sorted(path for path in swaps.iterdir() if path.is_dir()):
                self._recover(unquote(swap.name))

    def _recover(self, key: str) -> None:
        """Bring back what a crash left aside, and clear the rest of the broken attempt."""
        swap, published = self._swap(key), self._path(key)
        if (swap / _OLD).exists() and not published.exists():
            (swap / _OLD).rename(published)
        shutil.rmtree(swap, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One publication at a time in this lake; the lock dies with its process."""
        (self._root / _SWAPS).mkdir(exist_ok=True)
        with (self._root / _SWAPS / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _swap(self, key: str) -> Path:
        return self._root / _SWAPS / quote(key, safe="")

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _scratch(self) -> Path:
        return self._root / _SCRATCH

    def _place(self, file: Path, key: str, sha256: str) -> None:  # noqa: ARG002
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(file)
        file.replace(target)


def _copy(folder: Path, names: list[str], target: Path) -> None:
    for name in names:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, copy)
        _sync(copy)
    for inner in (target, *(path for path in target.rglob("*") if path.is_dir())):
        _sync(inner)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
