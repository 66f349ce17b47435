"""Real-time inference on the twin of AWS: an endpoint for a run, and one that stays with several models."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from schemas.deepar import DeepArChannel, TrainedModel
from schemas.errors import ConfigError, TrainingError
from tasks.forecasting.deepar.sagemaker.backend import SageMakerBackend
from tasks.forecasting.deepar.sagemaker.invocation import Invocation, batches
from tasks.forecasting.deepar.sagemaker.running import stop_jobs_of
from tests.aws_twin.client import TwinClient
from tests.forecasting.deepar import sagemaker_stage as stage

LEVELS = (0.1, 0.5)
FIRST, SECOND = "cleaned-student-t", "original-negative-binomial"


def trained(
    backend: SageMakerBackend, lake: Any, label: str = FIRST, **asked: str
) -> tuple[TrainedModel, DeepArChannel]:
    request = stage.training(lake, label, **asked)
    return backend.train(request, stage.Told()), request.channel


def endpoints() -> dict[str, str]:
    found = stage.sagemaker().list_endpoints()["Endpoints"]
    return {endpoint["EndpointName"]: endpoint["EndpointStatus"] for endpoint in found}


def parts() -> tuple[int, int, int]:
    """Endpoints, their configurations, and models that there are."""
    client = stage.sagemaker()
    return (
        len(client.list_endpoints()["Endpoints"]),
        len(client.list_endpoint_configs()["EndpointConfigs"]),
        len(client.list_models()["Models"]),
    )


def variants(name: str) -> dict[str, float]:
    found = stage.sagemaker().describe_endpoint(EndpointName=name)["ProductionVariants"]
    return {variant["VariantName"]: variant["CurrentWeight"] for variant in found}


def ask(endpoint: str, variant: str) -> Any:
    line = {"start": "2024-01-01 00:00:00", "target": [1.0] * 60}
    configuration = {"num_samples": 5, "output_types": ["mean"], "quantiles": ["0.5"]}
    response = (
        stage.session()
        .client("sagemaker-runtime")
        .invoke_endpoint(
            EndpointName=endpoint,
            TargetVariant=variant,
            Body=json.dumps({"instances": [line], "configuration": configuration}),
        )
    )
    return json.loads(response["Body"].read())["predictions"][0]["mean"]


def test_an_endpoint_answers_every_series_and_goes_with_the_run(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    with stage.backend(lake, inference="endpoint") as backend:
        model, channel = trained(backend, lake)
        answers = backend.predict(model, channel, LEVELS, 30, stage.Told())
        lines = [json.loads(line) for line in lake.read_bytes(answers.key).splitlines()]
        assert [line["mean"] for line in lines] == [[level] * stage.LENGTH for level in (5.0, 6.0, 7.0)]
        assert list(lines[0]["quantiles"]) == ["0.1", "0.5"]
        (name,) = endpoints()
        assert variants(name) == {FIRST: 1.0}
        assert lake.keys("deepar/running") == [f"deepar/running/run-1/{name}.json"]
        assert backend.predict(model, channel, LEVELS, 30, stage.Told()) == answers
        assert twin.accepted("CreateEndpoint") == 1
    assert parts() == (0, 0, 0)
    assert lake.keys("deepar/running") == []


def test_answers_that_are_there_need_no_endpoint(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    with stage.backend(lake, inference="endpoint") as backend:
        model, channel = trained(backend, lake)
        answers = backend.predict(model, channel, LEVELS, 30, stage.Told())
    with stage.backend(lake, "run-2", inference="endpoint") as backend:
        assert backend.predict(model, channel, LEVELS, 30, stage.Told()) == answers
    assert twin.accepted("CreateEndpoint") == 1


def test_the_models_of_an_experiment_share_its_endpoint(twin: TwinClient) -> None:
    """Two backends of one run, as in two tasks, side by side."""
    lake = stage.lake_on_twin()
    backends = [stage.backend(lake, inference="endpoint") for _ in range(2)]
    asked = [
        (backend, *trained(backend, lake, label)) for backend, label in zip(backends, (FIRST, SECOND), strict=True)
    ]
    answered: list[Any] = []

    def work(backend: SageMakerBackend, model: TrainedModel, channel: DeepArChannel) -> None:
        answered.append(backend.predict(model, channel, LEVELS, 30, stage.Told()))

    threads = [threading.Thread(target=work, args=one) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 2
    (name,) = endpoints()
    assert set(variants(name)) == {FIRST, SECOND}
    backends[0].close()
    assert parts() == (0, 0, 0)


def test_another_process_deletes_the_endpoint_of_a_run(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, inference="endpoint")
    model, channel = trained(backend, lake)
    backend.predict(model, channel, LEVELS, 30, stage.Told())
    (name,) = endpoints()
    assert stop_jobs_of(lake, stage.settings(), "run-1") == [name]
    assert parts() == (0, 0, 0)
    backend.close()


def test_one_endpoint_holds_several_models_with_shares_of_the_traffic(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, endpoint={"weights": {FIRST: 0.9, SECOND: 0.1}, "name": "forecasts"})
    first, second = trained(backend, lake, FIRST)[0], trained(backend, lake, SECOND, prediction_length="2")[0]
    endpoint = backend.endpoint()
    endpoint.deploy({FIRST: first, SECOND: second}, stage.Told())
    assert endpoints() == {"forecasts": "InService"}
    assert variants("forecasts") == {FIRST: 0.9, SECOND: pytest.approx(0.1)}
    assert len(ask("forecasts", FIRST)) == 4
    assert len(ask("forecasts", SECOND)) == 2

    endpoint.deploy({FIRST: first, SECOND: second}, stage.Told())
    assert twin.accepted("CreateEndpoint") == 1
    assert twin.accepted("UpdateEndpoint") == 0

    endpoint.weigh({FIRST: 0.0, SECOND: 1.0}, stage.Told())
    assert variants("forecasts") == {FIRST: 0.0, SECOND: 1.0}


def test_a_new_model_takes_over_and_the_old_one_goes(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    old, new = trained(backend, lake)[0], trained(backend, lake, prediction_length="2")[0]
    endpoint = backend.endpoint()
    assert endpoint.name == "shoes-co-deepar"
    endpoint.deploy({FIRST: old}, stage.Told())
    endpoint.deploy({FIRST: new}, stage.Told())
    assert len(ask(endpoint.name, FIRST)) == 2
    assert twin.accepted("UpdateEndpoint") == 1
    assert parts() == (1, 1, 1)
    endpoint.delete()
    endpoint.delete()
    assert parts() == (0, 0, 0)


def test_a_model_that_does_not_load_leaves_the_old_one_in_service(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    old, bad = trained(backend, lake)[0], trained(backend, lake, fake_unservable="1")[0]
    endpoint = backend.endpoint()
    endpoint.deploy({FIRST: old}, stage.Told())
    with pytest.raises(TrainingError, match=r"went back to the models that it had: .*ping health check"):
        endpoint.deploy({FIRST: bad}, stage.Told())
    assert len(ask(endpoint.name, FIRST)) == 4


def test_an_endpoint_that_cannot_start_says_why_and_is_made_anew_the_next_time(twin: TwinClient) -> None:
    twin.disturb("endpoint", "fail", reason="Unable to provision requested ML compute capacity")
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model = trained(backend, lake)[0]
    endpoint = backend.endpoint()
    with pytest.raises(TrainingError, match="is Failed: Unable to provision"):
        endpoint.deploy({FIRST: model}, stage.Told())
    endpoint.deploy({FIRST: model}, stage.Told())
    assert endpoints() == {endpoint.name: "InService"}


def test_more_models_than_allowed_are_refused(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, endpoint={"max_models": 1})
    model = trained(backend, lake)[0]
    with pytest.raises(ConfigError, match=r"2 models for endpoint .*max_models is 1"):
        backend.endpoint().deploy({FIRST: model, SECOND: model}, stage.Told())


def test_a_series_that_the_model_refuses_is_named_and_the_others_are_asked_in_halves(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    endpoint = backend.endpoint()
    endpoint.deploy({FIRST: trained(backend, lake)[0]}, stage.Told())
    invocation = Invocation(
        backend._api, endpoint.name, FIRST, {"num_samples": 5, "output_types": ["mean"], "quantiles": []}, threads=3
    )
    good = [json.dumps({"start": "2024-01-01", "target": [float(level)] * 60}).encode() for level in range(45)]
    assert [answer["mean"][0] for answer in invocation.answers(good)] == [float(level) for level in range(45)]
    with pytest.raises(TrainingError, match=r"failed on a series: .*missing 'target'"):
        invocation.answers([*good[:3], b'{"start": "2024-01-01"}'])
    with pytest.raises(ConfigError, match="not found"):
        Invocation(backend._api, "nowhere", FIRST, {}, threads=1).answers(good[:1])


def test_requests_stay_small() -> None:
    lines = [b"x" * size for size in (4, 4, 9, 1, 1, 1, 1)]
    cut = list(batches(lines, most=3, most_bytes=8))
    assert [len(batch) for batch in cut] == [2, 1, 3, 1]
    assert [line for batch in cut for line in batch] == lines
    assert list(batches([])) == []
