"""SageMaker as the twin plays it: operations by name, per region."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.aws_twin.errors import refuse
from tests.aws_twin.hosting import EndpointConfigs, Endpoints, Models
from tests.aws_twin.jobs import POLL_SECONDS, Workshop
from tests.aws_twin.training import TrainingJobs
from tests.aws_twin.transforms import TransformJobs
from tests.aws_twin.tuning import TuningJobs
from tests.aws_twin.validation import check_request

Operation = Callable[[dict[str, Any]], dict[str, Any]]
LONGEST_RESET_SECONDS = 30.0


class Region:
    """One region's jobs, models and endpoints."""

    def __init__(self, name: str, workshop: Workshop) -> None:
        self.training = TrainingJobs(name, workshop)
        self.tuning = TuningJobs(name, workshop, self.training)
        self.models = Models(name, workshop)
        self.transforms = TransformJobs(name, workshop, self.models)
        self.configs = EndpointConfigs(name, workshop, self.models)
        self.endpoints = Endpoints(name, workshop, self.configs)
        self.operations: dict[str, Operation] = {
            "CreateTrainingJob": self.training.create,
            "DescribeTrainingJob": self.training.describe,
            "ListTrainingJobs": self.training.list,
            "StopTrainingJob": self.training.stop_one,
            "DeleteTrainingJob": lambda request: self.training.delete(request["TrainingJobName"]) or {},
            "CreateHyperParameterTuningJob": self.tuning.create,
            "DescribeHyperParameterTuningJob": self.tuning.describe,
            "ListHyperParameterTuningJobs": self.tuning.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.tuning.list_children,
            "StopHyperParameterTuningJob": self.tuning.stop_one,
            "CreateTransformJob": self.transforms.create,
            "DescribeTransformJob": self.transforms.describe,
            "ListTransformJobs": self.transforms.list,
            "StopTransformJob": self.transforms.stop_one,
            **self.models.operations(),
            **self.configs.operations(),
            **self.endpoints.operations(),
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def _jobs(self) -> list[Any]:
        # Tunings first: they must launch nothing while the trainings are ended.
        return [job for names in (self.tuning, self.training, self.transforms) for job in names.jobs.values()]

    def _resources(self) -> list[Any]:
        return [found for kind in (self.models, self.configs, self.endpoints) for found in kind.found.values()]

    def close(self) -> None:
        """End every job and endpoint of the region."""
        for job in self._jobs():
            job.stop_asked.set()
        for endpoint in self.endpoints.found.values():
            self.endpoints.end(endpoint)

    def is_alive(self) -> bool:
        """Whether a job or endpoint is still being lived."""
        living = [*self._jobs(), *self.endpoints.found.values()]
        return any(one.thread is not None and one.thread.is_alive() for one in living)

    def _tagged(self, request: dict[str, Any]) -> Any:
        for item in [*self._jobs(), *self._resources()]:
            if item.arn == request["ResourceArn"]:
                return item
        raise refuse(f"Could not find resource {request['ResourceArn']}.")

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._tagged(request)
        new = {tag["Key"] for tag in request["Tags"]}
        item.tags = [tag for tag in item.tags if tag["Key"] not in new] + request["Tags"]
        return {"Tags": item.tags}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self._tagged(request).tags}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._tagged(request)
        item.tags = [tag for tag in item.tags if tag["Key"] not in request["TagKeys"]]
        return {}


class SageMaker:
    """The service in all its regions."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.regions: dict[str, Region] = {}

    def region(self, name: str) -> Region:
        with self.workshop.lock:
            if name not in self.regions:
                self.regions[name] = Region(name, self.workshop)
            return self.regions[name]

    def plays(self, operation: str, region: str) -> bool:
        return operation in self.region(region).operations

    def call(self, operation: str, region: str, request: dict[str, Any]) -> dict[str, Any]:
        check_request(operation, request)
        perform = self.region(region).operations[operation]
        with self.workshop.lock:
            return perform(request)

    def close(self) -> None:
        """End every job and container; the service is empty afterwards."""
        with self.workshop.lock:
            regions = list(self.regions.values())
            self.regions = {}
        for region in regions:
            region.close()
        deadline = time.monotonic() + LONGEST_RESET_SECONDS
        self.workshop.containers.end_all()
        while any(region.is_alive() for region in regions) and time.monotonic() < deadline:
            self.workshop.containers.end_all()  # again: a job may have been about to start its container
            time.sleep(POLL_SECONDS)
