"""Writes docs/settings.md from the settings model: ``.venv/bin/python docs/settings_reference.py``.

Meanings, units, examples and effects are on the fields of the model. Defaults are those of instances of the model.
tests/architecture/test_settings_page.py reads the page and compares every row with the model.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.settings import ModelsSettings, Settings, Sources, SourceSettings, Strict
from schemas.settings.layout import EXPERT, group_of, place_of
from schemas.settings.strict import EFFECT, UNIT, LibraryParameters

PAGE = Path(__file__).with_name("settings.md")
TABLE = "<table>"
ANY_TABLE = "sales"
FREQUENCIES = ("D", "W-MON", "MS")
HEAD = """\
# Settings

<!-- Made by docs/settings_reference.py from schemas/settings/. Do not edit: run `make docs`. -->

The settings are one YAML file. An unknown key is an error, and the message suggests the nearest known key. Relative
paths are relative to the file. `--set key.path=value` changes a key for one run: the value is read as YAML, mappings
are merged, a relative path is relative to the working directory. `demo-company/settings.yaml`, which `make demo`
writes, is a complete example with comments.

`absent` means that the key has no value. Three defaults (`28 / 8 / 6`) hold for days / weeks / months
(`frequency` `D` / `W-...` / `MS`).

## Settings of a retailer

"""
SECOND = """
## More keys of these sections

Few retailers change them.

"""
MODELS = """
### Models

A model is fitted if its key is present; `{}` uses its defaults. Baselines (seasonal naive, moving average) are always
fitted.

"""
THIRD = """
## Expert settings

The defaults suit most retailers. All these keys lie below `expert:`, at the path of their section, for example:

```yaml
expert:
  compute: {workers: 4}
  models:
    xgboost: {max_rows: 60000}
```

Until the next release they are also accepted without `expert`, with a warning.
"""
DETAILS = ("key", "type", "default", "meaning")
FIRST_PAGE = ("key", "meaning", "unit", "example", "effect", "default")
NAMES_OF_TYPES = {str: "text", int: "integer", float: "number", bool: "true or false"}
BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


@dataclass(frozen=True)
class Key:
    """One key of the typed settings.

    Attributes:
        path: key path; the input tables share one set of keys, ``sources.<table>``.
        info: the field.
        group: the class that has the field.
    """

    path: str
    info: FieldInfo
    group: type[Strict]

    @property
    def place(self) -> str:
        """The key path in the settings file."""
        return place_of(Settings, self.path.replace(TABLE, ANY_TABLE)).replace(ANY_TABLE, TABLE)

    @property
    def extra(self) -> dict[str, Any]:
        """Unit and effect, for a key of the first part."""
        extra = self.info.json_schema_extra
        return dict(extra) if isinstance(extra, dict) else {}


def keys(group: type[Strict] = Settings, above: str = "") -> Iterator[Key]:
    """Every key that has its own value, in the order of the model."""
    for name, info in group.model_fields.items():
        inner = group_of(info)
        if inner is None or info.description or group.presence_counts:
            yield Key(f"{above}{name}", info, group)
        if inner is Sources:
            yield from keys(SourceSettings, f"{above}{name}.{TABLE}.")
        elif inner is not None and not issubclass(inner, LibraryParameters):
            yield from keys(inner, f"{above}{name}.")


@cache
def instance(frequency: str) -> Settings:
    """Settings with every model and every table, all else at its default."""
    return Settings.model_validate(
        {
            "name": "x",
            "frequency": frequency,
            "sources": {name: {"path": "x"} for name in Sources.model_fields},
            "models": {name: {} for name in ModelsSettings.model_fields},
        }
    )


def default_of(path: str, settings: Settings) -> object:
    """The effective default of a key: the value of an instance, as JSON."""
    value: Any = settings
    *above, name = path.replace(TABLE, ANY_TABLE).split(".")
    for part in above:
        inner = getattr(value, part)
        if inner is None:  # a group that is absent by default, such as the tuning of trees
            group = group_of(type(value).model_fields[part])
            assert group is not None
            inner = group()
        value = inner
    return value.model_dump(mode="json")[name]


def default_text(key: Key) -> str:
    """The default as YAML, ``required`` or ``absent``; three where it follows the frequency."""
    if key.info.is_required():
        return "required"
    if key.group.presence_counts:
        return "fitted" if getattr(Settings.model_fields["models"].default, key.path.split(".")[-1]) else "not fitted"
    if key.path == "models":
        return _yaml({name: {} for name in Settings.model_fields["models"].default.named()})
    frequencies = FREQUENCIES if key.path != "frequency" else FREQUENCIES[:1]
    texts = [_yaml(default_of(key.path, instance(frequency))) for frequency in frequencies]
    return texts[0] if len(set(texts)) == 1 else f"`{' / '.join(text.strip('`') for text in texts)}`"


def _yaml(value: object) -> str:
    if value is None:
        return "absent"
    text = yaml.safe_dump(
        _without_zeros(value), default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False
    )
    return f"`{text.removesuffix(chr(10)).removesuffix('...').strip()}`"


def _without_zeros(value: Any) -> Any:
    """Whole floats as integers: 50 instead of 50.0."""
    if isinstance(value, dict):
        return {name: _without_zeros(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_zeros(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _type_text(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if origin is list:
        return f"list of {_type_text(inside[0])}{'s' if inside[0] is float else ''}"
    if origin is dict:
        return "mapping"
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(option) for option in inside if option is not types.NoneType)
    return NAMES_OF_TYPES.get(annotation, "mapping" if isinstance(annotation, type) else "value")


def _bounds_text(info: FieldInfo) -> str:
    parts = []
    for limit in info.metadata:
        for kind, (sign, attribute) in BOUNDS.items():
            if isinstance(limit, kind):
                parts.append(f"{sign} {getattr(limit, attribute)}")
        if isinstance(limit, MinLen) and limit.min_length:
            parts.append("not empty")
        if isinstance(limit, MaxLen):
            parts.append(f"at most {limit.max_length} characters")
    return ", ".join(parts)


def _meaning(key: Key) -> str:
    if key.info.description:
        return key.info.description
    group = group_of(key.info)
    return first_line(group) if group else ""


def first_line(group: type[BaseModel]) -> str:
    """First line of a docstring, without its full stop."""
    return (group.__doc__ or "").strip().splitlines()[0].replace("``", "`").rstrip(".")


def _details(key: Key) -> dict[str, str]:
    bounds = _bounds_text(key.info)
    kind = _type_text(key.info.annotation)
    return {
        "key": f"`{key.place}`",
        "type": f"{kind} ({bounds})" if bounds else kind,
        "default": default_text(key),
        "meaning": _meaning(key),
    }


def _first_page(key: Key) -> dict[str, str]:
    return {
        "key": f"`{key.place}`",
        "meaning": _meaning(key),
        "unit": key.extra[UNIT],
        "example": _yaml((key.info.examples or [None])[0]),
        "effect": key.extra[EFFECT],
        "default": default_text(key),
    }


def _table(header: tuple[str, ...], rows: list[dict[str, str]]) -> str:
    lines = [header, ("---",) * len(header), *(tuple(row[name] for name in header) for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def page() -> str:
    """The whole page."""
    every = list(keys())
    first = [key for key in every if UNIT in key.extra]
    models = [key for key in every if key.group.presence_counts]
    expert = [key for key in every if key.place.startswith(f"{EXPERT}.")]
    second = [key for key in every if key not in first and key not in models and key not in expert]
    required = [name for name, info in Sources.model_fields.items() if info.is_required()]
    optional = [name for name in Sources.model_fields if name not in required]
    tables = (
        f"`{TABLE}` is the name of an input table ([columns](reference/contract.md#input-tables)).\n"
        f"Required: {', '.join(required)}.\nOptional: {', '.join(optional)}.\n\n"
    )
    text = HEAD + tables + _table(FIRST_PAGE, [_first_page(key) for key in first])
    text += SECOND + _table(DETAILS, [_details(key) for key in second])
    text += MODELS + _table(DETAILS, [_details(key) for key in models]) + THIRD
    for section in dict.fromkeys(_section(key) for key in expert):
        rows = [_details(key) for key in expert if _section(key) == section]
        text += f"\n### {section}\n\n{_summary(section)}.\n\n{_table(DETAILS, rows)}"
    return text


def _section(key: Key) -> str:
    """Heading of an expert key: its section, or the model that it belongs to."""
    parts = key.path.split(".")
    return ".".join(parts[: 2 if parts[0] == "models" else 1])


def _summary(section: str) -> str:
    group: type[Strict] = Settings
    text = ""
    for part in section.split("."):
        info = group.model_fields[part]
        inner = group_of(info)
        assert inner is not None
        group, text = inner, info.description or first_line(inner)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
