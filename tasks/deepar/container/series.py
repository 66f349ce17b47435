"""DeepAR's JSON Lines records: read and checked, every problem with its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.deepar.container.failures import ClientError

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_LONGEST_QUOTE = 40
_LARGEST = 10**38  # of a float32
_MOST_CATEGORIES = 2**31


@dataclass(frozen=True)
class Series:
    """One record.

    Attributes:
        where: file and line, for messages.
        start: label of the first period, without time zone.
        target: shape (T,); NaN = unknown.
        cat: shape (k,), values from 0.
        dynamic_feat: shape (m, T) in training, (m, T + H) if the horizon is forecast.
    """

    where: str
    start: datetime
    target: NDArray[np.float32]
    cat: NDArray[np.int64]
    dynamic_feat: NDArray[np.float32]

    @property
    def known(self) -> NDArray[np.float32]:
        """The known values."""
        return self.target[~np.isnan(self.target)]


def read_channel(folder: Path) -> list[Series]:
    """All records of a channel's files, by file name and line.

    Raises:
        ClientError: no file, or a bad record.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and _is_data(file.name)]
    if not files:
        raise ClientError(f"No data files in the {folder.name} channel; expected {', '.join(SUFFIXES)}.")
    found = [series for file in files for series in read_file(file)]
    if not found:
        raise ClientError(f"The {folder.name} channel holds no record: {', '.join(file.name for file in files)}.")
    return found


def read_file(file: Path) -> Iterator[Series]:
    """The records of one file, gunzipped if its name ends in .gz.

    Raises:
        ClientError: a record is bad; the message names file and line.
    """
    opened = gzip.open if file.name.endswith(".gz") else open
    try:
        with opened(file, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield parse_record(_decoded(line, f"{file.name}, line {number}"), f"{file.name}, line {number}")
    except (EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise ClientError(f"{file.name} cannot be read ({error}).") from error


def parse_record(record: object, where: str) -> Series:
    """One decoded record.

    Args:
        record: mapping with ``start`` and ``target``, optional ``cat`` and ``dynamic_feat``; further keys are ignored.
        where: for messages.

    Raises:
        ClientError: a field is missing or invalid for DeepAR.
    """
    if not isinstance(record, Mapping):
        raise ClientError(f"{where}: expected a JSON object with start and target, not {_short(record)}.")
    missing = [name for name in ("start", "target") if name not in record]
    if missing:
        raise ClientError(f"{where}: {' and '.join(missing)} missing.")
    return Series(
        where,
        _start(record["start"], where),
        _target(record["target"], where),
        _categories(record.get("cat"), where),
        _dynamic(record.get("dynamic_feat"), where),
    )


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name != "_SUCCESS" and name.endswith(SUFFIXES)


def _decoded(line: str, where: str) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ClientError(f"{where}: not valid JSON ({error}).") from error


def _start(value: object, where: str) -> datetime:
    try:
        start = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        start = None
    if start is None or start.tzinfo is not None:
        raise ClientError(f"{where}: start must be text YYYY-MM-DD HH:MM:SS without time zone, not {_short(value)}.")
    return start


def _target(value: object, where: str) -> NDArray[np.float32]:
    if not isinstance(value, list):
        raise ClientError(f"{where}: target must be an array of numbers, not {_short(value)}.")
    for position, item in enumerate(value):
        if item is not None and item != "NaN" and not _is_number(item):
            raise ClientError(f'{where}: target[{position}] must be a number, null or "NaN", not {_short(item)}.')
    with np.errstate(over="ignore"):  # a number beyond float32 is reported as not finite
        target = np.array(value, dtype=np.float32)
    if np.isinf(target).any():
        raise ClientError(f"{where}: target[{int(np.isinf(target).argmax())}] is not finite.")
    return target


def _categories(value: object, where: str) -> NDArray[np.int64]:
    if value is None:
        return np.empty(0, dtype=np.int64)
    # SageMaker takes a bare number for one category.
    values = value if isinstance(value, list) else [value]
    if not all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item < _MOST_CATEGORIES for item in values
    ):
        raise ClientError(f"{where}: cat must be an array of whole numbers from 0, not {_short(value)}.")
    return np.array(values, dtype=np.int64)


def _dynamic(value: object, where: str) -> NDArray[np.float32]:
    if value is None or value == []:
        return np.empty((0, 0), dtype=np.float32)
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise ClientError(f"{where}: dynamic_feat must be an array of arrays of numbers, not {_short(value)}.")
    lengths = {len(row) for row in value}
    if len(lengths) > 1:
        raise ClientError(f"{where}: dynamic_feat has rows of different lengths ({_listed(lengths)}).")
    for row_number, row in enumerate(value):
        for position, item in enumerate(row):
            if not _is_number(item) or not np.isfinite(item):
                raise ClientError(
                    f"{where}: dynamic_feat[{row_number}][{position}] must be a number, not {_short(item)}; "
                    "missing values are not supported there."
                )
    return np.array(value, dtype=np.float32)


def _is_number(item: Any) -> bool:
    if isinstance(item, bool):
        return False
    return isinstance(item, float) or (isinstance(item, int) and abs(item) <= _LARGEST)


def _listed(lengths: set[int]) -> str:
    return ", ".join(str(length) for length in sorted(lengths))


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
