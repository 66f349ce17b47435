from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_twin.client import TwinClient, variant

REQUEST = {
    "instances": [{"start": "2024-01-01 00:00:00", "target": [float(day) for day in range(20)]}],
    "configuration": {"num_samples": 5, "output_types": ["mean", "quantiles"], "quantiles": ["0.1", "0.9"]},
}
LAST_WEEK, LAST_THREE_DAYS = [13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0], [17.0, 18.0, 19.0]


@pytest.fixture(scope="module")
def short_model(new_model: Callable[..., str]) -> str:
    """A model that forecasts three days."""
    return new_model(prediction_length="3")


@pytest.fixture
def deploy(aws_twin: TwinClient, new_name: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """Creates an endpoint of variants and waits for it; its name, which is also its configuration's."""
    sagemaker, names = aws_twin.client("sagemaker"), []

    def create(*variants: dict[str, Any]) -> str:
        name = new_name("endpoint")
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants))
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        names.append(name)
        aws_twin.wait_for_endpoint(name)
        return name

    yield create
    for name in names:
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.delete_endpoint_config(EndpointConfigName=name)


def ask(twin: TwinClient, endpoint: str, request: Any = REQUEST, **target: str) -> tuple[str, Any]:
    """The variant that answered, and its first prediction."""
    answer = twin.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(request), **target
    )
    return answer["InvokedProductionVariant"], json.loads(answer["Body"].read())["predictions"][0]


def test_the_named_variant_answers(
    aws_twin: TwinClient, model: str, short_model: str, deploy: Callable[..., str]
) -> None:
    endpoint = deploy(variant("week", model), variant("short", short_model))
    described = aws_twin.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert described["EndpointStatus"] == "InService"
    assert [found["VariantName"] for found in described["ProductionVariants"]] == ["week", "short"]
    assert ask(aws_twin, endpoint, TargetVariant="week") == (
        "week",
        {"mean": LAST_WEEK, "quantiles": {"0.1": LAST_WEEK, "0.9": LAST_WEEK}},
    )
    assert ask(aws_twin, endpoint, TargetVariant="short")[1]["mean"] == LAST_THREE_DAYS
    with pytest.raises(ClientError, match=r"ValidationError.*Variant nobody not found"):
        ask(aws_twin, endpoint, TargetVariant="nobody")


def test_traffic_is_shared_by_weight_and_weights_can_change(
    aws_twin: TwinClient, model: str, short_model: str, deploy: Callable[..., str]
) -> None:
    endpoint = deploy(variant("week", model, weight=3.0), variant("short", short_model, weight=1.0))
    assert Counter(ask(aws_twin, endpoint)[0] for _ in range(20)) == {"week": 15, "short": 5}
    aws_twin.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "week", "DesiredWeight": 0.0}]
    )
    aws_twin.wait_for_endpoint(endpoint)
    assert Counter(ask(aws_twin, endpoint)[0] for _ in range(5)) == {"short": 5}


def test_an_update_takes_over_while_the_old_variant_answers(
    aws_twin: TwinClient, model: str, new_model: Callable[..., str], deploy: Callable[..., str]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    endpoint = deploy(variant("only", model))
    slow = new_model(prediction_length="3", fake_load_seconds="1")
    sagemaker.create_endpoint_config(EndpointConfigName=f"{endpoint}-b", ProductionVariants=[variant("only", slow)])
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-b")
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating"
    assert ask(aws_twin, endpoint)[1]["mean"] == LAST_WEEK
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    updated = aws_twin.wait_for_endpoint(endpoint)
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", f"{endpoint}-b")
    assert ask(aws_twin, endpoint)[1]["mean"] == LAST_THREE_DAYS


def test_deployment_options_need_the_same_variants(
    aws_twin: TwinClient, model: str, deploy: Callable[..., str]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    endpoint = deploy(variant("one", model))
    policy = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    }
    for name, names in (("same", ["one"]), ("more", ["one", "two"])):
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{endpoint}-{name}", ProductionVariants=[variant(one, model) for one in names]
        )
    with pytest.raises(ClientError, match=r"ValidationException.*same variants"):
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-more", DeploymentConfig=policy)
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-same", DeploymentConfig=policy)
    aws_twin.wait_for_endpoint(endpoint)
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-more")
    updated = aws_twin.wait_for_endpoint(endpoint)
    assert [found["VariantName"] for found in updated["ProductionVariants"]] == ["one", "two"]


def test_a_failed_update_leaves_the_old_variant_in_service(
    aws_twin: TwinClient, model: str, new_model: Callable[..., str], deploy: Callable[..., str]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    endpoint, sick = deploy(variant("only", model)), new_model(fake_unservable="yes")
    sagemaker.create_endpoint_config(EndpointConfigName=f"{endpoint}-b", ProductionVariants=[variant("only", sick)])
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-b")
    updated = aws_twin.wait_for_endpoint(endpoint)
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", endpoint)
    assert "did not pass the ping health check" in updated["FailureReason"]
    assert ask(aws_twin, endpoint)[1]["mean"] == LAST_WEEK


def test_an_endpoint_that_does_not_get_ready_fails(
    aws_twin: TwinClient, model: str, new_model: Callable[..., str], deploy: Callable[..., str]
) -> None:
    failed = deploy(variant("only", new_model(fake_unservable="yes")))
    described = aws_twin.client("sagemaker").describe_endpoint(EndpointName=failed)
    assert described["EndpointStatus"] == "Failed"
    assert "production variant only did not pass the ping health check" in described["FailureReason"]
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        ask(aws_twin, failed)
    aws_twin.disturb("endpoint", "fail", reason="Unable to provision requested ML compute capacity.")
    described = aws_twin.client("sagemaker").describe_endpoint(EndpointName=deploy(variant("only", model)))
    assert described["FailureReason"] == "Unable to provision requested ML compute capacity."


def test_a_request_that_the_container_refuses_is_a_model_error(
    aws_twin: TwinClient, model: str, deploy: Callable[..., str]
) -> None:
    endpoint = deploy(variant("only", model))
    with pytest.raises(ClientError, match=r"ModelError.*missing 'target'") as caught:
        ask(aws_twin, endpoint, {**REQUEST, "instances": [{"start": "2024-01-01 00:00:00"}]})
    assert caught.value.response["OriginalStatusCode"] == 400
    runtime = aws_twin.client("sagemaker-runtime")
    with pytest.raises(ClientError, match=r"ModelError.*no JSON"):
        runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=b"{")
    assert ask(aws_twin, endpoint)[0] == "only"


def test_names_are_taken_once_and_gone_after_deletion(
    aws_twin: TwinClient, model: str, deploy: Callable[..., str]
) -> None:
    sagemaker = aws_twin.client("sagemaker")
    endpoint = deploy(variant("only", model))
    with pytest.raises(ClientError, match=r"ValidationException.*Cannot create already existing endpoint config"):
        sagemaker.create_endpoint_config(EndpointConfigName=endpoint, ProductionVariants=[variant("only", model)])
    with pytest.raises(ClientError, match=r'ValidationException.*Cannot create already existing endpoint "'):
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    assert [found["EndpointName"] for found in sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]] == [
        endpoint
    ]
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.create_endpoint(EndpointName="homeless", EndpointConfigName="nowhere")
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.create_endpoint_config(EndpointConfigName="hollow", ProductionVariants=[variant("only", "nobody")])
    with pytest.raises(ClientError, match='Could not find endpoint "'):
        sagemaker.describe_endpoint(EndpointName="homeless")
