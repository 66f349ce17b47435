"""Versions of a publication: every published folder is kept, and one version per run date is in force."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, PublicationError
from schemas.outputs import MANIFEST, REPLENISHMENT
from schemas.records import Record
from tasks.publication.earlier_runs import RUNS, published, run_key
from tasks.publication.manifest import OUTPUTS
from tasks.storage.lake import Lake, sha256_of
from tasks.storage.temporary import named

VERSIONS = "versions"
EVENTS = "events"
# Held while a publication comes into force; a process that ends takes it, so that none begins after its last message.
COMMIT = threading.Lock()
PUBLISHED, ROLLED_BACK, WITHDRAWN = "published", "rolled back", "withdrawn"


class Event(Record):
    """An event in the history of the publication of a run date.

    Attributes:
        at: time (ISO 8601, UTC).
        action: ``published``, ``rolled back`` (an earlier version was put in force) or ``withdrawn``.
        version: the version concerned.
        by: who: the schedule, a person, or the command line.
        note: reason.
    """

    at: str
    action: str
    version: int
    by: str
    note: str = ""


@dataclass(frozen=True)
class Version:
    """One version of the publication of a run date.

    Attributes:
        as_of: run date.
        number: from 1, in the order of publication.
        manifest: content of its manifest.
        in_force: whether ``runs/<as_of>`` holds it.
    """

    as_of: date
    number: int
    manifest: Mapping[str, Any]
    in_force: bool

    @property
    def key(self) -> str:
        """Its folder in the lake."""
        return version_key(self.as_of, self.number)


def version_key(as_of: date, number: int) -> str:
    """Return the key of the folder of a version.

    >>> version_key(date(2025, 2, 24), 3)
    'versions/2025-02-24/0003'
    """
    return f"{VERSIONS}/{as_of}/{number:04d}"


def dates_of(lake: Lake, folder: str) -> list[date]:
    """Return the run dates that have a folder below ``folder``, in order."""
    found = set()
    for key in lake.keys(folder):
        try:
            found.add(date.fromisoformat(key.split("/")[1]))
        except ValueError:
            continue
    return sorted(found)


def versions_of(lake: Lake, as_of: date) -> list[Version]:
    """Return the complete versions of a run date, oldest first."""
    current = published(lake, as_of)
    manifests = {
        number: json.loads(lake.read_bytes(f"{version_key(as_of, number)}/{MANIFEST}"))
        for number in _numbers(lake, as_of)
    }
    equal = [number for number, manifest in manifests.items() if current is not None and current.manifest == manifest]
    in_force = equal[-1] if equal else None
    if len(equal) > 1:
        # Versions with the same content: the log says which of them was put in force.
        events = events_of(lake, as_of)
        in_force = events[-1].version if events and events[-1].version in equal else in_force
    return [Version(as_of, number, manifest, number == in_force) for number, manifest in manifests.items()]


def events_of(lake: Lake, as_of: date) -> list[Event]:
    """Return the events of the publication of a run date, in order."""
    keys = lake.keys(f"{VERSIONS}/{as_of}/{EVENTS}")
    return [Event.model_validate_json(lake.read_bytes(key)) for key in keys]


def came_into_force(lake: Lake, as_of: date, since: datetime) -> bool:
    """Return whether the publication in force of a run date has come into force after a time.

    A publication that was interrupted before its event was recorded counts; the events have whole seconds.
    """
    earlier = [event for event in events_of(lake, as_of) if datetime.fromisoformat(event.at) <= since]
    before = earlier[-1].version if earlier and earlier[-1].action != WITHDRAWN else None
    now = next((version.number for version in versions_of(lake, as_of) if version.in_force), None)
    return now not in {None, before}


def put_in_force(lake: Lake, as_of: date, folder: Path, by: str) -> None:
    """Publish a folder: keep it as a version, put it in force, and record who published it.

    Each step is atomic, and the next call with the same folder completes what an interrupted one began.

    Args:
        lake: lake of the publication; call it within ``lake.exclusive()``.
        as_of: run date.
        folder: local folder with all files, the manifest included.
        by: who publishes.
    """
    with COMMIT:
        number = keep_version(lake, as_of, folder)
        lake.promote(folder, run_key(as_of), REPLENISHMENT)
        _record_published(lake, as_of, number, by)


def keep_version(lake: Lake, as_of: date, folder: Path) -> int:
    """Store a folder that is about to be published as a version, unless the last version is the same run.

    Args:
        lake: lake of the publication.
        as_of: run date.
        folder: local folder with all files, the manifest included.

    Returns:
        The number of the version.
    """
    keep_current(lake, as_of)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    numbers = _numbers(lake, as_of)
    if numbers and json.loads(lake.read_bytes(f"{version_key(as_of, numbers[-1])}/{MANIFEST}")) == manifest:
        return numbers[-1]
    number = _next_number(lake, as_of)
    lake.promote(folder, version_key(as_of, number), MANIFEST)
    return number


def keep_current(lake: Lake, as_of: date) -> None:
    """Store the publication in force as a version if no version holds it (an older version of Restock published it)."""
    current = published(lake, as_of)
    if current is None or any(version.in_force for version in versions_of(lake, as_of)):
        return
    if not current.manifest.get(OUTPUTS):
        return
    number = _next_number(lake, as_of)
    _copy(lake, run_key(as_of), version_key(as_of, number), MANIFEST)


def record_event(lake: Lake, as_of: date, action: str, version: int, by: str, note: str = "") -> Event:
    """Add an event to the log of a run date."""
    event = Event(at=datetime.now(UTC).isoformat(timespec="seconds"), action=action, version=version, by=by, note=note)
    number = len(lake.keys(f"{VERSIONS}/{as_of}/{EVENTS}")) + 1
    key = f"{VERSIONS}/{as_of}/{EVENTS}/{number:04d}.json"
    lake.write_bytes(key, event.model_dump_json(indent=1).encode())
    return event


def record_publication(lake: Lake, as_of: date, by: str) -> None:
    """Record that the version in force was published, unless the last event says so already."""
    current = next((version for version in versions_of(lake, as_of) if version.in_force), None)
    if current is not None:
        _record_published(lake, as_of, current.number, by)


def _record_published(lake: Lake, as_of: date, number: int, by: str) -> None:
    events = events_of(lake, as_of)
    if not events or events[-1].version != number or events[-1].action == WITHDRAWN:
        record_event(lake, as_of, PUBLISHED, number, by)


def roll_back(lake: Lake, as_of: date, number: int | None, by: str, note: str = "") -> Version:
    """Put an earlier version of a run date in force.

    Args:
        lake: lake of the publications.
        as_of: run date.
        number: the version; None = the one before the version in force. The number of the version in force restores
            its files if they are damaged.
        by: who does it.
        note: why.

    Raises:
        ConfigError: there is no such version, or it is in force already and complete.
        PublicationError: a file of the version is missing or damaged; nothing was changed.
    """
    keep_current(lake, as_of)
    versions = versions_of(lake, as_of)
    if not versions:
        raise ConfigError(f"No publication of {as_of} in {lake.root}. Known run dates: {_known(lake)}.")
    chosen = _chosen(versions, number)
    if chosen.in_force and not check_folder_against_manifest(lake, run_key(as_of)):
        raise ConfigError(f"Version {number} of {as_of} is already in force, and its files are complete.")
    problems = check_folder_against_manifest(lake, chosen.key)
    if problems:
        raise PublicationError(
            f"Version {chosen.number} of {as_of} is damaged: {'; '.join(problems[:5])}. Nothing was changed. Choose "
            "another version with --version, or run the week again."
        )
    _copy(lake, chosen.key, run_key(as_of), REPLENISHMENT)
    record_event(lake, as_of, ROLLED_BACK, chosen.number, by, note)
    return next(version for version in versions_of(lake, as_of) if version.number == chosen.number)


def withdraw(lake: Lake, as_of: date, by: str, note: str = "") -> Version:
    """Take the publication of a run date out of force; its versions are kept.

    A withdrawal that was interrupted is completed.

    Raises:
        ConfigError: nothing of this date is in force.
    """
    keep_current(lake, as_of)
    versions, events = versions_of(lake, as_of), events_of(lake, as_of)
    current = next((version for version in versions if version.in_force), None)
    if current is None and events and events[-1].action != WITHDRAWN:
        current = next((version for version in versions if version.number == events[-1].version), None)
    if current is None:
        raise ConfigError(f"No publication of {as_of} is in force in {lake.root}. Known run dates: {_known(lake)}.")
    # The file that readers wait for is removed first: without it the folder is not a publication.
    keys = lake.keys(run_key(as_of))
    for key in sorted(keys, key=lambda key: not key.endswith(f"/{REPLENISHMENT}")):
        lake.delete(key)
    record_event(lake, as_of, WITHDRAWN, current.number, by, note)
    return current


def check_folder_against_manifest(lake: Lake, folder: str) -> list[str]:
    """Compare the files of a published folder with its manifest, in both directions.

    Returns:
        One line for each file that is missing, damaged, or not in the manifest.
    """
    try:
        outputs: dict[str, str] = json.loads(lake.read_bytes(f"{folder}/{MANIFEST}"))[OUTPUTS]
    except (ValueError, KeyError, TypeError):
        return [f"{folder}/{MANIFEST} is not a manifest"]
    present = {key.removeprefix(f"{folder}/") for key in lake.keys(folder)} - {MANIFEST}
    problems = [f"{folder}/{name} is missing" for name in sorted(set(outputs) - present)]
    problems += [f"{folder}/{name} is not in the manifest" for name in sorted(present - set(outputs))]
    for name in sorted(present & set(outputs)):
        if sha256_of(lake.local_copy(f"{folder}/{name}")) != outputs[name]:
            problems.append(f"{folder}/{name} differs from its checksum in the manifest")
    return problems


def verify(lake: Lake, as_of: date | None = None) -> tuple[int, list[str]]:
    """Check publications and their kept versions against their manifests.

    Args:
        lake: lake of the publications.
        as_of: only this run date; None = all.

    Returns:
        Number of folders checked, and one line per problem.

    Raises:
        ConfigError: nothing was published for this date.
    """
    dates = sorted({*dates_of(lake, RUNS), *dates_of(lake, VERSIONS)})
    if as_of is not None:
        if as_of not in dates:
            raise ConfigError(f"No publication of {as_of} in {lake.root}. Known run dates: {_known(lake)}.")
        dates = [as_of]
    checked, problems = 0, []
    for day in dates:
        folders = [version_key(day, number) for number in _numbers(lake, day)]
        if lake.keys(run_key(day)):
            folders.append(run_key(day))
        for folder in folders:
            checked += 1
            problems += (
                check_folder_against_manifest(lake, folder)
                if lake.exists(f"{folder}/{MANIFEST}")
                else [f"{folder}/{MANIFEST} is missing"]
            )
    return checked, problems


def _chosen(versions: list[Version], number: int | None) -> Version:
    as_of = versions[0].as_of
    listed = ", ".join(str(version.number) for version in versions)
    if number is not None:
        chosen = next((version for version in versions if version.number == number), None)
        if chosen is None:
            raise ConfigError(f"{as_of} has no version {number}; expected one of {listed}.")
        return chosen
    current = next((version.number for version in versions if version.in_force), versions[-1].number + 1)
    earlier = [version for version in versions if version.number < current]
    if not earlier:
        others = ", ".join(str(version.number) for version in versions if version.number != current)
        choose = f"Choose one with --version (others: {others})" if others else "Run the week again"
        raise ConfigError(
            f"{as_of} has no version before version {current}, which is in force. {choose}, or take the publication "
            "out of force with --withdraw."
        )
    return earlier[-1]


def _numbers(lake: Lake, as_of: date) -> list[int]:
    """Numbers of the complete versions of a run date: those with a manifest, which is written last."""
    parts = [key.split("/") for key in lake.keys(f"{VERSIONS}/{as_of}")]
    complete = {part[2] for part in parts if len(part) == 4 and part[3] == MANIFEST}  # noqa: PLR2004
    return sorted(int(number) for number in complete if number.isdigit())


def _next_number(lake: Lake, as_of: date) -> int:
    """The number of a new version: numbers of pruned versions are not used again."""
    return max([0, *_numbers(lake, as_of), *(event.version for event in events_of(lake, as_of))]) + 1


def _copy(lake: Lake, source: str, target: str, last: str) -> None:
    """Copy a folder of the lake; the target is replaced as a whole."""
    with tempfile.TemporaryDirectory(prefix=named("version")) as name:
        folder = Path(name)
        for key in lake.keys(source):
            file = folder / key.removeprefix(f"{source}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(lake.read_bytes(key))
        lake.promote(folder, target, last)


def _known(lake: Lake) -> str:
    dates = sorted({*dates_of(lake, RUNS), *dates_of(lake, VERSIONS)})
    return ", ".join(map(str, dates[-5:])) or "none"
