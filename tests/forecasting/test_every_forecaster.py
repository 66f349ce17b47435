"""The shared suite over every forecaster the product has."""

from __future__ import annotations

from functools import cache, partial
from importlib.util import find_spec

import pytest

from schemas.protocols import Forecaster
from schemas.settings import ModelsSettings, Settings
from tasks.forecasting.registry import GLOBAL_MODELS, make_forecaster, model_names
from tests.forecasting import check_forecaster as check
from tests.forecasting.panels import awkward_panel

PMDARIMA = "arima by pmdarima"
# Prophet and pmdarima cost most of a second per series: fewer of them, the deep checks on one frequency.
COSTLY = ("prophet", PMDARIMA)
COSTLY_SERIES = ("closed", "gaps", "zero", "constant", "one_value", "unknown", "three_values")
MODELS = {
    "arima": {"max_history": 120},
    "prophet": {"cross_validation": False},
    "xgboost": {"max_rounds": 20, "max_rows": 2_000},
    "xgboost_lags": {"max_rounds": 20, "max_rows": 2_000},
    "xgboost_recursive": {"max_rounds": 20, "max_rows": 2_000},
    "croston": {},
    "tsb": {},
    "theta": {},
    "ets": {},
}
FREQUENCIES = ("D", "W-MON", "MS")


def settings_with(models: dict[str, dict[str, object]], frequency: str = "D") -> Settings:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    return Settings.model_validate(
        {"name": "test", "frequency": frequency, "sources": sources, "models": models, "compute": {"workers": 1}}
    )


NAMES = [*model_names(settings_with(MODELS)), PMDARIMA]


def make(name: str, frequency: str) -> Forecaster:
    if name == "xgboost" and find_spec("tasks.forecasting.trees.direct") is None:
        pytest.skip("tasks.forecasting.trees.direct is not there")
    if name == PMDARIMA:
        return make_forecaster("arima", settings_with({"arima": {"engine": "pmdarima", "max_history": 36}}, frequency))
    return make_forecaster(name, settings_with(MODELS, frequency))


def series_for(name: str) -> tuple[str, ...]:
    from tests.forecasting.panels import AWKWARD

    return COSTLY_SERIES if name in COSTLY else AWKWARD


@cache
def first_forecast(name: str, frequency: str):
    return check.forecast(partial(make, name, frequency), awkward_panel(frequency, series_for(name)))


def test_every_model_of_the_settings_is_checked():
    assert set(ModelsSettings.model_fields) - {"deepar", "ensemble"} == set(MODELS)


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("name", NAMES)
def test_forecasts_are_finite_ordered_and_not_negative(name, frequency):
    panel = awkward_panel(frequency, series_for(name))
    found = first_forecast(name, frequency)
    check.check_is_a_forecast_of_demand(found, panel)
    check.check_closed_periods_are_zero(found, panel)


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("name", NAMES)
def test_an_ordinary_series_is_served_by_the_model_itself(name, frequency):
    served = "closed" if name in COSTLY else "seasonal"
    assert series_for(name).index(served) not in first_forecast(name, frequency).failed


@pytest.mark.parametrize("name", [name for name in NAMES if name not in GLOBAL_MODELS])
def test_a_series_without_history_is_reported(name):
    assert series_for(name).index("unknown") in first_forecast(name, "D").failed


@pytest.mark.parametrize("name", NAMES)
def test_zero_demand_is_forecast_as_zero(name):
    if name in GLOBAL_MODELS:
        pytest.skip("a global model may learn otherwise from the others")
    found = first_forecast(name, "D")
    assert (found.mean[series_for(name).index("zero")] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_forecast_and_inputs_stay(name):
    check.check_repeats_and_leaves_its_input(partial(make, name, "D"), awkward_panel("D", series_for(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in GLOBAL_MODELS])
def test_series_in_another_order_get_the_same_forecasts(name):
    check.check_follows_the_order_of_series(partial(make, name, "D"), awkward_panel("D", series_for(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_future_changes_no_forecast(name):
    check.check_reads_nothing_behind_the_cutoff(partial(make, name, "D"), awkward_panel("D", series_for(name)))
