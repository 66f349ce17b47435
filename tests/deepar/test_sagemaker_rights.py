"""The rights listed in docs/sagemaker.md are those that the backend uses."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

from tests.aws_twin.client import TwinClient
from tests.deepar import sagemaker_stage as stage
from tests.deepar.test_sagemaker_tuning import request

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sagemaker.md"
# Calls whose right has another name.
RIGHT_OF = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket"}
# A stop is only sent to what runs, and tags ride along with what is created; the rest has no call in the twin's count.
SILENT = {"StopTrainingJob", "StopTransformJob", "StopHyperParameterTuningJob", "AddTags", "AbortMultipartUpload"}
SILENT |= {"DescribeLogStreams", "GetLogEvents"}  # only after a failure


def listed() -> set[str]:
    policy = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0])
    actions: set[str] = set()
    for statement in policy["Statement"]:
        named = statement["Action"]
        actions |= {named} if isinstance(named, str) else set(named)
    return {action.partition(":")[2] for action in actions} - {"PassRole"}


def called(twin: TwinClient) -> set[str]:
    with urllib.request.urlopen(f"{twin.endpoint}/twin/calls") as answer:
        return set(json.load(answer))


def test_every_call_has_its_right(twin: TwinClient) -> None:
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
        stays.delete()
        stage.backend(lake).predict(model, asked.channel, [0.5], 30, stage.Told())
        tuned = backend.tune(request(lake, configurations=1).model_copy(update={"warm_start": True}), stage.Told())
        backend.stop(tuned.job)
    calls = {RIGHT_OF.get(call, call) for call in called(twin)}
    assert calls <= listed()
    assert listed() - SILENT - calls <= {"InvokeEndpoint"}
