"""Every reference to a document resolves, and no text refers to a document that the repository does not contain."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Folders and files whose text is checked.
CHECKED = (
    "docs/",
    "schemas/",
    "tasks/",
    "flows/",
    "deployments/",
    "benchmarks/",
    "tests/",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Makefile",
    "prefect.yaml",
    "pyproject.toml",
)
SUFFIXES = {".md", ".py", ".yaml", ".yml", ".toml", ".j2", ".txt", ""}
# This file quotes broken references.
EXEMPT = {"tests/architecture/test_references.py"}

PAGE = re.compile(r"(?<![\w/.-])(docs/[\w./-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
DECISION = re.compile(r"\bdecisions?\s+(\d+)\b", re.IGNORECASE)
PRIVATE = re.compile(
    r"\bcontract, (?:end of )?sections?\b|\bdomain(?:\.md)?, (?:end of )?sections?\b|\bdesign, ideas?\b"
    r"|\bcontract section\b|\bsources? [AB]\b|\bsource_[ab]\b",
    re.IGNORECASE,
)
CODE_PATH = re.compile(r"`((?:schemas|tasks|flows|tests|docs|deployments|benchmarks)/[\w./-]*)`")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def checked_files() -> list[Path]:
    """The tracked text files of :data:`CHECKED`."""
    done = subprocess.run(["git", "ls-files", *CHECKED], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in done.stdout.splitlines() if name not in EXEMPT]
    return [ROOT / name for name in names if (ROOT / name).is_file() and Path(name).suffix in SUFFIXES]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading, without the number of a repeated one."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Every anchor of a page."""
    text = FENCE.sub("", page.read_text("utf-8"))
    found: dict[str, int] = {}
    names = set(re.findall(r"<a id=\"([^\"]+)\"", text))
    for heading in HEADING.findall(text):
        name = slug(heading)
        count = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return frozenset(names)


def unresolved(text: str, base: Path) -> list[str]:
    """References of a text that lead nowhere; relative links start at the folder ``base``."""
    targets = [(ROOT / page, anchor, page) for page, anchor in PAGE.findall(text)]
    plain = FENCE.sub("", text)
    targets += [(base / page if page else base, anchor, page) for page, anchor in LINK.findall(plain) if page]
    broken = []
    for path, anchor, written in targets:
        if not path.exists():
            broken.append(written)
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            broken.append(f"{written}#{anchor}")
    decisions = {path.name.split("-")[0] for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    broken += [f"decision {number}" for number in DECISION.findall(text) if number.zfill(4) not in decisions]
    return broken


def test_every_reference_to_a_document_resolves() -> None:
    found = {}
    for path in checked_files():
        text = path.read_text("utf-8")
        broken = unresolved(text if path.suffix == ".md" else _without_links(text), path.parent)
        if broken:
            found[str(path.relative_to(ROOT))] = broken
    assert not found


def test_links_within_a_page_resolve() -> None:
    found = {}
    for path in checked_files():
        if path.suffix == ".md":
            text = FENCE.sub("", path.read_text("utf-8"))
            broken = [anchor for page, anchor in LINK.findall(text) if not page and anchor not in anchors(path)]
            if broken:
                found[str(path.relative_to(ROOT))] = broken
    assert not found


def test_no_text_refers_to_a_document_outside_the_repository() -> None:
    found = {}
    for path in checked_files():
        text = path.read_text("utf-8")
        hits = [f"{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}" for hit in PRIVATE.finditer(text)]
        if hits:
            found[str(path.relative_to(ROOT))] = hits
    assert not found


def test_every_path_that_a_page_names_exists() -> None:
    found = {}
    for path in checked_files():
        if path.suffix == ".md":
            missing = [name for name in CODE_PATH.findall(path.read_text("utf-8")) if not (ROOT / name).exists()]
            if missing:
                found[str(path.relative_to(ROOT))] = missing
    assert not found


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("see docs/reference/contract.md#outputs", []),
        ("see docs/reference/contract.md#no-such-section.", ["docs/reference/contract.md#no-such-section"]),
        ("see docs/reference/missing.md", ["docs/reference/missing.md"]),
        ("(decision 6)", []),
        ("(decision 999)", ["decision 999"]),
        ("[design](docs/reference/design.md#ideas)", []),
        ("[design](reference/design.md)", ["reference/design.md"]),
    ],
)
def test_the_check_finds_broken_references(text: str, broken: list[str]) -> None:
    assert list(dict.fromkeys(unresolved(text, ROOT))) == broken


@pytest.mark.parametrize(
    "text",
    ["contract, section 5", "(domain, section 2.1)", "contract, end of section 3", "design, idea 2", "as in source B"],
)
def test_the_check_finds_private_references(text: str) -> None:
    assert PRIVATE.search(text)
    assert not PRIVATE.search("docs/reference/contract.md#outputs; an open source build; the data source")


def test_the_anchor_of_a_heading_is_that_of_github() -> None:
    assert slug("Zero or unknown") == "zero-or-unknown"
    assert slug("Minimum-maximum (s, S)") == "minimum-maximum-s-s"
    assert slug("What `restock why` says: an example") == "what-restock-why-says-an-example"


def _without_links(text: str) -> str:
    """Code without what only looks like a Markdown link, such as ``values[key](row)``."""
    return LINK.sub("", text)
