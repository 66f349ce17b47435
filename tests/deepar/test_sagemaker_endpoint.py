"""Real-time inference on the twin of AWS: an endpoint for a run, and one that stays with several models."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.asking import Selection, keep_variant_answers
from schemas.deepar import DeepArChannel, DeepArChoice, DeepArModelRecord, JobProgress, TrainedModel
from schemas.errors import ConfigError, TrainingError
from schemas.settings import ChallengerSettings, DeepArConfiguration
from tasks.deepar.sagemaker.backend import SageMakerBackend
from tasks.deepar.sagemaker.endpoint_parts import TEMPORARY
from tasks.deepar.sagemaker.invocation import Invocation, batches
from tasks.deepar.sagemaker.janitor import remove_remains
from tasks.deepar.sagemaker.running import close_endpoints_of, stop_jobs_of
from tasks.deepar.sagemaker.under_way import RunningJob, RunningJobs
from tasks.performance.actuals import Actuals
from tasks.performance.read import variant_table
from tasks.performance.variants import compare_variants
from tasks.storage.lake import open_lake
from tests.aws_twin.client import BUCKET, ROLE_ARN, TwinClient, variant
from tests.deepar import sagemaker_stage as stage

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


def test_an_endpoint_answers_every_series_and_is_gone_with_the_last(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    with stage.backend(lake, inference="endpoint") as backend:
        model, channel = trained(backend, lake)
        answers = backend.predict(model, channel, LEVELS, 30, stage.Told())
        lines = [json.loads(line) for line in lake.read_bytes(answers.key).splitlines()]
        assert [line["mean"] for line in lines] == [[level] * stage.LENGTH for level in (5.0, 6.0, 7.0)]
        assert list(lines[0]["quantiles"]) == ["0.1", "0.5"]
        assert parts() == (0, 0, 0)
        assert lake.keys("deepar/running") == []
        assert backend.predict(model, channel, LEVELS, 30, stage.Told()) == answers
    assert twin.accepted("CreateEndpoint") == 1


def test_answers_that_are_there_need_no_endpoint(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    with stage.backend(lake, inference="endpoint") as backend:
        model, channel = trained(backend, lake)
        answers = backend.predict(model, channel, LEVELS, 30, stage.Told())
    with stage.backend(lake, "run-2", inference="endpoint") as backend:
        assert backend.predict(model, channel, LEVELS, 30, stage.Told()) == answers
    assert twin.accepted("CreateEndpoint") == 1


class Interruption(BaseException):
    """What Ctrl-C raises, in a test."""


def interrupt(step: JobProgress) -> None:
    if step.detail.startswith("endpoint: "):
        raise Interruption


@pytest.mark.parametrize("labels", [(FIRST, SECOND), (FIRST, FIRST)], ids=["two-models", "the-same-question"])
def test_two_threads_of_a_run_take_nothing_from_each_other(twin: TwinClient, labels: tuple[str, str]) -> None:
    """Two backends of one run, as in two tasks, side by side."""
    lake = stage.lake_on_twin()
    backends = [stage.backend(lake, inference="endpoint") for _ in labels]
    asked = [(backend, *trained(backend, lake, label)) for backend, label in zip(backends, labels, strict=True)]
    answered: list[str] = []

    def work(backend: SageMakerBackend, model: TrainedModel, channel: DeepArChannel) -> None:
        answered.append(backend.predict(model, channel, LEVELS, 30, stage.Told()).key)

    threads = [threading.Thread(target=work, args=one) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 2
    assert len(set(answered)) == len(set(labels))
    assert twin.accepted("CreateEndpoint") == len(set(labels))
    assert parts() == (0, 0, 0)


def test_an_interrupted_question_leaves_no_endpoint(twin: TwinClient) -> None:
    twin.disturb("endpoint", "delay", seconds=1.0)
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, inference="endpoint")
    model, channel = trained(backend, lake)
    with pytest.raises(Interruption):
        backend.predict(model, channel, LEVELS, 30, interrupt)
    assert twin.accepted("CreateEndpoint") == 1
    assert parts() == (0, 0, 0)
    assert lake.keys("deepar/running") == []


def test_an_endpoint_that_is_deleted_while_it_is_made_is_not_made_again(twin: TwinClient) -> None:
    """As by the end of a run while a thread of it still waits."""
    twin.disturb("endpoint", "delay", seconds=1.0)
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, inference="endpoint")
    model, channel = trained(backend, lake)

    def end_the_run(step: JobProgress) -> None:
        if step.detail.startswith("endpoint: "):
            backend.close()

    with pytest.raises(TrainingError, match=r"was deleted while it was being created\. Run again"):
        backend.predict(model, channel, LEVELS, 30, end_the_run)
    assert twin.accepted("CreateEndpoint") == 1
    assert parts() == (0, 0, 0)


def left_by(lake: Any, run_id: str, seconds_ago: float) -> str:
    """An endpoint as a killed run leaves it: standing, with a note that nobody renews."""
    backend = stage.backend(lake)
    name = f"shoes-co-ask-{run_id}"
    backend.endpoint(name).deploy({FIRST: trained(backend, lake)[0]}, stage.Told())
    RunningJobs(lake, run_id).restore(RunningJob("endpoint", name, "us-east-1", noted=time.time() - seconds_ago))
    return name


def test_the_next_run_deletes_what_a_killed_run_left(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    dead, alive = left_by(lake, "dead-run", 10_000.0), left_by(lake, "live-run", 60.0)
    stands = stage.backend(lake).endpoint()
    stands.deploy({FIRST: trained(stage.backend(lake), lake)[0]}, stage.Told())
    assert close_endpoints_of(lake, stage.settings(), "run-2", stage.session(), stage.pause) == [dead]
    assert set(endpoints()) == {alive, stands.name}
    assert lake.keys("deepar/running") == [f"deepar/running/live-run/{alive}.json"]


def test_the_end_of_one_run_leaves_the_endpoint_of_another_that_asks_the_same(twin: TwinClient) -> None:
    twin.disturb("endpoint", "delay", seconds=0.5)
    lake = stage.lake_on_twin()
    first, second = (stage.backend(lake, run_id, inference="endpoint") for run_id in ("run-1", "run-2"))
    model, channel = trained(first, lake)
    answers: list[str] = []

    def end_the_first(step: JobProgress) -> None:
        if step.detail.startswith("endpoint: ") and not answers:
            answers.append(first.predict(model, channel, LEVELS, 30, stage.Told()).key)
            first.close()
            stop_jobs_of(lake, stage.settings(), "run-1")

    assert second.predict(model, channel, LEVELS, 30, end_the_first).key == answers[0]
    assert twin.accepted("CreateEndpoint") == 2
    assert parts() == (0, 0, 0)


def test_a_note_is_renewed_once_it_is_old(tmp_path: Path) -> None:
    running = RunningJobs(open_lake(str(tmp_path)), "run-1")
    job = RunningJob("endpoint", "forecasts", "us-east-1")
    for every, renewed in ((-1.0, True), (1_000.0, False)):
        renew = running.keep(job, every)
        running.restore(job)
        assert running.all()[0].is_silent(stage.settings())
        renew()
        assert running.all()[0].is_silent(stage.settings()) is not renewed


def test_a_question_clears_up_first_and_is_answered_even_where_it_cannot(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    dead = left_by(lake, "dead-run", 10_000.0)
    backend = stage.backend(lake, inference="endpoint")
    model, channel = trained(backend, lake)
    twin.refuse("DeleteEndpoint", "AccessDeniedException")
    told = stage.Told()
    backend.predict(model, channel, LEVELS, 30, told)
    assert any("of a killed run still exists" in step.detail for step in told.steps)
    assert set(endpoints()) == {dead}
    # Its note is as old as before: the next run tries again.
    backend.predict(model, channel, LEVELS, 31, stage.Told())
    assert parts() == (0, 0, 0)
    assert lake.keys("deepar/running") == []


def test_another_process_deletes_the_endpoint_of_a_run(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    name = left_by(lake, "run-1", 0.0)
    assert stop_jobs_of(lake, stage.settings(), "run-1") == [name]
    assert parts() == (0, 0, 0)
    stage.backend(lake).close()


def test_a_question_leaves_the_endpoint_that_stays_with_its_model(twin: TwinClient) -> None:
    """Both serve the same archive."""
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, inference="endpoint")
    model, channel = trained(backend, lake)
    stands = backend.endpoint()
    stands.deploy({FIRST: model}, stage.Told())
    backend.predict(model, channel, LEVELS, 30, stage.Told())
    assert parts() == (1, 1, 1)
    (name,) = stands.variants().values()
    assert stage.sagemaker().describe_model(ModelName=name)["ModelName"] == name


def test_the_answers_of_all_variants_are_kept_and_compared_with_later_sales(twin: TwinClient, tmp_path: Path) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    models = {FIRST: trained(backend, lake)[0], SECOND: trained(backend, lake, SECOND, fake_factor="1.2")[0]}
    backend.endpoint().deploy(models, stage.Told())
    choice = DeepArChoice(configuration=DeepArConfiguration(), why="first")
    file = tmp_path / "settings.yaml"
    tables = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    pause = {"models": {"deepar": {"sagemaker": {"poll_seconds": stage.SHORT_PAUSE}}}}
    models_block = {"deepar": {"backend": "sagemaker", "sagemaker": {"role": ROLE_ARN}}}
    content = {"name": "Shoes & Co", "storage": lake.root, "frequency": "W-MON", "sources": tables}
    content |= {"models": models_block, "expert": pause}
    file.write_text(yaml.safe_dump(content))

    numbers = itertools.count()

    def keep(model: TrainedModel) -> list[dict[str, Any]]:
        record = DeepArModelRecord(choice=choice, model=model, channel=stage.channel(lake))
        lake.store_record("deepar-model", f"{next(numbers):04d}", record.model_dump(mode="json"))
        return keep_variant_answers(Selection(str(file)), None)

    with pytest.raises(ConfigError, match=r"does not serve .* trained last.*deploy-deepar"):
        keep(trained(backend, lake, epochs="3")[0])
    rows = keep(models[SECOND])
    assert [(row["variant"], row["series"]) for row in rows] == [(FIRST, 3), (SECOND, 3)]
    assert {(row["kept now"], row["kept before"]) for row in rows} == {(3, 0)}
    assert {(row["kept now"], row["kept before"]) for row in keep(models[SECOND])} == {(0, 3)}
    first = date.fromisoformat(rows[0]["first date"])
    series = pd.DataFrame({"store_id": ["A", "A", "B"], "category": ["x", "y", "x"]})
    sold = np.array([[5.0], [6.0], [7.0]])
    actuals = Actuals(series, pd.DatetimeIndex([first]), sold, sold)
    compare_variants(lake, actuals, first, first + timedelta(days=7), 1, ChallengerSettings())
    table = variant_table(lake).set_index("variant")
    assert table["wape"].to_dict() == pytest.approx({FIRST: 0.0, SECOND: 0.2})
    assert table["decision"].unique().tolist() == ["undecided"]


def test_configurations_of_others_are_left_alone(twin: TwinClient) -> None:
    """Their names begin alike; one even ends like a checksum, and one is of an endpoint whose name begins alike."""
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, endpoint={"name": "forecasts"})
    model = trained(backend, lake)[0]
    neighbour = backend.endpoint("forecasts-0123456789ab")
    for endpoint in (backend.endpoint(), neighbour):
        endpoint.deploy({FIRST: model}, stage.Told())
    client = stage.sagemaker()
    client.create_model(
        ModelName="theirs",
        ExecutionRoleArn=ROLE_ARN,
        PrimaryContainer=client.describe_model(ModelName=next(iter(neighbour.variants().values())))["PrimaryContainer"],
    )
    foreign = ["forecasts-v2", "forecasts-abcdef012345", "other-forecasts-abcdef012345"]
    for name in foreign:
        client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant("theirs-only", "theirs")])
    backend.endpoint().delete()
    left = {found["EndpointConfigName"] for found in client.list_endpoint_configs()["EndpointConfigs"]}
    assert {*foreign} < left
    assert len(left) == len(foreign) + 1
    assert set(endpoints()) == {neighbour.name}
    assert {found["ModelName"] for found in client.list_models()["Models"]} == {
        "theirs",
        *neighbour.variants().values(),
    }


def test_an_endpoint_of_somebody_else_is_neither_taken_over_nor_deleted(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, endpoint={"name": "forecasts"})
    model, endpoint = trained(backend, lake)[0], backend.endpoint()
    theirs = open_lake(f"s3://{BUCKET}/other")
    other = stage.backend(theirs)
    other.endpoint("forecasts").deploy({FIRST: trained(other, theirs)[0]}, stage.Told())
    for call in (endpoint.delete, lambda: endpoint.deploy({FIRST: model}, stage.Told())):
        with pytest.raises(ConfigError, match=rf"belongs to the installation with the storage s3://{BUCKET}/other"):
            call()
    (standing,) = (one for one in backend.holdings() if one.kind == "endpoint")
    row = standing.row(standing.created + timedelta(hours=50))
    assert row["storage"] == f"s3://{BUCKET}/other"
    assert (row["age"], row["instances"], row["price class"]) == ("2 d", "ml.m5.large x 1", "low")
    endpoint.deploy({SECOND: model}, stage.Told(), adopt=True)
    assert endpoint.delete() is True
    assert endpoint.delete() is False
    assert endpoints() == {}


def test_another_weight_does_not_replace_the_instances(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    model = trained(stage.backend(lake), lake)[0]
    for weights in ({FIRST: 0.9, SECOND: 0.1}, {FIRST: 0.5, SECOND: 0.5}, {FIRST: 0.5, SECOND: 0.5}):
        endpoint = stage.backend(lake, endpoint={"weights": weights}).endpoint()
        endpoint.deploy({FIRST: model, SECOND: model}, stage.Told())
        endpoint.weigh(weights, stage.Told())
    assert variants(endpoint.name) == {FIRST: 0.5, SECOND: 0.5}
    assert twin.accepted("UpdateEndpoint") == 0
    assert twin.accepted("UpdateEndpointWeightsAndCapacities") == 1


def scaled() -> list[tuple[str, int, int]]:
    found = stage.session().client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return [(one["ResourceId"], one["MinCapacity"], one["MaxCapacity"]) for one in found["ScalableTargets"]]


def test_instances_follow_the_requests_until_the_setting_or_the_endpoint_goes(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    first, second = trained(stage.backend(lake), lake)[0], trained(stage.backend(lake), lake, SECOND)[0]
    scaling = {"most_instances": 4, "requests_per_minute": 120}
    endpoint = stage.backend(lake, endpoint={"scaling": scaling}).endpoint()
    for wanted in ({FIRST: first}, {FIRST: second, SECOND: second}):
        endpoint.deploy(wanted, stage.Told())
        assert scaled() == [(f"endpoint/{endpoint.name}/variant/{label}", 1, 4) for label in wanted]
    policies = stage.session().client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
    assert [one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for one in policies["ScalingPolicies"]] == [
        120,
        120,
    ]
    stage.backend(lake).endpoint().deploy({FIRST: second, SECOND: second}, stage.Told())
    assert scaled() == []
    endpoint.deploy({FIRST: first}, stage.Told())
    endpoint.delete()
    assert scaled() == []


def test_a_share_of_the_requests_is_stored(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    model = trained(stage.backend(lake), lake)[0]
    for share in (0.0, 0.25):
        endpoint = stage.backend(lake, endpoint={"captured_share": share}).endpoint()
        endpoint.deploy({FIRST: model}, stage.Told())
    (name,) = [one["EndpointConfigName"] for one in stage.sagemaker().list_endpoint_configs()["EndpointConfigs"]]
    capture = stage.sagemaker().describe_endpoint_config(EndpointConfigName=name)["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 25
    assert capture["DestinationS3Uri"] == lake.uri("deepar/captured")
    assert [one["CaptureMode"] for one in capture["CaptureOptions"]] == ["Input", "Output"]


def test_the_janitor_removes_what_dead_runs_left(twin: TwinClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an endpoint whose note is lost; what stays and what others have created is kept."""
    lake = stage.lake_on_twin()
    dead, alive = left_by(lake, "dead-run", 10_000.0), left_by(lake, "live-run", 60.0)
    backend = stage.backend(lake)
    model = trained(backend, lake)[0]
    lost, stays = backend.endpoint("shoes-co-ask-lost", TEMPORARY), backend.endpoint()
    for endpoint in (lost, stays):
        endpoint.deploy({FIRST: model}, stage.Told())
    RunningJobs(lake, "dead-run").restore(RunningJob("training", model.job, "us-east-1", noted=1.0))
    assert remove_remains(lake, stage.settings(), stage.session(), stage.pause) == [f"endpoint {dead}"]
    monkeypatch.setattr("tasks.deepar.sagemaker.holdings.LEFT_AFTER", timedelta(0))
    assert remove_remains(lake, stage.settings(), stage.session(), stage.pause) == [f"endpoint {lost.name}"]
    assert set(endpoints()) == {alive, stays.name}
    assert lake.keys("deepar/running") == [f"deepar/running/live-run/{alive}.json"]


def test_another_set_of_variants_takes_over_without_deployment_options(twin: TwinClient) -> None:
    """AWS takes those only where the variants keep their names, and the twin refuses them as it does."""
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    first, second = trained(backend, lake, FIRST)[0], trained(backend, lake, SECOND)[0]
    endpoint = backend.endpoint()
    for wanted in ({FIRST: first}, {FIRST: first, SECOND: second}, {FIRST: second, SECOND: first}, {SECOND: second}):
        endpoint.deploy(wanted, stage.Told())
        assert set(variants(endpoint.name)) == set(wanted)
    assert twin.accepted("UpdateEndpoint") == twin.asked("UpdateEndpoint") == 3


@pytest.mark.parametrize(
    ("weights", "expected"),
    [({}, {FIRST: 1.0, SECOND: 1.0}), ({FIRST: 0.5}, {FIRST: 0.5, SECOND: 0.0})],
    ids=["none", "one"],
)
def test_a_variant_without_a_weight_beside_one_with_a_weight_gets_none(
    twin: TwinClient, weights: dict[str, float], expected: dict[str, float]
) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake, endpoint={"weights": weights})
    model = trained(backend, lake)[0]
    endpoint = backend.endpoint()
    endpoint.deploy({FIRST: model, SECOND: model}, stage.Told())
    assert variants(endpoint.name) == expected


def test_every_settings_file_and_storage_has_an_endpoint_of_its_own(twin: TwinClient) -> None:
    names = ["Shoes & Co", "Shoes Co", "靴", "鞋子", "a" * 60, "a" * 61]
    stores = [stage.lake_on_twin(), open_lake(f"s3://{BUCKET}/other")]
    found = [
        SageMakerBackend(lake, stage.settings(), name, stage.session()).endpoint().name
        for lake in stores
        for name in names
    ]
    assert len(set(found)) == len(found) == 12
    assert all(re.fullmatch(r"[a-z0-9](-*[a-z0-9]){0,62}", name) for name in found)


def test_endpoints_with_long_names_keep_their_parts_apart(twin: TwinClient) -> None:
    lake = stage.lake_on_twin()
    backend = stage.backend(lake)
    model = trained(backend, lake)[0]
    long = [backend.endpoint("x" * 60 + last) for last in ("-aa", "-bb")]
    for endpoint in long:
        endpoint.deploy({FIRST: model}, stage.Told())
    assert parts() == (2, 2, 2)
    long[0].delete()
    assert parts() == (1, 1, 1)
    assert len(ask(long[1].name, FIRST)) == 4


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
    assert re.fullmatch(r"shoes-co-deepar-[0-9a-f]{12}", endpoint.name)
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
    with pytest.raises(TrainingError, match=r"was rolled back to its previous models: .*ping health check"):
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
