"""The message catalog is complete, and numbers, dates and money follow the language."""

from __future__ import annotations

from datetime import date

import pytest

from schemas.alarms import ALARMS
from tasks.report.language import ENGLISH, Language, spanish
from tests.publication import fake_run
from tests.report.catalog import placeholders, texts_of_code, texts_of_template

SPANISH = Language("es", "CLP")


def texts() -> dict[str, str]:
    alarms = {text: f"alarm {facts.name}" for facts in ALARMS.values() for text in (facts.meaning, facts.remedy)}
    return {**texts_of_code(), **texts_of_template(), **alarms}


def test_every_text_has_a_spanish_one() -> None:
    missing = [f"{where}: {text!r}" for text, where in texts().items() if text not in spanish()]
    assert not missing, "\n".join(["add to templates/messages.es.yaml:", *missing])


def test_the_catalog_has_no_unused_texts() -> None:
    unused = set(spanish()) - set(texts())
    assert not unused, sorted(unused)


def test_both_languages_have_the_same_placeholders() -> None:
    different = [text for text, other in spanish().items() if placeholders(text) != placeholders(other)]
    assert not different
    assert all(isinstance(text, str) and text for text in spanish().values())


def test_texts_are_found_in_code_and_template() -> None:
    assert "planner's override" in texts_of_code()
    assert "{count} stores" in texts_of_code()
    assert "Next delivery" in texts_of_code()
    assert "What changed" in texts_of_template()


def test_numbers_and_dates_follow_the_language() -> None:
    assert ENGLISH.number(1234.5, 1) == "1,234.5"
    assert SPANISH.number(1234.5, 1) == "1.234,5"
    assert SPANISH.percent(-0.1234, signed=True) == "-12,3 %"
    assert SPANISH.day(date(2025, 1, 2)) == "2 ene 2025"
    assert SPANISH.compact(2_500_000) == "2,5 M"
    assert SPANISH.number(float("nan")) == ENGLISH.number(None) == "–"
    assert [ENGLISH.signed(value) for value in (3.0, -3.0, 0.2, float("nan"))] == ["+3", "-3", "0", "–"]


@pytest.mark.parametrize(("say", "words"), [(ENGLISH, "1,000,000"), (Language("en", "USD"), "1,000,000 USD")])
def test_money_has_the_currency_of_the_settings(say: Language, words: str) -> None:
    assert say.money(1e6) == words
    assert say.money(None) == "–"


def test_language_follows_the_settings() -> None:
    assert Language.of(fake_run.settings()) == ENGLISH
    assert Language.of(fake_run.settings(language="es", currency="CLP")) == SPANISH
    with pytest.raises(ValueError, match="'en' or 'es'"):
        fake_run.settings(language="fr")


def test_text_of_the_data_is_not_formatted() -> None:
    assert SPANISH.known("shoe {size} {") == "shoe {size} {"
    assert (
        SPANISH("Binding constraint: {name} ({meaning})", name="{x}", meaning="{") == "Restricción que limita: {x} ({)"
    )
