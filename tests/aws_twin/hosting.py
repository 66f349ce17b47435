"""Models, endpoint configurations and endpoints with a serving container per variant."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.aws_twin.containers import last_line
from tests.aws_twin.errors import AwsError, refuse
from tests.aws_twin.jobs import Workshop, page
from tests.aws_twin.objects import ACCOUNT, Objects
from tests.aws_twin.validation import check_image, echo, require

LOAD_SECONDS = 300.0
ANSWER_SECONDS = 60.0
CHANGING = ("Creating", "Updating")


@dataclass
class Resource:
    """A thing with a name that is there until it is deleted."""

    name: str
    arn: str
    request: dict[str, Any]
    tags: list[dict[str, str]] = field(default_factory=list)
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    status: str = "InService"


class Resources(ABC):
    """Resources of one kind in one region.

    Args:
        kind: The kind in names of members and operations, such as EndpointConfig.
        title: The kind in messages, such as "endpoint configuration".
        key: The member of the list's answer.
    """

    def __init__(self, kind: str, title: str, key: str, region: str, workshop: Workshop) -> None:
        self.kind, self.title, self.key = kind, title, key
        self.region, self.workshop = region, workshop
        self.found: dict[str, Any] = {}

    def arn(self, name: str) -> str:
        kind = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in self.kind).strip("-")
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{kind}/{name.lower()}"

    def name_in(self, request: dict[str, Any]) -> str:
        name: str = request[f"{self.kind}Name"]
        return name

    def get(self, name: str) -> Any:
        if name not in self.found:
            raise refuse(f'Could not find {self.title} "{self.arn(name)}".')
        return self.found[name]

    def add(self, resource: Resource) -> dict[str, Any]:
        self.found[resource.name] = resource
        return {f"{self.kind}Arn": resource.arn}

    def new(self, request: dict[str, Any]) -> tuple[str, str, dict[str, Any], list[dict[str, str]]]:
        """Name, ARN, request and tags of a new resource; a taken name is refused, as AWS does: not as in use."""
        name = self.name_in(request)
        if name in self.found:
            raise refuse(f'Cannot create already existing {self.title} "{self.arn(name)}".')
        return name, self.arn(name), request, request.get("Tags", [])

    @abstractmethod
    def create(self, request: dict[str, Any]) -> dict[str, Any]: ...

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        resource = self.get(self.name_in(request))
        return {**echo(f"Describe{self.kind}", resource.request), **self.identity(resource)}

    def identity(self, resource: Resource) -> dict[str, Any]:
        return {
            f"{self.kind}Name": resource.name,
            f"{self.kind}Arn": resource.arn,
            "CreationTime": resource.created,
        }

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        pairs = [(resource, self.identity(resource)) for resource in self.found.values()]
        return page(request, pairs, self.key)

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        del self.found[self.get(self.name_in(request)).name]
        return {}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            f"Create{self.kind}": self.create,
            f"Describe{self.kind}": self.describe,
            f"List{self.kind}s": self.list,
            f"Delete{self.kind}": self.delete,
        }


@dataclass
class Model(Resource):
    @property
    def container(self) -> dict[str, Any]:
        primary: dict[str, Any] = self.request.get("PrimaryContainer") or self.request["Containers"][0]
        return primary

    @property
    def environment(self) -> dict[str, str]:
        environment: dict[str, str] = self.container.get("Environment", {})
        return environment

    def fetch(self, objects: Objects, folder: Path) -> Path:
        """The model's archive, copied into a folder."""
        archive = folder / "model.tar.gz"
        archive.write_bytes(objects.read(self.container["ModelDataUrl"]))
        return archive


class Models(Resources):
    def __init__(self, region: str, workshop: Workshop) -> None:
        super().__init__("Model", "model", "Models", region, workshop)

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        model = Model(*self.new(request))
        require(request, "ExecutionRoleArn")
        if len(request.get("Containers", [])) > 1 or not (request.get("PrimaryContainer") or request.get("Containers")):
            raise refuse("The twin of AWS plays models of one container.")
        check_image(model.container.get("Image"), self.region)
        require(model.container, "ModelDataUrl")
        if not self.workshop.objects.exists(model.container["ModelDataUrl"]):
            raise refuse(f"Could not find model data at {model.container['ModelDataUrl']}.")
        return self.add(model)


class EndpointConfigs(Resources):
    def __init__(self, region: str, workshop: Workshop, models: Models) -> None:
        super().__init__("EndpointConfig", "endpoint configuration", "EndpointConfigs", region, workshop)
        self.models = models

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        config = Resource(*self.new(request))
        names = [variant["VariantName"] for variant in request["ProductionVariants"]]
        if len(set(names)) < len(names):
            raise refuse(f"Duplicate variant names in the endpoint configuration: {', '.join(names)}.")
        for variant in request["ProductionVariants"]:
            require(variant, "ModelName")
            self.models.get(variant["ModelName"])
            if not variant.get("ServerlessConfig"):
                require(variant, "InstanceType", "InitialInstanceCount")
        return self.add(config)


@dataclass
class Variant:
    """A model of an endpoint, and the process that serves it."""

    name: str
    model: Model
    weight: float
    instances: int
    process: subprocess.Popen[str] | None = None
    credit: float = 0.0  # of the smooth round robin by weights
    turn: threading.Lock = field(default_factory=threading.Lock)

    def summary(self) -> dict[str, Any]:
        return {
            "VariantName": self.name,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances,
        }


@dataclass
class Endpoint(Resource):
    config: str = ""
    variants: list[Variant] = field(default_factory=list)
    failure: str | None = None
    deleted: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    generation: int = 0

    def next_variant(self) -> Variant:
        """The variant whose turn it is: exact shares by weight, in a fixed order."""
        for variant in self.variants:
            variant.credit += variant.weight
        chosen = max(self.variants, key=lambda variant: variant.credit)
        chosen.credit -= sum(variant.weight for variant in self.variants)
        return chosen


class UnhealthyError(Exception):
    """A variant's container did not get ready."""


class Endpoints(Resources):
    def __init__(self, region: str, workshop: Workshop, configs: EndpointConfigs) -> None:
        super().__init__("Endpoint", "endpoint", "Endpoints", region, workshop)
        self.configs = configs

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = Endpoint(*self.new(request), status="Creating")
        self.configs.get(request["EndpointConfigName"])
        answer = self.add(endpoint)
        self._deploy(endpoint, request["EndpointConfigName"])
        return answer

    def identity(self, resource: Any) -> dict[str, Any]:
        return {
            **super().identity(resource),
            "LastModifiedTime": resource.modified,
            "EndpointStatus": resource.status,
        }

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self.get(self.name_in(request))
        answer = {
            **self.identity(endpoint),
            "EndpointConfigName": endpoint.config or endpoint.request["EndpointConfigName"],
            "ProductionVariants": [variant.summary() for variant in endpoint.variants],
            "FailureReason": endpoint.failure,
        }
        return {name: value for name, value in answer.items() if value not in (None, [])}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Blue/green: the new variants load next to the old ones and take over together."""
        endpoint = self._at_rest(request)
        wanted = self.configs.get(request["EndpointConfigName"]).request["ProductionVariants"]
        names = {variant.name for variant in endpoint.variants}
        if request.get("DeploymentConfig") and {variant["VariantName"] for variant in wanted} != names:
            raise refuse("DeploymentConfig is only supported where old and new configuration name the same variants.")
        endpoint.status, endpoint.modified = "Updating", time.time()
        kept = endpoint.variants if request.get("RetainAllVariantProperties") else []
        self._deploy(endpoint, request["EndpointConfigName"], kept)
        return {"EndpointArn": endpoint.arn}

    def update_weights(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._at_rest(request)
        by_name = {variant.name: variant for variant in endpoint.variants}
        for wish in request["DesiredWeightsAndCapacities"]:
            if wish["VariantName"] not in by_name:
                raise refuse(f'The variant name(s) "{wish["VariantName"]}" is/are not present within the endpoint.')
        for wish in request["DesiredWeightsAndCapacities"]:
            variant = by_name[wish["VariantName"]]
            variant.weight = wish.get("DesiredWeight", variant.weight)
            variant.instances = wish.get("DesiredInstanceCount", variant.instances)
        for variant in endpoint.variants:
            variant.credit = 0.0
        endpoint.modified = time.time()
        return {"EndpointArn": endpoint.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self.get(self.name_in(request))
        super().delete(request)
        self.end(endpoint)
        return {}

    def end(self, endpoint: Endpoint) -> None:
        endpoint.deleted.set()
        self._retire(endpoint.variants)

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            **super().operations(),
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.update_weights,
        }

    def invoke(self, name: str, target: str | None, body: bytes) -> tuple[str, bytes]:
        """One request to a variant.

        Returns:
            The variant's name and the container's JSON.
        """
        with self.workshop.lock:
            endpoint = self.found.get(name)
            if endpoint is None or not endpoint.variants:
                raise AwsError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
            if target is None:
                variant = endpoint.next_variant()
            else:
                named = [variant for variant in endpoint.variants if variant.name == target]
                if not named:
                    raise AwsError(
                        "ValidationError",
                        f"Variant {target} not found for Request. Known variants: "
                        f"{', '.join(variant.name for variant in endpoint.variants)}.",
                    )
                variant = named[0]
        try:
            line = json.dumps(json.loads(body))
        except (ValueError, RecursionError):
            raise _model_error(400, "The request body is no JSON.") from None
        answer = _ask(variant, line)
        if "error" in answer:
            raise _model_error(400, answer["error"])
        return variant.name, json.dumps(answer).encode()

    def _at_rest(self, request: dict[str, Any]) -> Endpoint:
        endpoint: Endpoint = self.get(self.name_in(request))
        if endpoint.status in CHANGING:
            raise refuse(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _deploy(self, endpoint: Endpoint, config: str, kept: list[Variant] | None = None) -> None:
        """Load a configuration's variants in a thread, then let them take over."""
        properties = {variant.name: variant for variant in kept or []}
        variants = []
        for wish in self.configs.get(config).request["ProductionVariants"]:
            name, model = wish["VariantName"], self.configs.models.get(wish["ModelName"])
            weight, instances = wish.get("InitialVariantWeight", 1.0), wish.get("InitialInstanceCount", 1)
            if name in properties:
                weight, instances = properties[name].weight, properties[name].instances
            variants.append(Variant(name, model, weight, instances))
        endpoint.generation += 1
        folder = self.workshop.folder / self.region / "endpoint" / endpoint.name / str(endpoint.generation)
        endpoint.thread = threading.Thread(
            target=self._take_over, args=(endpoint, config, variants, folder), name=endpoint.name, daemon=True
        )
        endpoint.thread.start()

    def _take_over(self, endpoint: Endpoint, config: str, variants: list[Variant], folder: Path) -> None:
        failure: str | None = None
        try:
            self._load_all(endpoint, variants, folder)
        except UnhealthyError as problem:
            failure = str(problem)
        except Exception as problem:  # an error of the twin itself must not leave it creating for ever
            failure = f"InternalServerError: {problem!r}"
        with self.workshop.lock:
            endpoint.modified, endpoint.failure = time.time(), failure
            if failure or endpoint.deleted.is_set():
                retired = variants
                # After a failed update the old variants stay in service; there are none after a failed creation.
                endpoint.status = "InService" if endpoint.variants else "Failed"
            else:
                retired, endpoint.variants = endpoint.variants, variants
                endpoint.config, endpoint.status = config, "InService"
        self._retire(retired)

    def _load_all(self, endpoint: Endpoint, variants: list[Variant], folder: Path) -> None:
        delay = self.workshop.faults.for_job("endpoint", "delay", endpoint.name)
        endpoint.deleted.wait(delay.seconds if delay else 0.0)
        failure = self.workshop.faults.for_job("endpoint", "fail", endpoint.name)
        if failure:
            raise UnhealthyError(failure.reason)
        for variant in variants:
            if endpoint.deleted.is_set():
                return
            self._load(endpoint, variant, folder / variant.name)

    def _load(self, endpoint: Endpoint, variant: Variant, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = folder / "log.txt"
        archive = variant.model.fetch(self.workshop.objects, folder)
        containers = self.workshop.containers
        line = ["serve", "--model", str(archive), *containers.seed_arguments()]
        process = containers.start(line, log, variant.model.environment, talks=True)
        variant.process = process
        overdue = threading.Timer(LOAD_SECONDS, lambda: containers.end(process))
        overdue.start()
        assert process.stdout is not None
        greeting = process.stdout.readline().strip()
        overdue.cancel()
        if greeting != "ready" and not endpoint.deleted.is_set():
            raise UnhealthyError(
                f"The primary container for production variant {variant.name} did not pass the ping health check. "
                f"Please check CloudWatch logs for this endpoint. ({last_line(log)})"
            )

    def _retire(self, variants: list[Variant]) -> None:
        for variant in variants:
            if variant.process is not None:
                self.workshop.containers.end(variant.process, grace_seconds=1.0)


def _ask(variant: Variant, line: str) -> dict[str, Any]:
    """One line to the serving process, one line back; requests of a variant wait for each other."""
    process = variant.process
    assert process is not None
    assert process.stdin is not None
    assert process.stdout is not None
    with variant.turn:
        overdue = threading.Timer(ANSWER_SECONDS, process.kill)
        overdue.start()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):
            answer = ""
        finally:
            overdue.cancel()
    if not answer:
        raise _model_error(500, f"The container of variant {variant.name} ended.")
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def _model_error(status: int, message: str) -> AwsError:
    blame = "client" if status < 500 else "server"
    return AwsError(
        "ModelError",
        f'Received {blame} error ({status}) from primary with message "{message}".',
        OriginalStatusCode=status,
        OriginalMessage=message,
    )
