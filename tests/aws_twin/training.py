"""Training jobs: the states of SageMaker around a real training by the container."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.aws_twin.containers import last_line
from tests.aws_twin.errors import refuse
from tests.aws_twin.jobs import Job, Names, StoppedError, Workshop, page
from tests.aws_twin.objects import MissingDataError
from tests.aws_twin.validation import check_image, echo, require

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
LONGEST_SPOT_WAIT_SECONDS = 3600  # of built-in algorithms without checkpoints
SPOT_SHARE = 0.3  # of a spot training's seconds that the twin bills: a made-up figure
LONGEST_REASON = 1024

MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Interrupted": "Training job interrupted: the spot capacity was taken back",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}


class FailedError(Exception):
    """The job failed; the text is its FailureReason."""


class OverdueError(Exception):
    """The job took longer than it may; the text is its last secondary status."""


@dataclass
class TrainingJob(Job):
    secondary: str = ""
    transitions: list[dict[str, Any]] = field(default_factory=list)
    training_started: float | None = None
    seconds: float = 0.0  # on an instance, interrupted attempts included
    artifact: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    tuning_arn: str | None = None
    tuned: dict[str, str] = field(default_factory=dict)

    @property
    def is_spot(self) -> bool:
        return bool(self.request.get("EnableManagedSpotTraining"))

    def limit(self, name: str) -> float:
        return float(self.request["StoppingCondition"].get(name, math.inf))

    def move(self, secondary: str, message: str | None = None) -> None:
        """Enter a secondary status; the one before ends now."""
        now = time.time()
        if self.transitions:
            self.transitions[-1]["EndTime"] = now
        message = message or MESSAGES[secondary]
        self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
        self.secondary = secondary
        self.modified = now

    def describe(self) -> dict[str, Any]:
        answer = echo("DescribeTrainingJob", self.request)
        seconds = math.ceil(self.seconds)
        answer |= {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "TuningJobArn": self.tuning_arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "FailureReason": self.failure,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingStartTime": self.training_started,
            "TrainingEndTime": self.ended,
            "SecondaryStatusTransitions": self.transitions,
            # ModelArtifacts has the URI only after the archive was written.
            "ModelArtifacts": {"S3ModelArtifacts": self.artifact} if self.artifact else {},
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value, "Timestamp": self.ended or self.modified}
                for name, value in self.metrics.items()
            ],
        }
        if self.ended is not None and self.training_started is not None:
            answer["TrainingTimeInSeconds"] = seconds
            answer["BillableTimeInSeconds"] = math.ceil(seconds * SPOT_SHARE) if self.is_spot else seconds
        return {name: value for name, value in answer.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        shown = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime")
        described = self.describe()
        summary = {name: described[name] for name in (*shown, "SecondaryStatus") if name in described}
        return {**summary, "TrainingJobStatus": self.status}


class TrainingJobs(Names):
    """The training jobs of one region."""

    def __init__(self, region: str, workshop: Workshop) -> None:
        super().__init__("training-job", "Training job", region)
        self.workshop = workshop

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        self.check_definition(request)
        self.check_new(request["TrainingJobName"])
        return {"TrainingJobArn": self.launch(request).arn}

    def check_definition(self, request: dict[str, Any]) -> None:
        """Refuse a training that SageMaker or DeepAR cannot run."""
        require(request, "AlgorithmSpecification", "ResourceConfig", "InputDataConfig", "StoppingCondition")
        check_image(request["AlgorithmSpecification"].get("TrainingImage"), self.region)
        if request["AlgorithmSpecification"]["TrainingInputMode"] != "File":
            raise refuse("The twin of AWS plays only TrainingInputMode File.")
        require(request["ResourceConfig"], "InstanceType", "InstanceCount", "VolumeSizeInGB")
        names = [channel["ChannelName"] for channel in request["InputDataConfig"]]
        if len(set(names)) < len(names):
            raise refuse(f"Invalid InputDataConfig. ChannelName must be unique, came {', '.join(names)}.")
        _check_waiting_time(request)

    def launch(self, request: dict[str, Any], **details: Any) -> TrainingJob:
        request = {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **request,
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400, **request["StoppingCondition"]},
        }
        name = request["TrainingJobName"]
        job = TrainingJob(name, self.arn(name), request, request.get("Tags", []), **details)
        job.move("Starting")
        self.jobs[name] = job
        job.start(self._live)
        return job

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.get(request["TrainingJobName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        pairs = [(job, job.summary()) for job in self.jobs.values()]
        return page(request, pairs, "TrainingJobSummaries", default_order="Ascending")

    def stop_one(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self.stop(request["TrainingJobName"])
        if job.secondary != "Stopping":
            job.move("Stopping")
        return {}

    def _live(self, job: TrainingJob) -> None:
        """From Starting to an end: the thread of one job."""
        end, secondary = "Completed", "Completed"
        try:
            self._train(job)
        except StoppedError:
            end, secondary = "Stopped", "Stopped"
        except OverdueError as overdue:
            end, secondary = "Stopped", str(overdue)
        except FailedError as failure:
            end, secondary, job.failure = "Failed", "Failed", str(failure)[:LONGEST_REASON]
        except MissingDataError as missing:
            end, secondary, job.failure = "Failed", "Failed", f"ClientError: {missing}"[:LONGEST_REASON]
        except Exception as problem:  # an error of the twin itself must not leave a job in progress for ever
            end, secondary, job.failure = "Failed", "Failed", f"InternalServerError: {problem!r}"[:LONGEST_REASON]
        write_log(self.workshop, LOG_GROUP, job.name, self._root(job) / "log.txt")
        with self.workshop.lock:
            if end == "Completed" and job.stop_asked.is_set():
                end, secondary = "Stopped", "Stopped"
            job.ended = time.time()
            job.move(secondary, job.failure)
            job.transitions[-1]["EndTime"] = job.ended
            job.status = end

    def _root(self, job: TrainingJob) -> Path:
        return self.workshop.folder / self.region / "training" / job.name

    def _train(self, job: TrainingJob) -> None:
        """Attempts until one is not interrupted."""
        faults, spot = self.workshop.faults, job.is_spot
        while True:
            self._wait_for_instance(job)
            begun = time.time()
            job.training_started = job.training_started or begun
            try:
                self._go_on(job, "Downloading")
                overdue = faults.for_job("training", "max_wait", job.name) if spot else None
                interruption = overdue or (faults.for_job("training", "interrupt", job.name) if spot else None)
                if interruption is None:
                    self._attempt(job)
                    return
                self._go_on(job, "Training")
                job.pause(interruption.seconds)
                self._go_on(job, "Interrupted")
            finally:
                job.seconds += time.time() - begun
                self.workshop.free_instances.release()
            if overdue:
                raise OverdueError("MaxWaitTimeExceeded")
            self._go_on(job, "Starting")

    def _wait_for_instance(self, job: TrainingJob) -> None:
        delay = self.workshop.faults.for_job("training", "delay", job.name)
        ready = time.time() + (delay.seconds if delay else 0.0)
        longest = job.created + job.limit("MaxWaitTimeInSeconds") - time.time() if job.is_spot else math.inf
        free = self.workshop.free_instances
        if not job.pause(longest, lambda: time.time() >= ready and free.acquire(blocking=False)):
            raise OverdueError("MaxWaitTimeExceeded")

    def _go_on(self, job: TrainingJob, secondary: str) -> None:
        with self.workshop.lock:
            if job.stop_asked.is_set():
                raise StoppedError
            job.move(secondary)

    def _attempt(self, job: TrainingJob) -> None:
        root = self._root(job)
        self._prepare(job, root)
        self._go_on(job, "Training")
        failure = self.workshop.faults.for_job("training", "fail", job.name)
        if failure:
            job.pause(failure.seconds)
            raise FailedError(failure.reason)
        stopped: Exception | None = None
        process = self.workshop.containers.start(["train", "--root", str(root)], root / "log.txt")
        try:
            if not job.pause(job.limit("MaxRuntimeInSeconds"), lambda: process.poll() is not None):
                stopped = OverdueError("MaxRuntimeExceeded")
        except StoppedError as asked:
            stopped = asked
        self.workshop.containers.end(process, self.workshop.stop_grace_seconds)
        if process.returncode != 0 and stopped is None:
            reason = root / "output" / "failure"
            raise FailedError(
                reason.read_text().strip() if reason.exists() else f"AlgorithmError: {last_line(root / 'log.txt')}"
            )
        self._upload(job, root)
        if stopped:
            raise stopped

    def _prepare(self, job: TrainingJob, root: Path) -> None:
        """The folder of a SageMaker training container, filled from S3."""
        shutil.rmtree(root, ignore_errors=True)
        config = root / "input" / "config"
        for folder in (config, root / "model", root / "output"):
            folder.mkdir(parents=True)
        request = job.request
        given = {
            name: value for name, value in request.get("HyperParameters", {}).items() if not name.startswith("_tuning")
        }
        (config / "hyperparameters.json").write_text(json.dumps(given))
        (config / "inputdataconfig.json").write_text(
            json.dumps(
                {channel["ChannelName"]: {"TrainingInputMode": "File"} for channel in request["InputDataConfig"]}
            )
        )
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
        self.workshop.containers.write_local(config)
        for channel in request["InputDataConfig"]:
            source = channel["DataSource"]["S3DataSource"]
            folder = root / "input" / "data" / channel["ChannelName"]
            self.workshop.objects.fetch(source, folder, request["RoleArn"])

    def _upload(self, job: TrainingJob, root: Path) -> None:
        """model.tar.gz to S3, and the metrics; a stopped training may have left nothing."""
        metrics = root / "output" / "metrics.json"
        if metrics.exists():
            job.metrics = {
                name: value for name, value in json.loads(metrics.read_text()).items() if math.isfinite(value)
            }
        if not any((root / "model").iterdir()):
            return
        with self.workshop.lock:
            job.move("Uploading")
        uri = f"{job.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output/model.tar.gz"
        self.workshop.objects.write(uri, packed(root / "model"))
        job.artifact = uri


def packed(folder: Path) -> bytes:
    """The archive of a model folder; the same files give the same bytes."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return stream.getvalue()


def write_log(workshop: Workshop, group: str, job: str, log: Path) -> None:
    """What the container said, as the log stream that SageMaker would leave; a log is no reason to fail."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    if not lines:
        return
    stream, now = f"{job}/algo-1-{int(time.time())}", int(time.time() * 1000)
    logs = workshop.objects.client("logs")
    with contextlib.suppress(ClientError, BotoCoreError):
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now, "message": line} for line in lines[-1000:]]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _check_waiting_time(request: dict[str, Any]) -> None:
    """The rules of managed spot training."""
    condition = request["StoppingCondition"]
    longest = condition.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if longest is not None:
            raise refuse(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
        return
    if longest is None or longest < condition.get("MaxRuntimeInSeconds", 86400):
        raise refuse(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if longest > LONGEST_SPOT_WAIT_SECONDS:
        raise refuse(
            f"MaxWaitTimeInSeconds above {LONGEST_SPOT_WAIT_SECONDS} is not supported for the given algorithm."
        )
