"""Processes of the container: forks of one process that has imported torch and GluonTS; they end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from schemas.errors import ConfigError

MODULE = "tasks.deepar.container"
PACKAGES = ("torch", "gluonts", "lightning")
# Importing takes seven seconds of processor time in every process that is not a fork. Torch's optimizers import Dynamo.
_IMPORTED = ["tasks.deepar.container.network", "torch._dynamo"]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_ROOT = Path(__file__).parents[3]
_TAIL_BYTES = 4_000
_GRACE_SECONDS = 20.0
_ORPHANED = 3
# Begin of the last line of a traceback, and last words of an interpreter or library that aborts.
_ERROR = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b|Fatal Python error|terminate called")


class ContainerProcess:
    """A running or ended process of the container.

    Args:
        process: as it was started.
        log: file of its standard output and error.
    """

    def __init__(self, process: BaseProcess, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The process ID."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int | None:
        """Wait for the end of the process.

        Args:
            timeout: seconds at most.

        Returns:
            Exit code; None if it still runs.
        """
        self._process.join(timeout)
        return self.poll()

    def terminate(self) -> None:
        """Ask the process to stop after the current step."""
        if self.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Stop the process; kill it if it does not end by itself."""
        self.terminate()
        if self.wait(_GRACE_SECONDS) is None:
            self._process.kill()
            self._process.join()

    def how_it_ended(self) -> str:
        """Describe how the process ended, and the last error that it wrote (warnings do not count)."""
        try:
            written = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").split("\n")
        except OSError:
            written = []
        told = next((line.strip().rstrip(".") for line in reversed(written) if _ERROR.match(line)), "it wrote no error")
        return f"{_end(self.poll())}; {told}"


def _has_gpu() -> bool:
    # This takes a second or two, so it is done only if a GPU is requested.
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
        program: name of the container's module, or path of its script.
        packages: what it imports.
    """

    def __init__(self, program: str = MODULE, packages: Sequence[str] = PACKAGES) -> None:
        self._program = program
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

        The process reads nothing and ends with this one, even if this one is killed.

        Args:
            arguments: the container's command and options.
            log: file that takes its standard output and error.
            variables: variables of the environment, in addition to this process's own.
        """
        process = _context().Process(
            target=_run, args=(self._program, list(arguments), str(log), dict(variables or {})), daemon=True
        )
        with _variables({**_ONE_THREAD, "PYTHONPATH": _import_path()}):
            process.start()
        return ContainerProcess(process, log)


@cache
def _context() -> ForkServerContext | SpawnContext:
    """The start method of processes. A fork of a process that has loaded macOS's frameworks may crash."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    with _variables({**_ONE_THREAD, "PYTHONPATH": _import_path()}):
        forkserver.ensure_running()
    return context


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a process that is started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _import_path() -> str:
    """The product's packages are found from any working directory."""
    return os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))


def _run(program: str, arguments: list[str], log: str, variables: dict[str, str]) -> None:
    """Run a command line of the container in a separate process."""
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    os.environ.update({**_ONE_THREAD, **variables})
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for opened, number in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(opened, number)
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(_ORPHANED)
