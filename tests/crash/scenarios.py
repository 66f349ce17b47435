"""What the sweep interrupts: publishing, rolling back, withdrawing, pruning, and storing the result of a stage."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from schemas.errors import ConfigError
from schemas.outputs import MANIFEST, REPLENISHMENT
from schemas.records import FileRef, Record
from tasks.publication.earlier_runs import PREVIEWS, RUNS, preview_key
from tasks.publication.manifest import OUTPUTS
from tasks.publication.prune import prune
from tasks.publication.versions import EVENTS, VERSIONS, events_of, put_in_force, roll_back, withdraw
from tasks.storage.cache import reuse_or_compute
from tasks.storage.lake import RECORDS, Lake, open_lake

AS_OF = date(2025, 2, 24)
NOW = datetime(2025, 6, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(weeks=20)
# A folder, or the address of a bucket.
Root = Path | str


class StageResult(Record):
    """A small result of a stage, with one stored file."""

    table: FileRef
    seconds: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """One operation on a lake.

    Attributes:
        name: for the table.
        prepare: writes the state before.
        act: the operation; again after a crash, it completes.
        folders: what must be equal to the undisturbed result after the restart.
    """

    name: str
    prepare: Callable[[Root, int], None]
    act: Callable[[Root, int], None]
    folders: tuple[str, ...] = (RUNS, VERSIONS)


def run_files(version: int, files: int) -> dict[str, bytes]:
    """The files of a published run: sizes and names differ by version."""
    made = {f"table-{number}.csv": f"{version},{number}\n".encode() * (1 + number) for number in range(files)}
    made[REPLENISHMENT] = f"store,sku,{version}\n".encode()
    if version > 1:
        made[f"only-in-{version}.csv"] = b"new\n"
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}
    made[MANIFEST] = json.dumps({OUTPUTS: checksums, "version": version}, sort_keys=True).encode()
    return made


def publish(root: Root, version: int, files: int) -> None:
    """Publish a version as :func:`~tasks.publication.transaction.publish_run` does."""
    lake = open_lake(str(root))
    with lake.exclusive(), tempfile.TemporaryDirectory() as name:
        for file, data in run_files(version, files).items():
            (Path(name) / file).write_bytes(data)
        put_in_force(lake, AS_OF, Path(name), "schedule")


def _nothing(root: Root, files: int) -> None:
    open_lake(str(root))


def _one(root: Root, files: int) -> None:
    publish(root, 1, files)


def _two(root: Root, files: int) -> None:
    publish(root, 1, files)
    publish(root, 2, files)


def _preview(root: Root, files: int) -> None:
    lake = open_lake(str(root))
    with tempfile.TemporaryDirectory() as name:
        for file, data in run_files(2, files).items():
            (Path(name) / file).write_bytes(data)
        lake.promote(Path(name), preview_key(AS_OF), REPLENISHMENT)


def _back(root: Root, files: int) -> None:
    lake = open_lake(str(root))
    with lake.exclusive():
        if events_of(lake, AS_OF)[-1].action != "rolled back":
            try:
                roll_back(lake, AS_OF, 1, "Ana")
            except ConfigError:  # in force already: the restart only has to record it
                from tasks.publication.versions import record_event

                record_event(lake, AS_OF, "rolled back", 1, "Ana")


def _withdraw(root: Root, files: int) -> None:
    lake = open_lake(str(root))
    with lake.exclusive():
        if events_of(lake, AS_OF)[-1].action != "withdrawn":
            withdraw(lake, AS_OF, "Ana")


def _old(root: Root, files: int) -> None:
    _two(root, files)
    lake = open_lake(str(root))
    for number in range(files):
        _store(lake, f"old-{number}", b"old" * (number + 1))
    _preview(root, 2)
    _make_old(root, lake)
    _store(lake, "new", b"young")


def _make_old(root: Root, lake: Lake) -> None:
    if isinstance(root, str):
        from tests.crash.bucket import make_old

        make_old(LONG_AGO)
        return
    for key in lake.keys(""):
        os.utime(root / key, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))


def _prune(root: Root, files: int) -> None:
    prune(open_lake(str(root)), timedelta(weeks=8), NOW, dry_run=False)


def _store(lake: Lake, key: str, data: bytes) -> None:
    def compute() -> StageResult:
        return StageResult(table=lake.write_bytes(f"features/{hashlib.sha256(data).hexdigest()[:12]}", data))

    reuse_or_compute(lake, "features", key, StageResult, compute)


def _stages(root: Root, files: int) -> None:
    lake = open_lake(str(root))
    for number in range(files):
        _store(lake, f"stage-{number}", b"result %d" % number)


SCENARIOS = (
    Scenario("first publication", _nothing, lambda root, files: publish(root, 1, files)),
    Scenario("publication that replaces one", _one, lambda root, files: publish(root, 2, files)),
    Scenario("rollback", _two, _back),
    Scenario("withdrawal", _two, _withdraw),
    Scenario("preview", _one, _preview, (RUNS, VERSIONS, PREVIEWS)),
    Scenario("results of stages", _one, _stages, (RUNS, VERSIONS, "features", "records")),
    Scenario("prune", _old, _prune, (RUNS, VERSIONS, PREVIEWS, "features", "records")),
)


def content(root: Root, folders: tuple[str, ...]) -> Mapping[str, bytes]:
    """The files of a lake's folders; times in records and events do not count."""
    lake = open_lake(str(root))
    return {key: comparable(key, lake.read_bytes(key)) for folder in folders for key in lake.keys(folder)}


def comparable(key: str, data: bytes) -> bytes:
    """Return the content of an object without the times in records and events."""
    if f"/{EVENTS}/" not in key and not key.startswith(f"{RECORDS}/"):
        return data
    return json.dumps({**json.loads(data), "at": "", "seconds": 0}, sort_keys=True).encode()
