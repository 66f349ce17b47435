"""Progress of DeepAR jobs in the Prefect UI: progress bars and log lines."""

from __future__ import annotations

import time
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from schemas.deepar import JobProgress
from schemas.run import RunContext
from tasks.report.artifact_tables import artifact_key
from tasks.stages.support import say

SECONDS_BETWEEN_LINES = 30.0


class JobBoard:
    """Show the progress of jobs: a progress bar if the completed share is known, and a log line on changes."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._bars: dict[str, UUID] = {}
        self._logged: dict[str, tuple[str, float]] = {}

    def __call__(self, progress: JobProgress) -> None:
        """Show a progress report of a job."""
        self._log(progress)
        if progress.share is None:
            return
        percent = 100.0 * min(max(progress.share, 0.0), 1.0)
        if progress.job not in self._bars:
            key = artifact_key("deepar-job", progress.job)
            created = create_progress_artifact(percent, key=key, description=f"DeepAR job {progress.job}")
            self._bars[progress.job] = UUID(str(created))
        else:
            update_progress_artifact(self._bars[progress.job], percent)

    def _log(self, progress: JobProgress) -> None:
        line = f"{progress.job}: {progress.state}" + (f", {progress.detail}" if progress.detail else "")
        before, when = self._logged.get(progress.job, ("", -SECONDS_BETWEEN_LINES))
        state_before = before.split(",")[0]
        now = time.monotonic()
        if line != before and (line.split(",", maxsplit=1)[0] != state_before or now - when >= SECONDS_BETWEEN_LINES):
            self._logged[progress.job] = (line, now)
            say(line)
