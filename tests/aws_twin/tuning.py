"""Hyperparameter tuning jobs: real trainings with sampled hyperparameters, of which the best is named."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.aws_twin.errors import refuse
from tests.aws_twin.jobs import Job, Names, StoppedError, Workshop, page
from tests.aws_twin.training import TrainingJob, TrainingJobs
from tests.aws_twin.validation import ALGORITHM, echo, require

OBJECTIVES = ("test:RMSE", "test:mean_wQuantileLoss", "train:final_loss")
TUNABLE = (
    "context_length",
    "dropout_rate",
    "embedding_dimension",
    "epochs",
    "learning_rate",
    "mini_batch_size",
    "num_cells",
    "num_layers",
)
STRATEGIES = ("Bayesian", "Random")  # both sampled at random by the twin
ALL_FAILED = "All training jobs failed. Please take a look at the training jobs failures to get more details."
NEVER = 1e9


@dataclass
class TuningJob(Job):
    children: list[TrainingJob] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.request["HyperParameterTuningJobConfig"]
        return config

    @property
    def objective(self) -> dict[str, str]:
        objective: dict[str, str] = self.config["HyperParameterTuningJobObjective"]
        return objective

    def best(self) -> TrainingJob | None:
        sign = 1.0 if self.objective["Type"] == "Minimize" else -1.0
        name = self.objective["MetricName"]
        measured = [child for child in self.children if child.status == "Completed" and name in child.metrics]
        return min(measured, key=lambda child: sign * child.metrics[name], default=None)

    def ranked(self, child: TrainingJob) -> float:
        return child.metrics.get(self.objective["MetricName"], math.inf)

    def child_summary(self, child: TrainingJob) -> dict[str, Any]:
        metric = self.objective["MetricName"]
        summary = {
            "TrainingJobName": child.name,
            "TrainingJobArn": child.arn,
            "CreationTime": child.created,
            "TrainingStartTime": child.training_started,
            "TrainingEndTime": child.ended,
            "TrainingJobStatus": child.status,
            "TunedHyperParameters": child.tuned,
            "FailureReason": child.failure,
            "ObjectiveStatus": _objective_status(child, metric),
        }
        if child.status == "Completed" and metric in child.metrics:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": self.objective["Type"],
                "MetricName": metric,
                "Value": child.metrics[metric],
            }
        return {name: value for name, value in summary.items() if value is not None}

    def counters(self) -> dict[str, Any]:
        metric = self.objective["MetricName"]
        states = Counter(child.status for child in self.children)
        objectives = Counter(_objective_status(child, metric) for child in self.children)
        return {
            "TrainingJobStatusCounters": {
                "Completed": states["Completed"],
                "InProgress": states["InProgress"] + states["Stopping"],
                "RetryableError": 0,
                "NonRetryableError": states["Failed"],
                "Stopped": states["Stopped"],
            },
            "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
        }

    def describe(self) -> dict[str, Any]:
        best = self.best()
        answer = {
            **echo("DescribeHyperParameterTuningJob", self.request),
            **self._identity(),
            "FailureReason": self.failure,
            "BestTrainingJob": self.child_summary(best) if best else None,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        limits = self.config["ResourceLimits"]
        summary = {**self._identity(), "Strategy": self.config["Strategy"], "ResourceLimits": limits}
        return {name: value for name, value in summary.items() if value is not None}

    def _identity(self) -> dict[str, Any]:
        return {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended,
            "LastModifiedTime": self.modified,
            **self.counters(),
        }


class TuningJobs(Names):
    """The tuning jobs of one region."""

    def __init__(self, region: str, workshop: Workshop, training: TrainingJobs) -> None:
        super().__init__("hyper-parameter-tuning-job", "Hyper parameter tuning job", region)
        self.workshop, self.training = workshop, training

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["HyperParameterTuningJobName"]
        for parent in (request.get("WarmStartConfig") or {}).get("ParentHyperParameterTuningJobs", []):
            self.get(parent["HyperParameterTuningJobName"])
        for member in ("TrainingJobDefinitions", "Autotune"):
            if request.get(member):
                raise refuse(f"The twin of AWS does not play {member}.")
        require(request, "TrainingJobDefinition")
        config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
        require(config, "HyperParameterTuningJobObjective", "ParameterRanges")
        require(config["ResourceLimits"], "MaxNumberOfTrainingJobs")
        self.training.check_definition(definition)
        _check_objective(config["HyperParameterTuningJobObjective"]["MetricName"], definition)
        _check_ranges(config)
        if config["Strategy"] not in STRATEGIES:
            raise refuse(f"The twin of AWS plays the strategies {', '.join(STRATEGIES)}; came {config['Strategy']}.")
        self.check_new(name)
        job = TuningJob(name, self.arn(name), request, request.get("Tags", []))
        self.jobs[name] = job
        job.start(self._live)
        return {"HyperParameterTuningJobArn": job.arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.get(request["HyperParameterTuningJobName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        pairs = [(job, job.summary()) for job in self.jobs.values()]
        return page(request, pairs, "HyperParameterTuningJobSummaries")

    def list_children(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self.get(request["HyperParameterTuningJobName"])
        pairs = [(child, job.child_summary(child)) for child in job.children]
        by_metric = {"FinalObjectiveMetricValue": job.ranked}
        return page(request, pairs, "TrainingJobSummaries", by_metric, "Name", "Ascending")

    def stop_one(self, request: dict[str, Any]) -> dict[str, Any]:
        self.stop(request["HyperParameterTuningJobName"])
        return {}

    def _live(self, job: TuningJob) -> None:
        end = "Completed"
        try:
            if not job.pause(job.config["ResourceLimits"].get("MaxRuntimeInSeconds", NEVER), self._stepper(job)):
                self._stop_children(job)
        except StoppedError:
            end = "Stopped"
            self._stop_children(job)
        except Exception as problem:  # an error of the twin itself must not leave a job in progress for ever
            end, job.failure = "Failed", f"InternalServerError: {problem!r}"
            self._stop_children(job)
        for child in job.children:
            if child.thread is not None:
                child.thread.join()
        with self.workshop.lock:
            if end == "Completed" and all(child.status == "Failed" for child in job.children):
                end, job.failure = "Failed", ALL_FAILED
            job.status = "Stopped" if end == "Completed" and job.stop_asked.is_set() else end
            job.ended = job.modified = time.time()

    def _stepper(self, job: TuningJob) -> Any:
        """A function that launches trainings while it may, and says whether all have ended."""
        limits = job.config["ResourceLimits"]
        draw = random.Random(job.config.get("RandomSeed", job.name))
        most, parallel = limits["MaxNumberOfTrainingJobs"], limits["MaxParallelTrainingJobs"]

        def step() -> bool:
            with self.workshop.lock:
                running = sum(child.is_running for child in job.children)
                while len(job.children) < most and running < parallel and not job.stop_asked.is_set():
                    job.children.append(self._launch(job, draw))
                    running += 1
                return len(job.children) == most and running == 0

        return step

    def _launch(self, job: TuningJob, draw: random.Random) -> TrainingJob:
        definition = job.request["TrainingJobDefinition"]
        tuned = sampled(job.config["ParameterRanges"], draw)
        request = {
            **{name: value for name, value in definition.items() if name != "StaticHyperParameters"},
            "TrainingJobName": f"{job.name}-{len(job.children) + 1:03}-{draw.getrandbits(32):08x}",
            "HyperParameters": {
                "_tuning_objective_metric": job.objective["MetricName"],
                **definition.get("StaticHyperParameters", {}),
                **tuned,
            },
        }
        return self.training.launch(request, tuning_arn=job.arn, tuned=tuned)

    def _stop_children(self, job: TuningJob) -> None:
        with self.workshop.lock:
            for child in job.children:
                if child.is_running:
                    self.training.stop_one({"TrainingJobName": child.name})


def sampled(ranges: dict[str, Any], draw: random.Random) -> dict[str, str]:
    """One draw from every range, as text; ranges in the order of the request, so that a seed gives the same draws."""
    values: dict[str, str] = {}
    for given in ranges.get("IntegerParameterRanges", []):
        low, high = int(given["MinValue"]), int(given["MaxValue"])
        values[given["Name"]] = str(min(high, max(low, round(_between(low, high, given, draw)))))
    for given in ranges.get("ContinuousParameterRanges", []):
        values[given["Name"]] = repr(_between(float(given["MinValue"]), float(given["MaxValue"]), given, draw))
    for given in ranges.get("CategoricalParameterRanges", []):
        values[given["Name"]] = draw.choice(given["Values"])
    return values


def _between(low: float, high: float, given: dict[str, Any], draw: random.Random) -> float:
    scaling, share = given.get("ScalingType", "Auto"), draw.random()
    if scaling == "Logarithmic":
        return low * (high / low) ** share
    if scaling == "ReverseLogarithmic":
        return 1.0 - (1.0 - low) * ((1.0 - high) / (1.0 - low)) ** share
    return low + (high - low) * share


def _objective_status(child: TrainingJob, metric: str) -> str:
    if child.is_running:
        return "Pending"
    return "Succeeded" if child.status == "Completed" and metric in child.metrics else "Failed"


def _check_objective(metric: str, definition: dict[str, Any]) -> None:
    if metric not in OBJECTIVES:
        raise refuse(
            f"The objective metric for the hyperparameter tuning job, [{metric}], isn't valid for the {ALGORITHM} "
            f"algorithm. Choose a valid objective metric: {', '.join(OBJECTIVES)}."
        )
    channels = [channel["ChannelName"] for channel in definition["InputDataConfig"]]
    if metric.startswith("test:") and "test" not in channels:
        raise refuse(f"The objective metric [{metric}] needs the channel test; the training has {', '.join(channels)}.")


def _check_ranges(config: dict[str, Any]) -> None:
    ranges = [given for kind in config["ParameterRanges"].values() for given in kind]
    untunable = sorted({given["Name"] for given in ranges} - set(TUNABLE))
    if untunable:
        raise refuse(
            f"The hyperparameter tuning job you requested has the following untunable hyperparameters: "
            f"[{', '.join(untunable)}]. For the algorithm, {ALGORITHM}, you can tune only [{', '.join(TUNABLE)}]. "
            "Delete untunable hyperparameters."
        )
    for given in ranges:
        if "MinValue" in given:
            _check_range(given)
    limits = config["ResourceLimits"]
    if limits["MaxParallelTrainingJobs"] > limits["MaxNumberOfTrainingJobs"]:
        raise refuse("MaxParallelTrainingJobs must not be greater than MaxNumberOfTrainingJobs.")


def _check_range(given: dict[str, str]) -> None:
    try:
        low, high = float(given["MinValue"]), float(given["MaxValue"])
    except ValueError:
        raise refuse(f"The range of {given['Name']} is no range of numbers.") from None
    if low > high:
        raise refuse(f"The range of {given['Name']} ends at {given['MaxValue']}, before {given['MinValue']}.")
    if given.get("ScalingType") == "Logarithmic" and low <= 0:
        raise refuse(f"Logarithmic scaling of {given['Name']} needs a MinValue greater than 0.")
    if given.get("ScalingType") == "ReverseLogarithmic" and not 0 <= low <= high < 1:
        raise refuse(f"Reverse logarithmic scaling of {given['Name']} needs a range within 0 <= x < 1.")
