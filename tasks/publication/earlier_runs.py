"""Earlier publications in the lake: their manifests and files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, PublicationError, StorageError
from schemas.outputs import EXPLANATIONS, MANIFEST, REPLENISHMENT, TARGETS, EarlierWeek, OutputTable
from schemas.records import FileRef, PlanInputs
from schemas.settings import OutputSettings
from tasks.publication.csv_format import read_csv_bytes
from tasks.publication.erp_file import read_replenishment
from tasks.publication.manifest import CSV_FORMAT, OUTPUTS, PLAN_INPUTS, SCOPE, SETTINGS
from tasks.report.sending import units_to_send
from tasks.storage.lake import Lake

RUNS = "runs"
PREVIEWS = "previews"


def run_key(as_of: date) -> str:
    """Return the key of the folder of a published run."""
    return f"{RUNS}/{as_of.isoformat()}"


def preview_key(as_of: date) -> str:
    """Return the key of the folder of a preview: a dry run, or a publication that was held back."""
    return f"{PREVIEWS}/{as_of.isoformat()}"


@dataclass(frozen=True)
class EarlierRun:
    """A published run.

    Attributes:
        lake: lake of the publication.
        as_of: run date.
        manifest: content of its manifest.
    """

    lake: Lake
    as_of: date
    manifest: dict[str, Any]

    @property
    def scoped(self) -> bool:
        """True if the run covered only a part of the network."""
        return any(self.manifest.get(SCOPE, {}).values())

    def targets(self) -> pd.DataFrame:
        """Read the targets of the replenishment file: store_id, sku, target_quantity.

        Raises:
            PublicationError: the file is damaged.
        """
        return self._read(TARGETS, read_replenishment)

    def table(self, table: OutputTable) -> pd.DataFrame:
        """Read a CSV file of the run in the format in which the run wrote it.

        Raises:
            PublicationError: the file is damaged.
        """
        return self._read(table, lambda data, output: read_csv_bytes(data, table, output))

    def has(self, table: OutputTable) -> bool:
        """Return True if the run has the file of a table."""
        return self.lake.exists(f"{run_key(self.as_of)}/{table.file}")

    def _read(self, table: OutputTable, read: Callable[[bytes, OutputSettings], pd.DataFrame]) -> pd.DataFrame:
        key = f"{run_key(self.as_of)}/{table.file}"
        try:
            return read(self.lake.read_bytes(key), self._csv_format(table))
        except (KeyError, ValueError, PublicationError) as error:
            raise PublicationError(
                f"{self.lake.uri(key)}: cannot read the earlier file for comparison ({error}). Restore the file or "
                "delete the folder of that run."
            ) from error

    def week(self) -> EarlierWeek:
        """Return the tables with which the report compares this run; None for a table that cannot be read."""
        return EarlierWeek(self.as_of, self._to_send(), self._champions())

    def _to_send(self) -> pd.DataFrame | None:
        """Units to send: target of the file minus the stock of the explanations, at least 0."""
        stock = self._table(EXPLANATIONS, [c.STORE_ID, c.SKU, c.ON_HAND, c.IN_TRANSIT])
        if stock is None:
            return None
        try:
            return units_to_send(self.targets(), stock)
        except PublicationError:
            return None

    def _champions(self) -> pd.DataFrame | None:
        forecast = self._table("forecast.parquet", [c.STORE_ID, c.CATEGORY, c.DATE, c.MEAN, c.CHAMPION])
        return None if forecast is None else forecast[forecast[c.CHAMPION].to_numpy(dtype=bool)]

    def _table(self, file: str, columns: list[str]) -> pd.DataFrame | None:
        try:
            return pd.read_parquet(io.BytesIO(self.lake.read_bytes(f"{run_key(self.as_of)}/{file}")), columns=columns)
        except (StorageError, ValueError, OSError):
            return None

    def _csv_format(self, table: OutputTable) -> OutputSettings:
        """Format of a file. Earlier versions wrote all but the replenishment file in the default format."""
        if CSV_FORMAT in self.manifest:
            return OutputSettings.model_validate(self.manifest[CSV_FORMAT])
        old = self.manifest[SETTINGS]["output"] if table is TARGETS else {}
        return OutputSettings.model_validate(old)

    def intact(self, sizes: dict[str, int]) -> bool:
        """Return True if every file of the manifest exists with its checksum.

        Args:
            sizes: maps file names to expected sizes in bytes.
        """
        outputs: dict[str, str] = self.manifest.get(OUTPUTS, {})
        folder = run_key(self.as_of)
        return all(
            self.lake.holds(FileRef(key=f"{folder}/{name}", bytes=sizes[name], sha256=sha256))
            for name, sha256 in outputs.items()
        )


def published(lake: Lake, as_of: date) -> EarlierRun | None:
    """Return the complete publication of a run date, or None."""
    folder = run_key(as_of)
    if not (lake.exists(f"{folder}/{REPLENISHMENT}") and lake.exists(f"{folder}/{MANIFEST}")):
        return None
    try:
        manifest = json.loads(lake.read_bytes(f"{folder}/{MANIFEST}"))
    except ValueError:
        return None
    return EarlierRun(lake, as_of, manifest) if isinstance(manifest, dict) else None


def plan_inputs_of(lake: Lake, folder: str) -> PlanInputs:
    """Read which tables the plan of a run was made from.

    Args:
        lake: lake of the run.
        folder: key of the folder of its publication or preview.

    Raises:
        ConfigError: the manifest does not name them.
    """
    try:
        return PlanInputs.model_validate(json.loads(lake.read_bytes(f"{folder}/{MANIFEST}"))[PLAN_INPUTS])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{lake.uri(folder)}: the manifest does not list the inputs of the plan, because another version of "
            f"Restock wrote it. Run again: restock weekly --settings FILE --as-of {folder.rsplit('/', 1)[-1]}"
        ) from error


def latest_before(lake: Lake, as_of: date) -> EarlierRun | None:
    """Return the last complete publication of the whole network before a date, or None."""
    for day in _dates_before(lake, as_of):
        run = published(lake, day)
        if run is not None and not run.scoped:
            return run
    return None


def _dates_before(lake: Lake, as_of: date) -> Iterator[date]:
    """Yield the dates of the published folders before a date, the latest first."""
    dates = set()
    for key in lake.keys(RUNS):
        parts = key.split("/")
        try:
            dates.add(date.fromisoformat(parts[1]))
        except ValueError:
            continue
    yield from sorted((day for day in dates if day < as_of), reverse=True)
