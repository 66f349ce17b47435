"""A pause before the publication, in which somebody approves or rejects the file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from schemas.errors import PublicationHeldError
from schemas.outputs import REPORT
from schemas.records import Approval, PublicationRecord
from schemas.run import RunContext
from tasks.publication.announcement import file_link, replacement_notice
from tasks.stages.support import say
from tasks.storage.lake import open_lake

SECONDS_PER_HOUR = 3600
SECONDS_BETWEEN_LOOKS = 5
AGAIN = (
    "The last good file stands. To publish after all, start the weekly run for {as_of} again (everything but the "
    "publication is reused): it asks again, or publishes at once with approve_before_publishing switched off."
)


class ApprovalForm(RunInput):
    """What the form asks before a publication."""

    decision: Literal["approve", "reject"] = Field(description="approve publishes the file, reject leaves the last one")
    name: str = Field(min_length=1, description="Who decides; stands in the manifest")
    note: str = Field(default="", description="Why; stands in the manifest, or in the message of the rejected run")


def ask_for_approval(run: RunContext, preview: PublicationRecord) -> Approval:
    """Wait until somebody has decided on the previewed file.

    The run of a deployment is suspended: its process ends, and it begins again from the start once there is an
    answer, finding all it had computed in the lake. Another run waits in its process.

    Args:
        run: settings (how long to wait) and ``as_of``.
        preview: where the files lie that are to be published.

    Raises:
        PublicationHeldError: rejected, or not answered in time; nothing was published.
    """
    form = ApprovalForm.with_initial_data(description=_words(run, preview))
    hours = run.settings.publication.approval_timeout_hours
    say(f"waiting for approval, {hours:g} hours at most: in this run's menu (three dots, top right) choose Resume")
    seconds = max(1, round(hours * SECONDS_PER_HOUR))
    try:
        if deployment.id is None:
            answer = pause_flow_run(wait_for_input=form, timeout=seconds, poll_interval=SECONDS_BETWEEN_LOOKS)
        else:
            answer = suspend_flow_run(wait_for_input=form, timeout=seconds)
    except FlowPauseTimeout:
        raise PublicationHeldError(
            f"Publication held back: nobody approved it within {hours:g} hours "
            f"(publication.approval_timeout_hours). {AGAIN.format(as_of=run.as_of)}"
        ) from None
    if answer.decision == "reject":
        why = f": {answer.note}" if answer.note else ""
        raise PublicationHeldError(
            f"Publication held back: {answer.name} rejected it{why}. Review {preview.folder}. "
            f"{AGAIN.format(as_of=run.as_of)}"
        )
    return Approval(by=answer.name, note=answer.note, at=datetime.now(UTC).isoformat(timespec="seconds"))


def _words(run: RunContext, preview: PublicationRecord) -> str:
    """What the form shows above its fields."""
    changed = "There is no earlier file to compare with."
    if preview.changed_share is not None:
        changed = f"{preview.changed_share:.1%} of the targets differ from the last file."
    warnings = "".join(f"\n- {text}" for text in preview.warnings)
    notice = replacement_notice(open_lake(run.settings.storage), run.as_of, preview)
    return (
        f"**{run.settings.name}, {run.as_of}**: publish the replenishment file? {changed} {notice}"
        f"\n\nReport: {file_link(preview, REPORT)}. Files: `{preview.folder}`. More: tab Artifacts of this run."
        f"{warnings}"
    )
