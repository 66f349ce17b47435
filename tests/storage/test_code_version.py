"""Code version and source digest."""

from __future__ import annotations

import re
from pathlib import Path

from tasks.storage.code_version import code_version, import_digest, source_digest


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_version_has_release_and_source_digest() -> None:
    assert re.fullmatch(r"[0-9][^+]*\+[0-9a-f]{12}", code_version())


def test_digest_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    files = {"schemas/a.py": "1", "tasks/room/b.py": "2", "flows/c.py": "3"}
    assert source_digest(write(tmp_path / "one", files)) == source_digest(write(tmp_path / "two", files))


def test_edits_renames_and_templates_change_the_digest(tmp_path: Path) -> None:
    variants = [
        {"tasks/b.py": "2"},
        {"tasks/b.py": "22"},
        {"tasks/c.py": "2"},
        {"tasks/b.py": "2", "tasks/page.j2": "<p>"},
        {"tasks/b.py": "", "tasks/c.py": "2"},
    ]
    digests = {source_digest(write(tmp_path / str(i), files)) for i, files in enumerate(variants)}
    assert len(digests) == len(variants)


def test_digest_excludes_tests_deployments_and_compiled_files(tmp_path: Path) -> None:
    write(tmp_path, {"tasks/b.py": "2"})
    before = source_digest(tmp_path)
    write(tmp_path, {"tests/t.py": "3", "tasks/__pycache__/b.pyc": "4", "deployments/d.py": "5"})
    assert source_digest(tmp_path) == before


def test_what_is_kept_of_parsed_files_does_not_hide_an_edit(tmp_path: Path) -> None:
    def digest(number: int, code: str) -> str:
        return import_digest(("tasks.b",), write(tmp_path / str(number), {"tasks/b.py": code}))

    first = digest(1, "from tasks import c\nx = 1\n")
    assert digest(2, "from tasks import c  # comment\n\nx = 1\n") == first
    assert digest(3, "from tasks import c\nx = 2\n") != first
    write(tmp_path / "4", {"tasks/c.py": "y = 1\n"})
    assert digest(4, "from tasks import c\nx = 1\n") != first  # a file that exists now is imported
