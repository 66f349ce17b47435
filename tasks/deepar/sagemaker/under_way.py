"""The running jobs of a run, recorded in the lake so that another process can stop them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal

from schemas.errors import StorageError
from schemas.settings import DeepArSageMakerSettings
from tasks.deepar.sagemaker.names import slug
from tasks.storage.lake import Lake

RUNNING = "deepar/running"
NO_RUN = "command-line"

# Interval at which a live run renews its records, and the silence after which a run counts as crashed.
SECONDS_BETWEEN_NOTES = 300.0
_SECONDS_OF_SILENCE = 1_800.0
_LOOKS_OF_SILENCE = 10  # the longest polling interval is shorter

Kind = Literal["training", "tuning", "transform", "endpoint"]


@dataclass(frozen=True)
class RunningJob:
    """A job or endpoint that a run has started or waits for.

    Attributes:
        kind: kind of the job.
        name: name of the job.
        region: where it is.
        run_id: whose note this is.
        noted: seconds since 1970 when the note was written or last renewed; 0 if unknown.
    """

    kind: Kind
    name: str
    region: str
    run_id: str = ""
    noted: float = 0.0

    def is_silent(self, settings: DeepArSageMakerSettings) -> bool:
        """Whether the run that wrote the record must have crashed: a live run would have renewed it."""
        silence = max(_SECONDS_OF_SILENCE, _LOOKS_OF_SILENCE * settings.poll_seconds)
        return time.time() - self.noted > silence


class RunningJobs:
    """The jobs of one run.

    Args:
        lake: where they are recorded.
        run_id: the flow run's id; :data:`NO_RUN` outside one.
    """

    def __init__(self, lake: Lake, run_id: str) -> None:
        self._lake = lake
        self.run_id = run_id or NO_RUN

    def add(self, job: RunningJob) -> None:
        """Record a job before it is started, so that no job runs without a record."""
        self.restore(replace(job, noted=time.time()))

    def restore(self, job: RunningJob) -> None:
        """Record a job with its old time, so that the record of a crashed run is not renewed."""
        content = asdict(job) | {"run_id": self.run_id}
        self._lake.write_bytes(self._key(job.name), json.dumps(content, indent=1).encode())

    def keep(self, job: RunningJob, every: float = SECONDS_BETWEEN_NOTES) -> Callable[[], None]:
        """Record a job; the returned function is called regularly and renews the record when it is old.

        Args:
            job: the job in progress.
            every: seconds after which a note is old.
        """
        self.add(job)
        noted = time.monotonic()

        def renew() -> None:
            nonlocal noted
            if time.monotonic() - noted > every:
                self.add(job)
                noted = time.monotonic()

        return renew

    def remove(self, name: str) -> None:
        """Remove the record of a job that is over; a missing record is not an error."""
        self._lake.delete(self._key(name))

    def all(self) -> list[RunningJob]:
        """The jobs in progress, by name; a record that cannot be read is left out."""
        return _read(self._lake, self._lake.keys(self._folder))

    def of_others(self, name: str | None = None) -> list[RunningJob]:
        """The records of other runs of the lake.

        Args:
            name: name of the job; all of them if absent.
        """
        keys = [key for key in self._lake.keys(RUNNING) if not key.startswith(f"{self._folder}/")]
        return _read(self._lake, [key for key in keys if name is None or key.endswith(f"/{name}.json")])

    def left_behind(self, settings: DeepArSageMakerSettings) -> list[RunningJob]:
        """Endpoints recorded by runs that must have crashed: nobody else will delete them."""
        return [job for job in self.of_others() if job.kind == "endpoint" and job.is_silent(settings)]

    @property
    def _folder(self) -> str:
        return f"{RUNNING}/{slug(self.run_id)}"

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}.json"


def _read(lake: Lake, keys: list[str]) -> list[RunningJob]:
    found = []
    for key in keys:
        try:
            content = json.loads(lake.read_bytes(key))
            found.append(
                RunningJob(
                    content["kind"],
                    str(content["name"]),
                    str(content["region"]),
                    str(content["run_id"]),
                    float(content.get("noted", 0.0)),
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
        except StorageError:
            if lake.exists(key):
                raise  # otherwise it was removed in the meantime
    return sorted(found, key=lambda job: job.name)
