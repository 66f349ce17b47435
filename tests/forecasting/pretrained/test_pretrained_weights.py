"""The folder with pretrained weights: what is refused before a run starts, and what the messages say to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flows.preparation import CHECKS
from schemas.errors import ConfigError
from tasks.configuration.settings_file import read_settings
from tasks.forecasting.pretrained import weights
from tasks.forecasting.pretrained.weights import checksums, unusable_weights
from tasks.forecasting.registry import model_files

APACHE = "Apache License, Version 2.0. " + "You may reproduce and distribute copies of the Work. " * 6
CHRONOS_2 = {"chronos_pipeline_class": "Chronos2Pipeline", "architectures": ["Chronos2Model"]}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: object())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models" / "small"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(CHRONOS_2))
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "LICENSE").write_text(APACHE)
    return place


def problems(folder: object, **more: object) -> list[str]:
    return unusable_weights({"models": {"chronos2": {"weights": folder, **more}}})


def test_a_complete_folder_with_a_license_is_accepted(folder: Path) -> None:
    assert problems(str(folder)) == []
    (folder / "LICENSE").rename(folder / "licence.txt")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nnon-commercial competitors are worse")
    assert problems(str(folder)) == []
    assert unusable_weights({"models": {"arima": {}}}) == unusable_weights({"models": None}) == problems(3) == []


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (None, ["models.chronos2.weights is missing", "config.json, model.safetensors and the license text"]),
        ("amazon/chronos-2", ["amazon/chronos-2 is not a folder", "name of a model on a hub is not accepted"]),
        ("s3://bucket/chronos-2", ["s3://bucket/chronos-2 is not a folder", "folder on this machine"]),
    ],
)
def test_anything_but_a_folder_is_refused(weights: str | None, words: list[str]) -> None:
    (problem,) = problems(weights)
    assert all(word in problem for word in words), problem


def test_missing_and_wrong_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (problem,) = problems(str(folder))
    assert "has no model.safetensors. Found LICENSE, config.json, pytorch_model.bin (3 in all)" in problem
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    bolt = json.dumps({"chronos_pipeline_class": "ChronosBoltPipeline"})
    for content, found in ((bolt, "ChronosBoltPipeline"), ("[]", "absent")):
        (folder / "config.json").write_text(content)
        (problem,) = problems(str(folder))
        assert f"describes another model (chronos_pipeline_class: {found}). Expected a Chronos-2 model" in problem
    (folder / "config.json").write_text("{")
    assert "config.json is not a JSON file" in problems(str(folder))[0]
    (folder / "adapter_config.json").write_text("{}")
    assert "contains a LoRA adapter (adapter_config.json). Merge it" in problems(str(folder))[0]


def test_weights_without_a_license_text_are_refused(folder: Path) -> None:
    (folder / "LICENSE").write_text("apache-2.0")
    assert "LICENSE has no license text. Copy the whole text" in problems(str(folder))[0]
    (folder / "LICENSE").unlink()
    (problem,) = problems(str(folder))
    assert "there is no LICENSE file. Copy the whole text of the license" in problem
    assert str(folder / "LICENSE") in problem


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LICENSE", APACHE + "for Non-Commercial purposes", "Non-Commercial"),
        ("LICENSE", APACHE + "solely CC BY-NC 4.0", "CC BY-NC"),
        ("LICENSE", APACHE + "granted for research\npurposes only", "research purposes only"),
        ("README.md", "---\ntags: [x]\nlicense: cc-by-nc-sa-4.0\n---\n", "cc-by-nc"),
    ],
)
def test_a_noncommercial_license_must_be_accepted(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    (problem,) = problems(str(folder))
    assert f"{name} allows no commercial use (it says '{words}')" in problem
    assert "set models.chronos2.accept_noncommercial: true" in problem
    assert problems(str(folder), accept_noncommercial=True) == []


def test_a_missing_package_says_how_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    (problem,) = problems(str(folder))
    assert "needs chronos-forecasting and peft, not installed here" in problem
    assert "pip install 'restock[pretrained]'" in problem


def test_the_folder_is_relative_to_the_settings_file_and_checked_with_it(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    sources = {name: {"path": "x.csv"} for name in ("sales", "products", "stores")}
    models = {"chronos2": {"weights": "models/small"}}
    given = {"name": "x", "sources": sources, "models": models, "challenger": {"settings": {"models": models}}}
    file.write_text(yaml.safe_dump(given))
    settings = read_settings(file, checks=CHECKS).settings
    assert settings.models.chronos2 is not None
    assert settings.models.chronos2.weights == str(folder)
    assert settings.challenger.changes() == [f'models.chronos2.weights="{folder}"']
    with pytest.raises(ConfigError, match=r"models\.chronos2\.weights: .*/amazon/chronos-2 is not a folder"):
        read_settings(file, ["models.chronos2.weights=amazon/chronos-2"], checks=CHECKS)


def test_the_checksums_follow_the_content(folder: Path) -> None:
    first = checksums(str(folder))
    assert sorted(first) == ["LICENSE", "config.json", "model.safetensors"]
    (folder / "model.safetensors").write_bytes(b"other weights")
    second = checksums(str(folder))
    assert {name for name in first if first[name] != second[name]} == {"model.safetensors"}
    assert model_files("tsb", None) == {}
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"model\.safetensors cannot be read \(No such file.*Copy it again"):
        checksums(str(folder))
