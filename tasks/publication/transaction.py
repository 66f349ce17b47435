"""Publication as a transaction: write to a local folder, check, compare, then publish atomically."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from schemas.alarms import Alarm
from schemas.errors import PublicationError, StorageError
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
from tasks.publication.approved import approved_files_changed
from tasks.publication.changes import compare_targets, held_by_alarms
from tasks.publication.checks import check_folder, check_outputs
from tasks.publication.earlier_runs import EarlierRun, latest_before, preview_key, published, run_key
from tasks.publication.erp_file import formula_ids, replenishment_bytes
from tasks.publication.guards import (
    CHANGED_TARGETS,
    Totals,
    changed_targets,
    changed_total,
    expected_to_send,
    stale_sales,
)
from tasks.publication.manifest import (
    APPROVAL,
    CHANGED_SHARE,
    OUTPUTS,
    REPLACES,
    SCOPE,
    TOTALS,
    build_manifest,
    folder_checksums,
    same_run,
    scope_of,
)
from tasks.publication.output_files import write_output
from tasks.publication.planner_workbook import write_planner_workbook
from tasks.publication.product_names import described
from tasks.publication.to_send import broken_packs, with_quantities_to_send
from tasks.publication.versions import put_in_force, record_publication
from tasks.report.page import ReportData, render_report
from tasks.storage.code_version import code_version
from tasks.storage.lake import Lake
from tasks.storage.temporary import named

# The record has a warning if a larger share of the targets changed.
NOTEWORTHY_SHARE = 0.5
COMMAND_LINE = "command line"


def publish_run(
    lake: Lake, run: RunContext, outputs: RunOutputs, facts: RunFacts, by: str = COMMAND_LINE
) -> PublicationRecord:
    """Publish a run to ``runs/<as_of>``; on any error the previous publication is kept.

    All files are written to a local folder, checked there, and compared with an earlier file. The guards of
    :mod:`tasks.publication.guards` compare with the last earlier file, so that repeated runs write identical files;
    the share of changed targets is also compared with a file of the same date. If identical files are already
    published, nothing is written. Every publication is kept as a version (:mod:`tasks.publication.versions`).

    A dry run, a run with a scope and a publication that is held back write their files to ``previews/<as_of>``.

    Args:
        lake: lake of the publications.
        run: settings, ``as_of``, scope, and whether this is a dry run.
        outputs: tables of the run.
        facts: other facts of the run; an approval publishes exactly the files that were approved, or nothing.
        by: who publishes, for the list of publications.

    Returns:
        Folder, checksums of the files, and share of targets changed since the last earlier file.

    Raises:
        PublicationError: a table is invalid, or an earlier file is damaged.
        PublicationHeldError: an alarm holds the file back, or the files are not the approved ones.
        ConfigError: the ERP file cannot be written with the settings of ``output``.
        StorageError: the lake failed; the previous publication is kept.
    """
    outputs = with_quantities_to_send(outputs, run.settings.output.dc_name)
    check_outputs(outputs, run.settings)
    earlier = latest_before(lake, run.as_of)
    last_week, warnings = _last_week(earlier, run, outputs)
    facts = _guarded(facts, run, outputs, earlier, last_week)
    warnings = [*warnings, *broken_packs(outputs)]
    facts = replace(facts, warnings=[*facts.warnings, *warnings])
    with lake.exclusive(), tempfile.TemporaryDirectory(prefix=named("publication")) as name:
        folder = Path(name)
        current = published(lake, run.as_of)
        compose(folder, run, outputs, facts, last_week, None if earlier is None else earlier.week())
        check_folder(folder, outputs.replenishment, run.settings)
        if current is not None and _is_published(current, folder):
            if not run.dry_run:
                record_publication(lake, run.as_of, by)
            record = _record(lake, run, run_key(run.as_of), _sizes(folder), last_week, warnings)
            return record.model_copy(update={"written": False, **_kept(facts)})
        if current is not None and not run.dry_run:
            _write_manifest(folder, run, replace(facts, replaces=_replaced(current, folder)), last_week)
        preview = preview_key(run.as_of)
        held = _held(current, run, outputs, facts)
        held_names = list(dict.fromkeys(alarm.name for alarm in held))
        changed = None if facts.approval is None else approved_files_changed(lake, run, facts.approval, folder, outputs)
        blocked = changed or held_by_alarms(held, run.as_of, lake.uri(preview))
        if run.dry_run or blocked is not None:
            lake.promote(folder, preview, REPLENISHMENT)
            if not run.dry_run and blocked is not None:
                raise blocked
            notes = [f"Unless it is accepted, this file is held back by: {', '.join(held_names)}"] if held_names else []
            record = _record(lake, run, preview, _sizes(folder), last_week, [*warnings, *notes])
            return record.model_copy(update={**_kept(facts), "held_by": held_names})
        put_in_force(lake, run.as_of, folder, by)
        record = _record(lake, run, run_key(run.as_of), _sizes(folder), last_week, warnings)
    return record.model_copy(update=_kept(facts))


def _guarded(
    facts: RunFacts, run: RunContext, outputs: RunOutputs, earlier: EarlierRun | None, last_week: Change | None
) -> RunFacts:
    """Add the totals of the file and the alarms of the guards; totals of a part of the network are not compared."""
    new = Totals.of(outputs)
    last = None if earlier is None or run.scoped else Totals.stored(earlier.manifest.get(TOTALS))
    counted = all(alarm.name != "stock_undated" for alarm in facts.alarms)
    alarms = [
        *facts.alarms,
        *stale_sales(run.settings, run.as_of, facts.sales_end),
        *changed_targets(run.settings, last_week),
        *(
            ()
            if earlier is None
            else changed_total(run.settings, new, last, earlier.as_of, partial(_due, earlier, run), counted)
        ),
        *formula_ids(outputs.replenishment),
    ]
    share = None if last_week is None else round(last_week.share, 6)
    return replace(facts, alarms=alarms, totals={**new.content(), CHANGED_SHARE: share})


def _due(earlier: EarlierRun, run: RunContext) -> int | None:
    """Units that an earlier file expected to be sent by this run; None if its deliveries cannot be read."""
    tables = {table.name: table for table in output_tables(run.settings.quantiles)}
    frequency = run.settings.period
    first = frequency.shift(frequency.first_label_from(run.as_of), run.settings.inventory.lead_time)
    try:
        return expected_to_send(earlier.table(tables["deliveries"]), earlier.table(tables["visits"]), first)
    except (PublicationError, StorageError):
        return None


def _held(current: EarlierRun | None, run: RunContext, outputs: RunOutputs, facts: RunFacts) -> list[Alarm]:
    """The alarms that hold the file back, also those against a file of the same date."""
    comparable = current is not None and current.manifest.get(SCOPE) == scope_of(run)
    limited = run.settings.publication.max_change is not None
    same_date = changed_targets(run.settings, _compare(current, run, outputs)) if comparable and limited else []
    alarms = [*facts.alarms, *same_date]
    if comparable:
        # The file that the ERP has is that of the same date.
        alarms = [alarm for alarm in facts.alarms if alarm.name != CHANGED_TARGETS] + same_date
    accepted = () if facts.approval is None else facts.approval.accepted
    return [alarm for alarm in run.settings.publication.holding(alarms, run.as_of) if alarm.name not in accepted]


def _kept(facts: RunFacts) -> dict[str, Any]:
    """The facts that the record repeats."""
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
        change: changes since the last earlier file; None if it does not exist.
        earlier: tables of the last earlier publication; None if it does not exist.
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
    write_planner_workbook(folder, outputs, facts, run)
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
