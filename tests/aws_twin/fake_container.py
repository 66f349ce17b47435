# ruff: noqa: T201
"""A container without a model, for tests of the twin: same folders, files and lines as the real one, in milliseconds.

Its "training" repeats the season of `prediction_length`; hyperparameters that begin with `fake_` say how it behaves:
`fake_seconds` (how long it trains), `fake_failure` (its reason to fail), `fake_deaf` (it does not hear SIGTERM),
`fake_factor` (what it multiplies its forecasts by). Its test metrics are its learning rate, so that the best of several
trainings is known beforehand.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import sys
import tarfile
import time
from pathlib import Path
from typing import Any


def train(root: Path) -> int:
    given = json.loads((root / "input/config/hyperparameters.json").read_text())
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: None if given.get("fake_deaf") else asked.append(1))
    channels = {
        name: sum(len(read_lines(path)) for path in sorted((root / "input/data" / name).rglob("*")) if path.is_file())
        for name in ("train", "test")
        if (root / "input/data" / name).exists()
    }
    reason = given.get("fake_failure") or ("" if channels.get("train") else "ClientError: no series in channel train")
    if reason:
        print(reason, flush=True)
        (root / "output/failure").write_text(reason)
        return 1
    (root / "output/process").write_text(str(os.getpid()))
    print(f"training on {channels['train']} series", flush=True)
    over = time.monotonic() + float(given.get("fake_seconds", 0))
    while time.monotonic() < over and not asked:
        time.sleep(0.01)
    loss = float(given.get("learning_rate", 0.001))
    if asked:
        (root / "output/stopped").touch()
    metrics = {"train:final_loss": loss}
    if "test" in channels:
        metrics |= {"test:RMSE": loss, "test:mean_wQuantileLoss": loss}
    (root / "output/metrics.json").write_text(json.dumps(metrics))
    (root / "model/model.json").write_text(json.dumps(given))
    return 0


def read_lines(path: Path) -> list[str]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [line for line in text.splitlines() if line.strip()]


def load(model: Path) -> dict[str, Any]:
    with tarfile.open(model) as archive:
        content = archive.extractfile("model.json")
        assert content is not None
        loaded: dict[str, Any] = json.load(content)
    return loaded


def forecast(model: dict[str, Any], record: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    factor = float(model.get("fake_factor", 1))
    target = [factor * value for value in record["target"][-int(model["prediction_length"]) :]]
    answer: dict[str, Any] = {}
    if "mean" in options["output_types"]:
        answer["mean"] = target
    if "quantiles" in options["output_types"]:
        answer["quantiles"] = {level: target for level in options["quantiles"]}
    if "samples" in options["output_types"]:
        answer["samples"] = [target] * int(options["num_samples"])
    return answer


def transform(model: Path, source: Path, target: Path) -> int:
    options = json.loads(
        os.environ.get("DEEPAR_INFERENCE_CONFIG")
        or '{"num_samples": 2, "output_types": ["mean", "quantiles"], "quantiles": ["0.1", "0.5", "0.9"]}'
    )
    loaded, answers = load(model), []
    time.sleep(float(loaded.get("fake_transform_seconds", 0)))
    for number, line in enumerate(read_lines(source), start=1):
        try:
            answers.append(json.dumps(forecast(loaded, json.loads(line), options)) + "\n")
        except (ValueError, KeyError) as problem:
            print(f"ClientError: line {number} of the input is no DeepAR record: {problem!r}", file=sys.stderr)
            return 1
    target.write_text("".join(answers))
    return 0


def serve(model: Path) -> int:
    loaded = load(model)
    if loaded.get("fake_unservable"):
        return 1
    time.sleep(float(loaded.get("fake_load_seconds", 0)))
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answers = [forecast(loaded, record, request["configuration"]) for record in request["instances"]]
            print(json.dumps({"predictions": answers}), flush=True)
        except KeyError as problem:
            print(json.dumps({"error": f"ClientError: missing {problem}"}), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("train", "transform", "serve"))
    for name in ("--root", "--model", "--input", "--output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seed")
    given = parser.parse_args()
    if given.action == "train":
        return train(given.root)
    if given.action == "transform":
        return transform(given.model, given.input, given.output)
    return serve(given.model)


if __name__ == "__main__":
    sys.exit(main())
