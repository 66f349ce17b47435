"""The effect of -25 % and +25 % of every constant on the accuracy guard."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.constants.groups import constants
from benchmarks.constants.record import Constant, resolve
from schemas.panel import Panel
from tasks.forecasting.registry import model_names, module_of
from tasks.storage.code_version import import_closure
from tests.golden.accuracy_guard import CASES, Case, build_case, forecast_case, replaced, score_case

EFFECTS = Path(__file__).parent / "effects.json"
STEPS = {"low": 0.75, "high": 1.25}
# Above these processor seconds the daily case is not fitted again.
AFFORDABLE_SECONDS = 16.0
BUILD, SCORE = "build", "score"

Reads = dict[str, set[str]]


@dataclasses.dataclass
class Base:
    """A case with its unchanged forecasts and figures.

    Attributes:
        case: the chain as the product sees it.
        forecasts: by model.
        figures: figures of the champions.
        reads: path of a constant to the steps that read it: ``build``, the name of a model, or ``score``.
        seconds: processor seconds by model.
    """

    case: Case
    forecasts: dict[str, pd.DataFrame]
    figures: dict[str, float]
    reads: Reads
    seconds: dict[str, float]


def varied(value: object, factor: float, limits: tuple[float, float] | None = None) -> Any:
    """A constant times a factor.

    Integers change by at least 1; fractions below 1 stay below 1 (half of the way to 1); tuples and dicts change by
    element.

    >>> varied(3, 1.25), varied(0.9, 1.25), varied((0.1, 4.0), 0.75), varied({"D": 2}, 0.75)
    (4, 0.95, (0.075, 3.0), {'D': 1})
    """
    if isinstance(value, tuple):
        return tuple(varied(part, factor, limits) for part in value)
    if isinstance(value, dict):
        return {key: varied(part, factor, limits) for key, part in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if isinstance(value, int):
        moved = int(np.floor(value * factor + 0.5))
        found: float = value if value == 0 else min(moved, value - 1) if factor < 1 else max(moved, value + 1)
    else:
        found = round(value * factor, 12)
        if value < 1.0 <= found and limits is None:
            found = round((1.0 + value) / 2, 12)
    return found if limits is None else type(value)(min(max(found, limits[0]), limits[1]))


@contextmanager
def changed(constant: Constant, value: object) -> Iterator[None]:
    """Let a constant have another value while this is open."""
    owner = resolve(constant.owner)
    if isinstance(owner, type):
        with _default_changed(owner, constant.field, value):
            yield
    else:
        with replaced({constant.path: value}):
            yield


@contextmanager
def _default_changed(rule: Any, field: str, value: object) -> Iterator[None]:
    """The default of a field of a dataclass, for every record that is made while this is open."""
    names = [entry.name for entry in dataclasses.fields(rule)]
    old, attribute = rule.__init__.__defaults__, getattr(rule, field)
    position = names.index(field) - (len(names) - len(old))
    rule.__init__.__defaults__ = (*old[:position], value, *old[position + 1 :])
    setattr(rule, field, value)
    try:
        yield
    finally:
        rule.__init__.__defaults__ = old
        setattr(rule, field, attribute)


class _RecordedDict(dict[Any, Any]):
    """A dict that notes its look-ups."""

    def __init__(self, values: Mapping[Any, Any], note: Callable[[], None]) -> None:
        super().__init__(values)
        self._note = note

    def __getitem__(self, key: object) -> Any:
        self._note()
        return super().__getitem__(key)


@contextmanager
def _recorded(note: Callable[[str], None]) -> Iterator[None]:
    """Note the path of every listed constant that is read: the fields of rules, and dicts."""
    paths: dict[type, dict[str, str]] = {}
    with ExitStack() as stack:
        for constant in constants():
            owner = resolve(constant.owner)
            if constant.field:
                rule = owner if isinstance(owner, type) else type(owner)
                paths.setdefault(rule, {})[constant.field] = constant.path
            elif isinstance(owner, dict):
                found = _RecordedDict(owner, lambda path=constant.path: note(path))
                stack.enter_context(replaced({constant.path: found}))
        for rule, fields in paths.items():
            stack.enter_context(_attributes_noted(rule, fields, note))
        yield


@contextmanager
def _attributes_noted(rule: Any, fields: Mapping[str, str], note: Callable[[str], None]) -> Iterator[None]:
    def read(instance: object, name: str) -> Any:
        if name in fields:
            note(fields[name])
        return object.__getattribute__(instance, name)

    rule.__getattribute__ = read
    try:
        yield
    finally:
        del rule.__getattribute__


def base_of(name: str) -> Base:
    """Build, forecast and score a case once, and note which step reads which constant."""
    reads: Reads = {}
    step = BUILD
    seconds: dict[str, float] = {}

    def note(path: str) -> None:
        reads.setdefault(path, set()).add(step)

    with _recorded(note):
        case = build_case(name)
        forecasts: dict[str, pd.DataFrame] = {}
        for step in model_names(case.settings):
            began = time.process_time()
            forecasts |= forecast_case(case, [step])
            seconds[step] = time.process_time() - began
        step = SCORE
        figures = score_case(case, forecasts)
    for constant in constants():
        if not constant.field and not isinstance(resolve(constant.owner), dict):
            module = constant.path.split(":")[0]
            reads[constant.path] = {model for model in forecasts if module in import_closure((module_of(model),))}
    return Base(case, forecasts, figures, reads, seconds)


def figures_with(base: Base, name: str, constant: Constant, value: object) -> dict[str, float]:
    """Figures of a case with a changed constant; only the models that read it are fitted again."""
    steps = base.reads.get(constant.path, set())
    if not steps:
        return base.figures
    with changed(constant, value):
        case, models = base.case, [model for model in base.forecasts if model in steps]
        if BUILD in steps:
            case = build_case(name)
            if same_panel(case.panel, base.case.panel):
                case = base.case
            else:
                models = list(base.forecasts)
        made = forecast_case(case, models) if models else {}
        return score_case(case, {model: made.get(model, kept) for model, kept in base.forecasts.items()})


def same_panel(one: Panel, other: Panel) -> bool:
    """Whether demand, closed periods and covariates are equal."""
    pairs = [(one.demand, other.demand), (one.closed, other.closed)]
    if list(one.known) != list(other.known) or list(one.observed) != list(other.observed):
        return False
    pairs += [(one.known[name].values, other.known[name].values) for name in one.known]
    pairs += [(one.observed[name], other.observed[name]) for name in one.observed]
    return all(np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f") for mine, theirs in pairs)


def measure(paths: Iterable[str] | None = None, report: Callable[[str], None] = print) -> None:
    """Measure the constants that have no stored effect yet, or those of some paths, and store each at once."""
    stored = read_effects()
    bases = {name: base_of(name) for name in CASES}
    stored["base"] = {name: base.figures for name, base in bases.items()}
    wanted = set(paths or ())
    open_ones = [c for c in constants() if c.measured and (c.path in wanted if wanted else c.path not in stored)]
    for constant in sorted(open_ones, key=lambda c: _seconds(c, bases.values())):
        began = time.process_time()
        stored[constant.path] = _effect(constant, bases)
        report(f"{constant.path}: {stored[constant.path]} ({time.process_time() - began:.0f} s)")
        EFFECTS.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n", encoding="utf-8")


def _effect(constant: Constant, bases: Mapping[str, Base]) -> dict[str, Any]:
    cases = [name for name, base in bases.items() if base.reads.get(constant.path)]
    if not cases:
        return {"cases": []}
    cheap = [name for name in cases if name != "daily" or _seconds(constant, [bases[name]]) <= AFFORDABLE_SECONDS]
    used = cheap or cases
    found: dict[str, Any] = {"cases": used}
    for side, factor in STEPS.items():
        value = varied(constant.value, factor, constant.limits)
        figures = {name: figures_with(bases[name], name, constant, value) for name in used}
        changes = {}
        for figure in ("wape", "wql", "folds_wape", "folds_wql"):
            before = np.mean([bases[name].figures[figure] for name in used])
            changes[figure] = round(100 * float(np.mean([figures[name][figure] for name in used]) / before - 1), 4)
        found[side] = {"value": value, **changes}
    return found


def _seconds(constant: Constant, bases: Iterable[Base]) -> float:
    """Processor seconds of fitting the models that read a constant."""
    return sum(base.seconds.get(step, 0.0) for base in bases for step in base.reads.get(constant.path, ()))


def read_effects() -> dict[str, Any]:
    """The stored effects."""
    return dict(json.loads(EFFECTS.read_text(encoding="utf-8"))) if EFFECTS.exists() else {}
