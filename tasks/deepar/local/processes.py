"""Processes of the container: started with one thread each; they end with the process that started them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import ConfigError

MODULE = "tasks.deepar.container"
PARENT_VARIABLE = "DEEPAR_PARENT"
PACKAGES = ("torch", "gluonts", "lightning")
_ROOT = Path(__file__).parents[3]
_TAIL_BYTES = 4_000
_GRACE_SECONDS = 20.0
# How the last line of a traceback begins, and the last words of an interpreter or a library that gives up.
_ERROR = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b|Fatal Python error|terminate called")


class ContainerProcess:
    """A running or ended process of the container.

    Args:
        process: as it was started.
        log: file of its standard output and error.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int | None:
        """Wait for its end.

        Args:
            timeout: seconds at most.

        Returns:
            Exit code; None where it still runs.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask it to stop after the current step."""
        if self.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Stop it, by force where it does not end by itself."""
        self.terminate()
        if self.wait(_GRACE_SECONDS) is None:
            self._process.kill()
            self._process.wait()

    def how_it_ended(self) -> str:
        """Its end and the last error that it wrote, in words; a warning is none."""
        try:
            written = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").split("\n")
        except OSError:
            written = []
        told = next((line.strip().rstrip(".") for line in reversed(written) if _ERROR.match(line)), "it wrote no error")
        return f"{_end(self.poll())}; {told}"


def _has_gpu() -> bool:
    # A second or two, which only those pay who ask for a GPU.
    import torch

    return torch.cuda.is_available()


def _end(code: int | None) -> str:
    if code is None or code >= 0:
        return f"it ended with code {code}"
    names = {one.value: one.name for one in signal.Signals}
    name = names.get(-code, f"signal {-code}")
    if name == "SIGKILL":
        return (
            "it was killed (SIGKILL), perhaps because memory ran out: lower "
            "expert.models.deepar.local.parallel_jobs, or num_cells and mini_batch_size of "
            "expert.models.deepar.hyperparameters"
        )
    return f"it was ended by {name}"


class ContainerProcesses:
    """Starts the container's commands.

    Args:
        command: the command line before the container's own arguments.
        packages: what it imports.
    """

    def __init__(
        self, command: Sequence[str] = (sys.executable, "-m", MODULE), packages: Sequence[str] = PACKAGES
    ) -> None:
        self._command = list(command)
        self._packages = packages

    def check(self, device: str = "auto") -> None:
        """Whether the container's packages are installed, and a GPU exists if one is required.

        Args:
            device: to work on: ``auto``, ``cpu`` or ``gpu``.

        Raises:
            ConfigError: a package is missing, or the GPU.
        """
        missing = [name for name in self._packages if find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"models.deepar: backend local needs {', '.join(missing)}, not installed here. "
                "Install what is missing: pip install 'restock[deepar]', or set backend: sagemaker."
            )
        if device == "gpu" and not _has_gpu():
            raise ConfigError("expert.models.deepar.local.device is gpu, but torch finds no GPU here; set auto or cpu.")

    def start(
        self, arguments: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
    ) -> ContainerProcess:
        """Start one command.

        The process reads nothing and ends with this one, even where this one is killed.

        Args:
            arguments: the container's command and options.
            log: file that takes its standard output and error.
            variables: of the environment, in addition to this process's own.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **(variables or {})}
        environment[PARENT_VARIABLE] = str(os.getpid())
        # The product's packages are found from any working directory.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        with log.open("wb") as stream:
            process = subprocess.Popen(  # noqa: S603
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        return ContainerProcess(process, log)
