"""Questions to a served model: the HTTP contract of SageMaker's containers, requests, rows and response times."""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from schemas.deepar import DeepArChannel, DeepArChoice, DeepArModelRecord, TrainedModel
from schemas.errors import ConfigError
from schemas.settings import DeepArConfiguration
from tasks.deepar.asking import MODEL_STAGE, latest_model, questions, request_of, response_times, rows_of_answers
from tasks.deepar.local.server import LARGEST_REQUEST, serving
from tasks.storage.lake import Lake, open_lake


def flat(request: str) -> str:
    """A model that repeats the last value; one without a target is an error."""
    asked = json.loads(request)
    if any("target" not in one for one in asked["instances"]):
        return json.dumps({"error": "ClientError: instance 1: target missing."})
    levels = asked["configuration"]["quantiles"]
    found = [one["target"][-1:] * 2 for one in asked["instances"]]
    return json.dumps({"predictions": [{"mean": row, "quantiles": dict.fromkeys(levels, row)} for row in found]})


def post(address: str, body: bytes) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def test_the_server_has_the_contract_of_sagemakers_containers() -> None:
    with serving(flat) as address:
        with urllib.request.urlopen(f"{address}/ping") as answer:
            assert answer.status == 200
        good = {"instances": [{"target": [1.0, 4.0]}], "configuration": {"quantiles": ["0.5"]}}
        assert post(f"{address}/invocations", json.dumps(good, indent=1).encode()) == (
            200,
            {"predictions": [{"mean": [4.0, 4.0], "quantiles": {"0.5": [4.0, 4.0]}}]},
        )
        bad = {"instances": [{}], "configuration": {"quantiles": []}}
        status, answer_ = post(f"{address}/invocations", json.dumps(bad).encode())
        assert (status, answer_) == (400, {"error": "ClientError: instance 1: target missing."})
        assert post(f"{address}/invocations", b"{")[0] == 400
        assert post(f"{address}/elsewhere", b"{}")[0] == 404
    with serving(lambda _: "") as address:
        assert post(f"{address}/invocations", b"{}") == (500, {"error": "The model's process has ended."})
    assert LARGEST_REQUEST == 6_291_456


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a model of four series."""
    lake = open_lake(str(tmp_path))
    lines = "".join(json.dumps({"start": "2024-01-01", "target": [level]}) + "\n" for level in (1.0, 2.0, 3.0, 4.0))
    keys = 'store_id,category\n001,x\n001,y\n2,x\n2,"a, b"\n'
    part = lake.write_bytes("deepar/p/inference", gzip.compress(lines.encode()))
    channel = DeepArChannel(
        prefix="deepar/p",
        configuration="cleaned-student-t",
        train=part,
        test=None,
        inference=part,
        key_file=lake.write_bytes("deepar/p/keys.csv", keys.encode()),
        time_freq="W",
        prediction_length=2,
        series=4,
        observations=4,
    )
    choice = DeepArChoice(configuration=DeepArConfiguration(), why="first")
    record = DeepArModelRecord(choice=choice, model=TrainedModel(job="j", archive=part), channel=channel)
    lake.store_record(MODEL_STAGE, "k", record.model_dump(mode="json"))
    challenger = record.model_copy(update={"choice": choice.model_copy(update={"challenger": True})})
    lake.store_record(MODEL_STAGE, "trained later", challenger.model_dump(mode="json"))
    return lake


def test_requests_are_made_from_the_models_own_encoding(lake: Lake) -> None:
    model = latest_model(lake)
    assert not model.choice.challenger, "it was trained later, and is served to be compared"
    asked = questions(lake, model, ["001"], ["y"])
    assert [(one.store_id, one.category, one.instance["target"]) for one in asked] == [("001", "y", [2.0])]
    assert [one.category for one in questions(lake, model, ["2"])] == ["x", "a, b"]
    request = request_of(questions(lake, model), [0.1, 0.5], 50)
    assert request["configuration"] == {
        "num_samples": 50,
        "output_types": ["mean", "quantiles"],
        "quantiles": ["0.1", "0.5"],
    }
    predictions = json.loads(flat(json.dumps(request)))["predictions"]
    rows = rows_of_answers(questions(lake, model), predictions)
    assert len(rows) == 8
    assert rows[3] == {"store_id": "001", "category": "y", "date": "2024-01-15", "mean": 2.0, "q0.1": 2.0, "q0.5": 2.0}
    said = r"No series of the model has store 3 and category \(any\)\. Stores: 001, 2 "
    with pytest.raises(ConfigError, match=said):
        questions(lake, model, ["3"])
    with pytest.raises(ConfigError, match="gave 1 answers to 4 series"):
        rows_of_answers(questions(lake, model), predictions[:1])


def test_without_a_model_the_command_that_trains_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="restock train-deepar"):
        latest_model(open_lake(str(tmp_path)))


def test_response_times_are_measured_by_variant_and_number_of_series(lake: Lake) -> None:
    asked, sizes = questions(lake, latest_model(lake)), []

    def model(request: dict[str, Any]) -> list[dict[str, Any]]:
        sizes.append(len(request["instances"]))
        return []

    ticks = count()
    rows = response_times({"a": model, "b": model}, asked, [0.5], 10, 3, clock=lambda: next(ticks) / 100)
    assert rows[0] == {"variant": "a", "series": 1, "requests": 3, "p50_ms": 10.0, "p95_ms": 10.0}
    assert [(row["variant"], row["series"]) for row in rows] == [("a", 1), ("a", 27), ("b", 1), ("b", 27)]
    assert sizes[:8] == [1] * 4 + [27] * 4
