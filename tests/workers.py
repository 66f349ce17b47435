"""Worker processes of pytest-xdist that are forks of one process, which has imported all tests (Linux).

Every worker would import the same libraries and test files, and write the assertions of new files again, for five to
twelve seconds of processor time. With more workers than two, this costs more than the single import takes longer.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.pathlib import import_path, module_name_from_path

from tests.flows import forks

FEWEST_WORKERS = 2


def fork_workers(config: pytest.Config, count: int) -> None:
    """Import the test files of the command; from now on, worker processes of this one are forks."""
    if count < FEWEST_WORKERS or sys.platform != "linux":
        return
    gc.disable()
    for file in _files(config):
        try:
            import_path(file, mode="importlib", root=config.rootpath, consider_namespace_packages=False)
        except (Exception, pytest.skip.Exception):  # the workers import it again, and report it
            sys.modules.pop(module_name_from_path(file, config.rootpath), None)
    gc.collect()
    gc.freeze()
    gc.enable()
    forks.fork_children(_begin)


def _files(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        place = config.invocation_params.dir / argument.partition("::")[0]
        yield from sorted(place.rglob("test_*.py")) if place.is_dir() else [place]


def _begin(arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    exec(arguments[-1], {"__name__": "__main__"})
    forks.end(None)
