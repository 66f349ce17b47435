"""Results of stages, remembered in the lake under a key made of their inputs (design, idea 2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.records import FileRef, TableRef
from schemas.settings import digest_of
from tasks.storage.code_version import code_version
from tasks.storage.lake import Lake

R = TypeVar("R", bound=BaseModel)


def stage_key(stage: str, parts: dict[str, object]) -> str:
    """Key of a stage's result: its name, the checksums and settings it reads, and the code version."""
    return digest_of({"stage": stage, "code": code_version(), "parts": parts})


def references(value: object) -> Iterator[TableRef | FileRef]:
    """Every table and file that a record refers to, however deep."""
    if isinstance(value, (TableRef, FileRef)):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from references(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def reuse_or_compute(
    lake: Lake,
    stage: str,
    parts: dict[str, object],
    record_type: type[R],
    compute: Callable[[], R],
    force: bool = False,
) -> tuple[R, bool]:
    """The remembered result of a stage, or a new one that is remembered.

    A remembered record counts only while every object it names is in the lake with its checksum.

    Args:
        lake: where records and data lie.
        stage: name of the stage.
        parts: JSON values that decide the result: input checksums and the settings that are read.
        record_type: the record's model; a record of an older shape is not reused.
        compute: makes the record; its ``seconds`` is set to the time it took.
        force: compute even where a result is remembered.

    Returns:
        The record, and whether it was reused.
    """
    key = stage_key(stage, parts)
    if not force:
        remembered = _valid_record(lake, stage, key, record_type)
        if remembered is not None:
            return remembered, True
    started = time.perf_counter()
    record = compute()
    record = record.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
    content = record.model_dump(mode="json")
    lake.remember(stage, key, content)
    # What a later run will recall, so that both runs go on from the same record.
    return record_type.model_validate(content), False


def _valid_record(lake: Lake, stage: str, key: str, record_type: type[R]) -> R | None:
    stored = lake.recall(stage, key)
    if stored is None:
        return None
    try:
        record = record_type.model_validate(stored)
    except ValidationError:
        return None
    return record if all(lake.holds(ref) for ref in references(record)) else None
