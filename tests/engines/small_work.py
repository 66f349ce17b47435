"""A work that takes no time: it stores its number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from schemas.errors import TrainingError
from schemas.records import Record, TableRef
from schemas.settings import Strict
from tasks.engines.work import Work
from tasks.storage.lake import Lake, open_lake
from tasks.storage.machine import Cores


class Number(Record):
    table: TableRef
    seconds: float = 0.0


class Inputs(Record):
    number: int = 3
    panel: TableRef


class Use(Strict):
    seed: int = 7


def store(lake: Lake, inputs: Inputs, use: Use, cores: Cores) -> Number:
    frame = pd.DataFrame({"number": [inputs.number], "seed": use.seed, "cores": cores.workers})
    return Number(table=lake.write_table("numbers", frame))


def fail_to_train(lake: Lake, inputs: Inputs, use: Use, cores: Cores) -> Number:
    raise TrainingError("the model cannot be fitted")


def divide(lake: Lake, inputs: Inputs, use: Use, cores: Cores) -> Number:
    raise ZeroDivisionError("division by zero")


def work(storage: Path, compute: Callable[[Lake, Inputs, Use, Cores], Number] = store) -> Work[Number]:
    panel = open_lake(str(storage)).write_table("panel", pd.DataFrame({"units": [1.0]}))
    return Work("forecast xgboost 2 of 4", str(storage), "numbers", "a1b2", Number, compute, Inputs(panel=panel), Use())
