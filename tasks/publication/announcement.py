"""Texts about a publication for the Prefect UI: outcome, links and changes."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from schemas.outputs import MANIFEST, REPLENISHMENT, REPORT, TRANSFERS, WORKBOOK
from schemas.records import PublicationRecord
from tasks.publication.addresses import app_address, web_address
from tasks.publication.earlier_runs import latest_before, published
from tasks.publication.guards import Totals
from tasks.publication.manifest import TOTALS, same_run
from tasks.storage.lake import Lake


def publication_outcome(record: PublicationRecord) -> str:
    """Describe in a few words what happened to the files."""
    if record.dry_run:
        return "Preview, nothing was published"
    return "Published" if record.written else "Already published, unchanged"


def publication_summary(record: PublicationRecord, run_label: str, policy: str) -> str:
    """Return a Markdown summary of a publication: links to the files, policy, changes and warnings.

    Args:
        record: the publication or preview.
        run_label: name, run date and scope of the run.
        policy: name of the selected policy.
    """
    changed = "no earlier file" if record.changed_share is None else f"{record.changed_share:.1%} of the targets"
    lines = [
        f"# {publication_outcome(record)}: {run_label}",
        f"- Report: {file_link(record, REPORT)}",
        f"- Workbook for planners: {file_link(record, WORKBOOK)}",
        f"- Files for the ERP: {file_link(record, REPLENISHMENT)}, {file_link(record, TRANSFERS.file)}",
        f"- All files: {_link(f'{record.folder}/', record.folder)}",
        *app_lines(record),
        f"- Selected policy: **{policy}**",
        f"- Changed since the last file: {changed}",
        *(f"- {alarm.severity.capitalize()} `{alarm.name}`: {alarm.message}" for alarm in record.alarms),
        *(f"- Warning: {text}" for text in record.warnings),
    ]
    return "\n".join(lines)


def app_lines(record: PublicationRecord) -> list[str]:
    """Return a line with a link to the run in the planners' app; no line if its address is not known."""
    address = app_address(record.folder, record.as_of, record.dry_run)
    return [] if address is None else [f"- Planners' app: [exceptions, overrides, what-if]({address})"]


def file_link(record: PublicationRecord, name: str) -> str:
    """Return a Markdown link to a file of a publication, or its path if the files have no web address."""
    return _link(f"{record.folder}/{name}", name)


def totals_to_review(lake: Lake, as_of: date, preview: PublicationRecord) -> str:
    """Return the totals of a preview, and their change against the last publication of an earlier run date."""
    new = Totals.stored(_manifest(lake, preview).get(TOTALS))
    earlier = latest_before(lake, as_of)
    last = None if earlier is None else Totals.stored(earlier.manifest.get(TOTALS))
    if new is None:
        return ""
    text = f"Sum of targets: **{new.units:,} units**{_against(new.units, None if last is None else last.units)}"
    if new.to_send is not None:
        text += (
            f"; to send now: **{new.to_send:,} units**{_against(new.to_send, None if last is None else last.to_send)}"
        )
    return f"{text}. The last file is that of {earlier.as_of}." if earlier is not None else f"{text}."


def _against(value: int, before: int | None) -> str:
    if before is None:
        return ""
    change = f", {value / before - 1:+.1%}" if before else ""
    return f" (last file: {before:,}{change})"


def _manifest(lake: Lake, preview: PublicationRecord) -> dict[str, Any]:
    key = next(file.key for file in preview.files if file.key.endswith(f"/{MANIFEST}"))
    content: dict[str, Any] = json.loads(lake.read_bytes(key))
    return content


def replacement_notice(lake: Lake, as_of: date, preview: PublicationRecord) -> str:
    """Describe the effect of an approval on an earlier publication of the same run date."""
    earlier = published(lake, as_of)
    if earlier is None:
        return "No file is published yet for this run date."
    if same_run(earlier.manifest, _manifest(lake, preview)):
        return "The same files are already published: approving changes nothing."
    return (
        f"**A file for {as_of} is already published: approving replaces it, rejecting keeps it.** "
        "The manifest names what was replaced."
    )


def _link(path: str, text: str) -> str:
    address = web_address(path)
    return f"`{path}`" if address is None else f"[{text}]({address})"
