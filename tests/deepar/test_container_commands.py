"""The container's commands where they end before a network is needed: reasons and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.deepar.container import commands
from tasks.deepar.container.failures import ClientError

ROOT = Path(__file__).parents[2]
NEEDED = {"time_freq": "W", "prediction_length": "3", "context_length": "6", "epochs": "2"}


def lay_out(root, hyperparameters=NEEDED, train=None, test=None, local=None):
    config = root / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    if local is not None:
        (config / "local.json").write_text(json.dumps(local))
    for name, records in (("train", train), ("test", test)):
        if records is not None:
            folder = root / "input" / "data" / name
            folder.mkdir(parents=True)
            (folder / f"{name}.json").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return root


def record(length=300, **further):
    return {"start": "2024-01-01 00:00:00", "target": [1.0] * length, **further}


@pytest.mark.parametrize(
    ("laid_out", "message"),
    [
        ({"hyperparameters": NEEDED | {"seed": "1"}, "train": [record()]}, "'seed' was unexpected"),
        ({"hyperparameters": NEEDED | {"likelihood": "deterministic-L1"}, "train": [record()]}, "deterministic-L1"),
        ({}, "No data files in the train channel"),
        ({"train": [record(299)]}, "299 observations"),
        ({"train": [record(), {"start": "2024"}]}, "train.json, line 2: target missing"),
        ({"train": [record(cat=[0])], "test": [record(), record(cat=[4])]}, "test.json, line 1: cat has 0 values"),
        ({"train": [record(cat=[0])], "test": [record(cat=[4])]}, "test.json, line 1: cat[0] is 4, expected 0 to 0"),
        ({"train": [record()], "local": {"batches": 3}}, "local.json does not know batches"),
        ({"train": [record()], "local": {"batches_per_epoch": 0}}, "batches_per_epoch must be a whole number"),
        ({"train": [record()], "local": {"device": "tpu"}}, "device must be one of auto, cpu, gpu"),
    ],
)
def test_a_job_that_cannot_serve_leaves_its_reason_in_one_line(tmp_path, laid_out, message):
    assert commands.train(lay_out(tmp_path, **laid_out)) == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert reason.startswith("ClientError: ")
    assert message in reason
    assert "\n" not in reason
    assert not (tmp_path / "output" / "metrics.json").exists()
    assert not (tmp_path / "model").exists()


def test_missing_hyperparameters_are_told(tmp_path):
    assert commands.train(tmp_path) == 1
    assert "hyperparameters.json is missing" in (tmp_path / "output" / "failure").read_text()


def test_reasons_are_worded_as_sagemaker_words_them():
    assert commands.reason(ClientError("bad\n data")) == "ClientError: bad data"
    assert commands.reason(RuntimeError("out of memory")) == "InternalServerError: RuntimeError: out of memory"


def test_packing_works_from_the_command_line_in_any_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    command = [sys.executable, "-m", "tasks.deepar.container", "pack"]
    arguments = ["--root", str(tmp_path), "--archive", str(tmp_path / "model.tar.gz")]
    done = subprocess.run(
        [*command, *arguments],
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "model.tar.gz").stat().st_size > 0


def test_an_inference_without_a_model_says_so(tmp_path, capsys):
    (tmp_path / "input.json").write_text(f"{json.dumps(record())}\n")
    assert commands.transform(tmp_path / "absent.tar.gz", tmp_path / "input.json", tmp_path / "out", None) == 1
    assert "ClientError: absent.tar.gz is not a readable model archive" in capsys.readouterr().err


def test_a_bad_line_ends_an_inference_with_its_number(tmp_path, capsys):
    (tmp_path / "input.json").write_text(f"{json.dumps(record())}\n{{\n")
    assert commands.transform(tmp_path, tmp_path / "input.json", tmp_path / "out", None) == 1
    assert "ClientError: input.json, line 2: not valid JSON" in capsys.readouterr().err


def test_bad_inference_options_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DEEPAR_INFERENCE_CONFIG", '{"num_samples": "many"}')
    assert commands.transform(tmp_path, tmp_path / "input.json", tmp_path / "out", None) == 1
    assert "num_samples must be a whole number" in capsys.readouterr().err
