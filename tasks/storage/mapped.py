"""Columns that may be larger than memory: files mapped into memory, of which only the pages in use are resident.

A column of at most :data:`BLOCK_ROWS` rows is an ordinary array. The values are the same in both cases.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from schemas.errors import StorageError
from schemas.raw import is_text
from tasks.storage.machine import release_memory

AnyArray = NDArray[Any]
# Rows that are processed at once.
BLOCK_ROWS = 1 << 20
_ALIGNED = 16
_mapped: WeakSet[mmap.mmap] = WeakSet()


def empty(size: int, kind: DTypeLike) -> AnyArray:
    """Return an array without values, shape (size,); of a file if it has more than :data:`BLOCK_ROWS` rows.

    Raises:
        StorageError: the folder for temporary files is full or cannot be written.
    """
    if size <= BLOCK_ROWS:
        return np.empty(size, kind)
    return np.frombuffer(_file(size * np.dtype(kind).itemsize), kind)


def block_count(size: int) -> int:
    """Return the number of blocks of :func:`blocks`."""
    return -(-size // BLOCK_ROWS)


def blocks(size: int) -> Iterator[slice]:
    """Yield consecutive blocks of rows; after each, its memory is released."""
    for first in range(0, size, BLOCK_ROWS):
        yield slice(first, min(first + BLOCK_ROWS, size))
        if size > BLOCK_ROWS:
            release()


def row_blocks(rows: int, columns: int, cells: int | None = None) -> Iterator[slice]:
    """Yield consecutive rows of a matrix, about ``cells`` cells at a time (None: :data:`BLOCK_ROWS`).

    Memory is released after each of several blocks.
    """
    size = max(1, (BLOCK_ROWS if cells is None else cells) // max(1, columns))
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))
        if size < rows:
            release()


def filled(size: int, kind: DTypeLike, make: Callable[[slice], AnyArray]) -> AnyArray:
    """Return an array, made block by block.

    Args:
        size: number of rows.
        kind: type of the array.
        make: returns the values of a block.
    """
    found = empty(size, kind)
    for part in blocks(size):
        found[part] = make(part)
    return found


def zeros(size: int, kind: DTypeLike) -> AnyArray:
    """Return an array of zeros, shape (size,)."""
    return filled(size, kind, lambda part: np.zeros(part.stop - part.start, kind))


def gathered(lookup: AnyArray, codes: AnyArray) -> AnyArray:
    """Return ``lookup[codes]``, made block by block."""
    return filled(len(codes), lookup.dtype, lambda part: lookup.take(codes[part]))


def positions(chosen: NDArray[np.bool_]) -> AnyArray:
    """Return the positions of the rows that are chosen."""
    parts = (np.flatnonzero(chosen[part]) + part.start for part in blocks(len(chosen)))
    return joined(parts, int(np.count_nonzero(chosen)), np.int64)


def is_sorted(values: AnyArray) -> bool:
    """Return whether no value is smaller than the one before."""
    first = (max(part.start - 1, 0) for part in blocks(len(values)))
    return all(bool((np.diff(values[at : at + BLOCK_ROWS + 1]) >= 0).all()) for at in first)


def joined(parts: Iterable[AnyArray], size: int, kind: DTypeLike) -> AnyArray:
    """Return arrays one after the other, shape (size,)."""
    found, start, released = empty(size, kind), 0, 0
    for part in parts:
        for block in blocks(len(part)):
            found[start + block.start : start + block.stop] = part[block]
        start += len(part)
        if start - released > BLOCK_ROWS:
            release()
            released = start
    return found


def joined_texts(columns: Iterable[pd.Series], size: int) -> pd.Series:
    """Return columns of categories of text one after the other; categories are in the order of first appearance."""
    position: dict[str, int] = {}

    def codes() -> Iterator[AnyArray]:
        for column in columns:
            texts = column.cat.categories
            lookup = np.array([position.setdefault(text, len(position)) for text in texts], dtype=np.int32)
            yield gathered(lookup, column.cat.codes.to_numpy())

    return categories_of(joined(codes(), size, np.int32), list(position))


def with_shared_texts(column: pd.Series, known: dict[str, str]) -> pd.Series:
    """Return the column; a text that it has in common with others is held once.

    Args:
        column: any column; only categories of text change.
        known: the texts of the columns before; those of this one are added.
    """
    if not is_text(column):
        return column
    return column.cat.rename_categories([known.setdefault(text, text) for text in column.cat.categories])


def categories_of(codes: AnyArray, categories: Sequence[str]) -> pd.Series:
    """Return a column of categories of text; its codes have the smallest type that fits."""
    dtype = pd.CategoricalDtype(pd.Index(categories, dtype=object))
    kind = next(kind for kind in (np.int8, np.int16, np.int32) if len(categories) <= np.iinfo(kind).max)
    small = filled(len(codes), kind, lambda part: codes[part])
    return pd.Series(pd.Categorical.from_codes(small, dtype=dtype), copy=False)


def rows_of(column: pd.Series, rows: NDArray[np.integer]) -> pd.Series:
    """Return the values of some rows of a column, with a new index."""
    if len(rows) > BLOCK_ROWS:
        if is_text(column):
            codes = column.cat.codes.to_numpy()
            found = filled(len(rows), codes.dtype, lambda part: codes[rows[part]])
            return pd.Series(pd.Categorical.from_codes(found, dtype=column.dtype), copy=False)
        if isinstance(column.dtype, np.dtype) and not column.dtype.hasobject:
            values = column.to_numpy()
            return pd.Series(filled(len(rows), values.dtype, lambda part: values[rows[part]]), copy=False)
    return column.iloc[rows].reset_index(drop=True)


def on_disk(columns: Sequence[pd.Series]) -> list[pd.Series]:
    """Return the columns with their values in one file; columns that are not numbers, dates or text stay in memory."""
    held = [_values(column) for column in columns]
    sizes = [0 if values is None else -(-values.nbytes // _ALIGNED) * _ALIGNED for values in held]
    if not sum(sizes):
        return list(columns)
    buffer = _file(sum(sizes))
    found, start = [], 0
    for column, values, size in zip(columns, held, sizes, strict=True):
        if values is None or not size:
            found.append(column)
            continue
        copy = np.frombuffer(buffer, values.dtype, len(values), start)
        copy[:] = values
        whole = pd.Categorical.from_codes(copy, dtype=column.dtype) if is_text(column) else copy
        found.append(pd.Series(whole, name=column.name, copy=False))
        start += size
    del held
    release()
    return found


def is_on_disk(column: pd.Series) -> bool:
    """Return whether the values of a column, or its codes, are in a mapped file."""
    held: object = _values(column)
    while isinstance(held, np.ndarray):
        held = held.base
    return isinstance(held.obj if isinstance(held, memoryview) else held, mmap.mmap)


def release() -> None:
    """Return freed memory, and the pages of all mapped files, to the system. They are read again when they are used."""
    for buffer in list(_mapped):
        if hasattr(buffer, "madvise"):
            buffer.madvise(mmap.MADV_DONTNEED)
    release_memory()


def _values(column: pd.Series) -> AnyArray | None:
    if is_text(column):
        codes: AnyArray = column.cat.codes.to_numpy()
        return codes
    return column.to_numpy() if isinstance(column.dtype, np.dtype) and not column.dtype.hasobject else None


def _file(size: int) -> mmap.mmap:
    """A mapped file without a name: it is gone when the last array of it is."""
    with writable(), tempfile.TemporaryFile() as file:
        # A file with holes would end the process, instead of raising an error, when the disk is full.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for first in range(0, size, BLOCK_ROWS):
                file.write(bytes(min(BLOCK_ROWS, size - first)))
            file.flush()
        buffer = mmap.mmap(file.fileno(), size)
    _mapped.add(buffer)
    return buffer


@contextmanager
def writable() -> Iterator[None]:
    """Turn an error of the folder for temporary files into a :class:`schemas.errors.StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The folder for temporary files, {tempfile.gettempdir()}, cannot be written ({error}). Restock keeps "
            "rows there that do not fit into memory. Free disk space, or set TMPDIR to another folder."
        ) from error
