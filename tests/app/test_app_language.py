"""Every text of the app has a Spanish one, in its catalog or in the report's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from tasks.app.language import CATALOG as APP_CATALOG
from tasks.app.language import AppLanguage, app_texts
from tasks.report.language import CATALOG, spanish
from tests.report.catalog import placeholders, texts_of_code


def keys(catalog: Path) -> list[str]:
    """The English texts of a catalog; YAML itself keeps the last of two equal ones."""
    root = yaml.compose(catalog.read_text(encoding="utf-8"))
    assert isinstance(root, yaml.MappingNode)
    return [key.value for key, _ in root.value]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return texts_of_code(("tasks/app",))


def test_every_text_of_the_app_has_a_spanish_one(texts: dict[str, str]) -> None:
    missing = [f"{where}: {text!r}" for text, where in texts.items() if text not in app_texts() | spanish()]
    assert not missing, "\n".join(["add to tasks/app/messages.es.yaml:", *missing])
    assert len(texts) > 200


def test_the_catalog_has_no_unused_texts_and_equal_placeholders(texts: dict[str, str]) -> None:
    assert not set(app_texts()) - set(texts)
    assert not [text for text, other in app_texts().items() if placeholders(text) != placeholders(other)]


def test_texts_come_from_both_catalogs() -> None:
    say = AppLanguage("es", "CLP")
    assert (say("What if"), say("Store"), say.known("zapato")) == ("Qué pasa si", "Tienda", "zapato")
    assert say.money(1234.0) == "1.234 CLP"


def test_a_text_is_translated_once() -> None:
    twice = [text for text, count in Counter(keys(CATALOG) + keys(APP_CATALOG)).items() if count > 1]
    assert not twice
