"""A forecast made in a separate process, with its time and its peak memory; kept on disk."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

KIB = 1024


@dataclass(frozen=True)
class Measured:
    """A forecast, its time and its memory.

    Attributes:
        frame: forecast rows.
        seconds: seconds of the task alone, without the start of its process; NaN where unknown.
        memory: peak resident memory of the process that did it, imports included, or of the largest process that it
            started and waited for, in MB; NaN where unknown.
    """

    frame: pd.DataFrame
    seconds: float = float("nan")
    memory: float = float("nan")


def measured(path: Path, task: Callable[..., pd.DataFrame], *arguments: Any) -> Measured:
    """Read a forecast kept at ``path``, or make it in a new process and keep it, with its figures next to it.

    Args:
        path: Parquet file; the folder is made.
        task: a function of a module, with arguments that can be pickled.
        arguments: arguments of the task.
    """
    figures = path.with_suffix(".json")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, memory = pool.submit(_timed, part, task, arguments).result()
        figures.write_text(json.dumps({"seconds": seconds, "memory": memory}), "utf-8")
        part.replace(path)
    known = json.loads(figures.read_text("utf-8")) if figures.exists() else {}
    return Measured(pd.read_parquet(path), known.get("seconds", np.nan), known.get("memory", np.nan))


def _timed(part: Path, task: Callable[..., pd.DataFrame], arguments: tuple[Any, ...]) -> tuple[float, float]:
    begun = time.perf_counter()
    frame = task(*arguments)
    seconds = time.perf_counter() - begun
    frame.to_parquet(part, index=False)
    memory = _peak_memory()
    _end_workers()
    return seconds, memory


def _end_workers() -> None:
    """End joblib's idle workers. Otherwise a spawned process waits five minutes for them before it ends."""
    if "joblib" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


def _peak_memory() -> float:
    """Peak memory in MB. Linux's ru_maxrss starts with the memory of the parent; /proc counts only this program."""
    unit = KIB * (KIB if sys.platform == "darwin" else 1)
    status = Path("/proc/self/status")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if status.exists():
        lines = status.read_text("utf-8").splitlines()
        own = next((int(line.split()[1]) / KIB for line in lines if line.startswith("VmHWM:")), own)
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit)
