"""The image, as far as it can be judged without Docker: what it copies is there, pinned, and runs as nobody special."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployments.requirements import UNUSED, wanted

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
    """Position of the first instruction of that name with these words."""
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
    assert [("--constraint requirements.lock" in one, "--no-deps" in one) for one in installs] == [
        (True, False),
        (False, True),
    ]
    assert position("COPY", "requirements.lock") < position("RUN", "requirements.lock") < position("COPY", "schemas")


def test_the_image_has_no_tools_of_tests_and_no_gpu_libraries() -> None:
    locked = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()}
    unwanted = {"moto", "mypy", "pytest", "ruff", "cfn-lint", "lightgbm", "mlflow", "sagemaker-train", "triton"}
    gpu = {name for name in locked if name.startswith("nvidia-")}
    for extras in ([], ["aws"], ["aws", "deepar"]):
        installed = closure(wanted(extras)) - set(UNUSED)
        assert not installed & (unwanted | gpu)
        assert installed <= locked
        assert ("torch" in installed) is ("deepar" in extras)
        assert ({"boto3", "prefect-aws", "sagemaker-core"} <= installed) is ("aws" in extras)
    assert f"pip uninstall --yes {' '.join(UNUSED)}" in " ".join(of("RUN"))


def closure(requirements: list[str]) -> set[str]:
    """The packages that pip would install, from the metadata of those that are installed here."""
    waiting, found = [Requirement(one) for one in requirements], set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        key = canonicalize_name(one.name), frozenset(one.extras)
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        for line in metadata.requires(one.name) or []:
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in (*one.extras, "")]
            if needed.marker is None or any(needed.marker.evaluate(one) for one in environments):
                waiting.append(needed)
    return found


def test_its_python_is_the_one_that_the_lock_is_made_for() -> None:
    assert of("ARG")[0] == "PYTHON_IMAGE=python:3.11-slim-bookworm"
    assert of("FROM") == ["${PYTHON_IMAGE}"]
    assert "--python-version 3.11" in (ROOT / "Makefile").read_text("utf-8")


def test_the_context_of_the_build_is_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {source.split("/")[0] for rest in of("COPY") for source in shlex.split(rest)[:-1]}
    assert "*" in lines
    assert kept == copied


@pytest.mark.system
@pytest.mark.slow
def test_the_image_is_built_and_starts() -> None:
    tool = next((name for name in ("docker", "buildah", "podman") if _works(name)), None)
    if tool is None:
        pytest.skip("THE IMAGE WAS NOT BUILT: neither docker, buildah nor podman works here")
    build = [tool, "build", "--file", "deployments/Dockerfile", "--tag", "restock-test", "."]
    subprocess.run(build, cwd=ROOT, check=True)
    run = ["run", "restock-test"] if tool == "buildah" else ["run", "--rm", "restock-test"]
    shown = subprocess.run([tool, *run], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "Weekly run" in shown


def _works(tool: str) -> bool:
    return shutil.which(tool) is not None and not subprocess.call([tool, "info"], stdout=DEVNULL, stderr=DEVNULL)


def test_it_runs_as_a_user_of_its_own_with_a_home_and_hands_signals_on() -> None:
    names = [name for name, _ in instructions()]
    assert of("USER") == ["1000"]
    assert "useradd --uid 1000 --create-home restock" in of("RUN")[-1]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in {"RUN", "COPY"})
    assert of("ENTRYPOINT") == ['["tini", "--"]']
    assert "tini" in of("RUN")[0]


def test_a_deployment_finds_the_code_where_the_image_has_it() -> None:
    assert of("WORKDIR") == ["/app"]
    assert "RESTOCK_HOME=/app" in of("ENV")[0]
