"""Code that reads what others can write executes nothing, and every writer of CSV files knows about formulas."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = ("schemas", "tasks", "flows", "deployments")
FILES = sorted(file for folder in SOURCES for file in (ROOT / folder).rglob("*.py"))
# Calls that execute what they read, or may, and the files that may use them: why, in words.
EXECUTES = {
    "pickle.load": {},
    "pickle.loads": {"tasks/engines/worker.py": "work of the run's own client, on a private network (SECURITY.md)"},
    "joblib.load": {},
    "torch.load": {},
    "pd.read_pickle": {},
    "yaml.load": {
        "tasks/configuration/settings_file.py": "with a subclass of SafeLoader",
        "tasks/demand/words.py": "a file of the package, with the safe loader of libyaml",
    },
    "yaml.unsafe_load": {},
    "yaml.full_load": {},
    "eval": {},
    "exec": {},
    "os.system": {},
    "os.popen": {},
}
CSV_WRITERS = {
    "tasks/publication/csv_format.py": "the published files",
    "tasks/app/data/override_file.py": "the planners' overrides",
    "tasks/inventory/plan_files.py": "the solution of restock plan",
    "flows/asking.py": "response times",
}
# Made-up data, and files that only SageMaker and checksums read.
OTHER_CSV = {"tasks/demo/company.py", "tasks/demo/load_files.py", "tasks/deepar/dataset.py"}


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file with its dotted name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


def _dotted(node: ast.expr) -> str:
    """The name of what is called; after anything but names, only what follows it. Unparsing takes ten times as long."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


@pytest.fixture(scope="module")
def found() -> list[tuple[str, str, ast.Call]]:
    """Every call of the product: file, dotted name, call."""
    return [(file.relative_to(ROOT).as_posix(), name, call) for file in FILES for name, call in calls(file)]


def test_nothing_that_is_read_is_executed(found: list[tuple[str, str, ast.Call]]) -> None:
    used = {name: {file for file, called, _ in found if called == name} for name in EXECUTES}
    assert used == {name: set(files) for name, files in EXECUTES.items()}
    loads = [call for _, name, call in found if name == "yaml.load"]
    assert [ast.unparse(word.value) for call in loads for word in call.keywords] == ["_UniqueKeyLoader", "safe_loader"]


def test_arrays_and_commands_are_safe(found: list[tuple[str, str, ast.Call]]) -> None:
    words = [(file, name, word) for file, name, call in found for word in call.keywords]
    unsafe = [(file, name) for file, name, word in words if ast.unparse(word) in ("allow_pickle=True", "shell=True")]
    assert unsafe == []
    loads = [call for _, name, call in found if name == "np.load"]
    assert loads
    assert all("allow_pickle=False" in map(ast.unparse, call.keywords) for call in loads)


def test_servers_listen_on_this_machine_only() -> None:
    texts = [
        (file.relative_to(ROOT).as_posix(), node.value)
        for file in FILES
        if re.search(r"0\.0\.0\.0|[\"']::[\"']", text := file.read_text("utf-8"))  # parsing all of them takes seconds
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::")
    ]
    assert texts == []


def test_every_writer_of_csv_files_knows_about_formulas(found: list[tuple[str, str, ast.Call]]) -> None:
    names = (".to_csv", "csv.writer", "csv.DictWriter")
    writers = {file for file, name, call in found if name.endswith(names)}
    assert writers - OTHER_CSV == set(CSV_WRITERS) - {"tasks/publication/csv_format.py"}
    assert all("neutralized(" in (ROOT / file).read_text("utf-8") for file in CSV_WRITERS)
