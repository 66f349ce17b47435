"""Training jobs on this machine: their names, their places in the lake, and the run of one."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.deepar import DeepArChannel, TrainingRequest
from schemas.errors import TrainingError
from schemas.settings import DeepArLocalSettings
from tasks.deepar.container.job import Folders
from tasks.deepar.local.processes import ContainerProcess, ContainerProcesses
from tasks.storage.lake import Lake
from tasks.storage.temporary import named

LONGEST_NAME = 63
DIGITS = 12
_POLL_SECONDS = 0.2

# Receives (epoch, total epochs, training loss) of every epoch; True ends the training.
OnEpoch = Callable[[int, int, float], bool]


@dataclass
class Job:
    """A requested training: ``stopping`` stops it while it is queued or running."""

    name: str
    stopping: threading.Event = field(default_factory=threading.Event)
    # Set by the callback on epochs: the training was pruned, not stopped.
    pruned: bool = False


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        archive: the packed model.
        metrics: metrics of the container.
        losses: training loss of every epoch.
        seconds: from the start of its process to the end.
    """

    archive: bytes
    metrics: dict[str, float]
    losses: list[float]
    seconds: float


class Running:
    """The jobs of this process, so that any thread can stop one by its name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, list[Job]] = {}

    @contextmanager
    def job(self, name: str) -> Iterator[Job]:
        """A job for as long as the context lasts."""
        job = Job(name)
        with self._lock:
            self._jobs.setdefault(name, []).append(job)
        try:
            yield job
        finally:
            with self._lock:
                self._jobs[name].remove(job)
                if not self._jobs[name]:
                    del self._jobs[name]

    def stop(self, name: str) -> None:
        """Stop every job of a name; an unknown one is ignored."""
        with self._lock:
            for job in self._jobs.get(name, []):
                job.stopping.set()


@cache
def slots(count: int) -> threading.BoundedSemaphore:
    """The slots for parallel jobs, shared by all threads of this process."""
    return threading.BoundedSemaphore(count)


def job_name(request: TrainingRequest, settings: DeepArLocalSettings) -> str:
    """Name that follows from everything that decides the trained model."""
    channel = request.channel
    parts = {
        "train": channel.train.sha256,
        "test": channel.test.sha256 if channel.test else None,
        "hyperparameters": request.hyperparameters,
        "seed": request.seed,
        "batches_per_epoch": settings.batches_per_epoch,
        "device": settings.device,
        "container": container_digest(),
    }
    return name_of(request.purpose, parts, LONGEST_NAME)


def name_of(purpose: str, parts: object, longest: int) -> str:
    """``<purpose>-<12 digits>``, cut to a length, with single dashes between letters and digits."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]
    kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in purpose)[: longest - DIGITS - 1]
    words = [word for word in kept.split("-") if word]
    return "-".join([*words, digest])


@cache
def container_digest() -> str:
    """Checksum of the container's own source: another container trains another model."""
    digest = hashlib.sha256()
    for file in sorted((Path(__file__).parents[1] / "container").glob("*.py")):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:DIGITS]


def output_key(channel: DeepArChannel, job: str) -> str:
    """The lake's folder of a job's outputs."""
    return f"{channel.prefix}/output/{job}"


def run_training(
    lake: Lake,
    request: TrainingRequest,
    settings: DeepArLocalSettings,
    processes: ContainerProcesses,
    job: Job,
    on_epoch: OnEpoch,
) -> Trained | None:
    """Train in a process of the container, in its own folder, which is deleted afterwards.

    Returns:
        The result; None if ``on_epoch`` ended the training.

    Raises:
        TrainingError: it failed or was stopped.
    """
    started = time.monotonic()
    with TemporaryDirectory(prefix=named("deepar")) as root:
        folders = Folders(Path(root))
        _lay_out(lake, request, settings, folders)
        process = processes.start(["train", "--root", root], Path(root) / "log")
        try:
            losses = _watch(process, folders, job, on_epoch)
        finally:
            process.end()
        if job.pruned:
            return None
        _check_end(process, folders, job)
        archive = Path(root) / "model.tar.gz"
        from tasks.deepar.container.archive import pack

        pack(folders.model, archive)
        metrics: dict[str, float] = json.loads(folders.metrics.read_text(encoding="utf-8"))
        return Trained(archive.read_bytes(), metrics, losses, round(time.monotonic() - started, 3))


def _lay_out(lake: Lake, request: TrainingRequest, settings: DeepArLocalSettings, folders: Folders) -> None:
    folders.config.mkdir(parents=True)
    (folders.config / "hyperparameters.json").write_text(json.dumps(request.hyperparameters), encoding="utf-8")
    local = {"seed": request.seed, "batches_per_epoch": settings.batches_per_epoch, "device": settings.device}
    (folders.config / "local.json").write_text(json.dumps(local), encoding="utf-8")
    for name, file in (("train", request.channel.train), ("test", request.channel.test)):
        if file is not None:
            folders.channel(name).mkdir(parents=True)
            (folders.channel(name) / Path(file.key).name).symlink_to(lake.local_copy(file.key))


def _watch(process: ContainerProcess, folders: Folders, job: Job, on_epoch: OnEpoch) -> list[float]:
    """Follow the epochs to the end; the losses of all of them, or of those up to a pruning."""
    losses: list[float] = []
    ended = False
    while not ended:
        ended = process.wait(_POLL_SECONDS) is not None
        # Read after polling the process, so that the last epochs are not missed.
        for line in _progress(folders, len(losses)):
            losses.append(line["train_loss"])
            if not job.pruned and on_epoch(int(line["epoch"]), int(line["of"]), line["train_loss"]):
                job.pruned = True
                return losses
        if job.stopping.is_set():
            process.terminate()
    return losses


def _progress(folders: Folders, known: int) -> list[dict[str, float]]:
    if not folders.progress.exists():
        return []
    whole = folders.progress.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in whole[known:]]


def _check_end(process: ContainerProcess, folders: Folders, job: Job) -> None:
    if folders.failure.exists():
        raise TrainingError(f"DeepAR job {job.name} failed: {folders.failure.read_text(encoding='utf-8')}")
    if job.stopping.is_set() or folders.stopped.exists():
        raise TrainingError(f"DeepAR job {job.name} was stopped. Run again to train it from the start.")
    if process.poll() != 0 or not folders.metrics.exists():
        raise TrainingError(f"DeepAR job {job.name} left no model: {process.how_it_ended()}.")
