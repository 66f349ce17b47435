"""Code version and source digest."""

from __future__ import annotations

import gc
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.storage.code_version import ROOT, _parse, code_version, import_digest, source_digest

pytestmark = pytest.mark.slow


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


def test_stages_of_several_threads_parse_files_at_once() -> None:
    """Without the lock, about one file in twenty ends with a SystemError under these conditions."""

    class Node:
        """Part of a cycle; its finalizer lets another thread run in the middle of a collection."""

        other: Node

        def __del__(self) -> None:
            for _ in range(3):
                pass

    def parse(content: bytes) -> int:
        for _ in range(20):
            one, two = Node(), Node()
            one.other, two.other = two, one
        return len(_parse(content)[1])

    contents = [path.read_bytes() for path in sorted((ROOT / "tasks").rglob("*.py"))[:100]]
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(parse, contents))
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
    assert sum(found) > len(contents)
