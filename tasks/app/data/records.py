"""Records of the stages of a published run. They are found by the references in its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from schemas.errors import StorageError
from schemas.records import Failure, TableRef
from tasks.publication.manifest import PLAN_INPUTS
from tasks.storage.lake import RECORDS, Lake

_INGEST, _FEATURES, _COMPARE, _OPTIMIZE = "ingest", "features", "compare", "optimize"
_INPUTS, _TABLES, _FILES = "inputs", "tables", "files"
_AS_OF = "as_of"


@dataclass(frozen=True)
class RunRecords:
    """Tables of the stages of one run that the lake still has (`restock prune` removes old records).

    Attributes:
        tables: validated input tables by name.
        plan: tables of the plan by name, such as ``stock_by_day``.
        panel: frames of the demand panel by name.
        horizon: periods of the panel's horizon.
        failures: series that a model could not serve.
    """

    tables: Mapping[str, TableRef] = field(default_factory=dict)
    plan: Mapping[str, TableRef] = field(default_factory=dict)
    panel: Mapping[str, TableRef] = field(default_factory=dict)
    horizon: int = 0
    failures: tuple[Failure, ...] = ()


def find_records(lake: Lake, manifest: Mapping[str, Any]) -> RunRecords:
    """Find the records that belong to a manifest; a record that is missing or of another version is left out."""
    inputs = manifest.get(PLAN_INPUTS) or {}
    files = _files(manifest.get(_INPUTS) or [])
    ingest = next((one for one in _records(lake, _INGEST) if _files(one.get(_FILES) or []) == files), {})
    # A backfill also builds the panel of a later date to judge its weeks; its SKU facts can be the same.
    dated = (one for one in _records(lake, _FEATURES) if one.get(_AS_OF) in (None, manifest.get(_AS_OF)))
    features = next((one for one in dated if _same(one, inputs, "sku_facts")), {})
    compare = next((one for one in _records(lake, _COMPARE) if _same(one, inputs, "forecast")), {})
    optimize = next((one for one in _records(lake, _OPTIMIZE) if one.get(_INPUTS) == inputs), {})
    panel = features.get("panel") or {}
    return RunRecords(
        tables={**_references(inputs.get(_TABLES)), **_references(ingest.get(_TABLES))},
        plan=_references(optimize.get(_TABLES)),
        panel=_references(panel.get("frames")),
        horizon=int(panel.get("horizon") or 0),
        failures=tuple(_failures(compare.get("failures") or [])),
    )


def reference(value: Any) -> TableRef | None:
    """Return a table reference of a record; None if the value is not one."""
    try:
        return TableRef.model_validate(value)
    except ValidationError:
        return None


def _records(lake: Lake, stage: str) -> Iterator[dict[str, Any]]:
    for key in reversed(lake.keys(f"{RECORDS}/{stage}")):
        try:
            record = json.loads(lake.read_bytes(key))
        except (ValueError, StorageError):  # damaged, or removed since it was listed
            continue
        if isinstance(record, dict):
            yield record


def _same(record: Mapping[str, Any], inputs: Mapping[str, Any], name: str) -> bool:
    wanted = (inputs.get(name) or {}).get("key")
    return wanted is not None and (record.get(name) or {}).get("key") == wanted


def _files(files: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(str(file.get("table")), str(file.get("sha256"))) for file in files}


def _references(tables: Mapping[str, Any] | None) -> dict[str, TableRef]:
    found = {name: reference(value) for name, value in (tables or {}).items()}
    return {name: ref for name, ref in found.items() if ref is not None}


def _failures(rows: list[Any]) -> Iterator[Failure]:
    for row in rows:
        try:
            yield Failure.model_validate(row)
        except ValidationError:
            continue
