"""Rows and arrays that may be larger than memory: one part of them is in memory at a time.

A single part stays in memory. Several parts are files of a temporary folder, which is removed together with the object
or, after a killed process, by the next run (:func:`tasks.storage.temporary.remove_leftovers`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.storage.machine import release_memory
from tasks.storage.mapped import writable
from tasks.storage.temporary import named

Rows = NDArray[np.void]


class Shards:
    """Rows of a structured type in numbered shards: appended in blocks, taken one shard after another.

    Args:
        count: number of shards.
        kind: type of a row.
    """

    def __init__(self, count: int, kind: np.dtype[np.void]) -> None:
        self.count = max(count, 1)
        self._kind = kind
        self._kept: list[Rows] = []
        self._folder = _Folder() if self.count > 1 else None

    def append(self, shard: NDArray[np.integer], rows: Rows) -> None:
        """Append rows; the rows of a shard keep their order.

        Args:
            shard: shape (rows,); the shard of each row.
            rows: the rows.
        """
        if self._folder is None:
            self._kept.append(rows)
            return
        small = shard.astype(np.min_scalar_type(self.count))
        ordered = rows.take(np.argsort(small, kind="stable"))  # twenty times as fast as an index
        ends = np.bincount(small, minlength=self.count).cumsum()
        with writable():
            for number in np.flatnonzero(np.diff(ends, prepend=0)):
                first = ends[number - 1] if number else 0
                with (self._folder.path / str(number)).open("ab") as file:
                    ordered[first : ends[number]].tofile(file)

    def take(self) -> Iterator[Rows]:
        """Yield the rows of every shard, in the order of the numbers; a shard is gone once it is yielded."""
        for number in range(self.count):
            rows = self.pop(number)
            if len(rows) or self.count == 1:
                yield rows
            del rows

    def pop(self, number: int) -> Rows:
        """Return the rows of a shard, and remove them."""
        if self._folder is None:
            rows = self._kept[0] if len(self._kept) == 1 else np.concatenate([np.zeros(0, self._kind), *self._kept])
            self._kept = []
            return rows
        file = self._folder.path / str(number)
        if not file.exists():
            return np.zeros(0, self._kind)
        release_memory()
        rows = np.fromfile(file, self._kind)
        file.unlink()
        return rows


class Arrays:
    """Arrays by part and name, read one at a time.

    Args:
        on_disk: keep them in files.
    """

    def __init__(self, on_disk: bool) -> None:
        self.count = 0
        self._kept: list[Mapping[str, NDArray[Any]]] = []
        self._folder = _Folder() if on_disk else None

    def append(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Append a part."""
        if self._folder is None:
            self._kept.append(arrays)
        else:
            with writable():
                for name, values in arrays.items():
                    np.save(self._folder.path / f"{self.count}-{name}.npy", values)
        self.count += 1

    def read(self, part: int, name: str) -> NDArray[Any]:
        """Return an array of a part."""
        if self._folder is None:
            return self._kept[part][name]
        found: NDArray[Any] = np.load(self._folder.path / f"{part}-{name}.npy", allow_pickle=False)
        return found


class _Folder:
    """A temporary folder with the lifetime of this object."""

    def __init__(self) -> None:
        with writable():
            self._temporary = tempfile.TemporaryDirectory(prefix=named("shards"), ignore_cleanup_errors=True)
        self.path = Path(self._temporary.name)

    def __del__(self) -> None:
        if hasattr(self, "_temporary"):
            self._temporary.cleanup()
