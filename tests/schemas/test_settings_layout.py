"""The two parts of the settings file: sections and `expert`; renamed keys."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.settings import Settings
from schemas.settings.layout import all_paths, arrange, group_of, lift, place_of
from schemas.settings.strict import Strict

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"name": "shoes", "sources": SOURCES, **given})


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("inventory.lead_time", "inventory.lead_time"),
        ("inventory.eoq.lead_time", "inventory.eoq.lead_time"),
        ("inventory.eoq.max_coverage", "expert.inventory.eoq.max_coverage"),
        ("inventory.genetic", "expert.inventory.genetic"),
        ("models.xgboost", "models.xgboost"),
        ("models.xgboost.max_rows", "expert.models.xgboost.max_rows"),
        ("models.xgboost_lags.tuning.trials", "expert.models.xgboost_lags.tuning.trials"),
        ("models.deepar.backend", "models.deepar.backend"),
        ("models.deepar.configurations.0.data", "expert.models.deepar.configurations.0.data"),
        ("compute.workers", "expert.compute.workers"),
        ("sources.sales.sheet", "sources.sales.sheet"),
        ("no.such.key", "no.such.key"),
    ],
)
def test_where_a_key_is_written(path: str, place: str) -> None:
    assert place_of(Settings, path) == place


def test_expert_settings_reach_the_typed_settings() -> None:
    given = settings(expert={"inventory": {"genetic": {"population": 4}}, "models": {"xgboost": {"max_rows": 5_000}}})
    assert given.inventory.genetic.population == 4
    assert given.inventory.genetic.generations == 50
    assert given.models.xgboost is not None
    assert given.models.xgboost.max_rows == 5_000
    assert list(given.models.named()) == list(settings().models.named())


def test_an_expert_setting_does_not_turn_a_model_on() -> None:
    lifted = lift(Settings, {"models": {"tsb": {}}, "expert": {"models": {"theta": {"max_series": 3}, "tsb": {}}}})
    assert lifted.tree == {"models": {"tsb": {}}}
    assert lifted.unused == ["models.theta"]


def test_only_expert_settings_lie_below_expert() -> None:
    lifted = lift(
        Settings, {"expert": {"horizon": 3, "inventory": {"lead_time": 2}, "compute": {"workers": 2}, "x": 1}}
    )
    assert lifted.tree == {"inventory": {}, "compute": {"workers": 2}}
    assert lifted.misplaced == ["horizon", "inventory.lead_time"]
    assert lifted.unknown == ["x"]
    with pytest.raises(ValueError, match=r"not expert settings: x, horizon"):
        settings(expert={"horizon": 3, "x": 1})


def test_old_names_and_places_are_moved_and_listed() -> None:
    arranged = arrange(
        Settings,
        {
            "backtest": {"windows": 2, "further": 1},
            "inventory": {"frozen": {"closed_days": True}, "eoq": {"lead_time": 2, "max_cover": 9}},
            "models": {"arima": {"max_series": 3}, "tsb": {}},
            "compute": {"workers": 1, "engine": "local"},
        },
    )
    assert arranged.tree == {
        "backtest": {"windows": 2},
        "compute": {"engine": "local"},
        "inventory": {"blackout": {"closed_days": True}, "eoq": {"lead_time": 2}},
        "models": {"arima": {}, "tsb": {}},
        "expert": {
            "backtest": {"extra_folds": 1},
            "inventory": {"eoq": {"max_coverage": 9}},
            "models": {"arima": {"max_series": 3}},
            "compute": {"workers": 1},
        },
    }
    assert arranged.moved == [
        ("backtest.further", "expert.backtest.extra_folds"),
        ("inventory.frozen", "inventory.blackout"),
        ("inventory.eoq.max_cover", "expert.inventory.eoq.max_coverage"),
        ("models.arima.max_series", "expert.models.arima.max_series"),
        ("compute.workers", "expert.compute.workers"),
    ]
    assert not arranged.twice


@pytest.mark.parametrize(
    ("tree", "twice"),
    [
        ({"inventory": {"frozen": {}, "blackout": {}}}, ("inventory.frozen", "inventory.blackout")),
        (
            {"compute": {"workers": 1}, "expert": {"compute": {"workers": 2}}},
            ("compute.workers", "expert.compute.workers"),
        ),
    ],
)
def test_a_setting_that_is_set_twice_is_listed(tree: dict[str, Any], twice: tuple[str, str]) -> None:
    assert arrange(Settings, tree).twice == [twice]


def test_parameters_of_a_library_are_merged_with_the_defaults() -> None:
    trees = settings(expert={"models": {"xgboost": {"params": {"max_depth": 4, "gamma": 1.5}}}}).models.xgboost
    assert trees is not None
    assert (trees.params.max_depth, trees.params.learning_rate) == (4, 0.05)
    assert trees.params.passed_on() == {"gamma": 1.5}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_dept": 4}, "unknown parameter 'max_dept'; known parameters: colsample_bylevel"),
        ({"objective": "reg:tweedie"}, "unknown parameter 'objective'"),
        ({"gamma": [1]}, r"the parameter gamma is \[1\]; expected a number"),
        ({"gamma": float("inf")}, "the parameter gamma is inf"),
        ({"subsample": 2}, "less than or equal to 1"),
    ],
)
def test_wrong_parameters_of_a_library_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(expert={"models": {"xgboost": {"params": parameters}}})


def test_the_old_place_of_a_library_parameter_is_accepted() -> None:
    arranged = arrange(Settings, {"models": {"xgboost": {"max_depth": 4, "max_rows": 2_000}}})
    assert arranged.tree["expert"] == {"models": {"xgboost": {"params": {"max_depth": 4}, "max_rows": 2_000}}}
    assert arranged.moved == [
        ("models.xgboost.max_depth", "expert.models.xgboost.params.max_depth"),
        ("models.xgboost.max_rows", "expert.models.xgboost.max_rows"),
    ]


def test_the_file_layout_gives_the_same_settings_again() -> None:
    given = settings(
        models={"arima": {}, "deepar": {"backend": "local"}},
        expert={"models": {"arima": {"max_series": 7}}, "inventory": {"calibration": {"runs": 3}}},
        inventory={"blackout": {"dates": ["2024-12-24"]}},
    )
    layout = given.file_layout()
    assert layout["models"] == {
        "arima": {},
        "deepar": {"backend": "local", "required": False, "sagemaker": layout["models"]["deepar"]["sagemaker"]},
    }
    assert not arrange(Settings, layout).moved
    assert Settings.model_validate(layout) == given


def test_renamed_keys_lead_to_known_keys() -> None:
    groups = {group_of(info) for path in all_paths(Settings) if (info := _field(path))} - {None}
    renames = [(group, old, new) for group in groups for old, new in group.renamed.items()]
    assert renames
    for group, old, new in renames:
        assert old not in group.model_fields
        assert new in all_paths(group)


def _field(path: str) -> Any:
    *above, name = path.split(".")
    group: type[Strict] = Settings
    for part in above:
        inner = group_of(group.model_fields[part])
        assert inner is not None
        group = inner
    return group.model_fields[name]
