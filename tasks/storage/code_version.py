"""Version of the whole product's code, and a digest of the code that one computation imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = "restock"
ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "tasks", "flows")
SUFFIXES = (".py", ".j2", ".css", ".js", ".yaml")
# Settings modules only declare values, limits and descriptions; a stage's key holds the values that it reads.
DECLARATIONS = "schemas.settings"
_DIGITS = 12


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
    tree = ast.parse(path.read_bytes())
    imported = {target for node in ast.walk(tree) for target in _imports(node, root)}
    for node in ast.walk(tree):
        _drop_docstring(node)
    digest = hashlib.sha256(ast.dump(tree).encode())
    for template in sorted(path.parent.glob("templates/*")):
        digest.update(template.read_bytes())
    return digest.hexdigest(), tuple(sorted(imported))


def _imports(node: ast.AST, root: Path) -> Iterator[str]:
    """Yield the product modules that an import statement names, except declarations."""
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return
    for name in named:
        declared = name == DECLARATIONS or name.startswith(f"{DECLARATIONS}.")
        if not declared and _file_of(name, root) is not None:
            yield name


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]


def _file_of(name: str, root: Path) -> Path | None:
    """Return the file of a product module; None if the name is not a product module."""
    if name.split(".", 1)[0] not in ("schemas", "tasks"):
        return None
    stem = root.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
