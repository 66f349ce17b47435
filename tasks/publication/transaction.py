"""Publication as a transaction: composed aside, checked, compared, then promoted whole."""

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
    UNMET_TABLE,
    Change,
    RunFacts,
    RunOutputs,
    output_tables,
)
from schemas.records import FileRef, PublicationRecord
from schemas.run import RunContext
from tasks.publication.changes import compare_targets, held_back
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
from tasks.report.page import ReportData, render_report
from tasks.storage.code_version import code_version
from tasks.storage.lake import Lake

NOTEWORTHY_SHARE = 0.5


def publish_run(lake: Lake, run: RunContext, outputs: RunOutputs, facts: RunFacts) -> PublicationRecord:
    """Publish a run to ``runs/<as_of>``, or leave what is published untouched.

    Every file is written to a local folder first, checked there, and compared with the last file. The
    limit compares with the file that the ERP has: this date's where it was published before, otherwise
    the last earlier one. The report compares with the last earlier one only, so that a second run
    leaves identical files; where they are identical already nothing is written.

    A dry run, and a publication that is held back, leave their files in ``previews/<as_of>``.

    Args:
        lake: where runs are published.
        run: settings, ``as_of``, scope, and whether the run is dry.
        outputs: the run's tables.
        facts: what the run knows about itself.

    Returns:
        Folder, checksums of its files, and share of targets changed against the last earlier file.

    Raises:
        PublicationError: a table breaks the contract, or an earlier file is damaged.
        PublicationHeldError: more targets changed than ``publication.max_change`` allows.
        ConfigError: the ERP's file cannot be written in the set dialect.
        StorageError: the lake failed; the previous run stands.
    """
    check_outputs(outputs, run.settings)
    last_week, doubts = _last_week(lake, run, outputs)
    facts = replace(facts, warnings=[*facts.warnings, *doubts])
    standing = published(lake, run.as_of)
    with tempfile.TemporaryDirectory(prefix="publication-") as name:
        folder = Path(name)
        compose(folder, run, outputs, facts, last_week)
        check_folder(folder, outputs.replenishment, run.settings)
        if standing is not None and _stands_already(standing, folder):
            record = _record(lake, run, run_key(run.as_of), _sizes(folder), last_week, doubts)
            return record.model_copy(update={"written": False, "overrides": list(facts.overrides)})
        if standing is not None and not run.dry_run:
            _write_manifest(folder, run, replace(facts, replaces=_replaced(standing, folder)), last_week)
        held = _held(lake, standing, last_week, run, outputs)
        place = preview_key(run.as_of) if run.dry_run or held else run_key(run.as_of)
        lake.promote(folder, place, REPLENISHMENT)
        sizes = _sizes(folder)
    if held is not None and not run.dry_run:
        raise held
    record = _record(lake, run, place, sizes, last_week, [*doubts, *([str(held)] if held else [])])
    return record.model_copy(update={"overrides": list(facts.overrides)})


def compose(folder: Path, run: RunContext, outputs: RunOutputs, facts: RunFacts, change: Change | None) -> None:
    """Write every file of contract, section 4, to a local folder.

    Args:
        folder: an empty folder.
        run: settings, ``as_of`` and scope.
        outputs: tables that :func:`~tasks.publication.checks.check_outputs` accepts.
        facts: what the run knows about itself.
        change: against the last earlier file; None where there is none.
    """
    for table in output_tables(run.settings.quantiles):
        write_output(getattr(outputs, table.name), table, folder)
    if outputs.explanations is not None:
        write_output(outputs.explanations, EXPLANATION_TABLE, folder)
    if outputs.unmet is not None:
        write_output(outputs.unmet, UNMET_TABLE, folder)
    if outputs.overridden is not None and len(outputs.overridden):
        write_output(outputs.overridden, OVERRIDDEN, folder)
    page = render_report(ReportData(run=run, outputs=outputs, facts=facts, change=change, code_version=code_version()))
    (folder / REPORT).write_text(page, encoding="utf-8", newline="\n")
    erp_file = replenishment_bytes(outputs.replenishment, run.settings.output)
    (folder / REPLENISHMENT).write_bytes(erp_file)
    _write_manifest(folder, run, facts, change)


def _write_manifest(folder: Path, run: RunContext, facts: RunFacts, change: Change | None) -> None:
    against = None if change is None else change.against
    (folder / MANIFEST).write_bytes(build_manifest(run, facts, folder_checksums(folder), against))


def _last_week(lake: Lake, run: RunContext, outputs: RunOutputs) -> tuple[Change | None, list[str]]:
    """The change against the last earlier file; without a limit a damaged file is a warning only."""
    earlier = latest_before(lake, run.as_of)
    try:
        return _compare(earlier, run, outputs), []
    except PublicationError as error:
        if run.settings.publication.max_change is not None:
            raise
        return None, [str(error)]


def _held(
    lake: Lake, standing: EarlierRun | None, last_week: Change | None, run: RunContext, outputs: RunOutputs
) -> PublicationHeldError | None:
    """The error that the limit calls for; a run of another scope is no measure of this one."""
    limit = run.settings.publication.max_change
    if limit is None:
        return None
    comparable = standing is not None and standing.manifest.get(SCOPE) == scope_of(run)
    change = _compare(standing, run, outputs) if comparable else last_week
    return None if change is None else held_back(change, limit, lake.uri(preview_key(run.as_of)))


def _compare(earlier: EarlierRun | None, run: RunContext, outputs: RunOutputs) -> Change | None:
    if earlier is None:
        return None
    return compare_targets(earlier.targets(), outputs.replenishment, earlier.as_of, run.scoped)


def _stands_already(standing: EarlierRun, folder: Path) -> bool:
    return _same_run(standing, folder) and standing.intact(_sizes(folder))


def _same_run(standing: EarlierRun, folder: Path) -> bool:
    return same_run(standing.manifest, json.loads((folder / MANIFEST).read_bytes()))


def _replaced(standing: EarlierRun, folder: Path) -> dict[str, Any] | None:
    """The ERP file of this date that goes, and who had approved it; a repair of the same run replaces nothing new."""
    if _same_run(standing, folder) or OUTPUTS not in standing.manifest:
        return standing.manifest.get(REPLACES)
    return {
        "replenishment_sha256": standing.manifest.get(OUTPUTS, {}).get(REPLENISHMENT),
        APPROVAL: standing.manifest.get(APPROVAL),
    }


def _sizes(folder: Path) -> dict[str, int]:
    """File name to bytes."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _record(
    lake: Lake,
    run: RunContext,
    place: str,
    sizes: dict[str, int],
    change: Change | None,
    warnings: list[str],
) -> PublicationRecord:
    manifest = lake.read_bytes(f"{place}/{MANIFEST}")
    checksums = {**json.loads(manifest)[OUTPUTS], MANIFEST: hashlib.sha256(manifest).hexdigest()}
    if change is not None and change.share > NOTEWORTHY_SHARE:
        words = f"{change.share:.0%} of the targets differ from the file of {change.against}"
        warnings = [*warnings, f"{words}: see the report, What changed."]
    return PublicationRecord(
        as_of=run.as_of,
        folder=lake.uri(place),
        files=[
            FileRef(key=f"{place}/{name}", bytes=len(manifest) if name == MANIFEST else sizes[name], sha256=sha256)
            for name, sha256 in sorted(checksums.items())
        ],
        changed_share=None if change is None else change.share,
        warnings=warnings,
        dry_run=run.dry_run,
    )
