"""Results of stages in the lake, under a key that is made of everything a stage can see.

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
from tasks.storage.lake import Lake

R = TypeVar("R", bound=Record)
# How long a stage took is no part of its result.
_SECONDS = "seconds"


def stage_key(stage: str, inputs: Record, use: Strict, modules: tuple[str, ...]) -> str:
    """Key of a stage's result: its name, its inputs, its slice of the settings and the code that computes it.

    Args:
        stage: name of the stage.
        inputs: references, by their checksums, and small values.
        use: the settings that the stage may read.
        modules: dotted names of the modules that compute it; all that they import counts as well.
    """
    return digest_of(
        {"stage": stage, "inputs": content(inputs), "use": use.model_dump(mode="json"), "code": import_digest(modules)}
    )


def content(value: object) -> Any:
    """A JSON value that is equal where the content is: references count by their checksum, running times do not.

    >>> content(TableRef(key="a/b", rows=3, sha256="f00"))
    'f00'
    """
    if isinstance(value, TableRef | FileRef):
        return value.sha256
    if isinstance(value, BaseModel):
        return {name: content(getattr(value, name)) for name in type(value).model_fields if name != _SECONDS}
    if isinstance(value, Mapping):
        return {str(name): content(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [content(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def references(value: object) -> Iterator[TableRef | FileRef]:
    """Every table and file that a record refers to, however deep."""
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
    """The stored result of a stage, or a new one that is stored.

    A stored record counts only while every object that it names is in the lake with its checksum.

    Args:
        lake: where records and data lie.
        stage: name of the stage.
        key: of the result (:func:`stage_key`).
        record_type: the record's model; a record of an older shape is not reused.
        compute: makes the record; its ``seconds`` is set to the time it took.
        force: compute even where a result is stored.

    Returns:
        The record, and whether it was reused.
    """
    if not force:
        stored = _valid_record(lake, stage, key, record_type)
        if stored is not None:
            return stored, True
    started = time.perf_counter()
    record = compute()
    record = record.model_copy(update={_SECONDS: round(time.perf_counter() - started, 3)})
    written = record.model_dump(mode="json")
    lake.remember(stage, key, written)
    # What a later run reads, so that both continue from the same record.
    return record_type.model_validate(written), False


def _valid_record(lake: Lake, stage: str, key: str, record_type: type[R]) -> R | None:
    stored = lake.recall(stage, key)
    if stored is None:
        return None
    try:
        record = record_type.model_validate(stored)
    except ValidationError:
        return None
    return record if all(lake.holds(ref) for ref in references(record)) else None
