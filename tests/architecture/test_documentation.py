"""The documentation keeps step with the code: settings page, README example, commands."""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_reference", ROOT / "docs" / "settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_what_the_model_says(reference: ModuleType) -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == reference.page(), "run: make docs"


def test_every_setting_has_a_meaning(reference: ModuleType) -> None:
    assert not [key for key, _, _, meaning in reference.rows() if not meaning]


def test_the_page_explains_no_setting_that_does_not_exist(reference: ModuleType) -> None:
    keys = {key for key, *_ in reference.rows()}
    assert set(reference.MEANINGS) | set(reference.DEFAULTS) <= keys


def test_the_settings_example_of_the_readme_is_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert examples
    for example in examples:
        assert Settings.model_validate(yaml.safe_load(textwrap.dedent(example))).sources.sales.path


def test_the_readme_lists_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["restock"])
    from flows.__main__ import cli

    named = set(re.findall(r"^\| `restock ([a-z-]+)", README, re.MULTILINE))
    assert named == set(cli.commands)
