"""Version of the whole product's code, and a digest of the code that one computation imports."""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock

PACKAGE = "restock"
ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "tasks", "flows")
IMPORTED = ("schemas", "tasks")  # folders of computing code
SUFFIXES = (".py", ".j2", ".css", ".js", ".yaml")
# Settings modules only declare values, limits and descriptions; a stage's key holds the values that it reads.
DECLARATIONS = "schemas.settings"
_DIGITS = 12
# CPython 3.11 counts the depth of all parsing threads in one number: two at once can end with a SystemError.
_PARSING = Lock()
_PARSED = Path(__file__).parent / "__pycache__" / f"parsed_modules.{sys.implementation.cache_tag}.json"


@cache
def code_version() -> str:
    """Return the version of the running code, for example ``0.1.0+3f2a91c07be4``.

    The version is computed once per process; edits during a run have no effect on it.

    Returns:
        The package's version, a plus sign and twelve digits of :func:`source_digest`. An edited
        checkout therefore has another version than the release.
    """
    try:
        release = version(PACKAGE)
    except PackageNotFoundError:
        release = "0"
    return f"{release}+{source_digest(ROOT)[:_DIGITS]}"


def source_digest(root: Path) -> str:
    """Return the SHA-256 over the names and bytes of the product's source files.

    Args:
        root: folder with the packages; tests, deployments and compiled files are excluded.
    """
    digest = hashlib.sha256()
    for package in PACKAGES:
        files = [path for path in (root / package).rglob("*") if path.suffix in SUFFIXES and path.is_file()]
        for path in sorted(files, key=lambda file: file.relative_to(root).as_posix()):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


@cache
def import_digest(modules: tuple[str, ...], root: Path = ROOT) -> str:
    """Return the SHA-256 over the code of modules and of everything in ``schemas`` and ``tasks`` that they import.

    Imports inside functions count. Comments, docstrings and the modules of :data:`DECLARATIONS` do not count.

    Args:
        modules: dotted names.
        root: folder with the packages.
    """
    found = import_closure(modules, root)
    lines = [f"{name} {_module(name, root)[0]}\n" for name in sorted(found)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def import_closure(modules: tuple[str, ...], root: Path = ROOT) -> set[str]:
    """Return the dotted names of the modules and of all product modules that they import, directly or indirectly.

    Raises:
        ValueError: a name is not a module of the product.
    """
    unknown = [name for name in modules if _file_of(name, root) is None]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such module in {root}")
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_module(name, root)[1])
    return found


@cache
def _module(name: str, root: Path) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a module's code (without comments and docstrings, with templates) and its imports."""
    path = _file_of(name, root)
    assert path is not None
    content = path.read_bytes()
    address = hashlib.sha256(content).hexdigest()
    known = _parsed()
    if address not in known:
        known[address] = _parse(content)
    code, named = known[address]
    digest = hashlib.sha256(code.encode())
    for template in sorted(path.parent.glob("templates/*")):
        digest.update(template.read_bytes())
    return digest.hexdigest(), tuple(name for name in named if _file_of(name, root) is not None)


def _parse(content: bytes) -> tuple[str, list[str]]:
    """Return the digest of a file's code without comments and docstrings, and the modules that it may import."""
    with _PARSING:
        tree = ast.parse(content)
    named = {target for node in ast.walk(tree) for target in _imports(node)}
    for node in ast.walk(tree):
        _drop_docstring(node)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(named)


@cache
def _parsed() -> dict[str, tuple[str, list[str]]]:
    """Return the results of parsing files, by the SHA-256 of their bytes, because parsing all files takes a second.

    They are stored next to the compiled code. If they are lost or cannot be written, the files are parsed again.
    """
    try:
        known = dict(json.loads(_PARSED.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        known = {}
    atexit.register(_keep, known, len(known))
    return known


def _keep(known: dict[str, tuple[str, list[str]]], before: int) -> None:
    if len(known) == before:
        return
    part = _PARSED.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        part.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(_PARSED)


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the names in ``schemas`` and ``tasks`` that an import statement names, except declarations."""
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return
    for name in named:
        declared = name == DECLARATIONS or name.startswith(f"{DECLARATIONS}.")
        if not declared and name.split(".", 1)[0] in IMPORTED:
            yield name


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]


def _file_of(name: str, root: Path) -> Path | None:
    """Return the file of a product module; None if the name is not a product module."""
    if name.split(".", 1)[0] not in IMPORTED:
        return None
    stem = root.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
