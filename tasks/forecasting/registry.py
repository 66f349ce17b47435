"""The registry of forecasting models: it finds the model classes, reads their facts and makes forecasters.

A model is a class with ``facts`` (:class:`schemas.facts.ModelFacts`) in a module of one of :data:`PLACES`, and a field
of the same name in :class:`schemas.settings.ModelsSettings`. A class with ``from_settings(settings, context)`` is
fitted by name. One without is made by its own stages (``facts.own_stages``) or never (the ensemble).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Protocol, runtime_checkable

from schemas.errors import ConfigError
from schemas.facts import ModelContext, ModelFacts, Scope
from schemas.protocols import Forecaster
from schemas.run import SHARDS_AT_ONCE
from schemas.settings import BASELINES, ModelsSettings, Settings
from schemas.settings.slices import NamedModels
from tasks.storage.machine import shard_cores

# Modules, and packages whose modules are all searched. By name: the registry depends on no model.
PLACES = (
    "tasks.forecasting.baselines",
    "tasks.forecasting.statistical",
    "tasks.forecasting.trees",
    "tasks.forecasting.combine",
    "tasks.forecasting.pretrained",
    "tasks.deepar",
)


@runtime_checkable
class ModelClass(Protocol):
    """A model class that is made from its settings alone."""

    facts: ModelFacts

    def from_settings(self, settings: Any, context: ModelContext) -> Forecaster:
        """The forecaster; ``settings`` is the model's block, None for a baseline."""
        ...


@cache
def model_classes() -> Mapping[str, type]:
    """Every model class by name: the baselines, then the others in the order of the settings.

    Raises:
        LookupError: two classes share a name, or a class has no field in the settings, or a field no class.
    """
    found: dict[str, type] = {}
    for module in _modules():
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and "facts" in vars(value):
                name = vars(value)["facts"].name
                if name in found:
                    raise LookupError(f"Two model classes are named '{name}': {found[name]} and {value}")
                found[name] = value
    order = [*BASELINES, *ModelsSettings.model_fields]
    if set(order) != set(found):
        raise LookupError(
            "Each model needs a class with facts and a field in ModelsSettings. "
            f"Without a class: {sorted(set(order) - set(found))}; without a field: {sorted(set(found) - set(order))}"
        )
    return MappingProxyType({name: found[name] for name in order})


@cache
def facts() -> Mapping[str, ModelFacts]:
    """The facts of every model by name, in the order of :func:`model_classes`."""
    return MappingProxyType({name: vars(model)["facts"] for name, model in model_classes().items()})


def packages() -> tuple[str, ...]:
    """Distributions whose version may change the figures of a model, sorted."""
    return tuple(sorted({package for model in facts().values() for package in model.packages}))


def module_of(name: str) -> str:
    """Name of the module that defines a model, such as ``tasks.forecasting.statistical.arima``."""
    return model_classes()[name].__module__


def model_files(name: str, settings: Any) -> dict[str, str]:
    """SHA-256 by name of the files outside the lake that a model reads.

    Args:
        name: name of the model.
        settings: the model's own block of the settings; None for a baseline.

    Raises:
        ConfigError: a file cannot be read.
    """
    read = facts()[name].files
    return {} if read is None else dict(read(settings))


def model_names(settings: Settings) -> list[str]:
    """The models that a run fits: the baselines, then those of the settings; the ensemble is combined later."""
    named = [*BASELINES, *settings.models.named()]
    return [name for name in named if facts()[name].scope is not Scope.COMBINED]


def tuned_models(settings: Settings) -> list[str]:
    """The models of a run whose parameters are searched before anything is forecast."""
    named = settings.models.named().items()
    return [name for name, model in named if facts()[name].tunable and getattr(model, "tuning", None) is not None]


def own_stage_models(settings: Settings) -> list[str]:
    """The models of a run that separate stages train and forecast."""
    return [name for name in model_names(settings) if facts()[name].own_stages]


def aggregate_models() -> list[str]:
    """The models that forecast total, stores and categories; the baselines last."""
    known = {name: model for name, model in facts().items() if model.forecasts_aggregates}
    return sorted(known, key=lambda name: known[name].scope is Scope.BASELINE)


def compared_models(settings: Settings) -> NamedModels:
    """The settings of the models that the comparison makes: combined ones, and those of aggregates if it reconciles."""
    reconciles = settings.reconciliation.method != "none"
    made = {name for name, model in facts().items() if model.scope is Scope.COMBINED}
    made |= set(aggregate_models()) if reconciles else set()
    return NamedModels(settings={name: own for name, own in settings.models.named().items() if name in made})


def context_of(settings: Settings) -> ModelContext:
    """The inputs of a run's models in addition to their own settings."""
    cores = shard_cores(settings.compute.workers, SHARDS_AT_ONCE)
    return ModelContext(tuple(settings.quantiles), settings.country, cores.workers, cores.threads)


def make_forecaster(name: str, settings: Settings) -> Forecaster:
    """The forecaster of a model that the settings name, or of a baseline.

    Raises:
        ConfigError: the settings do not name the model, or it cannot be made from its settings alone.
    """
    named = settings.models.named()
    if name not in (*BASELINES, *named):
        raise ConfigError(f"models: '{name}' is not set up. Expected one of {', '.join(model_names(settings))}")
    return create(name, named.get(name), context_of(settings))


def create(name: str, settings: Any, context: ModelContext) -> Forecaster:
    """The forecaster of a model.

    Args:
        name: name of the model.
        settings: the model's own block of the settings; None for a baseline.
        context: quantile levels, country, processes and threads.

    Raises:
        ConfigError: the model cannot be made from its settings alone.
    """
    model = model_classes()[name]
    if not isinstance(model, ModelClass):
        what = (
            "its forecasts are combined from those of the other models"
            if facts()[name].scope is Scope.COMBINED
            else "its own stages create it"
        )
        raise ConfigError(f"models: '{name}' cannot be made from its settings alone: {what}")
    return model.from_settings(settings, context)


def _modules() -> Iterator[ModuleType]:
    for place in PLACES:
        module = import_module(place)
        yield module
        for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
            if not found.ispkg:
                yield import_module(f"{place}.{found.name}")
