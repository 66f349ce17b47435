"""The engine of a run: this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.run import RunContext
from schemas.settings.compute import DASK
from tasks.engines.dask_cluster import dask_cluster
from tasks.engines.remote import RemoteEngine
from tasks.engines.work import Engine, LocalEngine
from tasks.publication.manifest import package_versions
from tasks.stages.support import cores_of, say
from tasks.storage.code_version import PACKAGE, code_version

_connected: dict[str, Engine] = {}


@contextmanager
def connected(run: RunContext) -> Iterator[Callable[[str], None]]:
    """Connect to the cluster of the settings, if they name one, while shards are forecast.

    Yields:
        Ends all tasks that wait for the cluster, with a reason.

    Raises:
        ConfigError: no scheduler answers, or Dask is not installed.
    """
    address = run.settings.compute.address
    if run.settings.compute.engine != DASK or address is None:
        yield lambda reason: None  # noqa: ARG005
        return
    with dask_cluster(address, {PACKAGE: code_version(), **package_versions()}) as cluster:
        say(f"Shards are computed by the Dask cluster at {address} ({cluster.size()})")
        _connected[address] = RemoteEngine(cluster)
        try:
            yield cluster.give_up
        finally:
            del _connected[address]


def engine_of(run: RunContext) -> Engine:
    """Return the engine of a run. That of a cluster exists only while the run is :func:`connected`."""
    compute = run.settings.compute
    return _connected[str(compute.address)] if compute.engine == DASK else LocalEngine(cores_of(run))
