"""The tables of docs/reference/constants.md, from the code and the stored effects."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.constants.groups import constants
from benchmarks.constants.record import Constant

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "constants.md"
BEGIN, END = "<!-- tables: python -m benchmarks.constants -->", "<!-- end of the tables -->"
FIGURES = ("wape", "wql", "folds_wape", "folds_wql")
# Marks of figures of one chain alone.
MARKS = {("weekly",): "ʷ", ("daily",): "ᵈ"}
LISTED = 10
_HEAD = "| constant | meaning | unit | value | chosen on | -25 % | +25 % |\n|---|---|---|---|---|---|---|\n"


def write_page(effects: Mapping[str, Any]) -> None:
    """Replace the tables between the markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(effects)}\n{END}{after}", encoding="utf-8")


def tables(effects: Mapping[str, Any]) -> str:
    """The most sensitive constants, then one table per room."""
    top = "".join(
        f"| `{path}` | {' | '.join(_figures(effects[path]))} |\n" for path, _ in by_sensitivity(effects)[:LISTED]
    )
    parts = [f"### Most sensitive\n\n| constant | -25 % | +25 % |\n|---|---|---|\n{top}"]
    for room, members in groupby(constants(), key=lambda constant: constant.group.room):
        rows = "".join(f"| {' | '.join(_row(constant, effects))} |\n" for constant in members)
        parts.append(f"### {room}\n\n{_HEAD}{rows}")
    return "\n".join(parts)


def without_effect(effects: Mapping[str, Any]) -> list[str]:
    """Paths of the constants that the guard reads and that change none of its figures."""
    return [path for path, found in effects.items() if path != "base" and found["cases"] and not _largest(found)]


def by_sensitivity(effects: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Paths with their largest relative change of WAPE or WQL on the hidden horizons, %, largest first."""
    found = {
        path: max(abs(effect[side][figure]) for side in ("low", "high") for figure in FIGURES[:2])
        for path, effect in effects.items()
        if path != "base" and effect["cases"]
    }
    return sorted(found.items(), key=lambda entry: -entry[1])


def _largest(effect: Mapping[str, Any]) -> float:
    return max(abs(effect[side][figure]) for side in ("low", "high") for figure in FIGURES)


def _row(constant: Constant, effects: Mapping[str, Any]) -> list[str]:
    cells = [f"`{constant.path}`", _meaning(constant), constant.unit, f"`{constant.value!r}`", constant.data]
    return [cell.replace("|", "\\|") for cell in [*cells, *_effect(constant, effects)]]


def _meaning(constant: Constant) -> str:
    text = constant.meaning.rstrip(".").removeprefix("... ").removesuffix(" ...")
    return text[:1].upper() + text[1:]


def _effect(constant: Constant, effects: Mapping[str, Any]) -> list[str]:
    if constant.field in constant.group.not_numbers:
        return ["not a number", ""]
    if constant.group.unmeasured:
        return [f"not exercised by the guard: {constant.group.unmeasured}", ""]
    found = effects.get(constant.path)
    if found is None:
        return ["not measured yet", ""]
    if not found["cases"]:
        return ["not exercised by the guard: no model of it reads this", ""]
    return _figures(found)


def _figures(effect: Mapping[str, Any]) -> list[str]:
    mark = MARKS.get(tuple(effect["cases"]), "")
    return [f"{_change(effect[side]['wape'])}, {_change(effect[side]['wql'])}{mark}" for side in ("low", "high")]


def _change(percent: float) -> str:
    return "0" if percent == 0 else f"{percent:+.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00")
