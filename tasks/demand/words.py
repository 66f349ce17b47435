"""Words of exports in the languages that Restock knows (words.yaml): names of columns and files, texts of cells."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import yaml

COLUMNS = "columns"
FILES = "files"
CELLS = "cells"
_FILE = Path(__file__).parent / "words.yaml"
# Letters that have no decomposition.
_LETTERS = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE"}
)


@cache
def _words() -> dict[str, Any]:
    # libyaml, where PyYAML has it, reads the file in a tenth of the time.
    safe_loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: dict[str, Any] = yaml.load(_FILE.read_text("utf-8"), Loader=safe_loader)  # noqa: S506
    return content


@cache
def languages() -> dict[str, tuple[str, str]]:
    """Code of each language to its name in English and a country in which it is spoken."""
    return {code: (facts["name"], facts["country"]) for code, facts in _words()["languages"].items()}


@cache
def phrases(group: str, meaning: str, language: str | None = None) -> tuple[str, ...]:
    """The phrases with a meaning, as written in the file.

    Args:
        group: ``columns``, ``files`` or ``cells``.
        meaning: key of the group.
        language: code of a language; None = all languages.
    """
    of_language = _words()[group][meaning]
    chosen = of_language.values() if language is None else [of_language.get(language, "")]
    found = (phrase.strip() for text in chosen for phrase in text.split("|"))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


@cache
def plain(text: str) -> str:
    """A name in lower case, without accents and punctuation.

    >>> plain("Cód_Producto (SKU)")
    'cod producto sku'
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    flat = unicodedata.normalize("NFKD", split.translate(_LETTERS)).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", flat.lower()))


@cache
def bare(text: str) -> tuple[str, ...]:
    """The words of a plain name without articles and prepositions; all words if no other is left.

    >>> bare("date de vente"), bare("de")
    (('date', 'vente'), ('de',))
    """
    words = text.split()
    return tuple(word for word in words if word not in phrases(CELLS, "article")) or tuple(words)


@cache
def holding(meaning: str) -> re.Pattern[str]:
    """A pattern of the plain texts that contain a phrase of the cells with this meaning.

    >>> bool(holding("return").fullmatch(plain("Retour client")))
    True
    """
    return re.compile(rf"(?:.* )?(?:{_choice(meaning)})(?: ?\d+)?(?: .*)?")


@cache
def beginning(meaning: str) -> re.Pattern[str]:
    """A pattern of the plain texts that begin with a phrase of the cells with this meaning."""
    return re.compile(rf"(?:{_choice(meaning)})\b.*")


def _choice(meaning: str) -> str:
    return "|".join(
        sorted({plain(phrase) for phrase in phrases(CELLS, meaning)}, key=lambda phrase: (-len(phrase), phrase))
    )
