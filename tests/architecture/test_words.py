"""Texts use standard terms, plain English and American spelling: no banned words in comments, strings and documents.

``make lint`` runs this file. Identifiers, code in backticks and strings without a space are not checked. References to
documents outside the repository are found by test_references.py.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".j2"}
CHECKED = {"Makefile", ".ci/run"}  # in addition to all files with these suffixes
# This file quotes the words, and exports are in British English and other languages, too.
EXEMPT = {"tests/architecture/test_words.py", "tasks/demand/words.yaml"}

# Words and phrases, and what to write instead.
WORDS = {
    "anew": "again",
    "asked for": "requested",
    "bears": "supports, allows",
    "behind": "after",
    "beside": "next to, in addition to",
    "blind": "covariate-free",
    "carried out": "selected, applied, run",
    "doubted": "prior weight, shrunk",
    "fading error": "autoregressive error",
    "first day that is not known": "run date",
    "floors": "baselines",
    "frozen days": "blackout dates",
    "goes on": "continues, resumes",
    "handicap": "penalty",
    "hand over": "pass",
    "handed over": "passed",
    "hands over": "passes",
    "honest": "recalibrated",
    "lack": "need, not have",
    "lacking": "missing",
    "lacks": "does not have",
    "last good file": "previous file",
    "leftover": "overstock",
    "lost in between": "lead-time lost sales",
    "memo": "cache",
    "mend": "correct, fix",
    "of its own": "separate, own",
    "of their own": "separate, own",
    "on the way": "in transit",
    "place on show": "display capacity",
    "places on show": "display capacity",
    "so many": "the number of",
    "stands": "is, is stored, exists",
    "tell": "report, say, show",
    "tells": "reports, says, shows",
    "there is none": "no ... exists",
    "told": "reported, identified by",
    "too young": "insufficient history",
    "wanted and granted": "requested and allocated",
    "whatever comes": "always",
    "wish": "demand, request",
    "wishes": "demands, requests",
}
# Stems with British spelling, and the American stem.
BRITISH = {
    "analys(?:e|ed|es|ing)": "analyz-",
    "artefact": "artifact",
    "behaviour": "behavior",
    "catalogue": "catalog",
    "centre": "center",
    "colour": "color",
    "categoris": "categoriz-",
    "favour": "favor",
    "initialis": "initializ-",
    "judgement": "judgment",
    "labelled": "labeled",
    "learnt": "learned",
    "maximis": "maximiz-",
    "minimis": "minimiz-",
    "modelled": "modeled",
    "modelling": "modeling",
    "neighbour": "neighbor",
    "normalis": "normaliz-",
    "optimis": "optimiz-",
    "organis": "organiz-",
    "parametris": "parametriz-",
    "penalis": "penaliz-",
    "prioritis": "prioritiz-",
    "randomis": "randomiz-",
    "recognis": "recogniz-",
    "serialis": "serializ-",
    "standardis": "standardiz-",
    "summaris": "summariz-",
    "travell": "travel-",
    "vectoris": "vectoriz-",
    "whilst": "while",
}
# Correct uses of banned words: taken out of a text before it is checked.
CORRECT = ("behind a proxy", "behind the proxy")

_SPACE = r"\s+(?:#\s*)?"
_CODE_SPAN = re.compile(r"``.*?``|`[^`\n]*`", re.DOTALL)
_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2", re.MULTILINE | re.DOTALL)
# Also a number sign within a string: that text is checked twice. A tokenizer takes ten times as long.
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_TARGET = re.compile(r"\]\([^)\s]*\)")


def _pattern(phrase: str) -> re.Pattern[str]:
    words = _SPACE.join(map(re.escape, phrase.split()))
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", re.IGNORECASE)


PATTERNS = {phrase: (_pattern(phrase), better) for phrase, better in WORDS.items()}
PATTERNS |= {stem: (re.compile(rf"\b(?:re|un)?{stem}", re.IGNORECASE), better) for stem, better in BRITISH.items()}
# The letters with which a word or stem begins: a text without them needs no search.
_BEGINNINGS = {phrase: re.split(r"[ (]", phrase)[0] for phrase in PATTERNS}
_CORRECT = [_pattern(phrase) for phrase in CORRECT]
# The same in the source of a module, where quotes may separate the words. A module without a match is not parsed.
_BETWEEN_WORDS = r"""(?:\W|\b[rf](?=["']))+"""
_IN_SOURCE = [re.compile(_BETWEEN_WORDS.join(map(re.escape, phrase.split()))) for phrase in WORDS]
_IN_SOURCE += [re.compile(stem) for stem in BRITISH]


def _blank(found: re.Match[str]) -> str:
    """The lines of a match without their text, so that line numbers stay."""
    return "\n" * found.group().count("\n") or " x "


def findings(text: str, first_line: int = 1) -> list[str]:
    """Every banned word of a text: its line, the word and what to write."""
    for pattern in (_CODE_SPAN, *_CORRECT):
        text = pattern.sub(_blank, text)
    lowered = text.lower()
    hits = [
        (first_line + text.count("\n", 0, hit.start()), " ".join(hit.group().split()), better)
        for phrase, (pattern, better) in PATTERNS.items()
        if _BEGINNINGS[phrase] in lowered
        for hit in pattern.finditer(text)
    ]
    return [f"{line}: {word!r}; write: {better}" for line, word, better in sorted(hits)]


def _string(node: ast.expr) -> str | None:
    """The text of a string or f-string; a placeholder for each value in it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join((_string(part) or "") if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def may_have_findings(source: str) -> bool:
    """Whether the source of a module contains a banned word, in a text or elsewhere."""
    lowered = source.lower()
    return any(pattern.search(lowered) for pattern in _IN_SOURCE)


def texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, strings with a space and blocks of comments, each with its first line."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant | ast.JoinedStr)]
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    within = {id(part) for node in joined for part in ast.walk(node)} - {id(node) for node in joined}
    for node in nodes:
        if id(node) not in within:
            text = _string(node)
            if text and re.search(r"\s", text.strip()):
                yield node.lineno, text
    lines = enumerate(source.splitlines(), start=1)
    yield from _blocks([(number, found.group()) for number, line in lines if (found := _COMMENT.search(line))])


def _blocks(comments: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Comments on consecutive lines as one text."""
    start, lines = 0, list[str]()
    for number, text in comments:
        if lines and number != start + len(lines):
            yield start, "\n".join(lines)
            lines = []
        if not lines:
            start = number
        lines.append(text)
    if lines:
        yield start, "\n".join(lines)


def check(path: Path) -> list[str]:
    """The findings of one file."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        if not may_have_findings(text):
            return []
        return [found for line, part in texts_of_python(text) for found in findings(part, line)]
    if path.suffix == ".md":
        text = _TARGET.sub("]", _FENCE.sub(_blank, text))
    return findings(text)


def checked_files() -> list[Path]:
    """The tracked text files."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in done.stdout.splitlines() if name not in EXEMPT]
    return [
        ROOT / name for name in names if (Path(name).suffix in SUFFIXES or name in CHECKED) and (ROOT / name).is_file()
    ]


def test_no_text_contains_a_banned_word() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in checked_files() for line in check(path)]
    assert not found, "\n".join(["banned words:", *found])


@pytest.mark.parametrize("phrase", WORDS)
def test_every_word_is_found(phrase: str) -> None:
    assert [phrase in found for found in findings(f"One more {phrase} here.")].count(True) >= 1


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('def f():\n    """Say.\n\n    It is told\n    twice.\n    """\n', [4]),
        ("x = 1  # computed anew\n", [1]),
        ("# here there\n# is none\n", [1]),
        ('raise ValueError(f"{n} rows " f"behind {m}")\n', [1]),
        ('message = ("no optimisation "\n    "here")\n', [1]),
        ('raise ValueError("there "\n    f"is" f\' none\')\n', [1]),
        ("def tell(memo):\n    return memo.tell['behind']\n", []),
        ('"""Calls ``tell`` and `memo`."""\n', []),
        ('"""The server is behind a proxy."""\n', []),
        ('"""A catalog of neighbors, retold in the foretelling."""\n', []),
    ],
)
def test_texts_of_python_are_checked_and_names_are_not(source: str, lines: list[int]) -> None:
    found = [hit for line, part in texts_of_python(source) for hit in findings(part, line)]
    assert [int(hit.split(":")[0]) for hit in found] == lines
    assert may_have_findings(source) or not lines


def test_code_and_link_targets_of_a_page_are_not_checked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\ntell\n```\n[link](behind.md) and `memo`\n\nThe colour\nis told.\n", encoding="utf-8")
    assert [found.split(";")[0] for found in check(page)] == ["6: 'colour'", "7: 'told'"]
