"""Cache of stage results in the lake. The key of a result covers everything that the stage can read.

See docs/reference/design.md#cache-keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.records import FileRef, Record, TableRef
from schemas.settings import Strict, digest_of
from tasks.storage.code_version import import_digest
from tasks.storage.lake import Lake, record_key

R = TypeVar("R", bound=Record)
# The running time of a stage, and what it was charged for, are not part of its result.
_SECONDS = "seconds"
_NO_RESULT = (_SECONDS, "billed")


def stage_key(stage: str, inputs: Record, use: Strict, modules: tuple[str, ...]) -> str:
    """Return the cache key of a stage's result: a digest of its name, inputs, settings slice and code.

    Args:
        stage: name of the stage.
        inputs: references, which count by their checksums, and small values.
        use: the settings that the stage may read.
        modules: dotted names of the modules that compute the result; the modules that they import count as well.
    """
    return digest_of(
        {"stage": stage, "inputs": content(inputs), "use": use.model_dump(mode="json"), "code": import_digest(modules)}
    )


def content(value: object) -> Any:
    """Convert a value to JSON for the cache key: references become their checksums.

    Running times and charges are left out.

    >>> content(TableRef(key="a/b", rows=3, sha256="f00"))
    'f00'
    """
    if isinstance(value, TableRef | FileRef):
        return value.sha256
    if isinstance(value, BaseModel):
        return {name: content(getattr(value, name)) for name in type(value).model_fields if name not in _NO_RESULT}
    if isinstance(value, Mapping):
        return {str(name): content(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [content(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def references(value: object) -> Iterator[TableRef | FileRef]:
    """Yield every table and file that a record refers to, at any depth."""
    if isinstance(value, TableRef | FileRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from references(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def reuse_or_compute(
    lake: Lake, stage: str, key: str, record_type: type[R], compute: Callable[[], R], force: bool = False
) -> tuple[R, bool]:
    """Return the cached result of a stage, or compute and store it.

    A cached record is valid only if every object that it refers to is in the lake with the same checksum.

    Args:
        lake: stores records and data.
        stage: name of the stage.
        key: cache key of the result (:func:`stage_key`).
        record_type: type of the record; a cached record that does not validate is ignored.
        compute: computes the record; its ``seconds`` are set to the running time.
        force: compute even if a result is cached.

    Returns:
        The record, and True if it was reused.
    """
    if not force:
        stored = stored_record(lake, stage, key, record_type)
        if stored is not None:
            return stored, True
    started = time.perf_counter()
    record = compute()
    record = record.model_copy(update={_SECONDS: round(time.perf_counter() - started, 3)})
    written = record.model_dump(mode="json")
    lake.store_record(stage, key, written)
    # Return what a later run would load, so that both continue from the same record.
    return record_type.model_validate(written), False


def stored_record(lake: Lake, stage: str, key: str, record_type: type[R]) -> R | None:
    """Return the cached result of a stage; None if it, or an object that it refers to, is missing or damaged."""
    stored = lake.load_record(stage, key)
    if stored is None:
        return None
    try:
        record = record_type.model_validate(stored)
    except ValidationError:
        return None
    if not all(lake.holds(ref) for ref in references(record)):
        return None
    lake.touch(record_key(stage, key))
    return record
