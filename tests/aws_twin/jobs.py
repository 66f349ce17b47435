"""What training, transform and tuning jobs share: names, states, lists, and the thread that lives the job."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws_twin.containers import Containers
from tests.aws_twin.errors import IN_USE, AwsError, refuse
from tests.aws_twin.faults import FaultBook
from tests.aws_twin.objects import ACCOUNT, Objects

RUNNING = ("InProgress", "Stopping")
POLL_SECONDS = 0.02


class StoppedError(Exception):
    """The job was asked to stop."""


@dataclass
class Workshop:
    """What every job needs to be lived: S3, containers, faults, a folder, and a number of instances."""

    objects: Objects
    containers: Containers
    faults: FaultBook
    folder: Path
    instances: int = 2
    stop_grace_seconds: float = 120.0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.free_instances = threading.BoundedSemaphore(self.instances)


@dataclass
class Job:
    """A job as its Describe operation shows it, and its thread."""

    name: str
    arn: str
    request: dict[str, Any]
    tags: list[dict[str, str]] = field(default_factory=list)
    status: str = "InProgress"
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    ended: float | None = None
    failure: str | None = None
    stop_asked: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    def start(self, life: Callable[[Any], None]) -> None:
        self.thread = threading.Thread(target=life, args=(self,), name=self.name, daemon=True)
        self.thread.start()

    def pause(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the condition, for so long at most; StoppedError as soon as the job is asked to stop.

        Returns:
            Whether the condition held.
        """
        deadline = time.monotonic() + seconds
        while True:
            if self.stop_asked.is_set():
                raise StoppedError
            if until():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.stop_asked.wait(min(POLL_SECONDS, left))


class Names:
    """Jobs of one kind in one region, by name.

    Args:
        kind: The kind in an ARN, such as training-job.
        title: The kind in messages, such as "Training job".
    """

    def __init__(self, kind: str, title: str, region: str) -> None:
        self.kind, self.title, self.region = kind, title, region
        self.jobs: dict[str, Any] = {}

    def arn(self, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{self.kind}/{name.lower()}"

    def check_new(self, name: str) -> None:
        if name in self.jobs:
            raise AwsError(
                IN_USE,
                f"{self.title} names must be unique within an AWS account and region, and a {self.title.lower()} "
                f"with this name already exists ({self.arn(name)})",
            )

    def get(self, name: str) -> Any:
        if name not in self.jobs:
            raise refuse("Requested resource not found.")
        return self.jobs[name]

    def stop(self, name: str) -> Any:
        """Ask a job to stop; refused once it has ended."""
        job = self.get(name)
        if not job.is_running:
            raise refuse(f"The request was rejected because the {self.title.lower()} is in status {job.status}.")
        job.status = "Stopping"
        job.modified = time.time()
        job.stop_asked.set()
        return job

    def delete(self, name: str) -> None:
        if self.get(name).is_running:
            raise AwsError(IN_USE, f"The {self.title.lower()} {name} is in status {self.jobs[name].status}.")
        del self.jobs[name]


def page(
    request: dict[str, Any],
    items: Iterable[tuple[Any, dict[str, Any]]],
    key: str,
    sort_keys: dict[str, Callable[[Any], Any]] | None = None,
    default_sort: str = "CreationTime",
    default_order: str = "Descending",
) -> dict[str, Any]:
    """One page of a list operation.

    Args:
        request: The request with its filters, order and token.
        items: Objects (with name, status, created, modified) and their summaries.
        key: The member of the answer that holds the summaries.
        sort_keys: What SortBy may name besides Name, Status and CreationTime.
        default_sort: SortBy where the request has none.
        default_order: SortOrder where the request has none.
    """
    chosen = [(item, summary) for item, summary in items if _passes(request, item)]
    orders: dict[str, Callable[[Any], Any]] = {
        "Name": lambda item: item.name,
        "Status": lambda item: item.status,
        "CreationTime": lambda item: (item.created, item.name),
        **(sort_keys or {}),
    }
    sort_by = request.get("SortBy", default_sort)
    if sort_by not in orders:
        raise refuse(f"The twin of AWS does not sort {key} by {sort_by}.")
    chosen.sort(key=lambda pair: orders[sort_by](pair[0]))
    if request.get("SortOrder", default_order) == "Descending":
        chosen.reverse()
    start = _offset(request.get("NextToken"))
    end = start + int(request.get("MaxResults", 10))
    answer: dict[str, Any] = {key: [summary for _, summary in chosen[start:end]]}
    if end < len(chosen):
        answer["NextToken"] = base64.b64encode(f"from {end}".encode()).decode()
    return answer


def _passes(request: dict[str, Any], item: Any) -> bool:
    return (
        request.get("NameContains", "").lower() in item.name.lower()
        and request.get("StatusEquals", item.status) == item.status
        and request.get("CreationTimeAfter", 0.0) <= item.created <= request.get("CreationTimeBefore", 1e12)
        and request.get("LastModifiedTimeAfter", 0.0) <= item.modified <= request.get("LastModifiedTimeBefore", 1e12)
    )


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token).decode().removeprefix("from "))
    except ValueError:
        raise refuse("Invalid pagination token.") from None
