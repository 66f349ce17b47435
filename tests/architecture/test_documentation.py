"""The documentation keeps step with the code: settings examples, commands, tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.cli.group import MODULES
from schemas.outputs import output_tables
from schemas.settings import Settings
from schemas.settings.layout import group_of
from schemas.settings.strict import Strict
from schemas.tables import TABLES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CONTRACT = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")


@pytest.mark.parametrize("page", [README, CONTRACT], ids=["README", "contract"])
def test_the_settings_example_of_a_page_is_valid(page: str) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        assert Settings.model_validate(yaml.safe_load(textwrap.dedent(example))).sources.sales.path


def test_the_contract_lists_every_command() -> None:
    named = set(re.findall(r"^\| `restock ([a-z-]+)", CONTRACT, re.MULTILINE))
    assert named == set(MODULES)


def test_the_contract_lists_every_table_and_its_columns() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| (.*) \|$", CONTRACT.partition("## Input tables")[2], re.MULTILINE))
    assert set(TABLES) <= set(rows)
    for name, table in TABLES.items():
        missing = [column.name for column in table.columns if column.name not in re.findall(r"\w+", rows[name])]
        assert not missing, name


def test_the_contract_lists_every_output_and_its_columns() -> None:
    outputs = CONTRACT.partition("## Outputs")[2].partition("## Publication")[0]
    for table in output_tables([0.1, 0.5]):
        assert f"`{table.file}`" in outputs
        missing = [name for name in table.columns if not re.search(rf"\b{re.escape(name)}\b", outputs)]
        assert [name for name in missing if not name.startswith("q0.")] == [], table.file


def test_the_readme_and_the_contributing_page_stay_short() -> None:
    assert len(README.splitlines()) <= 120
    assert len((ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()) <= 45


def test_every_public_name_in_the_glossary_exists() -> None:
    rows = re.findall(r"^\|(.*)\|$", (ROOT / "docs" / "reference" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[-1])}
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("schemas", "tasks", "flows")
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
    code += (ROOT / "Makefile").read_text("utf-8")
    absent = [name for name in sorted(names) if not all(part in code for part in re.findall(r"[\w-]+", name))]
    assert len(names) > 50
    assert not absent


def _renamed(group: type[Strict]) -> Iterator[str]:
    """Old names of the keys of a group and of every group in it."""
    yield from group.renamed
    for info in group.model_fields.values():
        inner = group_of(info)
        if inner is not None:
            yield from _renamed(inner)


def test_the_contract_lists_every_renamed_setting() -> None:
    section = CONTRACT.partition("## Renamed names")[2]
    old = set(_renamed(Settings))
    assert old
    assert not [name for name in old if not re.search(rf"[`.]{name}`", section)]
