"""The lake in a local folder."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, TextIO
from urllib.parse import quote, unquote

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.storage.lake import Lake, ObjectFacts, checked_key, files_below, sha256_of
from tasks.storage.temporary import is_alive

# Temporary files are inside the lake because a rename is atomic only within one file system.
_SCRATCH = ".tmp"
_SWAPS = ".promote"
_NEW = "new"
_OLD = "old"
_ATTEMPTS = 5
_LOCK = "lock"
_WHOLE = "publication-lock"


class LocalLake(Lake):
    """A lake in a local folder. Opening it restores folders after an interrupted publication."""

    _used: ClassVar[set[str]] = set()

    def __init__(self, root: Path) -> None:
        """Open the lake; create the folder if it does not exist.

        A lake that this process has used is not created again: where a share is not mounted, an empty folder
        would take its place.

        Raises:
            ConfigError: the path is a file, or the folder cannot be created or written.
            StorageError: the process has used this lake, and the folder is gone.
        """
        self._root = root.expanduser().absolute()
        self.root = str(self._root)
        if self.root in self._used:
            self._check_there()
        try:
            (self._root / _SCRATCH).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"storage: {self._root} cannot be used as the lake's folder ({error.strerror}). "
                "Set a folder that Restock can create and write to."
            ) from error
        if not os.access(self._root / _SCRATCH, os.W_OK):
            raise ConfigError(f"storage: {self._root} is not writable. Set a folder that Restock can write to.")
        self._used.add(self.root)
        self._recover_all()
        self._remove_leftovers()

    def read_bytes(self, key: str) -> bytes:
        """Return the content of a file."""
        return self.local_copy(key).read_bytes()

    def exists(self, key: str) -> bool:
        """Return True if a file has this key."""
        return self._path(key).is_file()

    def keys(self, prefix: str) -> list[str]:
        """Return the sorted keys in a folder, without temporary files."""
        folder = self._path(prefix) if prefix else self._root
        found = (file.relative_to(self._root) for file in folder.rglob("*") if file.is_file())
        return sorted(path.as_posix() for path in found if path.parts[0] not in (_SCRATCH, _SWAPS))

    def objects(self, prefix: str) -> dict[str, ObjectFacts]:
        """Return size and time of every file in a folder, without temporary files."""
        found = {}
        for key in self.keys(prefix):
            with suppress(FileNotFoundError):  # removed since it was listed
                facts = self._path(key).stat()
                found[key] = ObjectFacts(facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))
        return found

    def touch(self, key: str) -> None:
        """Set the file's time to now."""
        os.utime(self._path(key))

    def delete(self, key: str) -> None:
        """Delete a file, and its folder if that is empty then; do nothing if it does not exist."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        if path.parent != self._root:
            with suppress(OSError):  # not empty, or gone
                path.parent.rmdir()

    def holds(self, ref: TableRef | FileRef) -> bool:
        """Return True if the file exists with the checksum of the reference."""
        path = self._path(ref.key)
        return path.is_file() and sha256_of(path) == ref.sha256

    def local_copy(self, key: str) -> Path:
        """Return the file itself."""
        path = self._path(key)
        if not path.is_file():
            self._check_there()
            raise StorageError(
                f"{path} is missing from the lake. Run again with --force; Restock recomputes missing files."
            )
        return path

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait until no other publication, rollback or pruning works on this lake."""
        with self._lock(_WHOLE):
            yield

    def promote(self, folder: Path, key: str, last: str) -> None:
        """Copy the folder into the lake, then replace the published folder by two renames.

        If the second rename fails, the first one is undone. If the process dies between them, the next opening
        or publication restores the previous folder.
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
                    f"{self._path(key)} could not be replaced ({error}); the previous folder is kept. "
                    "Check disk space and permissions, and run again."
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

    def _remove_leftovers(self) -> None:
        """Remove temporary files of processes of this machine that are dead."""
        for folder in (self._root / _SCRATCH).glob(f"write-{platform.node()}-*"):
            process = folder.name.removeprefix(f"write-{platform.node()}-").split("-")[0]
            if process.isdigit() and not is_alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)

    def _recover(self, key: str) -> None:
        """Restore the previous folder after an interrupted publication and delete its temporary files."""
        swap, published = self._swap(key), self._path(key)
        if (swap / _OLD).exists() and not published.exists():
            (swap / _OLD).rename(published)
        shutil.rmtree(swap, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one publication at a time in this lake; the system releases the lock when the process ends."""
        with self._lock(_LOCK):
            yield

    def _lock(self, name: str) -> TextIO:
        """Wait for a lock; closing the file releases it."""
        try:
            (self._root / _SWAPS).mkdir(exist_ok=True)
            lock = (self._root / _SWAPS / name).open("w")
        except OSError as error:
            if not is_local_lake(self._root):
                raise StorageError(lake_is_gone(self._root)) from error
            raise StorageError(
                f"{self._root} is not writable ({error}). Check disk space and permissions, and run again."
            ) from error
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _swap(self, key: str) -> Path:
        return self._root / _SWAPS / quote(key, safe="")

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _check_there(self) -> None:
        """Raise StorageError if the folder is gone since the lake was opened."""
        if not is_local_lake(self._root):
            raise StorageError(lake_is_gone(self._root))

    def _scratch(self) -> Path:
        self._check_there()
        return self._root / _SCRATCH

    def _put(self, file: Path, key: str, sha256: str) -> None:  # noqa: ARG002
        target = self._path(key)
        _sync(file)
        for attempt in range(_ATTEMPTS):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                file.replace(target)
                _sync(target.parent)
                break
            except FileNotFoundError:
                # Another process deleted the last file of the folder, and the folder with it.
                if attempt == _ATTEMPTS - 1:
                    raise


def is_local_lake(root: Path) -> bool:
    """Return True if a lake was opened in this folder before; the mount point of a missing share is empty."""
    return os.path.isdir(root / _SCRATCH)  # False also for a share whose server does not answer


def lake_is_gone(root: Path) -> str:
    """The message about a lake that was there when the run began."""
    return (
        f"storage: {root} is no longer there: the folder was moved or deleted, or its disk or share is not mounted. "
        "Nothing was written to a new folder in its place. Mount it again and start the run again with the same date; "
        "finished stages are reused."
    )


def begin_again(root: Path) -> str:
    """What to do if the lake was deleted on purpose: the command marks the folder as a lake."""
    return f"If you deleted it on purpose, begin a new lake without the earlier weeks: mkdir -p '{root / _SCRATCH}'"


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
