"""Run tests against a mutant, in a fork of this process that has imported the heavy packages once."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mutants import Mutant
from tests.shared import ROOT

# Only packages of others: the fork imports the product itself, so that its modules see the mutant.
PACKAGES = (
    "matplotlib.figure",
    "numba",
    "optuna",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "scipy.optimize",
    "scipy.stats",
)
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
WITHOUT_RUNS = "not flow and not system and not shared_data"
# Limit on a mutant's processor time, as a multiple of that of the tests without a mutant.
TIMES = 3
SECONDS_AT_LEAST = 20


class Outcome(Enum):
    """What the tests say to a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    ENDLESS = "endless"


class _Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import one module from another source."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """The mutant's spec, if it is this module."""
        if name != self._mutant.module:
            return None
        path = str(ROOT / self._mutant.file)
        return importlib.util.spec_from_file_location(name, path, loader=self)

    def create_module(self, _: importlib.machinery.ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the changed source."""
        exec(compile(self._mutant.source, str(ROOT / self._mutant.file), "exec"), vars(module))


class _NearestFirst:
    """Run the test file that is named after the mutant's module first: it notices most mutants."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = f"test_{Path(mutant.file).stem}"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the order of the other tests."""
        items.sort(key=lambda item: not item.path.name.startswith(self._name))


def prepare(folder: str) -> None:
    """Import what every trial needs; Hypothesis keeps its examples in ``folder``."""
    from hypothesis.configuration import set_hypothesis_home_dir

    for package in PACKAGES:
        importlib.import_module(package)
    set_hypothesis_home_dir(folder)


def trial(tests: Sequence[str], mutant: Mutant | None = None, seconds: float | None = None) -> tuple[Outcome, float]:
    """Run the tests of some folders that start no run until one fails.

    Args:
        tests: folders and files, relative to the repository.
        mutant: replaces its module; None = the code as it is.
        seconds: processor time of the tests without a mutant; None = no limit.

    Returns:
        The outcome and the processor time.
    """
    child = os.fork()
    if not child:
        try:
            _become(tests, mutant, None if seconds is None else int(SECONDS_AT_LEAST + TIMES * seconds))
        finally:
            os._exit(99)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    took = used.ru_utime + used.ru_stime
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome.ENDLESS, took
    return (Outcome.SURVIVED if code == pytest.ExitCode.OK else Outcome.KILLED), took


def _become(tests: Sequence[str], mutant: Mutant | None, limit: int | None) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    plugins = []
    if mutant is not None:
        sys.meta_path.insert(0, _Replaced(mutant))
        plugins.append(_NearestFirst(mutant))
    os._exit(int(pytest.main([*OPTIONS, "-m", WITHOUT_RUNS, *tests], plugins)))
