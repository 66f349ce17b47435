"""The policies of deployments/iam against every call that the backend makes on the twin of AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deployments.iam.__main__ import write_policies
from deployments.iam.policies import SERVICES, Installation, render
from schemas.errors import TrainingError
from tests.aws_twin.client import BUCKET, REGION, ROLE_ARN, TwinClient, training_definition
from tests.deepar import sagemaker_stage as stage
from tests.deepar.iam_simulator import Call, actions, allows, without
from tests.deepar.test_sagemaker_tuning import request

ACCOUNT = "123456789012"
HERE = Installation(ACCOUNT, REGION, "Shoes & Co", BUCKET, "lake/", kms_key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1")
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
KINDS = {
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
}
OWN = {"aws:ResourceTag/restock:installation": HERE.storage}
ON_S3 = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket"}
LOGS = ("DescribeLogStreams", "GetLogEvents")
SCALABLE = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/x"
# AWS needs them without a separate call, or no case of them occurs in the twin.
UNSEEN = {
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "iam:CreateServiceLinkedRole",
    "s3:AbortMultipartUpload",
    "sagemaker:StopHyperParameterTuningJob",
    "sagemaker:StopTransformJob",
}


def calls_of(recorded: dict[str, Any]) -> list[Call]:
    """The calls that IAM judges for a recorded request."""
    operation, asked = recorded["operation"], recorded["request"]
    if operation in LOGS:
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:log-stream:x"
        return [Call(f"logs:{operation}", group)]
    if "Scal" in operation:
        on = "*" if operation.startswith("Describe") else SCALABLE
        return [
            Call(f"application-autoscaling:{operation}", on, {"application-autoscaling:service-namespace": "sagemaker"})
        ]
    if "Key" in asked:
        return [_on_s3(operation, asked["Key"])]
    if operation.startswith("List") and operation != "ListTrainingJobsForHyperParameterTuningJob":
        return [Call(f"sagemaker:{operation}", asked.get("ResourceArn", "*"))]
    tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in asked.get("Tags", [])}
    named = {kind: asked[name] for name, kind in KINDS.items() if name in asked}
    if operation == "CreateTransformJob":
        del named["model"]  # judged by the job alone
    if operation == "CreateEndpointConfig" or operation.startswith("Describe"):
        named.pop("model", None)
    calls = [Call(f"sagemaker:{operation}", f"{SAGEMAKER}:{kind}/{name}", tags | OWN) for kind, name in named.items()]
    if tags:
        calls += [Call("sagemaker:AddTags", call.resource, call.context) for call in calls]
    if role := asked.get("RoleArn") or asked.get("ExecutionRoleArn"):
        calls.append(Call("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    return calls


def _on_s3(operation: str, key: str) -> Call:
    path, _, query = key.partition("?")
    if operation == "ListObjectsV2":
        prefix = next(part for part in query.split("&") if part.startswith("prefix=")).removeprefix("prefix=")
        return Call("s3:ListBucket", f"arn:aws:s3:::{BUCKET}", {"s3:prefix": prefix.replace("%2F", "/")})
    return Call(f"s3:{ON_S3.get(operation, operation)}", f"arn:aws:s3:::{path}")


@pytest.fixture
def seen(twin: TwinClient) -> list[Call]:
    """What the backend calls in the course of its life."""
    lake = stage.lake_on_twin()
    asked = stage.training(lake)
    with stage.backend(lake, inference="endpoint") as backend:
        model = backend.train(asked, stage.Told())
        other = backend.train(stage.training(lake, epochs="21"), stage.Told())
        backend.predict(model, asked.channel, [0.5], 30, stage.Told())
        stays = backend.endpoint()
        stays.deploy({"a": model}, stage.Told())
        stays.deploy({"a": other}, stage.Told())
        stays.weigh({"a": 0.5}, stage.Told())
        stage.backend(lake, endpoint={"scaling": {"most_instances": 2}}).endpoint().deploy({"a": other}, stage.Told())
        backend.holdings()
        stays.delete()
        stage.backend(lake).predict(model, asked.channel, [0.5], 30, stage.Told())
        tuning = request(lake, configurations=1).model_copy(update={"warm_start": True})
        backend.tune(tuning, stage.Told())
        with pytest.raises(TrainingError, match="bad"):
            backend.train(stage.training(lake, fake_failure="ClientError: bad series"), stage.Told())
        endless = stage.training(lake, fake_seconds="600")
        data = lake.uri(endless.channel.train.key.rsplit("/", 1)[0])
        stage.sagemaker().create_training_job(
            TrainingJobName="shoes-co-endless",
            **training_definition({"train": data}, **endless.hyperparameters),
            Tags=[{"Key": "restock:installation", "Value": HERE.storage}],
        )
        backend.stop("shoes-co-endless")
    return [call for recorded in twin.requests() for call in calls_of(recorded)]


def test_every_call_is_allowed_and_every_right_is_needed(seen: list[Call]) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/shoes-co-jobs"
    run, scaling = (json.loads(json.dumps(render(name, HERE)).replace(role, ROLE_ARN)) for name in ("run", "scaling"))
    denied = sorted({(call.action, call.resource) for call in seen if not allows([run, scaling], call)})
    assert not denied
    for policy, other in ((run, scaling), (scaling, run)):
        for action in set(actions(policy)) - UNSEEN:
            left = [without(policy, action), other]
            assert not all(allows(left, call) for call in seen), f"no call needs {action}"


def test_calls_on_what_others_have_are_denied(seen: list[Call]) -> None:
    policy = render("run", HERE)
    theirs = {"aws:ResourceTag/restock:installation": "s3://other"}
    for call in (
        Call("sagemaker:DeleteEndpoint", f"{SAGEMAKER}:endpoint/shoes-co-deepar-1", theirs),
        Call("sagemaker:DeleteEndpoint", f"{SAGEMAKER}:endpoint/forecasts", OWN),
        Call("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/shoes-co-1"),
        Call("s3:GetObject", f"arn:aws:s3:::{BUCKET}-other/lake/x"),
        Call("s3:PutObject", f"arn:aws:s3:::{BUCKET}/elsewhere/x"),
        Call("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {"iam:PassedToService": "sagemaker.amazonaws.com"}),
    ):
        assert not allows([policy], call), call


def test_long_names_stay_within_the_rights(tmp_path: Path) -> None:
    """Names of jobs are cut; the policies know the part that is left."""
    from tasks.deepar.sagemaker.names import LONGEST_TUNING_NAME, work_name

    name = "Calzado de invierno y verano de la zona norte"
    values = Installation(ACCOUNT, REGION, name, BUCKET).values()
    for purpose in ("forecast-original-negative-binomial", "ask-original-negative-binomial", "model", "deepar", "a"):
        assert work_name(name, purpose, {}).attempt(1).startswith(values["job_name"])
    for purpose in ("student-t", "negative-binomial"):
        assert work_name(name, purpose, {}, LONGEST_TUNING_NAME).attempt(1).startswith(values["short_name"])


def test_the_command_writes_all_policies_of_an_installation(tmp_path: Path) -> None:
    given = {"account": ACCOUNT, "region": REGION, "name": "Shoes & Co", "bucket": BUCKET, "prefix": "/lake"}
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    result = CliRunner().invoke(write_policies, [*options, "--kms-key", HERE.kms_key, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    written = {file.name: json.loads(file.read_text("utf-8")) for file in tmp_path.iterdir()}
    assert {f"{policy}.json" for policy in SERVICES} <= set(written)
    assert written["run.json"] == render("run", HERE)
    assert written["jobs-trust.json"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert "kms:Encrypt" in actions(written["encryption.json"])
    assert "${" not in json.dumps(written)
    assert all(len(json.dumps(content, separators=(",", ":"))) < 6_144 for content in written.values())
    assert not any(found.endswith(":*") or found == "*" for content in written.values() for found in _allowed(content))


def _allowed(content: dict[str, Any]) -> list[str]:
    return actions(content) if "Resource" in content["Statement"][0] else []


def test_the_workers_rights_are_those_of_prefects_own_template_without_the_wide_ones() -> None:
    import prefect_aws

    template = json.loads((Path(prefect_aws.__file__).parent / "templates/ecs/service.json").read_text("utf-8"))
    text = json.dumps(template["Resources"]["EcsTaskRoleDefaultPolicy50882C77"])
    for needed in ("ecs:RunTask", "ecs:RegisterTaskDefinition", "ecs:StopTask", "sqs:ReceiveMessage", "iam:PassRole"):
        assert needed in text
        assert needed in actions(render("worker", HERE))
