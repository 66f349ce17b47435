"""What earlier runs left in the lake: their manifests and files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from schemas.errors import PublicationError
from schemas.outputs import MANIFEST, REPLENISHMENT
from schemas.records import FileRef
from schemas.settings import OutputSettings
from tasks.publication.erp_file import read_replenishment
from tasks.publication.manifest import OUTPUTS, SCOPE, SETTINGS
from tasks.storage.lake import Lake

RUNS = "runs"
PREVIEWS = "previews"


def run_key(as_of: date) -> str:
    """Key of a run's published folder."""
    return f"{RUNS}/{as_of.isoformat()}"


def preview_key(as_of: date) -> str:
    """Key of the folder of a run that was not published: dry, or held back."""
    return f"{PREVIEWS}/{as_of.isoformat()}"


@dataclass(frozen=True)
class EarlierRun:
    """A published run.

    Attributes:
        lake: where it lies.
        as_of: its date.
        manifest: its manifest's content.
    """

    lake: Lake
    as_of: date
    manifest: dict[str, Any]

    @property
    def scoped(self) -> bool:
        """Whether it covered a part of the network only."""
        return any(self.manifest.get(SCOPE, {}).values())

    def targets(self) -> pd.DataFrame:
        """Its replenishment file, read in the dialect it was written in.

        Raises:
            PublicationError: the file is damaged.
        """
        key = f"{run_key(self.as_of)}/{REPLENISHMENT}"
        try:
            output = OutputSettings.model_validate(self.manifest[SETTINGS]["output"])
            return read_replenishment(self.lake.read_bytes(key), output)
        except (KeyError, ValueError, PublicationError) as error:
            raise PublicationError(
                f"{self.lake.uri(key)} cannot be compared with ({error}). Restore it, or remove that run's folder."
            ) from error

    def intact(self, sizes: dict[str, int]) -> bool:
        """Whether every file that its manifest names is there with its checksum.

        Args:
            sizes: file name to bytes, as they should be.
        """
        outputs: dict[str, str] = self.manifest.get(OUTPUTS, {})
        folder = run_key(self.as_of)
        return all(
            self.lake.holds(FileRef(key=f"{folder}/{name}", bytes=sizes[name], sha256=sha256))
            for name, sha256 in outputs.items()
        )


def published(lake: Lake, as_of: date) -> EarlierRun | None:
    """The complete run of a date, or None."""
    folder = run_key(as_of)
    if not (lake.exists(f"{folder}/{REPLENISHMENT}") and lake.exists(f"{folder}/{MANIFEST}")):
        return None
    try:
        manifest = json.loads(lake.read_bytes(f"{folder}/{MANIFEST}"))
    except ValueError:
        return None
    return EarlierRun(lake, as_of, manifest) if isinstance(manifest, dict) else None


def latest_before(lake: Lake, as_of: date) -> EarlierRun | None:
    """The last complete run of the whole network before a date, or None."""
    for day in _dates_before(lake, as_of):
        run = published(lake, day)
        if run is not None and not run.scoped:
            return run
    return None


def _dates_before(lake: Lake, as_of: date) -> Iterator[date]:
    """Dates of the published folders before a date, the latest first."""
    dates = set()
    for key in lake.keys(RUNS):
        parts = key.split("/")
        try:
            dates.add(date.fromisoformat(parts[1]))
        except ValueError:
            continue
    yield from sorted((day for day in dates if day < as_of), reverse=True)
