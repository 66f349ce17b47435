"""docs/settings.md against the settings model: every key once, effective defaults, examples that are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from schemas.settings import ModelsSettings, Settings, Sources, SourceSettings, Strict
from schemas.settings.layout import EXPERT, group_of, place_of
from schemas.settings.strict import LibraryParameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
REQUIRED = {"name": "x", "sources": {name: {"path": "x"} for name in ("sales", "products", "stores")}}
TABLE = "<table>"


class Row(NamedTuple):
    part: str
    key: str
    cells: dict[str, str]


def rows_of(page: str) -> list[Row]:
    """The rows of all tables, with the heading (``## ...``) that they are below."""
    found: list[Row] = []
    part, header = "", []
    for line in page.splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells or set(line) <= set("|- "):
            continue
        if cells[0] == "key":
            header = cells
        else:
            found.append(Row(part, cells[0].strip("`"), dict(zip(header, cells, strict=True))))
    return found


ROWS = rows_of(PAGE)
FIRST_PAGE = [row for row in ROWS if row.part == "Settings of a retailer"]


def leaves(group: type[Strict], above: str = "") -> Iterator[str]:
    """Keys that have a value, and models, whose presence is a value."""
    for name, info in group.model_fields.items():
        path = f"{above}{name}"
        inner = group_of(info)
        if inner is SourceSettings:
            continue
        library = inner is not None and issubclass(inner, LibraryParameters)
        if inner is None or info.default is None or inner is ModelsSettings or library:
            yield path
        if inner is not None and not library:
            yield from leaves(inner, f"{path}.")


def expected_keys() -> list[str]:
    shared = [f"sources.{TABLE}.{name}" for name in SourceSettings.model_fields]
    return [place_of(Settings, path) for path in leaves(Settings)] + shared


def value_at(settings: Settings, key: str) -> Any:
    """The value of a key of the page; a group that is absent by default counts with its defaults."""
    *above, name = key.removeprefix(f"{EXPERT}.").replace(TABLE, "sales").split(".")
    value: Any = settings
    for part in above:
        group = group_of(type(value).model_fields[part])
        inner = getattr(value, part)
        value = group() if group and inner is None else inner
    return getattr(value, name)


def settings_of(frequency: str) -> Settings:
    models = {name: {} for name in ModelsSettings.model_fields}
    sources = {name: {"path": "x"} for name in Sources.model_fields}
    return Settings.model_validate({**REQUIRED, "sources": sources, "frequency": frequency, "models": models})


def as_json(value: Any) -> Any:
    if isinstance(value, Strict):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value


def wrong_defaults(rows: list[Row]) -> list[str]:
    """Keys whose printed default is not that of an instance."""
    wrong = []
    fitted = Settings.model_validate(REQUIRED).models
    for _, key, cells in rows:
        printed = cells["default"].strip("`")
        if printed in ("fitted", "not fitted"):
            right = (getattr(fitted, key.split(".")[1]) is not None) == (printed == "fitted")
        elif printed == "required":
            right = key in {"name", f"sources.{TABLE}.path"}
        elif key == "models":
            right = list(yaml.safe_load(printed)) == list(fitted.named())
        elif " / " in printed:
            effective = [value_at(settings_of(frequency), key) for frequency in ("D", "W-MON", "MS")]
            right = [int(part) for part in printed.split(" / ")] == effective
        else:
            value = as_json(value_at(settings_of("D"), key))
            right = value == (None if printed == "absent" else yaml.safe_load(printed))
        if not right:
            wrong.append(key)
    return wrong


def test_every_key_is_on_the_page_once() -> None:
    assert sorted(row.key for row in ROWS) == sorted(expected_keys())


def test_the_defaults_are_those_of_instances() -> None:
    assert wrong_defaults(ROWS) == []


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("expert.models.deepar.sagemaker.transform_instance.type", "ml.m5.large", "ml.c5.2xlarge"),
        ("inventory.review_period", "7 / 1 / 1", "7 / 2 / 1"),
        ("models.theta", "not fitted", "fitted"),
        ("publication.max_change", "absent", "0.5"),
    ],
)
def test_a_wrong_default_is_found(key: str, right: str, wrong: str) -> None:
    row = next(row for row in ROWS if row.key == key)
    changed = row._replace(cells={**row.cells, "default": row.cells["default"].replace(right, wrong)})
    assert wrong_defaults([row, changed]) == [key]


def test_the_first_part_has_the_settings_of_a_retailer() -> None:
    assert 25 <= len(FIRST_PAGE) <= 40
    for row in FIRST_PAGE:
        assert list(row.cells) == ["key", "meaning", "unit", "example", "effect", "default"]
        assert all(row.cells.values()), row.key
        assert not row.key.startswith(f"{EXPERT}."), row.key


@pytest.mark.parametrize("row", FIRST_PAGE, ids=lambda row: row.key)
def test_every_example_is_valid_and_changes_something(row: Row) -> None:
    example = yaml.safe_load(row.cells["example"].strip("`"))
    tree: Any = example
    for part in reversed(row.key.replace(TABLE, "sales").split(".")):
        tree = {part: tree}
    if row.key.startswith("sources."):
        tree["sources"]["sales"].setdefault("path", "x")
        tree["sources"] = {**REQUIRED["sources"], **tree["sources"]}  # type: ignore[dict-item]
    if row.key == "output.decimal":  # decimal mark and delimiter must differ
        tree["output"]["delimiter"] = ";"
    changed = Settings.model_validate({**REQUIRED, **tree})
    assert changed != Settings.model_validate(REQUIRED)


def test_all_other_keys_are_expert_settings_or_in_the_contract() -> None:
    contract = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")
    for row in ROWS:
        if row not in FIRST_PAGE and not row.key.startswith((EXPERT, "models.")):
            assert re.search(rf"\b{row.key.rsplit('.', maxsplit=1)[-1]}\b", contract), row.key


def test_the_meanings_are_those_of_the_model() -> None:
    for _, key, cells in ROWS:
        *above, name = key.removeprefix(f"{EXPERT}.").replace(TABLE, "sales").split(".")
        group: type[Strict] = Settings
        for part in above:
            inner = group_of(group.model_fields[part])
            assert inner is not None
            group = inner
        info = group.model_fields[name]
        assert cells["meaning"] == (info.description or _first_line(group_of(info))), key


def _first_line(group: type[Strict] | None) -> str:
    assert group is not None
    return str(group.__doc__).strip().splitlines()[0].rstrip(".")


def test_documents_write_expert_keys_at_their_place() -> None:
    paths = [path for path in leaves(Settings) if "." in path and place_of(Settings, path) != path]
    bare = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, paths))})(?![\w])")
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = {
        document.name: sorted(set(bare.findall(document.read_text("utf-8"))))
        for document in documents
        if bare.search(document.read_text("utf-8"))
    }
    assert not found, f"write expert.<key>: {found}"
