"""Mutants of modules: small changes of the code that a test should notice. Cosmic Ray makes them."""

from __future__ import annotations

import ast
import difflib
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

from tests.shared import ROOT

# Line from 1 and column from 0, as in the standard library.
Place = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        file: the module's file, relative to the repository.
        line: where the change begins.
        operator: Cosmic Ray's name of the change.
        source: the changed module.
        diff: the changed lines.
    """

    file: str
    line: int
    operator: str
    source: str
    diff: str

    @property
    def module(self) -> str:
        """Name under which the module is imported."""
        return ".".join(Path(self.file).with_suffix("").parts)


def sample(folder: str, size: int, seed: int) -> list[Mutant]:
    """Draw mutants of the modules in a folder: different places of the code, and one mutant for each place."""
    places: dict[tuple[str, Place, Place], list[tuple[str, int]]] = defaultdict(list)
    for path in sorted((ROOT / folder).rglob("*.py")):
        file = str(path.relative_to(ROOT))
        for name, occurrence, start, end in _mutations(path.read_text("utf-8")):
            places[file, start, end].append((name, occurrence))
    draw = random.Random(seed)
    drawn = []
    for (file, start, _), mutations in draw.sample(sorted(places.items()), len(places)):
        if len(drawn) == size:
            break
        name, occurrence = draw.choice(mutations)
        mutant = _mutant(file, start[0], name, occurrence)
        if mutant is not None:
            drawn.append(mutant)
    return drawn


def _mutations(source: str) -> Iterator[tuple[str, int, Place, Place]]:
    """Operator, occurrence, start and end of every change of a module that can change what it does."""
    tree, ignored = get_ast(source), list(_ignored(ast.parse(source)))
    for name, operator in _operators():
        positions = (place for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            if not any(first <= start and end <= last for first, last in ignored):
                yield name, occurrence, start, end


@cache
def _operators() -> Sequence[tuple[str, Operator]]:
    """Operators without arguments. Decorators stay: without them a module mostly cannot be imported."""
    classes = {name: get_operator(name) for name in sorted(operator_names()) if not name.endswith("RemoveDecorator")}
    return [(name, operator()) for name, operator in classes.items() if not operator.arguments()]


def _ignored(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    """Code whose changes no test can notice or should notice.

    Annotations are not evaluated. Arguments of decorators declare (``frozen=True``). Defaults of a class's fields are
    tuned numbers; another test compares them with docs/reference/constants.md.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            yield _span(node.annotation)
        if isinstance(node, ast.FunctionDef):
            yield from (_span(part) for part in (node.returns, *node.decorator_list) if part is not None)
        if isinstance(node, ast.ClassDef):
            yield from (_span(part) for part in node.decorator_list)
            yield from (_span(part.value) for part in node.body if isinstance(part, ast.AnnAssign) and part.value)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield _span(node)


def _span(node: ast.expr | ast.stmt) -> tuple[Place, Place]:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _mutant(file: str, line: int, name: str, occurrence: int) -> Mutant | None:
    """The mutant; None where it is no valid Python."""
    source = (ROOT / file).read_text("utf-8")
    try:
        changed = mutate_code(source, get_operator(name)(), occurrence)
        compile(changed, file, "exec")
    except (AttributeError, SyntaxError, TypeError):  # the first one is Cosmic Ray's, for a tuple of exceptions
        return None
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    diff = "\n".join(one for one in lines if one[:1] in "+-" and one[:3] not in ("+++", "---"))
    return Mutant(file, line, name.removeprefix("core/"), changed, diff)
