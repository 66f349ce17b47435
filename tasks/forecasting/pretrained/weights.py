"""The folder with the weights of a pretrained network: complete, licensed, and of the right kind.

Nothing is downloaded. A user copies the files of a published model into a folder, with the text of its license.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, first_few

CONFIG, WEIGHTS, ADAPTER, CARD = "config.json", "model.safetensors", "adapter_config.json", "README.md"
PIPELINE_KEY, PIPELINE = "chronos_pipeline_class", "Chronos2Pipeline"
PACKAGES = {"chronos": "chronos-forecasting", "peft": "peft"}
_LICENSE = re.compile(r"(licen[sc]e|copying)(\.(txt|md|rst))?", re.IGNORECASE)
# A name such as "apache-2.0" is shorter; the shortest licenses in use have more.
_SHORTEST_LICENSE = 200
_NONCOMMERCIAL = re.compile(
    r"non[\s-]?commercial|\bcc[\s-]by[\s-]nc\b|\b(?:research|academic|evaluation)\s+(?:use|purposes?)\s+only"
    r"|\bonly\s+for\s+(?:research|academic|evaluation)",
    re.IGNORECASE,
)
_CARD_LICENSE = re.compile(r"^license(?:_name)?:.*$", re.IGNORECASE | re.MULTILINE)
_KEY = "models.chronos2.weights"


def unusable_weights(values: Mapping[str, Any]) -> list[str]:
    """List what keeps ``models.chronos2`` from running here: package or weights, one line each.

    Args:
        values: the values of the settings file. The schema checks anything that is not text.
    """
    models = values.get("models")
    given = models.get("chronos2") if isinstance(models, Mapping) else None
    if not isinstance(given, Mapping):
        return []
    folder = given.get("weights")
    problems = [] if folder is not None and not isinstance(folder, str) else _problems(folder, given)
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    if missing:
        problems.append(
            f"models.chronos2 needs {' and '.join(missing)}, not installed here. Install the extra: "
            "pip install 'restock[pretrained]', or remove models.chronos2"
        )
    return problems


def checksums(folder: str) -> dict[str, str]:
    """Return the SHA-256 of the files that decide a forecast, and of the license, by file name.

    Raises:
        ConfigError: a file is missing.
    """
    place = Path(folder)
    found = [place / CONFIG, place / WEIGHTS, *_licenses(place)]
    try:
        return {path.name: _sha256(path, path.stat().st_size, path.stat().st_mtime_ns) for path in found}
    except OSError as error:
        raise ConfigError(f"{_KEY}: {error.filename} cannot be read ({error.strerror}). Copy it again.") from None


def _problems(folder: str | None, given: Mapping[str, Any]) -> list[str]:
    expected = f"Expected a folder on this machine with {CONFIG}, {WEIGHTS} and the license text (LICENSE)"
    if not folder:
        return [f"{_KEY} is missing. {expected}"]
    place = Path(folder)
    if folder.startswith("s3://") or not place.is_dir():
        return [
            f"{_KEY}: {folder} is not a folder. {expected}. Restock downloads no weights: the name of a model on a "
            "hub is not accepted. Download the model's files once, and give their folder"
        ]
    if (place / ADAPTER).exists():
        return [f"{_KEY}: {folder} contains a LoRA adapter ({ADAPTER}). Merge it into its base model, and save that"]
    absent = [name for name in (CONFIG, WEIGHTS) if not (place / name).is_file()]
    if absent:
        there = sorted(path.name for path in place.iterdir())
        return [
            f"{_KEY}: {folder} has no {' and no '.join(absent)}. Found {first_few(there) if there else 'no file'}. "
            f"{expected}"
        ]
    return [*_wrong_model(place / CONFIG), *_license_problems(place, bool(given.get("accept_noncommercial")))]


def _wrong_model(config: Path) -> list[str]:
    try:
        content = json.loads(config.read_text("utf-8"))
        found = content.get(PIPELINE_KEY) if isinstance(content, dict) else None
    except (OSError, ValueError) as error:
        return [f"{_KEY}: {config} is not a JSON file ({error}). Copy it again"]
    if found == PIPELINE:
        return []
    return [
        f"{_KEY}: {config} describes another model ({PIPELINE_KEY}: {found or 'absent'}). Expected a Chronos-2 model "
        f"({PIPELINE_KEY}: {PIPELINE}), for example the files of amazon/chronos-2 or autogluon/chronos-2-small"
    ]


def _license_problems(place: Path, accepted: bool) -> list[str]:
    texts = {path.name: path.read_text("utf-8", errors="replace") for path in _licenses(place)}
    if not any(len(text.strip()) >= _SHORTEST_LICENSE for text in texts.values()):
        found = f"{', '.join(texts)} has no license text" if texts else "there is no LICENSE file"
        return [
            f"{_KEY}: {place}: {found}. Copy the whole text of the license that the model's page names into "
            f"{place / 'LICENSE'}, and check that it allows your use"
        ]
    card = place / CARD
    if card.is_file():
        texts[CARD] = "\n".join(_CARD_LICENSE.findall(card.read_text("utf-8", errors="replace")))
    refused = {name: match.group() for name, text in texts.items() if (match := _NONCOMMERCIAL.search(text))}
    if not refused or accepted:
        return []
    name, words = next(iter(refused.items()))
    return [
        f"{_KEY}: {place / name} allows no commercial use (it says '{' '.join(words.split())}'). Use other weights. If "
        "the license allows your use, set models.chronos2.accept_noncommercial: true"
    ]


def _licenses(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if _LICENSE.fullmatch(path.name) and path.is_file())


@cache
def _sha256(path: Path, size: int, modified: int) -> str:  # noqa: ARG001  # size and time change with the file
    """Read half a gigabyte once per process, not once per shard."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
