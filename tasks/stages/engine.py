"""The engine of a run: this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from schemas.run import RunContext
from schemas.settings import Settings
from schemas.settings.compute import DASK
from tasks.engines.dask_cluster import dask_cluster
from tasks.engines.remote import RemoteEngine
from tasks.engines.work import Engine, LocalEngine
from tasks.forecasting.registry import facts, model_names, packages
from tasks.publication.manifest import BASE_PACKAGES, package_versions
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
    with dask_cluster(address, worker_versions(run.settings)) as cluster:
        say(f"Shards are computed by the Dask cluster at {address} ({cluster.size()})")
        _connected[address] = RemoteEngine(cluster)
        try:
            yield cluster.give_up
        finally:
            del _connected[address]


def worker_versions(settings: Settings) -> dict[str, str]:
    """Return the versions that a worker must have: of the code, of Python and of what the models of the run need.

    A worker does not need the packages of other models, such as torch.
    """
    needed = set[str]()
    for model in (facts()[name] for name in model_names(settings)):
        needed |= set() if model.own_stages else set(model.packages)
    others = set(packages()) - needed - set(BASE_PACKAGES)
    found = {name: version for name, version in package_versions().items() if name not in others}
    return {PACKAGE: code_version(), **found}


def engine_of(run: RunContext) -> Engine:
    """Return the engine of a run. A cluster's engine exists only while the run is :func:`connected`."""
    compute = run.settings.compute
    return _connected[str(compute.address)] if compute.engine == DASK else LocalEngine(cores_of(run))
