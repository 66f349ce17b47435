"""The context of the pages: the company, and the runs of a Prefect server if one is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.app.data.company import Company
from tasks.app.data.scenarios import Jobs

THIS_MACHINE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class WaitingRun:
    """A run that waits for an approval.

    Attributes:
        id: id of the flow run.
        name: name of the flow run.
        as_of: run date as text; empty if the run does not state it.
        since: start of the wait (ISO 8601, UTC).
        question: text of the form.
        address: its page in the Prefect UI.
    """

    id: str
    name: str
    as_of: str
    since: str
    question: str
    address: str


class Runs(Protocol):
    """The runs of a Prefect server. Methods raise :class:`schemas.errors.PipelineError` if it does not answer."""

    def waiting(self) -> list[WaitingRun]:
        """Return the runs of the company that wait for an approval."""

    def answer(self, run: str, decision: str, name: str, note: str) -> None:
        """Approve or reject a waiting run; it resumes."""

    def recent(self) -> list[Mapping[str, Any]]:
        """Return the last runs: name, flow, state, start, seconds, reused, computed, address."""

    def next_run(self) -> str:
        """Return the time of the next scheduled weekly run (ISO 8601, UTC); empty if none is scheduled."""


@dataclass(frozen=True)
class AppContext:
    """The context of the pages.

    Attributes:
        company: settings and lake.
        runs: runs of the Prefect server; None if it does not exist.
        hosts: names of hosts that requests may use.
        files_url: address of the published files; empty if none exists.
        jobs: scenarios in progress.
    """

    company: Company
    runs: Runs | None = None
    hosts: Sequence[str] = field(default=THIS_MACHINE)
    files_url: str = ""
    jobs: Jobs = field(default_factory=Jobs)
