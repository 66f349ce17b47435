"""Publication as a transaction: write to a local folder, check, compare, then publish atomically."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.errors import PublicationError, PublicationHeldError
from schemas.outputs import (
    EXPLANATION_TABLE,
    MANIFEST,
    OVERRIDDEN,
    REPLENISHMENT,
    REPORT,
    SHORTAGE_TABLE,
    Change,
    EarlierWeek,
    RunFacts,
    RunOutputs,
    output_tables,
)
from schemas.records import FileRef, PublicationRecord
from schemas.run import RunContext
from tasks.publication.changes import compare_targets, held_back, held_by_alarms
from tasks.publication.checks import check_folder, check_outputs
from tasks.publication.earlier_runs import EarlierRun, latest_before, preview_key, published, run_key
from tasks.publication.erp_file import replenishment_bytes
from tasks.publication.manifest import (
    APPROVAL,
    OUTPUTS,
    REPLACES,
    SCOPE,
    build_manifest,
    folder_checksums,
    same_run,
    scope_of,
)
from tasks.publication.output_files import write_output
from tasks.publication.product_names import described
from tasks.publication.to_send import with_quantities_to_send
from tasks.report.page import ReportData, render_report
from tasks.storage.code_version import code_version
from tasks.storage.lake import Lake

# The record has a warning if a larger share of the targets changed.
NOTEWORTHY_SHARE = 0.5


def publish_run(lake: Lake, run: RunContext, outputs: RunOutputs, facts: RunFacts) -> PublicationRecord:
    """Publish a run to ``runs/<as_of>``; on any error the previous publication is kept.

    All files are written to a local folder, checked there, and compared with an earlier file. The change limit
    compares with the file that the ERP has: the file of the same date if there is one, otherwise the last
    earlier file. The report always compares with the last earlier file, so that repeated runs write identical
    files. If identical files are already published, nothing is written.

    A dry run and a publication that is held back write their files to ``previews/<as_of>``.

    Args:
        lake: lake of the publications.
        run: settings, ``as_of``, scope, and whether this is a dry run.
        outputs: tables of the run.
        facts: other facts of the run.

    Returns:
        Folder, checksums of the files, and share of targets changed since the last earlier file.

    Raises:
        PublicationError: a table is invalid, or an earlier file is damaged.
        PublicationHeldError: an alarm holds it back, or more targets changed than ``publication.max_change`` allows.
        ConfigError: the ERP file cannot be written with the settings of ``output``.
        StorageError: the lake failed; the previous publication is kept.
    """
    outputs = with_quantities_to_send(outputs, run.settings.output.dc_name)
    check_outputs(outputs, run.settings)
    earlier = latest_before(lake, run.as_of)
    last_week, warnings = _last_week(earlier, run, outputs)
    facts = replace(facts, warnings=[*facts.warnings, *warnings])
    current = published(lake, run.as_of)
    with tempfile.TemporaryDirectory(prefix="publication-") as name:
        folder = Path(name)
        compose(folder, run, outputs, facts, last_week, None if earlier is None else earlier.week())
        check_folder(folder, outputs.replenishment, run.settings)
        if current is not None and _is_published(current, folder):
            record = _record(lake, run, run_key(run.as_of), _sizes(folder), last_week, warnings)
            return record.model_copy(update={"written": False, **_kept(facts)})
        if current is not None and not run.dry_run:
            _write_manifest(folder, run, replace(facts, replaces=_replaced(current, folder)), last_week)
        blocking = run.settings.publication.holding(facts.alarms, run.as_of)
        held = held_by_alarms(blocking, run.as_of, lake.uri(preview_key(run.as_of))) or _held(
            lake, current, last_week, run, outputs
        )
        key = preview_key(run.as_of) if run.dry_run or held else run_key(run.as_of)
        lake.promote(folder, key, REPLENISHMENT)
        sizes = _sizes(folder)
    if held is not None and not run.dry_run:
        raise held
    record = _record(lake, run, key, sizes, last_week, [*warnings, *([str(held)] if held else [])])
    return record.model_copy(update=_kept(facts))


def _kept(facts: RunFacts) -> dict[str, Any]:
    """What the record repeats of the facts."""
    return {"overrides": list(facts.overrides), "alarms": list(facts.alarms)}


def compose(
    folder: Path,
    run: RunContext,
    outputs: RunOutputs,
    facts: RunFacts,
    change: Change | None,
    earlier: EarlierWeek | None = None,
) -> None:
    """Write every output file (docs/reference/contract.md#outputs) to a local folder.

    Args:
        folder: an empty folder.
        run: settings, ``as_of`` and scope.
        outputs: tables that pass :func:`~tasks.publication.checks.check_outputs`.
        facts: other facts of the run.
        change: changes since the last earlier file; None without one.
        earlier: what the last earlier publication says; None without one.
    """
    output = run.settings.output
    for table in output_tables(run.settings.quantiles):
        write_output(getattr(outputs, table.name), table, folder, output)
    if outputs.explanations is not None:
        write_output(outputs.explanations, EXPLANATION_TABLE, folder)
    if outputs.shortages is not None:
        write_output(outputs.shortages, SHORTAGE_TABLE, folder, output)
    if outputs.overridden is not None and len(outputs.overridden):
        write_output(outputs.overridden, OVERRIDDEN, folder, output)
    data = ReportData(
        run=run, outputs=outputs, facts=facts, change=change, code_version=code_version(), earlier=earlier
    )
    (folder / REPORT).write_text(render_report(data), encoding="utf-8", newline="\n")
    erp_file = replenishment_bytes(described(outputs.replenishment, outputs.products), output)
    (folder / REPLENISHMENT).write_bytes(erp_file)
    _write_manifest(folder, run, facts, change)


def _write_manifest(folder: Path, run: RunContext, facts: RunFacts, change: Change | None) -> None:
    against = None if change is None else change.against
    (folder / MANIFEST).write_bytes(build_manifest(run, facts, folder_checksums(folder), against))


def _last_week(earlier: EarlierRun | None, run: RunContext, outputs: RunOutputs) -> tuple[Change | None, list[str]]:
    """Return the changes since the last earlier file; without a limit, a damaged file is only a warning."""
    try:
        return _compare(earlier, run, outputs), []
    except PublicationError as error:
        if run.settings.publication.max_change is not None:
            raise
        return None, [str(error)]


def _held(
    lake: Lake, current: EarlierRun | None, last_week: Change | None, run: RunContext, outputs: RunOutputs
) -> PublicationHeldError | None:
    """Return the error of the change limit; only publications with the same scope are compared."""
    limit = run.settings.publication.max_change
    if limit is None:
        return None
    comparable = current is not None and current.manifest.get(SCOPE) == scope_of(run)
    change = _compare(current, run, outputs) if comparable else last_week
    return None if change is None else held_back(change, limit, lake.uri(preview_key(run.as_of)))


def _compare(earlier: EarlierRun | None, run: RunContext, outputs: RunOutputs) -> Change | None:
    if earlier is None:
        return None
    return compare_targets(earlier.targets(), outputs.replenishment, earlier.as_of, run.scoped)


def _is_published(current: EarlierRun, folder: Path) -> bool:
    return _same_run(current, folder) and current.intact(_sizes(folder))


def _same_run(current: EarlierRun, folder: Path) -> bool:
    return same_run(current.manifest, json.loads((folder / MANIFEST).read_bytes()))


def _replaced(current: EarlierRun, folder: Path) -> dict[str, Any] | None:
    """Return checksum and approval of the replaced ERP file; republishing the same run keeps the earlier entry."""
    if _same_run(current, folder) or OUTPUTS not in current.manifest:
        return current.manifest.get(REPLACES)
    return {
        "replenishment_sha256": current.manifest.get(OUTPUTS, {}).get(REPLENISHMENT),
        APPROVAL: current.manifest.get(APPROVAL),
    }


def _sizes(folder: Path) -> dict[str, int]:
    """Map file names to sizes in bytes."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _record(
    lake: Lake,
    run: RunContext,
    key: str,
    sizes: dict[str, int],
    change: Change | None,
    warnings: list[str],
) -> PublicationRecord:
    manifest = lake.read_bytes(f"{key}/{MANIFEST}")
    checksums = {**json.loads(manifest)[OUTPUTS], MANIFEST: hashlib.sha256(manifest).hexdigest()}
    if change is not None and change.share > NOTEWORTHY_SHARE:
        text = f"{change.share:.0%} of the targets differ from the file of {change.against}"
        warnings = [*warnings, f"{text}. See the report, section What changed."]
    return PublicationRecord(
        as_of=run.as_of,
        folder=lake.uri(key),
        files=[
            FileRef(key=f"{key}/{name}", bytes=len(manifest) if name == MANIFEST else sizes[name], sha256=sha256)
            for name, sha256 in sorted(checksums.items())
        ],
        changed_share=None if change is None else change.share,
        warnings=warnings,
        dry_run=run.dry_run,
    )
