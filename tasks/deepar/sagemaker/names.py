"""Names of jobs: they follow from the request, so that a second process finds the job of the first."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

LONGEST_NAME = 63
LONGEST_TUNING_NAME = 32
_DIGEST_DIGITS = 12
DIGEST = f"[0-9a-f]{{{_DIGEST_DIGITS}}}"
_FALLBACK = "restock"


@dataclass(frozen=True)
class WorkName:
    """The names of the jobs that may be started for one piece of work.

    Attributes:
        stem: all but the attempt's number.
    """

    stem: str

    def attempt(self, number: int) -> str:
        """Name of the attempt with this number, from 1."""
        return f"{self.stem}-{number}"


def work_name(name: str, purpose: str, identity: dict[str, Any], longest: int = LONGEST_NAME) -> WorkName:
    """Name a piece of work: ``<name>-<purpose>-<12 digits>``, room for an attempt of up to two digits left.

    Args:
        name: name of the settings; cut first if there is no room.
        purpose: what for, such as ``cleaned-student-t``.
        identity: everything that the result depends on, as JSON values.
        longest: characters that SageMaker allows.

    >>> work_name("Shoes & Co", "cleaned-student-t", {}).stem
    'shoes-co-cleaned-student-t-44136fa355b3'
    >>> len(work_name("shoes of the north", "cleaned-student-t", {}, longest=32).attempt(12))
    32
    """
    ending = f"-{digest(identity)}"
    room = longest - len(ending) - len("-99")
    wanted = slug(purpose)
    front = _cut(slug(name) or _FALLBACK, max(room - len(wanted) - 1, room // 3))
    return WorkName(_cut(f"{front}-{wanted}", room) + ending)


def digest(identity: dict[str, Any]) -> str:
    """Twelve digits that depend on the content, not on the order of the keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def slug(text: str) -> str:
    """Lowercase letters, digits and single dashes, as SageMaker's names allow them.

    >>> slug("Calzado_Niño: 2025!")
    'calzado-nino-2025'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _cut(text: str, longest: int) -> str:
    return text[:longest].strip("-")
