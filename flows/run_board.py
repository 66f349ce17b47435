"""The runs of a Prefect server, for the app: which ones wait for an approval, the last ones, the next one.

Plain HTTP, because importing Prefect takes seconds and the app answers at once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.environment import ANNOUNCEMENT, API
from schemas.errors import PipelineError
from tasks.app.context import WaitingRun
from tasks.forecasting.progress import PROGRESS
from tasks.publication.addresses import RUN_PAGE

HOME = "PREFECT_HOME"
SECONDS_TO_ANSWER = 10
LAST_RUNS = 12
MOST_WAITING = 50
# Prefect returns at most 200 runs at once. Another company may have many more runs than this one.
PAGE, MOST_PAGES = 200, 10
REUSED = "Cached"
RUNNING = "RUNNING"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class RunBoard:
    """The runs on the settings file of one company.

    Attributes:
        settings_file: absolute path; runs on other settings files are not shown.
    """

    settings_file: str

    def waiting(self) -> list[WaitingRun]:
        """Return the runs that wait for an approval, the latest first."""
        return [self._waiting(run) for run in self._runs({"state": {"type": {"any_": ["PAUSED"]}}}, MOST_WAITING)]

    def answer(self, run: str, decision: str, name: str, note: str) -> None:
        """Fill in the form of a waiting run, as the Prefect UI does; the run resumes.

        Raises:
            PipelineError: no server answers, or the run is no longer waiting.
        """
        if run not in {one.id for one in self.waiting()}:
            raise PipelineError("The run is no longer waiting for an approval. Load the page again.")
        given = {"decision": decision, "name": name, "note": note}
        found = self._post(f"/flow_runs/{run}/resume", {"run_input": given})
        if found.get("status") != "ACCEPT":
            reason = (found.get("details") or {}).get("reason") or found.get("status")
            raise PipelineError(f"Prefect did not accept the answer ({reason}). Load the page again.")

    def recent(self) -> list[Mapping[str, Any]]:
        """Return the last runs that have started: name, state, start, seconds, reused, computed, message, address.

        The message of a run in progress is the number of its finished shards and the remaining time.
        """
        found = self._runs({"state": {"type": {"not_any_": ["SCHEDULED", "PENDING"]}}}, LAST_RUNS)
        return [
            {
                "name": run["name"],
                "state": run.get("state_name") or "",
                "start": run.get("start_time") or "",
                "seconds": run.get("total_run_time"),
                "reused": self._tasks(run["id"], REUSED),
                "computed": self._tasks(run["id"]) - self._tasks(run["id"], REUSED),
                "message": self.progress(run["id"]) if run.get("state_type") == RUNNING else _message(run),
                "address": self._address(run["id"]),
            }
            for run in found
        ]

    def progress(self, run: object) -> str:
        """Return the progress of a run's forecasting and its remaining time; empty before the first shard."""
        wanted = {"flow_run_id": {"any_": [str(run)]}, "key": {"like_": f"{PROGRESS}%"}}
        found = self._post("/artifacts/filter", {"artifacts": wanted, "sort": "CREATED_DESC", "limit": 1})
        return str(found[0].get("description") or "") if found else ""

    def next_run(self) -> str:
        """Return the time of the next scheduled run; empty if none is scheduled."""
        states = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        found = self._runs(states, 1, sort="NEXT_SCHEDULED_START_TIME_ASC")
        return str(found[0].get("next_scheduled_start_time") or "") if found else ""

    def _waiting(self, run: Mapping[str, Any]) -> WaitingRun:
        state = run.get("state") or {}
        keys = (state.get("state_details") or {}).get("run_input_keyset") or {}
        question = self._input(str(run["id"]), str(keys["description"])) if "description" in keys else ""
        named = _DATE.search(str(run["name"])) or _DATE.search(str((run.get("parameters") or {}).get("as_of") or ""))
        return WaitingRun(
            id=str(run["id"]),
            name=str(run["name"]),
            as_of=named.group() if named else "",
            since=str(state.get("timestamp") or ""),
            question=question,
            address=self._address(run["id"]),
        )

    def _runs(self, wanted: Mapping[str, Any], limit: int, sort: str = "START_TIME_DESC") -> list[dict[str, Any]]:
        """Return the first runs on this settings file among the last ones of the server, which has other runs too."""
        own: list[dict[str, Any]] = []
        for page in range(MOST_PAGES):
            request = {"flow_runs": dict(wanted), "sort": sort, "limit": PAGE, "offset": page * PAGE}
            found = self._post("/flow_runs/filter", request)
            own += [run for run in found if (run.get("parameters") or {}).get("settings_file") == self.settings_file]
            if len(own) >= limit or len(found) < PAGE:
                break
        return own[:limit]

    def _tasks(self, run: str, state: str = "") -> int:
        """Return the number of tasks of a run, all of them or those in a state."""
        wanted: dict[str, Any] = {"flow_run_id": {"any_": [run]}}
        if state:
            wanted["state"] = {"name": {"any_": [state]}}
        return int(self._post("/task_runs/count", {"task_runs": wanted}))

    def _input(self, run: str, key: str) -> str:
        try:
            return str(self._get(f"/flow_runs/{run}/input/{key}"))
        except (PipelineError, ValueError):
            return ""

    def _address(self, run: object) -> str:
        return f"{api_address().removesuffix('/api')}{RUN_PAGE}{run}"

    def _post(self, path: str, content: Mapping[str, Any]) -> Any:
        return _answered(lambda api: httpx.post(f"{api}{path}", json=dict(content), timeout=SECONDS_TO_ANSWER)).json()

    def _get(self, path: str) -> Any:
        return _answered(lambda api: httpx.get(f"{api}{path}", timeout=SECONDS_TO_ANSWER)).json()


def run_board(settings_file: str) -> RunBoard:
    """Return the runs on a settings file."""
    return RunBoard(settings_file)


def _message(run: Mapping[str, Any]) -> str:
    return str((run.get("state") or {}).get("message") or "")[:400]


def api_address() -> str:
    """Return the address of the server's API: of the environment, else of `make serve` on this machine; or empty."""
    if os.environ.get(API):
        return os.environ[API].rstrip("/")
    home = Path(os.environ.get(HOME, "~/.prefect")).expanduser()
    try:
        return str(json.loads((home / ANNOUNCEMENT).read_text(encoding="utf-8")).get(API) or "").rstrip("/")
    except (OSError, ValueError):
        return ""


def _answered(ask: Callable[[str], httpx.Response]) -> httpx.Response:
    api = api_address()
    if not api:
        raise PipelineError("No Prefect server is known. Start it with `make serve`, or set PREFECT_API_URL.")
    try:
        response = ask(api)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise PipelineError(
            f"The Prefect server at {api} did not answer ({type(error).__name__}). Is `make serve` running?"
        ) from error
    return response
