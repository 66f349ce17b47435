"""The container's commands; each ends with an exit code and writes its reason where SageMaker's container writes it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Any

from tasks.deepar.container.answers import (
    CONFIGURATION_VARIABLE,
    Asked,
    TestMetrics,
    answer,
    parse_configuration,
)
from tasks.deepar.container.archive import pack as pack_archive
from tasks.deepar.container.archive import unpacked
from tasks.deepar.container.checks import check_inference_series
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.job import Folders, TrainingJob, read_job
from tasks.deepar.container.series import Series, parse_record, read_file

if TYPE_CHECKING:
    from tasks.deepar.container.model_files import Model

DONE, FAILED = 0, 1


def train(root: Path) -> int:
    """Train the job of a folder.

    Args:
        root: laid out as SageMaker's training container.

    Returns:
        0 if a model was trained or the job was stopped; 1 if it failed (the reason is in ``output/failure``).
    """
    folders = Folders(root)
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        job = read_job(folders)
        metrics = _trained(folders, job, stopping)
    except Exception as error:
        folders.failure.write_text(reason(error), encoding="utf-8")
        sys.stderr.write(f"{reason(error)}\n")
        return FAILED
    if metrics is None:
        folders.stopped.touch()
    else:
        folders.metrics.write_text(json.dumps(metrics), encoding="utf-8")
    return DONE


def transform(model: Path, source: Path, target: Path, seed: int | None) -> int:
    """Forecast every line of a file.

    Args:
        model: folder or archive.
        source: JSON Lines, perhaps .gz.
        target: one answer per line, in the same order.
        seed: seed of the sample paths; None = the training's.
    """
    try:
        asked = parse_configuration(os.environ.get(CONFIGURATION_VARIABLE, "{}"))
        series = list(read_file(source))
        with unpacked(model) as folder, target.open("w", encoding="utf-8") as stream:
            for found in _answers(_loaded(folder), series, asked, seed):
                stream.write(f"{json.dumps(found)}\n")
    except Exception as error:
        sys.stderr.write(f"{reason(error)}\n")
        return FAILED
    return DONE


def serve(model: Path, seed: int | None, requests: IO[str], responses: IO[str]) -> int:
    """Answer one request per line until the requests end; the first line written is ``ready``.

    Args:
        model: folder or archive.
        seed: seed of the sample paths of every request; None = the training's.
        requests: ``{"instances": [...], "configuration": {...}}`` per line.
        responses: ``{"predictions": [...]}`` or ``{"error": "..."}`` per line.
    """
    try:
        with unpacked(model) as folder:
            loaded = _loaded(folder)
    except Exception as error:
        sys.stderr.write(f"{reason(error)}\n")
        return FAILED
    responses.write("ready\n")
    responses.flush()
    for line in requests:
        responses.write(f"{json.dumps(_response(loaded, line, seed))}\n")
        responses.flush()
    return DONE


def pack(root: Path, archive: Path) -> int:
    """Pack a job's model.

    Args:
        root: root of the job.
        archive: the file to write.
    """
    try:
        pack_archive(Folders(root).model, archive)
    except (ClientError, OSError) as error:
        sys.stderr.write(f"{reason(error)}\n")
        return FAILED
    return DONE


def reason(error: Exception) -> str:
    """A failure on one line, as SageMaker words it."""
    told = str(error) if isinstance(error, ClientError) else f"InternalServerError: {type(error).__name__}: {error}"
    return " ".join(told.split())


def _trained(folders: Folders, job: TrainingJob, stopping: Event) -> dict[str, float] | None:
    """Train, save, measure; None if the job was stopped."""
    from tasks.deepar.container.model_files import Model, save
    from tasks.deepar.container.training import Progress, fit

    with folders.progress.open("a", encoding="utf-8") as stream:

        def report(done: Progress) -> None:
            line = {"epoch": done.epoch, "of": done.of, "train_loss": done.train_loss}
            stream.write(f"{json.dumps(line)}\n")
            stream.flush()

        fitted = fit(job, report, stopping.is_set)
    if fitted.loss is not None:
        save(folders.model, job, fitted)
    if fitted.stopped or fitted.loss is None:
        return None
    metrics = {"train:final_loss": fitted.loss}
    metrics |= _measured(Model(fitted.network, fitted.weights, job.local.seed), job)
    return None if stopping.is_set() else metrics


def _measured(model: Model, job: TrainingJob) -> dict[str, float]:
    from tasks.deepar.container.sampling import Sampler

    horizon = job.given.prediction_length
    tested = [series for series in job.test if len(series.target) > horizon]
    if not tested:
        return {}
    metrics = TestMetrics(job.given.test_quantiles)
    paths = Sampler(model, job.given.num_eval_samples).paths(tested, job.local.seed, held_out=horizon)
    for series, samples in zip(tested, paths, strict=True):
        metrics.add(samples, series.target[-horizon:])
    return metrics.values()


def _loaded(folder: Path) -> Model:
    from tasks.deepar.container.model_files import load

    return load(folder)


def _answers(model: Model, series: Sequence[Series], asked: Asked, seed: int | None) -> Iterator[dict[str, Any]]:
    from tasks.deepar.container.sampling import Sampler

    for one in series:
        check_inference_series(one, model.network.shape, model.network.given)
    for samples in Sampler(model, asked.num_samples).paths(series, model.seed if seed is None else seed):
        yield answer(samples, asked)


def _response(model: Model, line: str, seed: int | None) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or not isinstance(request.get("instances"), list):
            raise ClientError('The request must be {"instances": [...], "configuration": {...}}.')
        asked = parse_configuration(request.get("configuration", {}))
        series = [parse_record(one, f"instance {number}") for number, one in enumerate(request["instances"], start=1)]
        return {"predictions": list(_answers(model, series, asked, seed))}
    except RecursionError:
        return {"error": "ClientError: the request is nested too deeply."}
    except ValueError as error:
        return {"error": f"ClientError: the request is not valid JSON ({error})."}
    except Exception as error:
        return {"error": reason(error)}
