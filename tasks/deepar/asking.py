"""Questions to a trained DeepAR model: requests from a run's own encoding, answers as rows, and response times."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.columns import level_text
from schemas.deepar import DeepArChannel, DeepArModelRecord
from schemas.errors import ConfigError, first_few
from tasks.storage.lake import RECORDS, Lake

MODEL_STAGE = "deepar-model"
# Numbers of series of one request whose response times are measured.
MEASURED = (1, 27)
_MILLISECONDS = 1_000.0
# A series of weeks or months starts on the first day of one.
_STEPS = {"D": "D", "W": "7D", "M": "MS"}

# A request to predictions.
Ask = Callable[[dict[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Question:
    """A series, encoded as in the model's training, and the first day of each forecast period."""

    store_id: str
    category: str
    instance: dict[str, Any]
    dates: tuple[str, ...]


def latest_model(lake: Lake) -> DeepArModelRecord:
    """The best model that was trained last on all known data; challengers of an endpoint do not count.

    Raises:
        ConfigError: there is no such model.
    """
    objects = lake.objects(f"{RECORDS}/{MODEL_STAGE}")
    for key in sorted(objects, key=lambda key: (objects[key].modified, key), reverse=True):
        record = DeepArModelRecord.model_validate_json(lake.read_bytes(key))
        if not record.choice.challenger:
            return record
    raise ConfigError(f"{lake.root} has no DeepAR model. Train one: restock train-deepar.")


def questions(
    lake: Lake, model: DeepArModelRecord, stores: Sequence[str] = (), categories: Sequence[str] = ()
) -> list[Question]:
    """The series of a model's inference file.

    Args:
        lake: has the file.
        model: whose file it is.
        stores: only these; empty = all.
        categories: only these; empty = all.

    Raises:
        ConfigError: no series matches.
    """
    keys = list(csv.DictReader(io.StringIO(lake.read_bytes(model.channel.key_file.key).decode())))
    lines = gzip.decompress(lake.read_bytes(model.channel.inference.key)).splitlines()
    found = [
        Question(key[c.STORE_ID], key[c.CATEGORY], instance := json.loads(line), _dates(instance, model.channel))
        for key, line in zip(keys, lines, strict=True)
        if (not stores or key[c.STORE_ID] in stores) and (not categories or key[c.CATEGORY] in categories)
    ]
    if not found:
        known = sorted({key[c.STORE_ID] for key in keys}), sorted({key[c.CATEGORY] for key in keys})
        raise ConfigError(
            f"No series of the model has store {', '.join(stores) or '(any)'} and category "
            f"{', '.join(categories) or '(any)'}. Stores: {first_few(known[0])}. Categories: {first_few(known[1])}."
        )
    return found


def _dates(instance: dict[str, Any], channel: DeepArChannel) -> tuple[str, ...]:
    """The first days of the periods after the known ones."""
    known = len(instance["target"])
    every = pd.date_range(instance["start"], periods=known + channel.prediction_length, freq=_STEPS[channel.time_freq])
    return tuple(day.date().isoformat() for day in every[known:])


def request_of(asked: Sequence[Question], quantiles: Sequence[float], samples: int) -> dict[str, Any]:
    """The request of an endpoint for some series."""
    configuration = {
        "num_samples": samples,
        "output_types": ["mean", "quantiles"],
        "quantiles": [level_text(level) for level in quantiles],
    }
    return {"instances": [one.instance for one in asked], "configuration": configuration}


def rows_of_answers(asked: Sequence[Question], predictions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per series and period: store_id, category, date (the period's first day), mean and quantiles.

    Raises:
        ConfigError: the model answered a different number of series.
    """
    if len(predictions) != len(asked):
        raise ConfigError(f"The model gave {len(predictions)} answers to {len(asked)} series.")
    return [
        {
            c.STORE_ID: one.store_id,
            c.CATEGORY: one.category,
            c.DATE: day,
            "mean": found["mean"][number],
            **{f"q{level}": values[number] for level, values in found["quantiles"].items()},
        }
        for one, found in zip(asked, predictions, strict=True)
        for number, day in enumerate(one.dates)
    ]


def response_times(
    variants: dict[str, Ask],
    asked: Sequence[Question],
    quantiles: Sequence[float],
    samples: int,
    repeat: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[dict[str, Any]]:
    """Measure response times: per variant and number of series, the median and the 95th percentile in milliseconds.

    Args:
        variants: name to model.
        asked: series; they repeat if a request needs more.
        quantiles: levels of every request.
        samples: sample paths of every request.
        repeat: requests of each kind, after one that is not counted.
        clock: seconds.
    """
    rows = []
    for name, ask in variants.items():
        for count in MEASURED:
            series = [asked[number % len(asked)] for number in range(count)]
            request = request_of(series, quantiles, samples)
            ask(request)
            seconds = []
            for _ in range(repeat):
                begun = clock()
                ask(request)
                seconds.append(clock() - begun)
            p50, p95 = np.percentile(seconds, [50, 95]) * _MILLISECONDS
            row = {"variant": name, "series": count, "requests": repeat}
            rows.append(row | {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)})
    return rows
