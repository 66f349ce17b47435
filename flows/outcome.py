"""The outcome of a run, shown in its name and in the message of its state."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from schemas.errors import PublicationHeldError
from schemas.outputs import REPLENISHMENT, REPORT
from schemas.records import PublicationRecord
from schemas.run import RunContext
from tasks.publication.addresses import web_address
from tasks.publication.announcement import publication_outcome

PUBLISHED, UNCHANGED, PREVIEW, HELD_BACK = "published", "unchanged", "preview", "held back"
TO_APPROVE = "preview to approve"


def name_of_run(
    as_of: date | str, what: str, settings: str, stores: Sequence[str] | None, categories: Sequence[str] | None
) -> str:
    """Return the name of a run.

    >>> name_of_run("2025-02-24", "published", "shoes", ["01"], None)
    '2025-02-24 · published · shoes · only 01'
    """
    scope = [*(stores or []), *(categories or [])]
    return " · ".join([str(as_of), what, settings, *(["only " + ", ".join(scope)] if scope else [])])


def name_of_backfill(date_from: date | str, date_to: date | str, what: str, settings: str) -> str:
    """Return the name of a backfill.

    >>> name_of_backfill("2025-02-03", "2025-02-24", "cancelled", "shoes")
    'backfill · 2025-02-03 to 2025-02-24 · cancelled · shoes'
    """
    return " · ".join(["backfill", f"{date_from} to {date_to}", *([what] if what else []), settings])


def outcome_of(record: PublicationRecord) -> str:
    """Return the outcome of a run that was not held back."""
    if record.dry_run:
        return PREVIEW
    return PUBLISHED if record.written else UNCHANGED


def show_outcome(run: RunContext, outcome: str) -> None:
    """Put the outcome into the run's name, for the list of runs. If the server does not answer, the name stays."""
    own = flow_run.get_id()
    if own is None:
        return
    name = name_of_run(run.as_of, outcome, run.settings.name, run.stores, run.categories)
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        client.update_flow_run(UUID(own), name=name)


def finished(record: PublicationRecord) -> PublicationRecord:
    """Return the record of a run as its final state, whose message leads to the files."""
    addresses = [f"{record.folder}/{file}" for file in (REPORT, REPLENISHMENT)]
    report, file = (web_address(address) or address for address in addresses)
    message = f"{publication_outcome(record)}. Report: {report} · File for the ERP: {file}"
    return cast(PublicationRecord, Completed(data=record, message=message))


def held(error: PublicationHeldError) -> PublicationRecord:
    """Return the final state of a run that was held back: its message is the reason, without the words of Prefect.

    A caller of the flow gets the exception.
    """
    return cast(PublicationRecord, Failed(data=error, message=str(error)))
