"""The image, as far as it can be judged without Docker: what it copies is there, pinned, and runs as nobody special."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deployments" / "Dockerfile").read_text("utf-8")
PACKAGES = ("schemas", "tasks", "flows", "deployments")


def instructions() -> list[tuple[str, str]]:
    """Every instruction in order, continued lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def position(name: str, words: str) -> int:
    """Where the first instruction of that name with these words stands."""
    return next(at for at, (found, rest) in enumerate(instructions()) if found == name and words in rest)


@pytest.mark.parametrize("copied", of("COPY"))
def test_everything_that_is_copied_stands_in_the_checkout(copied: str) -> None:
    *sources, target = shlex.split(copied)
    assert all((ROOT / source).exists() for source in sources)
    if (ROOT / sources[0]).is_dir():
        assert sources == [target], "a folder's content is copied, not the folder"


def test_everything_that_a_run_needs_is_copied() -> None:
    copied = {source for rest in of("COPY") for source in shlex.split(rest)[:-1]}
    readme = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["readme"]
    assert copied >= {*PACKAGES, "prefect.yaml", "pyproject.toml", "requirements.lock", readme}


def test_packages_come_from_the_lock_alone_and_before_the_code() -> None:
    installs = re.findall(r"pip install ([^&]*)", " && ".join(of("RUN")))
    assert [("--requirement requirements.lock" in one, "--no-deps" in one) for one in installs] == [
        (True, False),
        (False, True),
    ]
    assert position("COPY", "requirements.lock") < position("RUN", "requirements.lock") < position("COPY", "schemas")


def test_its_python_is_the_one_that_the_lock_is_made_for() -> None:
    assert of("FROM") == ["python:3.11-slim"]
    assert "--python-version 3.11" in (ROOT / "Makefile").read_text("utf-8")


def test_it_runs_as_a_user_of_its_own_with_a_home_and_hands_signals_on() -> None:
    names = [name for name, _ in instructions()]
    assert of("USER") == ["restock"]
    assert "useradd --create-home restock" in of("RUN")[-1]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in {"RUN", "COPY"})
    assert of("ENTRYPOINT") == ['["tini", "--"]']
    assert "tini" in of("RUN")[0]


def test_a_deployment_finds_the_code_where_the_image_has_it() -> None:
    assert of("WORKDIR") == ["/app"]
    assert "RESTOCK_HOME=/app" in of("ENV")[0]
