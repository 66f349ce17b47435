"""Publish exactly the approved files, byte for byte, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from schemas import columns as c
from schemas.errors import EXAMPLES_SHOWN, PublicationHeldError
from schemas.outputs import AFTER, BEFORE, MANIFEST, REPLENISHMENT, RunOutputs
from schemas.records import Approval, PublicationRecord, Record, files_checksum
from schemas.run import RunContext
from schemas.settings import OutputSettings
from tasks.publication.changes import compare_targets
from tasks.publication.earlier_runs import latest_before, preview_key, published
from tasks.publication.erp_file import read_replenishment
from tasks.publication.manifest import CODE_VERSION, CSV_FORMAT, INPUTS, OUTPUTS, SETTINGS_CHECKSUM, folder_checksums
from tasks.storage.lake import Lake

REVIEWED = "reviewed"
# One small file for each run that has asked: it binds the run to the files that were reviewed.
ASKED = f"{REVIEWED}/asked"
EARLIER = "earlier"
# What is kept of the preview's manifest: it says what has changed if the files have.
KEPT = (OUTPUTS, CSV_FORMAT, SETTINGS_CHECKSUM, INPUTS, CODE_VERSION)


class Reviewed(Record):
    """The files that a person is asked to approve.

    Attributes:
        checksum: identifies the files of the preview.
        held_by: alarms of severity hold; approving the file accepts them.
        in_force: SHA-256 of the ERP file of the same run date that is in force, empty without one; None = unknown.
    """

    checksum: str
    held_by: list[str]
    in_force: str | None = None


def keep_reviewed(lake: Lake, preview: PublicationRecord, flow_run_id: str) -> Reviewed:
    """Store what a run asks a person to approve: the file for the ERP, and the checksums of all files.

    Args:
        lake: lake of the preview.
        preview: the previewed files.
        flow_run_id: the run that asks.

    Returns:
        What the first call of this run stored. Later calls return the same, even if the preview has changed since then.
    """
    asked = f"{ASKED}/{flow_run_id}.json"
    if lake.exists(asked):
        return Reviewed.model_validate_json(lake.read_bytes(asked))
    checksum = preview.checksum(MANIFEST)
    key = next(file.key for file in preview.files if file.key.endswith(f"/{REPLENISHMENT}"))
    lake.write_bytes(_key(checksum, REPLENISHMENT), lake.read_bytes(key))
    manifest = json.loads(lake.read_bytes(key.removesuffix(REPLENISHMENT) + MANIFEST))
    content = {**{name: manifest[name] for name in KEPT}, EARLIER: _earlier(lake, preview.as_of)}
    lake.write_bytes(_key(checksum, MANIFEST), json.dumps(content, sort_keys=True).encode())
    reviewed = Reviewed(checksum=checksum, held_by=preview.held_by, in_force=_in_force(lake, preview.as_of))
    lake.write_bytes(asked, reviewed.model_dump_json().encode())
    return reviewed


def is_outdated(lake: Lake, as_of: date, flow_run_id: str) -> bool:
    """Return whether the preview of a run date has been replaced since a run asked to approve it."""
    asked, manifest = f"{ASKED}/{flow_run_id}.json", f"{preview_key(as_of)}/{MANIFEST}"
    if not lake.exists(asked) or not lake.exists(manifest):
        return False
    reviewed = Reviewed.model_validate_json(lake.read_bytes(asked))
    return files_checksum(json.loads(lake.read_bytes(manifest))[OUTPUTS], MANIFEST) != reviewed.checksum


def approved_files_changed(
    lake: Lake, run: RunContext, approval: Approval, folder: Path, outputs: RunOutputs
) -> PublicationHeldError | None:
    """Return an error if the files in a folder are not those that were approved, or would replace another file.

    Args:
        lake: holds the reviewed file.
        run: settings and run date.
        approval: names the checksum of the reviewed files; without a checksum nothing is compared.
        folder: the files about to be published.
        outputs: their tables.
    """
    files = folder_checksums(folder)
    if not approval.checksum:
        return None
    if files_checksum(files, MANIFEST) == approval.checksum:
        now = _in_force(lake, run.as_of)
        if approval.in_force is None or now in ("", approval.in_force, files[REPLENISHMENT]):
            return None
        return PublicationHeldError(
            f"Publication held back: another file for {run.as_of} was put in force since {approval.by} reviewed this "
            "one, and it is kept. Compare both (restock publications), then start the weekly run for "
            f"{run.as_of} again and approve it."
        )
    return PublicationHeldError(
        f"Publication held back: the plan has changed since {approval.by} reviewed it. "
        f"{_differences(lake, run, approval, folder, outputs)} The previous file is kept. "
        f"Review {lake.uri(preview_key(run.as_of))}, then start the weekly run for {run.as_of} again and approve it."
    )


def _differences(lake: Lake, run: RunContext, approval: Approval, folder: Path, outputs: RunOutputs) -> str:
    if not lake.exists(_key(approval.checksum, MANIFEST)):
        return "The reviewed files are no longer in the lake."
    then = json.loads(lake.read_bytes(_key(approval.checksum, MANIFEST)))
    now = {**json.loads((folder / MANIFEST).read_bytes()), EARLIER: _earlier(lake, run.as_of)}
    csv_format = OutputSettings.model_validate(then.get(CSV_FORMAT, {}))
    reviewed = read_replenishment(lake.read_bytes(_key(approval.checksum, REPLENISHMENT)), csv_format)
    change = compare_targets(reviewed, outputs.replenishment, run.as_of)
    if len(change.rows):
        named = "; ".join(
            f"store {store}, SKU {sku}: {before} -> {after}"
            for store, sku, before, after in change.rows[[c.STORE_ID, c.SKU, BEFORE, AFTER]]
            .head(EXAMPLES_SHOWN)
            .itertuples(index=False)
        )
        return f"{len(change.rows):,} of {change.pairs:,} targets differ: {named}.{_causes(then, now)}"
    before, after = then[OUTPUTS], now[OUTPUTS]
    differ = sorted(name for name in {*before, *after} - {MANIFEST} if before.get(name) != after.get(name))
    return f"No target differs, but these files do: {', '.join(differ)}.{_causes(then, now)}"


def _causes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say what has changed since a review."""
    differs = {name for name in (SETTINGS_CHECKSUM, CODE_VERSION, EARLIER) if then.get(name) != now[name]}
    files = {(file["table"], file["path"], file["sha256"]) for file in then.get(INPUTS, [])} ^ {
        (file["table"], file["path"], file["sha256"]) for file in now[INPUTS]
    }
    causes = []
    if SETTINGS_CHECKSUM in differs:
        causes.append("the settings have changed")
    if files:
        causes.append(f"the input files of {', '.join(sorted({table for table, _, _ in files}))} have changed")
    if EARLIER in differs:
        causes.append(
            "the last file before this run date, with which the report compares, was published, replaced or withdrawn"
        )
    if CODE_VERSION in differs:
        causes.append("Restock was upgraded")
    return f" Since the review, {'; '.join(causes)}." if causes else ""


def _in_force(lake: Lake, as_of: date) -> str:
    found = published(lake, as_of)
    return "" if found is None else str(found.manifest.get(OUTPUTS, {}).get(REPLENISHMENT, ""))


def _earlier(lake: Lake, as_of: date) -> str:
    """Identify the publication with which a file of a run date is compared; empty if it does not exist."""
    found = latest_before(lake, as_of)
    return "" if found is None else f"{found.as_of} {found.manifest.get(OUTPUTS, {}).get(REPLENISHMENT, '')}"


def _key(checksum: str, name: str) -> str:
    return f"{REVIEWED}/{checksum[:24]}/{name}"
