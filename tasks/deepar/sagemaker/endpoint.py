"""Real-time inference: one endpoint, up to five models on it as production variants, asked by name or by weight.

Uses boto3, because ``sagemaker.core`` can neither move an endpoint to another configuration nor read an endpoint whose
description has empty parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from schemas.deepar import JobProgress, Report, TrainedModel
from schemas.errors import ConfigError, TrainingError
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.endpoint_parts import (
    PERMANENT,
    UNKNOWN_STORAGE,
    answer_of,
    configurations_of,
    delete_alone,
    delete_configuration,
    delete_endpoint,
    owner_of,
    stem_of,
    tags_of,
    variants_of,
)
from tasks.deepar.sagemaker.faults import calls, is_passing, is_present, is_refused
from tasks.deepar.sagemaker.invocation import Invocation
from tasks.deepar.sagemaker.models import Models, endpoint_tags
from tasks.deepar.sagemaker.names import digest, slug
from tasks.deepar.sagemaker.requests import Requests
from tasks.deepar.sagemaker.scaling import scale, stop_scaling
from tasks.deepar.sagemaker.work import Pause

READY = "InService"
CAPTURED = "deepar/captured"
_BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")
_TROUBLES = 8
_LONGEST_UPDATE_SECONDS = 3_600


class SageMakerEndpoint:
    """One endpoint; every call may be made twice, and from several processes.

    Args:
        api: the SDK on its session.
        requests: settings, image and tags.
        models: makes the models of the variants.
        name: name of the endpoint.
        pause: waits for a number of seconds.
        purpose: what its tag ``restock:purpose`` says.
    """

    def __init__(
        self,
        api: SageMakerApi,
        requests: Requests,
        models: Models,
        name: str,
        pause: Pause,
        purpose: str = PERMANENT,
    ) -> None:
        self.name = name
        self._purpose = purpose
        self._api = api
        self._requests = requests
        self._settings = requests.settings
        self._models = models
        self._pause = pause

    def deploy(self, wanted: Mapping[str, TrainedModel], report: Report, adopt: bool = False) -> None:
        """Bring models into service, one variant each; blue/green if the endpoint exists already.

        Args:
            wanted: configuration label to model, the best first; other models are removed from the endpoint.
            report: receives every poll.
            adopt: take over an endpoint of this name that somebody else has created.

        Raises:
            ConfigError: too many models, or the endpoint is somebody else's.
            TrainingError: SageMaker cannot bring the endpoint into service, or has rolled it back.
        """
        if len(wanted) > self._settings.endpoint.max_models:
            raise ConfigError(
                f"{len(wanted)} models for endpoint {self.name}; expert.models.deepar.sagemaker.endpoint.max_models is "
                f"{self._settings.endpoint.max_models}."
            )
        with calls(f"deploying endpoint {self.name}"):
            self._own(adopt)
            named = {slug(label): self._models.ensure(model, endpoint=self.name) for label, model in wanted.items()}
            self._bring_into_service(named, report)
            if self._purpose == PERMANENT:
                scale(self._api, self.name, named, self._settings.endpoint)
            self._clear_old_parts()

    def variants(self) -> dict[str, str]:
        """Variant to model name, as the endpoint's configuration says; empty if there is no endpoint."""
        found = self._describe()
        return variants_of(self._configuration(found)) if found else {}

    def asking(self, variant: str) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
        """A function that sends a request to a variant and returns its predictions.

        Args:
            variant: name of the variant.
        """

        def ask(request: dict[str, Any]) -> list[dict[str, Any]]:
            with calls(f"asking endpoint {self.name}"):
                response = self._api.runtime.invoke_endpoint(
                    EndpointName=self.name,
                    TargetVariant=variant,
                    ContentType="application/json",
                    Accept="application/json",
                    Body=json.dumps(request),
                )
            found: list[dict[str, Any]] = json.loads(response["Body"].read())["predictions"]
            return found

        return ask

    def serves(self, model: TrainedModel) -> bool:
        """Whether a variant of the endpoint is this model."""
        return self._models.named(model, endpoint=self.name) in self.variants().values()

    def invocation(self, variant: str, configuration: dict[str, Any]) -> Invocation:
        """Asks a variant for any number of series, in requests of limited size.

        Args:
            variant: name of the variant.
            configuration: samples, quantiles and kinds of output.
        """
        threads = self._settings.max_concurrent_transforms * self._settings.endpoint.instance.count
        return Invocation(self._api, self.name, variant, configuration, threads)

    def weigh(self, weights: Mapping[str, float], report: Report) -> None:
        """Set each variant's share of the requests that do not name a variant.

        Args:
            weights: configuration label to weight, at least 0; only their ratio counts.
            report: receives every poll.
        """
        wanted = [{"VariantName": slug(label), "DesiredWeight": weight} for label, weight in weights.items()]
        if self._weights() == {one["VariantName"]: one["DesiredWeight"] for one in wanted}:
            return
        with calls(f"setting the weights of the variants of endpoint {self.name}"):
            self._api.client.update_endpoint_weights_and_capacities(
                EndpointName=self.name, DesiredWeightsAndCapacities=wanted
            )
            self._settled(report)

    def delete(self, adopt: bool = False) -> bool:
        """Delete the endpoint, its configurations and models; missing ones are ignored.

        Args:
            adopt: also if somebody else has created it.

        Returns:
            Whether there was an endpoint.

        Raises:
            ConfigError: it is somebody else's, or rights are missing.
        """
        with calls(f"deleting endpoint {self.name}"):
            self._own(adopt)
            stop_scaling(self._api, self.name)
        return delete_endpoint(self._api, self.name, self._pause, self._settings.poll_seconds)

    def _own(self, adopt: bool) -> None:
        """Make sure that an existing endpoint of this name is this installation's, or take it over.

        Raises:
            ConfigError: it is not.
        """
        found = self._describe()
        if found is None:
            return
        owner = owner_of(tags_of(self._api, str(found["EndpointArn"])), self.name)
        if owner in (self._requests.lake.root, UNKNOWN_STORAGE):
            return
        if adopt:
            self._api.client.add_tags(ResourceArn=found["EndpointArn"], Tags=self._tags())
            return
        whose = f"belongs to the installation with the storage {owner}" if owner else "was not created by Restock"
        raise ConfigError(
            f"Endpoint {self.name} exists and {whose}. Set another expert.models.deepar.sagemaker.endpoint.name, or "
            "take it over with deploy-deepar --adopt."
        )

    def _weights(self) -> dict[str, float]:
        found = self._describe() or {}
        return {str(one["VariantName"]): one.get("DesiredWeight") for one in found.get("ProductionVariants") or []}

    def _bring_into_service(self, named: dict[str, str], report: Report) -> None:
        target = self._configuration_name(named)
        tried = False
        while True:
            found = self._settled(report)
            if found is None:
                if tried:
                    said = f"SageMaker endpoint {self.name} was deleted while it was being created."
                    raise TrainingError(f"{said} Run again.")
                self._ensure_configuration(named)
                tried = self._unless_present(self._api.client.create_endpoint, target, Tags=self._tags())
                continue
            status = str(found["EndpointStatus"])
            if status in _BROKEN:
                if tried:
                    raise TrainingError(
                        f"SageMaker endpoint {self.name} is {status}: {found.get('FailureReason', 'no reason given')}"
                    )
                # Its models are kept, because they are the requested ones.
                delete_alone(self._api, self.name, self._pause, self._settings.poll_seconds)
                continue
            if found["EndpointConfigName"] == target:
                return
            if tried:
                raise TrainingError(
                    f"SageMaker endpoint {self.name} was rolled back to its previous models: "
                    f"{found.get('FailureReason', 'no reason given')}"
                )
            self._ensure_configuration(named)
            if self._purpose == PERMANENT:
                # AWS changes no variant whose instances are being adjusted.
                stop_scaling(self._api, self.name)
            # AWS takes a deployment's options only if the variants keep their names; else its own blue/green serves.
            same = named.keys() == variants_of(self._configuration(found)).keys()
            options = {"DeploymentConfig": _blue_green()} if same else {}
            tried = self._unless_present(self._api.client.update_endpoint, target, **options)

    def _unless_present(self, call: Any, configuration: str, **options: Any) -> bool:
        """Create or update; whether that was accepted. If another process does the same, the next poll shows it."""
        try:
            call(EndpointName=self.name, EndpointConfigName=configuration, **options)
            return True
        except ClientError as error:
            if not (is_present(error) or (is_refused(error) and "in-progress" in str(error))):
                raise
            self._pause(self._settings.poll_seconds)
            return False

    def _settled(self, report: Report) -> dict[str, Any] | None:
        """The endpoint, once it is not being created, changed or deleted; None if it does not exist."""
        troubles = 0
        while True:
            try:
                found = self._describe()
                troubles = 0
            except (ClientError, BotoCoreError) as error:
                troubles += 1
                if not is_passing(error) or troubles > _TROUBLES:
                    raise
                self._pause(self._settings.poll_seconds * troubles)
                continue
            status = str(found["EndpointStatus"]) if found else ""
            if found is None or status in (READY, *_BROKEN):
                if status == READY:
                    report(JobProgress(job=self.name, state="finished", detail=status, share=1.0))
                return found
            report(JobProgress(job=self.name, state="starting", detail=f"endpoint: {status}"))
            self._pause(self._settings.poll_seconds)

    def _describe(self) -> dict[str, Any] | None:
        return answer_of(self._api.client.describe_endpoint, EndpointName=self.name)

    def _configuration(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        name = endpoint["EndpointConfigName"]
        return answer_of(self._api.client.describe_endpoint_config, EndpointConfigName=name) or {}

    def _production_variants(self, named: dict[str, str]) -> list[dict[str, Any]]:
        place = self._settings.endpoint
        weights = place.shares(named)
        return [
            {
                "VariantName": label,
                "ModelName": model,
                "InstanceType": place.instance.type,
                "InitialInstanceCount": place.instance.count,
                "InitialVariantWeight": weights[label],
            }
            for label, model in sorted(named.items())
        ]

    def _configuration_name(self, named: dict[str, str]) -> str:
        # Weights are set by weigh(), on the running instances: another weight must not replace them.
        variants = [
            {key: value for key, value in variant.items() if key != "InitialVariantWeight"}
            for variant in self._production_variants(named)
        ]
        content = {"endpoint": self.name, "variants": variants, "key": self._settings.kms_key, **self._capture()}
        return f"{stem_of(self.name)}{digest(content)}"

    def _ensure_configuration(self, named: dict[str, str]) -> None:
        name = self._configuration_name(named)
        key = {"KmsKeyId": self._settings.kms_key} if self._settings.kms_key else {}
        try:
            self._api.client.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=self._production_variants(named),
                Tags=self._tags(),
                **key,
                **self._capture(),
            )
        except ClientError as error:
            if not is_present(error):
                raise

    def _capture(self) -> dict[str, Any]:
        """The part of an endpoint configuration about storing requests and answers."""
        share = self._settings.endpoint.captured_share if self._purpose == PERMANENT else 0.0
        if not share:
            return {}
        key = {"KmsKeyId": self._settings.kms_key} if self._settings.kms_key else {}
        return {
            "DataCaptureConfig": {
                "EnableCapture": True,
                "InitialSamplingPercentage": round(100 * share),
                "DestinationS3Uri": self._requests.lake.uri(CAPTURED),
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
                **key,
            }
        }

    def _tags(self) -> list[dict[str, str]]:
        return endpoint_tags(self._requests, self._purpose, self.name)

    def _clear_old_parts(self) -> None:
        """Delete configurations that the endpoint no longer uses, and models that only they name."""
        found = self._describe()
        if found is None:
            return
        current = str(found["EndpointConfigName"])
        used = set(variants_of(self._configuration(found)).values())
        for name in configurations_of(self._api, self.name):
            if name != current:
                delete_configuration(self._api, name, used)


def _blue_green() -> dict[str, Any]:
    """The new machines take over at once when all of them are ready; otherwise the old ones stay."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": _LONGEST_UPDATE_SECONDS,
        }
    }
