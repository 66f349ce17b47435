"""The shared suite over every model of the registry that is made from its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
from _pytest.mark import ParameterSet

from schemas.facts import Scope
from schemas.protocols import Forecaster
from schemas.settings import BASELINES, ModelsSettings, Settings
from tasks.forecasting.registry import ModelClass, facts, make_forecaster, model_classes
from tests.forecasting import check_forecaster as check
from tests.forecasting.panels import AWKWARD, awkward_panel

# Values that make a fit quick, for every model with a setting of that name.
QUICK = {"max_history": 120, "cross_validation": False, "max_rounds": 20, "max_rows": 2_000}
# Further ways to set up a model: name of the case, model and settings.
VARIANTS = {"arima by pmdarima": ("arima", {"engine": "pmdarima", "max_history": 36})}
# Above this number of core-milliseconds per series, fewer of them and one frequency for the thorough checks.
COSTLY = 60.0
COSTLY_SERIES = ("closed", "gaps", "zero", "constant", "one_value", "unknown", "three_values")
FREQUENCIES = ("D", "W-MON", "MS")
# A model that reads files has its own tests with files (tests/forecasting/pretrained).
WITH_FILES = {name for name, found in facts().items() if found.files is not None}
MADE_HERE = [
    name for name, model in model_classes().items() if isinstance(model, ModelClass) and name not in WITH_FILES
]
NAMES = [*MADE_HERE, *VARIANTS]


def cases(use: Callable[[str], bool] = lambda _: True, tier: str = "slow") -> list[ParameterSet]:
    """Models to test, and their variants in another tier: pmdarima takes ten times as long as the other models."""
    marks = [getattr(pytest.mark, tier)]
    return [pytest.param(name, marks=marks * (name in VARIANTS)) for name in NAMES if use(name)]


def model_of(name: str) -> str:
    return VARIANTS[name][0] if name in VARIANTS else name


def scope_of(name: str) -> Scope:
    return facts()[model_of(name)].scope


def settings_with(name: str, frequency: str = "D") -> Settings:
    model = model_of(name)
    given = {}
    if model not in BASELINES:
        fields = type(ModelsSettings.model_validate({model: {}}).named()[model]).model_fields
        given = {key: value for key, value in QUICK.items() if key in fields}
    if name in VARIANTS:
        given = VARIANTS[name][1]
    sources = {table: {"path": f"{table}.csv"} for table in ("sales", "products", "stores")}
    models = {} if model in BASELINES else {model: given}
    return Settings.model_validate(
        {"name": "test", "frequency": frequency, "sources": sources, "models": models, "compute": {"workers": 1}}
    )


def make(name: str, frequency: str) -> Forecaster:
    return make_forecaster(model_of(name), settings_with(name, frequency))


@cache
def costly(name: str) -> bool:
    cost = facts()[model_of(name)].cost
    settings = settings_with(name).models.named().get(model_of(name))
    return cost is not None and cost(settings).of_series(100, 1) > COSTLY


def cases_by_frequency() -> list[ParameterSet]:
    """Models and frequencies; for a costly model, days by day and the other frequencies at night."""
    return [
        pytest.param(
            *case.values,
            frequency,
            marks=[*case.marks, *([pytest.mark.nightly] if frequency != "D" and costly(case.values[0]) else [])],
        )
        for case in cases()
        for frequency in FREQUENCIES
    ]


def series_for(name: str) -> tuple[str, ...]:
    return COSTLY_SERIES if costly(name) else AWKWARD


@cache
def first_forecast(name: str, frequency: str):
    return check.forecast(partial(make, name, frequency), awkward_panel(frequency, series_for(name)))


def test_only_deepar_and_the_ensemble_are_not_made_from_their_settings():
    assert set(facts()) - set(MADE_HERE) == {"deepar", "ensemble", *WITH_FILES}


def test_a_forecaster_has_the_name_of_its_facts():
    assert {name: make(name, "D").name for name in MADE_HERE} == {name: name for name in MADE_HERE}


@pytest.mark.parametrize(("name", "frequency"), cases_by_frequency())
def test_forecasts_are_finite_ordered_and_not_negative(name, frequency):
    panel = awkward_panel(frequency, series_for(name))
    found = first_forecast(name, frequency)
    check.check_is_a_forecast_of_demand(found, panel)
    check.check_closed_periods_are_zero(found, panel)


@pytest.mark.parametrize(("name", "frequency"), cases_by_frequency())
def test_an_ordinary_series_is_served_by_the_model_itself(name, frequency):
    served = "closed" if costly(name) else "seasonal"
    assert series_for(name).index(served) not in first_forecast(name, frequency).failed


@pytest.mark.parametrize("name", cases(lambda name: scope_of(name) is not Scope.GLOBAL))
def test_a_series_without_history_is_reported(name):
    assert series_for(name).index("unknown") in first_forecast(name, "D").failed


@pytest.mark.parametrize("name", cases(lambda name: scope_of(name) is not Scope.GLOBAL))
def test_zero_demand_is_forecast_as_zero(name):
    found = first_forecast(name, "D")
    assert (found.mean[series_for(name).index("zero")] == 0).all()


@pytest.mark.parametrize("name", cases())
def test_the_same_seed_gives_the_same_forecast_and_inputs_stay(name):
    panel = awkward_panel("D", series_for(name))
    check.check_repeats_and_leaves_its_input(partial(make, name, "D"), panel, first_forecast(name, "D"))


# By day, the ordinary ARIMA is tested: the order of series, and what is after the cutoff, do not reach the engine.
@pytest.mark.parametrize("name", cases(lambda name: scope_of(name) is not Scope.GLOBAL, tier="nightly"))
def test_series_in_another_order_get_the_same_forecasts(name):
    panel = awkward_panel("D", series_for(name))
    check.check_follows_the_order_of_series(partial(make, name, "D"), panel, first_forecast(name, "D"))


@pytest.mark.parametrize("name", cases(tier="nightly"))
def test_a_changed_future_changes_no_forecast(name):
    check.check_reads_nothing_behind_the_cutoff(partial(make, name, "D"), awkward_panel("D", series_for(name)))


@pytest.mark.parametrize("name", cases(lambda name: facts()[model_of(name)].replayable))
def test_one_fit_of_a_replayable_model_forecasts_a_later_cutoff(name):
    panel = awkward_panel("D")
    fitted = make(name, "D").fit(panel.until(panel.history - panel.horizon), 3)
    check.check_is_a_forecast_of_demand(fitted.predict(panel, check.LEVELS), panel)


@pytest.mark.parametrize("name", cases(lambda name: facts()[model_of(name)].tunable))
def test_every_tunable_parameter_is_a_setting_with_its_default_in_range(name):
    settings = settings_with(name).models.named()[name]
    for parameter, among in facts()[name].tunable.items():
        assert among.low <= getattr(settings.params, parameter) <= among.high
    assert settings.searched() == list(facts()[name].tunable)


@pytest.mark.parametrize("name", facts())
def test_facts_describe_the_model_for_people(name):
    found = facts()[name]
    assert found.label
    assert found.description[0].isupper()
    assert not found.description.endswith(".")
