"""A pretrained network in a separate process, which ends when its forecasts are finished."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigError, TrainingError
from tasks.forecasting.pretrained import worker
from tasks.forecasting.pretrained.worker import NetworkInput

_ROOT = Path(__file__).parents[3]
_GRACE_SECONDS = 5.0


class Network(Protocol):
    """The network of a pretrained model; see :class:`tasks.forecasting.pretrained.worker.Chronos2Network`."""

    levels: tuple[float, ...]

    def forecast(self, series: NetworkInput, lead: int, context: int) -> NDArray[np.float32]:
        """Quantiles of the periods after the values."""
        ...

    def tune(self, series: Sequence[NetworkInput], horizon: int, steps: int, context: int, seed: int) -> None:
        """Adapt the weights to some series."""
        ...

    def check(self) -> None:
        """Check that it can continue."""
        ...


class NetworkProcess:
    """A network in its own process: torch and its memory stay out of the run's.

    Args:
        folder: folder with the weights.

    Raises:
        ConfigError: the weights cannot be loaded.
    """

    def __init__(self, folder: str) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **worker.ENVIRONMENT}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", worker.MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _end, self._process, self._connection)
        good, answer = self._answer("load", folder)
        if not good:
            raise ConfigError(
                f"models.chronos2.weights: the weights in {folder} cannot be loaded ({answer}). Copy the model's files "
                "again, all of one version."
            )
        self.levels: tuple[float, ...] = answer

    def forecast(self, series: NetworkInput, lead: int, context: int) -> NDArray[np.float32]:
        """Quantiles of the periods after the values.

        Raises:
            RuntimeError: the network raised an error on this series.
            TrainingError: the process has ended.
        """
        good, answer = self._answer("forecast", series, lead, context)
        if not good:
            raise RuntimeError(answer)
        found: NDArray[np.float32] = answer
        return found

    def tune(self, series: Sequence[NetworkInput], horizon: int, steps: int, context: int, seed: int) -> None:
        """Adapt the weights to some series.

        Raises:
            TrainingError: it failed.
        """
        good, answer = self._answer("tune", series, horizon, steps, context, seed)
        if not good:
            raise TrainingError(
                f"chronos2: the fine-tuning failed ({answer}). Set expert.models.chronos2.fine_tune_steps to 0."
            )

    def check(self) -> None:
        """Check that the process still runs.

        Raises:
            TrainingError: it has ended.
        """
        if self._process.poll() is not None:
            raise self._ended()

    def _answer(self, name: str, *arguments: object) -> tuple[bool, Any]:
        try:
            self._connection.send((name, arguments))
            answer: tuple[bool, Any] = self._connection.recv()
        except (EOFError, OSError):
            self._end()
            raise self._ended() from None
        return answer

    def _ended(self) -> TrainingError:
        code = self._process.poll()
        if code == -signal.SIGKILL:
            why = "it was killed, often because memory ran out (use smaller weights, or a larger machine)"
        else:
            why = f"it ended with code {code}"
        return TrainingError(
            f"chronos2: the process of the network was stopped: {why}. Start the run again with the same date: "
            "finished stages are reused."
        )


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
