"""Run a work item on a worker: compare versions, check the lake, compute, store."""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from schemas.errors import EngineError, first_few
from tasks.engines.work import Work
from tasks.storage.cache import references
from tasks.storage.code_version import PACKAGE, code_version
from tasks.storage.lake import S3_SCHEME, Lake, open_lake
from tasks.storage.machine import Cores

PYTHON = "python"
ABSENT = "not installed"


def run_work(versions: Mapping[str, str], pickled: bytes) -> str:
    """Compute a work item on one core and store its result; a worker has one thread per core.

    Args:
        versions: versions of the code, of Python and of packages in the process of the run, by name.
        pickled: the work. It is unpickled only after the versions were compared.

    Returns:
        The cache key of the result.

    Raises:
        EngineError: this worker has other versions, or does not see the lake of the run.
    """
    refuse_other_versions(versions)
    work: Work[Any] = pickle.loads(pickled)  # noqa: S301
    work.run(_lake_of(work), Cores())
    return work.key


def refuse_other_versions(versions: Mapping[str, str]) -> None:
    """Compare versions with those of this process.

    Raises:
        EngineError: they differ; the message has both.
    """
    own = {name: _own_version(name) for name in versions}
    differing = [name for name in versions if own[name] != versions[name]]
    if differing:
        raise EngineError(
            f"{_this_worker()} has {first_few([f'{name} {own[name]}' for name in differing])}; this run has "
            f"{first_few([f'{name} {versions[name]}' for name in differing])}. Results could differ. Install the same "
            "checkout and the packages of requirements.lock where the worker runs, and start it again."
        )


def _own_version(name: str) -> str:
    if name == PACKAGE:
        return code_version()
    if name == PYTHON:
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return ABSENT


def _lake_of(work: Work[Any]) -> Lake:
    """Open the lake if its folder exists; otherwise opening would create an empty folder on this machine."""
    if not work.storage.startswith(S3_SCHEME) and not Path(work.storage).is_dir():
        raise EngineError(
            f"{_this_worker()} does not see the folder {work.storage}, the setting `storage` of this run. Mount the "
            "folder at the same path on every machine, or set `storage` to s3://bucket/prefix."
        )
    lake = open_lake(work.storage)
    unseen = [lake.uri(ref.key) for ref in references(work.inputs) if not lake.exists(ref.key)]
    if unseen:
        raise EngineError(
            f"{_this_worker()} does not see {first_few(unseen)}, which this run has stored: {work.storage} is another "
            "folder there. Mount the folder of the run at the same path on every machine."
        )
    return lake


def _this_worker() -> str:
    return f"The worker on {platform.node()} (process {os.getpid()})"
