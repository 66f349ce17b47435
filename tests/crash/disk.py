"""A disk that fails at a chosen call, and one that forgets what was not synced.

Calls that change files below a root are counted: fsync, rename, replace, link, unlink, rmdir, mkdir, utime, and opening
a file to write. They go through :mod:`os` and ``open``, where the product's own calls and those of the standard library
(``shutil``, ``tempfile``, ``pathlib``) can be replaced.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

KILLED = 137
WITH_PATHS = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "utime")
WRITING = set("wax+")


class Fault(StrEnum):
    """What happens at the chosen call."""

    KILL_BEFORE = "killed before the call"
    KILL_AFTER = "killed after the call"
    NO_SPACE = "no space left (ENOSPC)"
    INPUT_OUTPUT = "input/output error (EIO)"
    POWER_DATA = "power lost: unsynced data gone"
    POWER_NAMES = "power lost: unsynced names gone"


ERRORS = {Fault.NO_SPACE: errno.ENOSPC, Fault.INPUT_OUTPUT: errno.EIO}


@dataclass
class Disk:
    """Counts calls below a root and fails at one of them.

    Attributes:
        root: folder that is watched.
        at: number of the call that fails, from 1; 0 = none.
        fault: how it fails.
        lost: file that receives what a loss of power undoes.
        calls: names of the counted calls so far.
        fired: whether the fault happened.
    """

    root: Path
    at: int = 0
    fault: Fault = Fault.KILL_BEFORE
    lost: Path | None = None
    calls: list[str] = field(default_factory=list)
    fired: bool = False
    _synced: set[tuple[int, int, int]] = field(default_factory=set)
    _renames: list[tuple[str, str, str | None]] = field(default_factory=list)
    _backups: int = 0

    def __enter__(self) -> Disk:
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in (*WITH_PATHS, "fsync", "open")}
        self._open = builtins.open
        for path in self.root.rglob("*"):
            self._remember(os.stat(path, follow_symlinks=False))
        for name in WITH_PATHS:
            setattr(os, name, self._wrapped(name))
        os.fsync = self._fsync  # type: ignore[assignment]
        builtins.open = self._open_file  # type: ignore[assignment]
        io.open = self._open_file  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)
        builtins.open = self._open
        io.open = self._open  # type: ignore[assignment]

    def _wrapped(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._watched(args[0], kwargs.get("dir_fd", kwargs.get("src_dir_fd"))):
                return self._real[name](*args, **kwargs)
            return self._step(name, lambda: self._perform(name, args, kwargs))

        return call

    def _perform(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in ("rename", "replace"):
            source, target = str(args[0]), str(args[1])
            self._renames.append((source, target, self._backup(Path(target))))
        return self._real[name](*args, **kwargs)

    def _backup(self, target: Path) -> str | None:
        """Keep what a rename is about to replace: a loss of power may bring it back."""
        if not target.is_file():
            return None
        self._backups += 1
        kept = self.root.parent / f"{self.root.name}.replaced-{self._backups}"
        self._real["link"](target, kept)
        return str(kept)

    def _fsync(self, handle: int) -> Any:
        def perform() -> None:
            self._real["fsync"](handle)
            self._remember(os.fstat(handle))
            synced = os.path.realpath(f"/proc/self/fd/{handle}")
            self._renames = [
                one for one in self._renames if synced not in (os.path.dirname(one[0]), os.path.dirname(one[1]))
            ]

        return self._step("fsync", perform)

    def _open_file(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if WRITING.isdisjoint(mode) or not self._watched(file, None):
            return self._open(file, mode, *args, **kwargs)
        return self._step("write", lambda: self._open(file, mode, *args, **kwargs))

    def _step(self, name: str, perform: Callable[[], Any]) -> Any:
        self.calls.append(name)
        if len(self.calls) != self.at:
            return perform()
        self.fired = True
        if self.fault in ERRORS:
            raise OSError(ERRORS[self.fault], os.strerror(ERRORS[self.fault]))
        if self.fault is not Fault.KILL_BEFORE:
            with suppress(OSError):
                perform()
        self._die()

    def _die(self) -> None:
        """End like a killed process: nothing is cleaned up. What a loss of power undoes is written down first."""
        if self.lost is not None:
            unsynced = [
                str(path) for path in self.root.rglob("*") if path.is_file() and self._key(path) not in self._synced
            ]
            with self._open(self.lost, "w") as file:
                json.dump({"data": unsynced, "names": self._renames[::-1]}, file)
        os._exit(KILLED)

    def _watched(self, path: Any, folder: int | None) -> bool:
        if isinstance(path, int):
            return False
        base = os.path.realpath(f"/proc/self/fd/{folder}") if folder is not None else ""
        return os.path.join(base, os.fspath(path)).startswith(f"{self.root}/")

    def _remember(self, facts: os.stat_result) -> None:
        self._synced.add((facts.st_ino, facts.st_size, facts.st_mtime_ns))

    @staticmethod
    def _key(path: Path) -> tuple[int, int, int]:
        facts = path.stat()
        return facts.st_ino, facts.st_size, facts.st_mtime_ns


def lose_power(lost: Path, fault: Fault) -> None:
    """Undo what a loss of power undoes: empty the files that were not synced, or take back unsynced renames.

    A rename counts as lasting once the folder of its source or of its target was synced.
    """
    undone = json.loads(lost.read_text())
    if fault is Fault.POWER_DATA:
        for name in undone["data"]:
            if os.path.isfile(name):
                with open(name, "wb"):
                    pass
    for source, target, replaced in undone["names"] if fault is Fault.POWER_NAMES else ():
        if os.path.exists(target) and not os.path.exists(source):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.rename(target, source)
            if replaced is not None and not os.path.exists(target):
                os.link(replaced, target)
