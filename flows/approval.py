"""Wait before the publication until a person approves or rejects the file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from prefect.states import Running
from pydantic import Field

from schemas.errors import PublicationHeldError
from schemas.outputs import REPORT
from schemas.records import Approval, PublicationRecord
from schemas.run import RunContext
from tasks.publication.addresses import app_address
from tasks.publication.announcement import file_link, replacement_notice, totals_to_review
from tasks.publication.approved import keep_reviewed
from tasks.stages.support import say
from tasks.storage.lake import open_lake

SECONDS_PER_HOUR = 3600
SECONDS_BETWEEN_POLLS = 5
AGAIN = (
    "The previous file is kept. To publish, start the weekly run for {as_of} again; all stages except the publication "
    "are reused. The run asks again, or publishes without asking if approve_before_publishing is off."
)


class ApprovalForm(RunInput):
    """The form that is filled in before a publication."""

    decision: Literal["approve", "reject"] = Field(
        description="approve publishes the file; reject keeps the previous file"
    )
    name: str = Field(min_length=1, pattern=r"\S", description="Your name. It is stored in the manifest.")
    note: str = Field(
        default="", description="Reason. It is stored in the manifest, or shown in the message of the rejected run."
    )


def ask_for_approval(run: RunContext, preview: PublicationRecord) -> Approval:
    """Wait until somebody has approved or rejected the previewed file.

    The run of a deployment is suspended: its process ends. After the answer it starts again from the beginning and
    reuses all stored results. Any other run waits in its process.

    Args:
        run: The run; its settings say how long to wait.
        preview: The previewed files.

    Returns:
        Who approved, when, and the note.

    Raises:
        PublicationHeldError: Rejected, or not answered in time. Nothing was published.
    """
    # A suspended run starts again from the beginning. The person reviewed the files of its first start.
    reviewed = keep_reviewed(open_lake(run.settings.storage), preview, str(flow_run.get_id()))
    form = ApprovalForm.with_initial_data(description=_question(run, preview))
    hours = run.settings.publication.approval_timeout_hours
    say(f"waiting for approval for up to {hours:g} hours: choose Resume in this run's menu (three dots, top right)")
    seconds = max(1, round(hours * SECONDS_PER_HOUR))
    try:
        if deployment.id is None:
            answer = pause_flow_run(wait_for_input=form, timeout=seconds, poll_interval=SECONDS_BETWEEN_POLLS)
        else:
            answer = suspend_flow_run(wait_for_input=form, timeout=seconds)
    except FlowPauseTimeout:
        _end_the_pause()
        raise PublicationHeldError(
            f"Publication held back: nobody approved it within {hours:g} hours "
            f"(publication.approval_timeout_hours). {AGAIN.format(as_of=run.as_of)}"
        ) from None
    if answer.decision == "reject":
        reason = f": {answer.note}" if answer.note else ""
        raise PublicationHeldError(
            f"Publication held back: {answer.name} rejected it{reason}. Review {preview.folder}. "
            f"{AGAIN.format(as_of=run.as_of)}"
        )
    return Approval(
        by=answer.name,
        note=answer.note,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        checksum=reviewed.checksum,
        accepted=reviewed.held_by,
        in_force=reviewed.in_force,
    )


def _end_the_pause() -> None:
    """Set the run to running: from a pause that timed out, Prefect allows no state, so the reason would be lost."""
    with get_client(sync_client=True) as client:
        run_id = UUID(str(flow_run.get_id()))
        state = client.read_flow_run(run_id).state
        if state is not None and state.is_paused():
            client.set_flow_run_state(run_id, Running(), force=True)


def _question(run: RunContext, preview: PublicationRecord) -> str:
    """Return the text above the fields of the form."""
    changed = "There is no earlier file to compare with."
    if preview.changed_share is not None:
        changed = f"{preview.changed_share:.1%} of the targets differ from the previous file."
    alarms = [f"{alarm.name} ({alarm.severity}): {alarm.message}" for alarm in preview.alarms]
    warnings = "".join(f"\n- {text}" for text in [*alarms, *preview.warnings])
    lake = open_lake(run.settings.storage)
    notice, totals = (text(lake, run.as_of, preview) for text in (replacement_notice, totals_to_review))
    return (
        f"**{run.settings.name}, {run.as_of}**: publish the replenishment file? {changed} {notice}"
        f"\n\n{totals}\n\n{_in_the_app(run, preview)}Report: {file_link(preview, REPORT)}. Files: `{preview.folder}`. "
        "More: tab Artifacts of this run."
        f"{warnings}"
    )


def _in_the_app(run: RunContext, preview: PublicationRecord) -> str:
    address = app_address(preview.folder, run.as_of, preview=True, page="approve")
    return "" if address is None else f"[Compare and approve in the app]({address}). "
