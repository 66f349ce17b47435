"""The commands ask, serve-deepar and export-deepar: use the last DeepAR model on an endpoint or on this machine."""

from __future__ import annotations

import csv
import json
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import ConfigError, TrainingError
from schemas.settings import DeepArSettings, Settings
from schemas.spreadsheets import neutralized
from tasks.configuration.settings_file import load_settings
from tasks.deepar.asking import Ask, Question, latest_model, questions, request_of, response_times, rows_of_answers
from tasks.storage.lake import Lake, open_lake

SECONDS_TO_ANSWER = 120
LOCAL = "local"


class Selection(NamedTuple):
    """The series to forecast: those of some stores and categories (or SKUs); all if empty.

    Attributes:
        settings_file: path of the settings file.
        overrides: ``key.path=value`` texts.
        stores: store IDs.
        categories: names of categories.
        skus: SKUs, if the setting ``category`` is ``[sku]``.
    """

    settings_file: str
    overrides: Sequence[str] = ()
    stores: Sequence[str] = ()
    categories: Sequence[str] = ()
    skus: Sequence[str] = ()

    def settings(self) -> Settings:
        """Read the settings."""
        return load_settings(Path(self.settings_file), self.overrides)

    def questions(self, lake: Lake, settings: Settings) -> list[Question]:
        """Return what the last trained model is asked.

        Raises:
            ConfigError: no series matches, or there is no model.
        """
        if self.skus and settings.category != ["sku"]:
            raise ConfigError(f"--sku needs the setting category [sku]; it is {settings.category}. Use --category.")
        return questions(lake, latest_model(lake), self.stores, self.skus or self.categories)


def answers(selection: Selection, **place: Any) -> list[dict[str, Any]]:
    """Return the forecasts of some series, one row per period.

    Raises:
        ConfigError: No series matches, or there is no model or endpoint.
    """
    with _asked(selection, **place) as (settings, asked, models):
        request = request_of(asked, settings.quantiles, _deepar(settings).num_samples)
        return rows_of_answers(asked, next(iter(models.values()))(request))


def measured(repeat: int, record: str | None, selection: Selection, **place: Any) -> list[dict[str, Any]]:
    """Return response times per variant for 1 and 27 series, and write them to a file if one is given.

    Raises:
        ConfigError: No series matches, or there is no model or endpoint.
    """
    with _asked(selection, **place) as (settings, asked, models):
        rows = response_times(models, asked, settings.quantiles, _deepar(settings).num_samples, repeat)
    if record:
        with Path(record).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {name: neutralized(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
                for row in rows
            )
    return rows


def keep_variant_answers(selection: Selection, endpoint: str | None) -> list[dict[str, Any]]:
    """Ask every variant of an endpoint, and keep the answers for the comparison with later sales.

    Returns:
        One row per variant: series, and how many of them have answers that were kept now or before.

    Raises:
        ConfigError: No series matches, there is no endpoint, or it does not serve the last trained model.
    """
    from tasks.deepar.sagemaker.backend import SageMakerBackend
    from tasks.performance.variants import keep_answers

    settings = selection.settings()
    lake, deepar = open_lake(settings.storage), _deepar(settings)
    if deepar.backend == "local":
        raise ConfigError("models.deepar.backend is local. Only an endpoint on SageMaker has variants.")
    model = latest_model(lake)
    asked = selection.questions(lake, settings)
    with SageMakerBackend(lake, deepar.sagemaker, settings.name) as backend:
        deployed = backend.endpoint(endpoint)
        if not deployed.serves(model.model):
            raise ConfigError(
                f"Endpoint {deployed.name} does not serve {model.model.job}, the model that was trained last. Its "
                "answers would be from other data. Deploy the models first: restock deploy-deepar."
            )
        request = request_of(asked, settings.quantiles, deepar.num_samples)
        lines = [json.dumps(one).encode() for one in request["instances"]]
        answered = {
            name: rows_of_answers(asked, deployed.invocation(name, request["configuration"]).answers(lines))
            for name in deployed.variants()
        }
    kept = keep_answers(lake, deployed.name, answered)
    first = asked[0].dates[0]
    return [
        {"variant": name, "series": len(asked), "first date": first, "kept now": new, "kept before": len(asked) - new}
        for name, new in kept.items()
    ]


def serve_until_stopped(settings_file: str, overrides: Sequence[str], port: int, say: Callable[..., None]) -> None:
    """Serve the last trained model on this machine until Ctrl-C."""
    from tasks.deepar.local.server import loaded, serving

    lake = open_lake(load_settings(Path(settings_file), overrides).storage)
    model = latest_model(lake)
    with loaded(lake.local_copy(model.model.archive.key)) as answer, serving(answer, port) as address:
        say(f"{model.model.job} is served at {address}: GET /ping, POST /invocations. Stop with Ctrl-C.")
        threading.Event().wait()


@contextmanager
def _asked(selection: Selection, **place: Any) -> Iterator[tuple[Settings, list[Question], dict[str, Ask]]]:
    """Settings, the series to ask for, and the models by variant."""
    settings = selection.settings()
    lake = open_lake(settings.storage)
    asked = selection.questions(lake, settings)
    with _models(settings, lake, **place) as models:
        yield settings, asked, models


@contextmanager
def _models(
    settings: Settings, lake: Lake, local: bool, endpoint: str | None, variant: str | None
) -> Iterator[dict[str, Ask]]:
    """Variant to model, on this machine or on an endpoint."""
    if local:
        from tasks.deepar.local.server import loaded, serving

        archive = lake.local_copy(latest_model(lake).model.archive.key)
        with loaded(archive) as answer, serving(answer) as address:
            yield {LOCAL: lambda request: _invoked(address, request)}
        return
    deepar = _deepar(settings)
    if deepar.backend == "local":
        raise ConfigError("models.deepar.backend is local: add --local to ask the model on this machine.")
    from tasks.deepar.sagemaker.backend import SageMakerBackend

    deployed = SageMakerBackend(lake, deepar.sagemaker, settings.name).endpoint(endpoint)
    found = [variant] if variant else list(deployed.variants())
    if not found:
        raise ConfigError(f"Endpoint {deployed.name} does not exist. Create it: restock deploy-deepar, or use --local.")
    yield {name: deployed.asking(name) for name in found}


def _invoked(address: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    sent = urllib.request.Request(  # noqa: S310
        f"{address}/invocations", json.dumps(request).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(sent, timeout=SECONDS_TO_ANSWER) as response:  # noqa: S310
            found: list[dict[str, Any]] = json.loads(response.read())["predictions"]
    except urllib.error.HTTPError as error:
        raise TrainingError(f"The model refused the request: {error.read().decode()}") from error
    return found


def _deepar(settings: Settings) -> DeepArSettings:
    return settings.models.deepar or DeepArSettings()


def export_model(settings_file: str, overrides: Sequence[str], folder: str) -> str:
    """Export the last trained model for machines without GluonTS and without network.

    Returns:
        The name of the training job.

    Raises:
        ConfigError: There is no model, or it was not trained on this machine.
    """
    from tasks.deepar.container.edge import export
    from tasks.deepar.container.failures import ClientError

    lake = open_lake(load_settings(Path(settings_file), overrides).storage)
    record = latest_model(lake)
    encoding = record.channel.encoding
    try:
        with warnings.catch_warnings():
            # torch: dropout has no effect with one layer.
            warnings.simplefilter("ignore", UserWarning)
            export(
                lake.local_copy(record.model.archive.key),
                Path(folder),
                json.loads(lake.read_bytes(encoding.key)) if encoding else None,
            )
    except ClientError as error:
        raise ConfigError(f"The model of {record.model.job} cannot be exported: {error}") from error
    return record.model.job
