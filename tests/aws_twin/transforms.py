"""Batch transform jobs: the container's answers, line by line, written back to S3."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.aws_twin.containers import last_line
from tests.aws_twin.errors import refuse
from tests.aws_twin.hosting import Models
from tests.aws_twin.jobs import Job, Names, StoppedError, Workshop, page
from tests.aws_twin.objects import MissingDataError
from tests.aws_twin.training import LONGEST_REASON, FailedError, write_log
from tests.aws_twin.validation import echo, require

LOG_GROUP = "/aws/sagemaker/TransformJobs"


@dataclass
class TransformJob(Job):
    started: float | None = None

    def describe(self) -> dict[str, Any]:
        answer = echo("DescribeTransformJob", self.request)
        answer |= {
            "TransformJobName": self.name,
            "TransformJobArn": self.arn,
            "TransformJobStatus": self.status,
            "FailureReason": self.failure,
            "CreationTime": self.created,
            "TransformStartTime": self.started,
            "TransformEndTime": self.ended,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        shown = ("TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime", "TransformJobStatus")
        described = self.describe()
        summary = {name: described[name] for name in (*shown, "FailureReason") if name in described}
        return {**summary, "LastModifiedTime": self.modified}


class TransformJobs(Names):
    """The transform jobs of one region."""

    def __init__(self, region: str, workshop: Workshop, models: Models) -> None:
        super().__init__("transform-job", "Transform job", region)
        self.workshop, self.models = workshop, models

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        self.models.get(request["ModelName"])
        require(request["TransformInput"]["DataSource"], "S3DataSource")
        if request.get("DataProcessing"):
            raise refuse("The twin of AWS does not play DataProcessing.")
        name = request["TransformJobName"]
        self.check_new(name)
        job = TransformJob(name, self.arn(name), request, request.get("Tags", []))
        self.jobs[name] = job
        job.start(self._live)
        return {"TransformJobArn": job.arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.get(request["TransformJobName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        return page(request, [(job, job.summary()) for job in self.jobs.values()], "TransformJobSummaries")

    def stop_one(self, request: dict[str, Any]) -> dict[str, Any]:
        self.stop(request["TransformJobName"])
        return {}

    def _live(self, job: TransformJob) -> None:
        end = "Completed"
        root = self.workshop.folder / self.region / "transform" / job.name
        try:
            self._transform(job, root)
        except StoppedError:
            end = "Stopped"
        except FailedError as failure:
            end, job.failure = "Failed", str(failure)[:LONGEST_REASON]
        except MissingDataError as missing:
            end, job.failure = "Failed", f"ClientError: {missing}"[:LONGEST_REASON]
        except Exception as problem:  # an error of the twin itself must not leave a job in progress for ever
            end, job.failure = "Failed", f"InternalServerError: {problem!r}"[:LONGEST_REASON]
        write_log(self.workshop, LOG_GROUP, job.name, root / "log.txt")
        with self.workshop.lock:
            job.status = "Stopped" if end == "Completed" and job.stop_asked.is_set() else end
            job.ended = job.modified = time.time()

    def _transform(self, job: TransformJob, root: Path) -> None:
        faults, free = self.workshop.faults, self.workshop.free_instances
        delay = faults.for_job("transform", "delay", job.name)
        job.pause(delay.seconds if delay else 0.0)
        job.pause(float("inf"), lambda: free.acquire(blocking=False))
        try:
            job.started = time.time()
            failure = faults.for_job("transform", "fail", job.name)
            if failure:
                job.pause(failure.seconds)
                raise FailedError(failure.reason)
            self._answer_files(job, root)
        finally:
            free.release()

    def _answer_files(self, job: TransformJob, root: Path) -> None:
        request = job.request
        shutil.rmtree(root, ignore_errors=True)
        for folder in ("input", "output", "model"):
            (root / folder).mkdir(parents=True)
        model = self.models.get(request["ModelName"])
        archive = model.fetch(self.workshop.objects, root / "model")
        environment = {**model.environment, **request.get("Environment", {})}
        given = request["TransformInput"]
        unpack = given.get("CompressionType") == "Gzip"
        source = given["DataSource"]["S3DataSource"]
        role = model.request.get("ExecutionRoleArn", "")
        for relative in self.workshop.objects.fetch(source, root / "input", role, unpack):
            lines = root / "input" / f"{relative}.lines"  # a name that does not make the container unpack it
            (root / "input" / relative).rename(lines)
            if given.get("SplitType", "None") != "Line":
                _check_single_record(lines)
            answers = root / "output" / f"{relative}.out"
            answers.parent.mkdir(parents=True, exist_ok=True)
            self._run(
                job, root, ["--model", str(archive), "--input", str(lines), "--output", str(answers)], environment
            )
            content = answers.read_bytes()
            if request.get("TransformOutput", {}).get("AssembleWith", "None") != "Line":
                content = content.replace(b"\n", b"")  # AWS glues the answers together
            output = request["TransformOutput"]["S3OutputPath"].rstrip("/")
            self.workshop.objects.write(f"{output}/{relative}.out", content)

    def _run(self, job: TransformJob, root: Path, arguments: list[str], environment: dict[str, str]) -> None:
        containers, log = self.workshop.containers, root / "log.txt"
        process = containers.start(["transform", *arguments, *containers.seed_arguments()], log, environment)
        done: Callable[[], bool] = lambda: process.poll() is not None  # noqa: E731
        try:
            job.pause(float("inf"), done)
        finally:
            containers.end(process)
        if process.returncode != 0:
            raise FailedError(last_line(log))


def _check_single_record(lines: Path) -> None:
    records = [line for line in lines.read_bytes().splitlines() if line.strip()]
    if len(records) > 1:
        raise FailedError(
            "ClientError: a file of several JSON Lines was sent as one record; set SplitType to Line. "
            "See job logs for more information"
        )
