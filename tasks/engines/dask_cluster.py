"""The workers of a Dask scheduler. Restock uses one call of Dask: submit a function and wait for its end."""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, EngineError, PipelineError, StorageError, numbered
from tasks.engines.work import RESUME, Work
from tasks.engines.worker import run_work

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_WITHOUT_WORKERS = 300.0
# Tasks of one group that is larger than the cluster wait in the scheduler until a worker is idle.
GROUP = "restock"


@contextmanager
def dask_cluster(address: str, versions: Mapping[str, str]) -> Iterator[DaskCluster]:
    """Connect to a scheduler; the connection is closed at the end.

    Args:
        address: address of the scheduler, such as ``tcp://127.0.0.1:8786``.
        versions: versions of the code and of packages, by name; workers with other versions are refused.

    Raises:
        ConfigError: Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "compute.engine is dask, but Dask is not installed. Install it with: pip install 'restock[dask]', or set "
            "compute.engine to local."
        ) from None
    for logger in ("distributed", "distributed.client"):  # tracebacks of lost connections, which Restock reports itself
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        client = Client(address, name="restock", set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"compute.address: no Dask scheduler answers at {address} ({_text(error)}). Start scheduler and workers, "
            "for example with `make cluster`, or set compute.engine to local."
        ) from None
    try:
        yield DaskCluster(client, address, versions)
    finally:
        client.close(timeout=1)


class DaskCluster:
    """Submit work items to a Dask scheduler (see :class:`tasks.engines.remote.Cluster`)."""

    def __init__(self, client: Client, address: str, versions: Mapping[str, str]) -> None:
        self.address = address
        self._client, self._versions = client, dict(versions)
        self._seen_workers = time.monotonic()
        self._given_up = ""

    def size(self) -> str:
        """Return the number of workers and threads, as text."""
        info = self._client.scheduler_info(n_workers=1)
        return f"{numbered(info['n_workers'], '# worker[s]')}, {numbered(info['total_threads'], '# thread[s]')}"

    def give_up(self, reason: str) -> None:
        """End all attempts with a reason. Shards that workers compute at this moment are still stored."""
        self._given_up = self._given_up or reason

    def attempt(self, work: Work[Any]) -> str:
        """Let a worker compute a work item; return why that failed, or an empty text.

        Raises:
            EngineError: the scheduler or all workers have ended, or a worker was refused.
            PipelineError: the computation itself failed with an expected error.
        """
        self._look_at_the_run()
        key = (GROUP, f"{work.stage}-{uuid.uuid4().hex}")  # a new key: Dask remembers the failures of an old one
        ended = Event()
        try:
            future = self._client.submit(run_work, self._versions, pickle.dumps(work), key=key, pure=False)
        except Exception as error:
            self._wait_for_scheduler()
            return _text(error)
        future.add_done_callback(lambda _: ended.set())
        try:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                self._look()
            return self._end_of(future)
        except EngineError as error:
            self.give_up(str(error))
            raise
        finally:
            future.release()

    def _end_of(self, future: Future) -> str:
        if future.status == "finished":
            return ""
        if future.status != "error":  # the scheduler has forgotten the task, or has ended
            self._wait_for_scheduler()
            return "the connection to the scheduler was lost"
        error = future.exception()
        if isinstance(error, PipelineError) and not isinstance(error, StorageError):
            raise error
        if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
            raise EngineError(
                f"The workers of {self.address} cannot import what this run needs ({_text(error.__cause__ or error)}). "
                "Start scheduler and workers in the environment of this run, for example with `make cluster`."
            )
        return _text(error)

    def _look(self) -> None:
        """Raise if waiting can no longer succeed."""
        self._look_at_the_run()
        self._wait_for_scheduler()
        try:
            info = self._client.scheduler_info(n_workers=1)
        except OSError:
            return  # the connection has just failed; the next check reports it
        if info["n_workers"]:
            self._seen_workers = time.monotonic()
        elif time.monotonic() - self._seen_workers > SECONDS_WITHOUT_WORKERS:
            raise EngineError(
                f"The Dask scheduler at {self.address} has had no worker for {SECONDS_WITHOUT_WORKERS:.0f} s. Start "
                f"workers: `dask worker {self.address} --nthreads 1`. {RESUME}"
            )

    def _look_at_the_run(self) -> None:
        if self._given_up:
            raise EngineError(self._given_up)

    def _wait_for_scheduler(self) -> None:
        """Wait while the client connects again; it gives up after Dask's setting ``comm.timeouts.connect``, 30 s."""
        while self._client.status == "connecting":
            time.sleep(0.1)
        if self._client.status != "running":
            raise EngineError(
                f"The Dask scheduler at {self.address} has stopped or can no longer be reached. Start it and its "
                f"workers, for example with `make cluster`. {RESUME}"
            )


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip()
