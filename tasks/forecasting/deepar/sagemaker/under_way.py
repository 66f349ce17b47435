"""Which jobs a run has under way, written down in the lake: another process can stop them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from tasks.forecasting.deepar.sagemaker.names import slug
from tasks.storage.lake import Lake

RUNNING = "deepar/running"
NO_RUN = "command-line"

Kind = Literal["training", "tuning", "transform", "endpoint"]


@dataclass(frozen=True)
class RunningJob:
    """A job or endpoint that a run has started or waits for."""

    kind: Kind
    name: str
    region: str


class RunningJobs:
    """The jobs of one run.

    Args:
        lake: where they are written down.
        run_id: the flow run's id; :data:`NO_RUN` outside one.
    """

    def __init__(self, lake: Lake, run_id: str) -> None:
        self._lake = lake
        self.run_id = run_id or NO_RUN

    def add(self, job: RunningJob) -> None:
        """Write a job down; done before it is started, so that no job runs unknown."""
        content = {"kind": job.kind, "name": job.name, "region": job.region, "run_id": self.run_id}
        self._lake.write_bytes(self._key(job.name), json.dumps(content, indent=1).encode())

    def remove(self, name: str) -> None:
        """Strike a job off once it is over; one that is not there is fine."""
        self._lake.delete(self._key(name))

    def all(self) -> list[RunningJob]:
        """The jobs under way, by name; a record that cannot be read is left out."""
        found = []
        for key in self._lake.keys(self._folder):
            try:
                content = json.loads(self._lake.read_bytes(key))
                found.append(RunningJob(content["kind"], content["name"], content["region"]))
            except (ValueError, KeyError, TypeError):
                continue
        return sorted(found, key=lambda job: job.name)

    @property
    def _folder(self) -> str:
        return f"{RUNNING}/{slug(self.run_id)}"

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}.json"
