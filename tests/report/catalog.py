"""The texts of the message catalog, found in the code and in the template."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Formatter

from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "tasks" / "report" / "templates" / "report.html.j2"
# Rooms whose texts for planners come from the catalog.
FOLDERS = ("tasks/report", "tasks/publication", "tasks/answers")
# Callables that translate their first text, or mark it for a translation elsewhere.
TRANSLATING = {"say", "language", "message", "self"}


def texts_of_code(folders: Sequence[str] = FOLDERS) -> dict[str, str]:
    """Every text in the code: text to the file and line that has it."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    for text in _texts(node):
                        found[text] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


def texts_of_template() -> dict[str, str]:
    """Every text in the template: text to the line that has it."""
    tree = Environment(autoescape=True).parse(TEMPLATE.read_text(encoding="utf-8"))
    found = {}
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "say":
            texts = call.args[:1]
        elif isinstance(call.node, nodes.Getattr) and call.node.attr == "counted":
            texts = call.args[1:3]
        else:
            continue
        for text in texts:
            assert isinstance(text, nodes.Const), f"line {call.lineno}: the text must be written out"
            found[str(text.value)] = f"report.html.j2:{call.lineno}"
    return found


def placeholders(text: str) -> set[str]:
    """Names of the placeholders of a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _texts(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name.lstrip("_") in TRANSLATING:
        arguments: list[ast.expr] = call.args[:1]
    elif name == "counted":
        arguments = call.args[1:3]
    elif name == "headers":
        arguments = [part for each in call.args for part in _starred(each)]
    else:
        return
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value.removeprefix("#") if name in ("headers", "message") else argument.value


def _starred(argument: ast.expr) -> list[ast.expr]:
    if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple | ast.List):
        return list(argument.value.elts)
    return [argument]
