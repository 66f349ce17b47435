"""The settings model: defaults of the contract, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.settings import Settings

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}


def _settings(**given: Any) -> Settings:
    return Settings.model_validate({"name": "shoes", "sources": SOURCES, **given})


@pytest.mark.parametrize(("frequency", "horizon", "week"), [("D", 28, 7), ("W-MON", 8, 1), ("MS", 6, 1)])
def test_horizon_review_and_step_follow_from_the_frequency(frequency: str, horizon: int, week: int) -> None:
    settings = _settings(frequency=frequency)
    assert settings.horizon == horizon
    assert settings.inventory.review_period == settings.backtest.step == week


def test_given_values_override_the_defaults_of_the_frequency() -> None:
    settings = _settings(frequency="W-MON", horizon=3, inventory={"lead_time": 2}, backtest=None)
    assert (settings.horizon, settings.inventory.review_period, settings.inventory.lead_time) == (3, 1, 2)
    assert settings.backtest.step == 1


def test_named_folds_are_the_only_ones() -> None:
    assert _settings().backtest.model_dump() == {"windows": 3, "step": 7, "extra_folds": 2}
    assert _settings(backtest={"windows": 3, "step": 7}).backtest.extra_folds == 0
    assert _settings(backtest={"windows": 2, "extra_folds": 1}).backtest.model_dump() == {
        "windows": 2,
        "step": 7,
        "extra_folds": 1,
    }


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = _settings()
    assert settings.quantiles == [0.1, 0.25, 0.5, 0.75, 0.9]
    assert (settings.category, settings.seed, settings.storage) == (["sku"], 7, "./lake")
    assert settings.quality.max_quarantined_share == 0.01
    assert {"arima", "prophet", "xgboost"} <= set(settings.models.named())
    assert settings.inventory.policies == ["eoq", "newsvendor", "marginal_value", "genetic"]
    assert settings.selection.loss == "wape_wql"
    assert settings.inventory.eoq.lead_time == 3
    assert settings.inventory.over_capacity_penalty == 1_000_000
    assert settings.publication.max_change is None
    assert settings.output.header == {name: name for name in ("store_id", "sku", "target_quantity")}


def test_named_models_are_fitted_and_no_others() -> None:
    assert list(_settings(models={"xgboost": {}}).models.named()) == ["xgboost"]
    assert list(_settings(models={"theta": None}).models.named()) == ["theta"]
    assert _settings(models={}).models.named() == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"horizont": 3}, "Extra inputs are not permitted"),
        ({"inventory": {"eoq": {"leadtime": 3}}}, "Extra inputs are not permitted"),
        ({"models": {"arma": {}}}, "Extra inputs are not permitted"),
        ({"frequency": "W"}, "expected one of D, W-MON"),
        ({"horizon": 0}, "greater than or equal to 1"),
        ({"quantiles": [0.1, 0.9]}, "must contain 0.5"),
        ({"quantiles": [0.5, 0.1]}, "in rising order"),
        ({"quantiles": [0.5, 1.0]}, "above 0 and below 1"),
        ({"quantiles": [0.33333331, 0.33333332, 0.5]}, "one of them is 0.333333"),
        ({"quantiles": [0.5, 0.99999999]}, "between 0.001 and 0.999"),
        ({"country": "XX"}, "ISO 3166"),
        ({"category": []}, "at least 1 item"),
        ({"horizon": 9, "inventory": {"lead_time": 3}}, "set horizon to at least 10"),
        ({"inventory": {"shortage_cost": -1}}, "at least 0"),
        ({"sources": {"sales": {"path": "x"}}}, "Field required"),
        ({"selection": {"loss": "bias"}}, "'wape_wql', 'wape', 'wql' or 'inventory_cost'"),
        ({"selection": {"loss": "inventory_cost"}}, r"inventory\.holding_cost is 0. If unsold units cost nothing"),
        (
            {"selection": {"loss": "inventory_cost"}, "inventory": {"holding_cost": 0.1, "shortage_cost": 0}},
            r"inventory\.shortage_cost is 0. If lost units cost nothing.*Set inventory\.shortage_cost above 0",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_reason(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _settings(**given)


def test_the_digest_follows_the_effective_settings() -> None:
    assert _settings().digest() == _settings(horizon=28, seed=7).digest()
    assert _settings().digest() != _settings(seed=8).digest()
    assert _settings().digest() == _settings(compute={"engine": "dask", "address": "tcp://127.0.0.1:1"}).digest()
    assert _settings(output={"columns": {"sku": "SKU"}}).output.header["sku"] == "SKU"
