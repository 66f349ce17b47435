"""A backend that trains nothing: it answers every series with the mean of its target, and keeps what it was asked."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field

import numpy as np

from schemas.columns import level_text
from schemas.deepar import DeepArChannel, TrainedModel, TrainingRequest, TuningRequest, TuningResult
from schemas.records import BilledJob, FileRef
from tasks.deepar.dataset import OUTPUT, packed
from tasks.storage.lake import Lake


def lines_of(lake: Lake, ref: FileRef) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(lake.read_bytes(ref.key)).splitlines()]


@dataclass
class FlatBackend:
    lake: Lake
    trained: list[TrainingRequest] = field(default_factory=list)
    asked: list[DeepArChannel] = field(default_factory=list)
    asked_for_paths: list[bool] = field(default_factory=list)
    billed: list[BilledJob] = field(default_factory=list)

    def train(self, request: TrainingRequest, report) -> TrainedModel:
        self.trained.append(request)
        key = f"{request.channel.prefix}/{OUTPUT}/{request.purpose}/output/model.tar.gz"
        return TrainedModel(job=request.purpose, archive=self.lake.write_bytes(key, b"flat"))

    def predict(self, model, channel, quantiles, num_samples, report, paths=False) -> FileRef:
        self.asked.append(channel)
        self.asked_for_paths.append(paths)
        answers = []
        for line in lines_of(self.lake, channel.inference):
            known = [value for value in line["target"] if value is not None]
            level = float(np.mean(known))
            flat = [level] * channel.prediction_length
            answer = {"mean": flat, "quantiles": {level_text(q): flat for q in quantiles}}
            if paths:
                answer["samples"] = [[level + k] * channel.prediction_length for k in range(num_samples)]
            answers.append(json.dumps(answer).encode())
        return self.lake.write_bytes(f"{channel.prefix}/{OUTPUT}/answers.jsonl.gz", packed(answers))

    def tune(self, request: TuningRequest, report) -> TuningResult:
        raise AssertionError("the test tunes nothing")

    def stop(self, job: str) -> None:
        raise AssertionError("the test stops nothing")
