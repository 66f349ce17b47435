"""Remove old results, previews and versions from the lake, but nothing that a publication in force depends on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.outputs import MANIFEST
from schemas.performance import FOLDER as PERFORMANCE
from tasks.publication.approved import ASKED, REVIEWED
from tasks.publication.earlier_runs import PREVIEWS, RUNS
from tasks.publication.versions import EVENTS, VERSIONS, dates_of, versions_of
from tasks.storage.lake import PLANNER, RECORDS, Lake

# A run may have written a table that no record refers to yet.
UNFINISHED = timedelta(days=1)
# Without it, a run that resumes would take the files that it computes then for the reviewed ones.
ASKED_FOR_AT_LEAST = timedelta(days=365)


@dataclass(frozen=True)
class Pruning:
    """The objects that pruning removes.

    Attributes:
        keys: objects of the lake, by kind: ``stage results``, ``previews``, ``versions``, ``reviewed files``.
        bytes: their size by kind.
    """

    keys: dict[str, list[str]]
    bytes: dict[str, int]


def prune(lake: Lake, keep: timedelta, now: datetime, dry_run: bool, waiting: timedelta = timedelta(0)) -> Pruning:
    """Remove what is older than ``keep`` and not needed by a publication in force.

    Always kept: ``runs/``, ``performance/``, ``planner/``, the version in force of every run date, the log of
    publications, and the tables from which a publication in force was planned, so that ``why`` and ``what-if`` can
    answer.

    Args:
        lake: to prune. Records that a run reuses count as new.
        keep: age from which results, previews and versions are removed; at least one day.
        now: time, with time zone.
        dry_run: remove nothing.
        waiting: time that a run waits for an approval; previews and reviewed files are kept at least that long.
    """
    with lake.exclusive():
        found = _removable(lake, keep, now, waiting)
        if not dry_run:
            for keys in found.keys.values():
                # A manifest marks a complete folder, so it is removed first.
                for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST}")):
                    lake.delete(key)
    return found


def _removable(lake: Lake, keep: timedelta, now: datetime, waiting: timedelta) -> Pruning:
    sizes = lake.objects("")
    ages = {key: now - found.modified for key, found in sizes.items()}
    old = {key for key, age in ages.items() if age > max(keep, UNFINISHED)}
    aged = {key for key, age in ages.items() if age > UNFINISHED}
    young_records = {key for key in sizes if key.startswith(f"{RECORDS}/")} - old
    manifests = {key for key in sizes if key.startswith(f"{RUNS}/") and key.endswith(f"/{MANIFEST}")}
    needed = {key for holder in sorted(young_records | manifests) for key in _references(lake, holder)}
    kept_versions = {version.key for day in dates_of(lake, VERSIONS) for version in versions_of(lake, day)} - {
        version.key
        for day in dates_of(lake, VERSIONS)
        for version in versions_of(lake, day)
        if not version.in_force and f"{version.key}/{MANIFEST}" in old
    }
    kinds: dict[str, list[str]] = {"stage results": [], "previews": [], "versions": [], "reviewed files": []}
    for key in sorted(sizes):
        top, _, rest = key.partition("/")
        if top in (RUNS, PERFORMANCE, PLANNER) or (top == VERSIONS and rest.split("/")[1] == EVENTS):
            continue
        if top == VERSIONS:
            if key.rsplit("/", 1)[0] not in kept_versions and key in old:
                kinds["versions"].append(key)
        elif top in (PREVIEWS, REVIEWED):
            least = ASKED_FOR_AT_LEAST if key.startswith(f"{ASKED}/") else waiting
            if key in old and ages[key] > least:
                kinds["previews" if top == PREVIEWS else "reviewed files"].append(key)
        elif key in (old if top == RECORDS else aged - needed):
            kinds["stage results"].append(key)
    return Pruning(kinds, {kind: sum(sizes[key].bytes for key in keys) for kind, keys in kinds.items()})


def _references(lake: Lake, holder: str) -> Iterator[str]:
    """Yield the keys of the objects that a record or manifest refers to; a damaged one refers to nothing."""
    try:
        content = json.loads(lake.read_bytes(holder))
    except ValueError:
        return
    yield from _keys_in(content)


def _keys_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("key"), str) and "sha256" in value:
            yield value["key"]
        for item in value.values():
            yield from _keys_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys_in(item)
