"""The page of the constants: complete, and with the values of the code."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import tasks.demand
import tasks.evaluation
import tasks.forecasting
from benchmarks.constants.effects import changed, read_effects, varied
from benchmarks.constants.groups import constants
from benchmarks.constants.page import FIGURES, PAGE, without_effect
from benchmarks.constants.record import Constant, plain
from tasks.evaluation.comparison import ComparisonRules
from tasks.evaluation.ranking import SelectionRule
from tasks.forecasting.trees import sub_models

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(tasks\.[\w.]+:[\w.]+)` \| (.+) \|$", re.MULTILINE)


def _rows() -> dict[str, list[str]]:
    """Cells of each row of the page, by path."""
    text = PAGE.read_text(encoding="utf-8").partition("## No effect on the guard")[0]
    return {path: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for path, rest in ROW.findall(text)}


def _value(path: str) -> object:
    """The value in the code, read without the list."""
    module, name = path.split(":")
    name, _, field = name.partition(".")
    owner = getattr(importlib.import_module(module), name)
    instance = owner() if inspect.isclass(owner) else owner
    return plain(getattr(instance, field) if field else instance)


def _named(name: str) -> Constant:
    return next(constant for constant in constants() if constant.path.endswith(name))


def test_every_row_has_the_value_of_the_code_and_a_meaning() -> None:
    rows = {path: cells for path, cells in _rows().items() if len(cells) == 6}
    assert sorted(rows) == sorted(constant.path for constant in constants())
    for path, (meaning, _, value, data, *effects) in rows.items():
        assert ast.literal_eval(value.strip("`")) == _value(path), path
        assert meaning, path
        assert data, path
        assert any(effects), path


def test_every_field_of_every_rule_is_on_the_page() -> None:
    listed = set()
    for constant in constants():
        module, name = constant.owner.split(":")
        owner = getattr(importlib.import_module(module), name)
        listed.add((owner if inspect.isclass(owner) else type(owner), constant.field))
    found = set()
    for room in (tasks.demand, tasks.forecasting, tasks.evaluation):
        for info in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            module = importlib.import_module(info.name)
            for name, rule in inspect.getmembers(module, inspect.isclass):
                if name.endswith("Rule") and rule.__module__ == info.name and dataclasses.is_dataclass(rule):
                    found |= {(rule, entry.name) for entry in dataclasses.fields(rule)}
    assert len(found) > 80
    assert found <= listed, sorted(f"{rule.__name__}.{field}" for rule, field in found - listed)


def test_every_measured_constant_has_an_effect_for_the_value_a_quarter_below_and_above() -> None:
    effects = read_effects()
    assert set(effects) - {"base"} == {constant.path for constant in constants() if constant.measured}
    for constant in (constant for constant in constants() if constant.measured):
        found = effects[constant.path]
        for side, factor in (("low", 0.75), ("high", 1.25)) if found["cases"] else ():
            value = varied(constant.value, factor, constant.limits)
            stored = found[side]["value"]
            assert (tuple(stored) if isinstance(stored, list) else stored) == value, constant.path
            assert set(FIGURES) <= set(found[side]), constant.path


def test_the_page_names_the_constants_without_effect() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## No effect on the guard")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(tasks\.[\w.]+:[\w.]+)`", section))
    assert named == set(without_effect(read_effects()))
    tests = re.findall(r"`(tests/[\w/.]+)::(\w+)` \|$", section, re.MULTILINE)
    assert len(tests) == len(named)
    assert not [name for path, name in tests if f"def {name}(" not in (ROOT / path).read_text("utf-8")]


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (3, 2, 4),
        (1, 0, 2),
        (28.0, 21.0, 35.0),
        (0.9, 0.675, 0.95),
        ((2, 8), (1, 6), (3, 10)),
        ({"D": 7}, {"D": 5}, {"D": 9}),
    ],
)
def test_a_quarter_less_and_more(value: object, low: object, high: object) -> None:
    assert varied(value, 0.75) == low
    assert varied(value, 1.25) == high


def test_limits_bound_what_is_tried() -> None:
    assert varied(1.1, 0.75, (1.0, 10.0)) == 1.0
    assert varied((0.5, 1.0), 1.25, (0.0, 1.0)) == (0.625, 1.0)


def test_a_rule_made_where_it_is_used_has_the_other_default_only_while_changed() -> None:
    with changed(_named("SelectionRule.margin"), 3.5):
        assert ComparisonRules(SelectionRule()).selection.margin == 3.5
        assert SelectionRule(margin=1.0).margin == 1.0
    assert SelectionRule().margin == SelectionRule.margin == 2.0


def test_a_rule_of_a_module_is_replaced_only_while_changed() -> None:
    before = sub_models.RULE
    with changed(_named("sub_models:RULE.level_pace"), 9.0):
        assert dataclasses.replace(before, level_pace=9.0) == sub_models.RULE
    assert sub_models.RULE is before
