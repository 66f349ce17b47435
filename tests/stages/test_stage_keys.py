"""The cache key of a stage covers everything that the stage can read."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shutil
import typing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import tasks.stages
from flows.own_stages import OWN_STAGES
from schemas.deepar import DeepArTrial
from schemas.records import FileRef, PanelRef, Record, TableRef, TreeTuningRecord
from schemas.settings import Settings, Strict, XgboostLagsSettings
from schemas.settings.slices import CompareSlice, PanelSlice, PlanSlice, Slice
from tasks.demand.assemble import PanelInputs, assemble_panel
from tasks.forecasting.registry import compared_models, facts, module_of
from tasks.stages.forecast import model_slice
from tasks.stages.stage import Stage
from tasks.storage.cache import content, stage_key
from tasks.storage.code_version import import_closure, import_digest
from tasks.storage.lake import Lake

ROOT = Path(__file__).parents[2]
SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
PANEL = PanelInputs(tables={"sales": TableRef(key="t", rows=1, sha256="a1")}, as_of=date(2024, 1, 1))
FEATURES = Stage("features", Record, assemble_panel)  # type: ignore[type-var]


def stages() -> dict[str, Stage]:
    names = [found.name for found in pkgutil.iter_modules(tasks.stages.__path__)]
    modules = [importlib.import_module(f"tasks.stages.{name}") for name in names]
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Stage)}


def settings(**changed: object) -> Settings:
    return Settings.model_validate({"name": "x", "sources": SOURCES, **changed})


def compare_slice(**changed: object) -> dict[str, Any]:
    given = settings(**changed)
    return CompareSlice.of(given, models=compared_models(given)).model_dump(mode="json")


def key_of(changed: Settings) -> str:
    return FEATURES.key(PANEL, PanelSlice.of(changed))


def test_every_stage_takes_a_lake_inputs_and_a_slice() -> None:
    found = stages()
    assert len(found) >= 12
    for stage in found.values():
        hints = typing.get_type_hints(stage.compute)
        lake, inputs, use, *tools = inspect.signature(stage.compute).parameters
        assert hints[lake] is Lake
        assert issubclass(hints[inputs], Record)
        # The publication reads all settings because the manifest lists them.
        assert issubclass(hints[use], Slice) or (stage.name == "publish" and hints[use] is Settings)
        assert not any(inspect.isclass(hints[t]) and issubclass(hints[t], Settings) for t in tools)


def test_every_model_with_own_stages_has_them() -> None:
    assert set(OWN_STAGES) == {name for name, model in facts().items() if model.own_stages}


def test_the_parameters_that_tuning_found_reach_the_fit() -> None:
    tuned = TreeTuningRecord(model="xgboost_lags", parameters={"max_leaves": 5}, note="tuned")
    model = model_slice(settings(models={"xgboost_lags": {"tuning": {}}}), "xgboost_lags", tuned).model
    assert isinstance(model, XgboostLagsSettings)
    assert (model.params.max_leaves, model.tuning) == (5, None)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("frequency", {"frequency": "W-MON"}),
        ("horizon", {"horizon": 29}),
        ("country", {"country": "CL"}),
        ("cleaning", {"cleaning": {"drop_outliers": False}}),
        ("category", {"category": ["sku", "brand"]}),
        ("aggregate", {"aggregate": True}),
        ("period_label", {"period_label": "end"}),
        ("special_periods", {"special_periods": {"v": [{"date_from": "2024-01-01", "date_to": "2024-01-02"}]}}),
    ],
)
def test_setting_of_the_slice_changes_the_key(name: str, changed: dict[str, object]) -> None:
    assert name in PanelSlice.model_fields
    assert key_of(settings(**changed)) != key_of(settings())


def test_parameters_above_cover_every_panel_setting() -> None:
    marks = test_setting_of_the_slice_changes_the_key.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in marks[0].args[1]} == set(PanelSlice.model_fields)


@pytest.mark.parametrize(
    "changed", [{"seed": 8}, {"name": "y"}, {"quantiles": [0.5]}, {"inventory": {"holding_cost": 2}}]
)
def test_setting_outside_the_slice_does_not_change_the_key(changed: dict[str, object]) -> None:
    assert key_of(settings(**changed)) == key_of(settings())


def test_setting_outside_the_slice_cannot_be_read() -> None:
    use = PanelSlice.of(settings())
    assert use.horizon == 28
    with pytest.raises(AttributeError, match="inventory"):
        use.inventory  # type: ignore[attr-defined]  # noqa: B018


def test_new_field_of_a_slice_is_in_the_key() -> None:
    class Wider(PanelSlice):
        seed: int

    keys = {FEATURES.key(PANEL, Wider.of(settings(seed=seed))) for seed in (1, 2)}
    assert len(keys) == 2
    assert key_of(settings()) not in keys


def test_every_field_of_every_slice_is_in_the_key() -> None:
    def every(kind: type[Slice]) -> set[type[Slice]]:
        return {kind}.union(*(every(below) for below in kind.__subclasses__()))

    for kind in every(Slice):
        excluded = [name for name, field in kind.model_fields.items() if field.exclude]
        assert not excluded, kind


def test_compare_slice_has_inventory_settings_only_if_models_are_ranked_by_cost() -> None:
    def use(loss: str, holding_cost: float) -> dict[str, object]:
        inventory = {"holding_cost": holding_cost, "shortage_cost": 3}
        return compare_slice(selection={"loss": loss}, inventory=inventory)

    assert use("wape", 1) == use("wape", 2)
    assert use("inventory_cost", 1) != use("inventory_cost", 2)


def test_compare_slice_has_the_settings_of_the_models_that_the_comparison_makes() -> None:
    def use(depth: int, **changed: object) -> dict[str, object]:
        return compare_slice(models={"xgboost_lags": {"max_rounds": depth}, "ensemble": {}}, **changed)["models"]

    assert list(use(5)["settings"]) == ["ensemble"]
    assert use(5) == use(6)
    assert use(5, reconciliation={"method": "auto"}) != use(6, reconciliation={"method": "auto"})


def test_key_uses_checksums_of_references_and_ignores_running_times() -> None:
    def ref(key: str, sha256: str) -> PanelRef:
        return PanelRef(frames={"demand": TableRef(key=key, rows=3, sha256=sha256)}, horizon=7)

    assert content(ref("here", "f0")) == content(ref("there", "f0")) == {"frames": {"demand": "f0"}, "horizon": 7}
    assert content(ref("here", "f0")) != content(ref("here", "f1"))
    assert content(FileRef(key="a", bytes=1, sha256="e")) == "e"
    assert content(DeepArTrial(history=3, known=2)) == {"history": 3, "known": 2, "note": "", "held": ""}

    class Timed(Record):
        seconds: float
        loss: float

    assert content(Timed(seconds=3.0, loss=1.0)) == content(Timed(seconds=4.0, loss=1.0))


def test_stage_name_inputs_settings_and_code_change_the_key() -> None:
    use = PlanSlice.of(settings())
    other = PANEL.model_copy(update={"as_of": date(2024, 1, 8)})
    first = stage_key("a", PANEL, use, ("tasks.demand.panel",))
    assert (
        len(
            {
                first,
                stage_key("b", PANEL, use, ("tasks.demand.panel",)),
                stage_key("a", other, use, ("tasks.demand.panel",)),
                stage_key("a", PANEL, PlanSlice.of(settings(seed=8)), ("tasks.demand.panel",)),
                stage_key("a", PANEL, use, ("tasks.demand.folds",)),
            }
        )
        == 5
    )


def copied(folder: Path) -> Path:
    for package in ("schemas", "tasks", "flows"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digests(root: Path) -> dict[str, str]:
    """Digest of the code of every stage and of every model's shards."""
    every = {name: (stage.compute.__module__, *stage.modules) for name, stage in stages().items()}
    shard = every["forecast"]
    in_shards = [name for name, model in facts().items() if not model.own_stages]
    every |= {f"forecast-{name}": (*shard, module_of(name)) for name in in_shards}
    return {name: import_digest(modules, root) for name, modules in every.items()}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return digests(ROOT)


@pytest.mark.parametrize(
    ("file", "edit", "expected"),
    [
        ("flows/__main__.py", '\n"""Another docstring."""\n', set()),
        ("flows/stages.py", "\nX = 1\n", set()),
        ("tasks/stages/forecast.py", "\nX = 1\n", set()),
        ("schemas/settings/models.py", "\nX = 1\n", set()),
        ("tasks/forecasting/trees/lags.py", "\n# a comment\n", set()),
        (
            "tasks/forecasting/trees/recursive.py",
            "\nX = 1\n",
            {"forecast-xgboost_recursive"},
        ),
        ("tasks/forecasting/statistical/arima.py", "\nX = 1\n", {"forecast-arima"}),
        ("tasks/report/templates/report.html.j2", "\n<p>x</p>\n", {"publish"}),
    ],
)
def test_code_edit_changes_only_the_dependent_keys(
    before: dict[str, str], tmp_path: Path, file: str, edit: str, expected: set[str]
) -> None:
    root = copied(tmp_path)
    with (root / file).open("a", encoding="utf-8") as opened:
        opened.write(edit)
    after = digests(root)
    assert {name for name in before if before[name] != after[name]} == expected


def test_import_closure_includes_function_imports_and_excludes_settings() -> None:
    closure = import_closure(("tasks.evaluation.replay",))
    assert {"tasks.inventory.model.simulator", "tasks.demand.folds", "schemas.panel"} <= closure
    assert not [name for name in closure if name.startswith(("schemas.settings", "flows", "tasks.stages"))]
    with pytest.raises(ValueError, match="no such module"):
        import_closure(("tasks.nowhere",))


def test_settings_modules_contain_no_computation() -> None:
    """No key covers the code of settings modules, so they must not compute results."""
    allowed = {
        "of",
        "period",
        "named",
        "tuned",
        "searched",
        "shares",
        "digest",
        "header",
        "label",
        "file_layout",
        "passed_on",
        "holding",
        "changes",
        "not_accepted",
    }
    package = importlib.import_module("schemas.settings")
    found = set()
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"schemas.settings.{module.name}")).values():
            if (
                isinstance(value, type)
                and issubclass(value, Strict)
                and value.__module__.startswith("schemas.settings")
            ):
                found |= {n for n, v in vars(value).items() if not n.startswith("_") and inspect.isroutine(v)}
    assert not found - set(dir(Strict)) - allowed
