"""Writes docs/settings.md from the settings model: ``.venv/bin/python docs/settings_reference.py``.

A test compares the file with what this script makes, so that the page cannot fall behind the model.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.settings import TREE_RANGES, Settings, SourceSettings
from schemas.tables import TABLES

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Settings

<!-- Made by docs/settings_reference.py from schemas/settings/. Do not edit: run `make docs`. -->

One YAML file. An unknown key is an error, and the message names the nearest known one. Relative paths are
relative to the file. `--set key.path=value` changes a key for one run (the value is read as YAML, mappings
are merged, a relative path is relative to the working directory). `demo-company/settings.yaml`, which
`make demo` writes, is a complete example with comments.

Where three defaults stand (`28 / 8 / 6`), they hold for days / weeks / months (`frequency` `D` / `W-...` / `MS`).
"""
SEARCHED = (
    "`{}` searches, by Optuna on windows before the first fold, the parameters that are left at their defaults: "
    + ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high, _) in TREE_RANGES.items())
    + "; they replace the defaults where their loss is 5 % lower"
)
# What the model leaves to this page: keys without a description of their own.
MEANINGS = {
    "name": "Name of the forecast: stands in the names of runs and artifacts",
    "frequency": "`D`, `W-MON` … `W-SUN` (weeks, labelled by their first day) or `MS` (months, likewise)",
    "aggregate": "Sum daily sale lines to the periods of `frequency`; otherwise a date off the frequency is a bad row",
    "horizon": "Periods to forecast; at least `inventory.lead_time` + `inventory.review_period`",
    "quantiles": "Quantiles to forecast, as rising fractions; 0.5 must be one of them",
    "country": "ISO 3166 code; its public holidays become features. Absent: none",
    "storage": "Folder or `s3://bucket/prefix` of the lake: everything the product writes",
    "seed": "Seed of everything random: same inputs, settings and seed give the same files",
    "category": "Product columns that make the forecast category, joined by `_`; `[sku]` forecasts every SKU",
    "models.arima": "Named = fitted. So for every model; `{}` takes its defaults",
    "models.prophet.changepoint_prior_scale": "How freely the trend bends",
    "models.prophet.seasonality_prior_scale": "How freely the seasons swing",
    "models.xgboost.learning_rate": "Step per boosting round",
    "models.xgboost.max_depth": "Depth of a tree",
    "models.xgboost.subsample": "Share of the rows that a tree sees",
    "models.xgboost.colsample_bytree": "Share of the features that a tree sees",
    "models.xgboost.reg_lambda": "L2 regularisation",
    "models.xgboost.reg_alpha": "L1 regularisation",
    "models.xgboost.min_child_weight": "Least weight of the rows in a leaf",
    "models.xgboost_lags.learning_rate": "Step per boosting round",
    "models.xgboost_lags.max_leaves": "Leaves of a tree at most",
    "models.xgboost_lags.subsample": "Share of the rows that a tree sees",
    "models.xgboost_lags.colsample_bytree": "Share of the features that a tree sees",
    "models.xgboost_lags.reg_lambda": "L2 regularisation",
    "models.xgboost_lags.min_child_weight": "Least weight of the rows in a leaf",
    "models.xgboost_recursive.learning_rate": "Step per boosting round",
    "models.xgboost_recursive.max_leaves": "Leaves of a tree at most",
    "models.xgboost_recursive.subsample": "Share of the rows that a tree sees",
    "models.xgboost_recursive.colsample_bytree": "Share of the features that a tree sees",
    "models.xgboost_recursive.reg_lambda": "L2 regularisation",
    "models.xgboost_recursive.min_child_weight": "Least weight of the rows in a leaf",
    "models.xgboost_lags.tuning": SEARCHED,
    "models.xgboost_recursive.tuning": SEARCHED,
    "inventory.policies": "Policies that the cost table compares; the cheapest valid plan is published",
    "inventory.genetic.population": "Plans in a generation",
    "inventory.genetic.generations": "Generations",
    "inventory.capacity": "`hard`: where demand is known, a plan above a store's capacity is invalid. `soft`: it pays",
    "inventory.service_level": "Share of demand paths that a level covers, where no cost bounds it",
    "output.delimiter": "Between the columns of the replenishment file",
    "output.encoding": "Encoding of the replenishment file",
}
DEFAULTS = {
    "horizon": "`28 / 8 / 6`",
    "inventory.review_period": "`7 / 1 / 1`",
    "backtest.step": "`7 / 1 / 1`",
    "models": "arima, prophet, xgboost, xgboost_lags, xgboost_recursive, tsb, ensemble",
    "output.columns": "the contract's names",
}
NAMES_OF_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings group behind an annotation such as ``ArimaSettings | None``."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    return models[0] if models else None


def _type_text(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if origin is list:
        return f"list of {_type_text(inside[0])}{'s' if inside[0] is float else ''}"
    if origin is dict:
        return "mapping"
    if origin in (Union, types.UnionType):
        return " or ".join("null" if option is types.NoneType else _type_text(option) for option in inside)
    return NAMES_OF_TYPES.get(annotation, "mapping")


def _bounds_text(field: FieldInfo) -> str:
    parts = []
    for limit in field.metadata:
        for kind, (sign, attribute) in BOUNDS.items():
            if isinstance(limit, kind):
                parts.append(f"{sign} {getattr(limit, attribute)}")
        if isinstance(limit, MinLen) and limit.min_length:
            parts.append("not empty")
        if isinstance(limit, MaxLen):
            parts.append(f"at most {limit.max_length} characters")
    return ", ".join(parts)


def _default_text(key: str, field: FieldInfo) -> str:
    if key in DEFAULTS:
        return DEFAULTS[key]
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "absent"
    if isinstance(default, BaseModel):
        return "as below"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    whole = isinstance(default, float) and default.is_integer()
    return f"`{int(default) if whole else default}`".replace("'", "")


def _meaning(key: str, field: FieldInfo, group: type[BaseModel] | None) -> str:
    if key in MEANINGS:
        return MEANINGS[key]
    if field.description:
        return field.description
    summary = (group.__doc__ or "").strip().splitlines()[0] if group else ""
    return re.sub(r" \((?:domain|contract), [^)]*\)", "", summary).replace("``", "`").rstrip(".")


def rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of every setting, groups before their keys.

    The sources share one set of keys, which stands under ``sources.<table>``.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        group = _model_in(field.annotation)
        if group is SourceSettings:
            default = "required" if field.is_required() else "absent"
            yield key, "mapping", default, f"Where the table `{TABLES[name].name}` lies"
            continue
        kind = "mapping" if group else _type_text(field.annotation)
        bounds = _bounds_text(field)
        yield key, f"{kind} ({bounds})" if bounds else kind, _default_text(key, field), _meaning(key, field, group)
        if group:
            yield from rows(group, f"{key}.")
        if name == "sources":
            yield from rows(SourceSettings, "sources.<table>.")


def page() -> str:
    """The whole page."""
    lines = [HEAD, "| key | type | default | meaning |", "|---|---|---|---|"]
    for key, kind, default, meaning in rows():
        lines.append(f"| `{key}` | {_cell(kind)} | {_cell(default)} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
