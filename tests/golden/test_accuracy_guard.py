"""Champions are as accurate as the stored figures say; and the guard notices when they are not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.breadth import sample
from tests.golden import accuracy_guard
from tests.golden.accuracy_guard import CASES, build_case, deviations, forecast_case, read_figures, replaced, score_case

BASELINES = ("seasonal_naive", "moving_average")


@pytest.mark.slow
@pytest.mark.parametrize("name", sample(CASES, ["weekly"]))
def test_the_champions_are_within_2_percent_of_the_stored_figures(name: str) -> None:
    stored = {figure: value for figure, value in read_figures().items() if figure.startswith(f"{name}.")}
    found = accuracy_guard.score([name])
    off = deviations(stored, {figure: value for figure, value in found.items() if figure.startswith(f"{name}.")})
    if off:
        pytest.fail(
            "\n".join(off) + "\nIf the change is intended, run: python -m tests.golden.accuracy_guard --record (see "
            "tests/golden/README.md).",
            pytrace=False,
        )


def test_champions_among_the_baselines_alone_are_outside_the_tolerance() -> None:
    case = build_case("weekly")
    figures = score_case(case, forecast_case(case, BASELINES))
    stored = {name.removeprefix("weekly."): value for name, value in read_figures().items() if "weekly." in name}
    assert figures.keys() == stored.keys()
    assert all(figures[name] > 1.1 * stored[name] for name in stored)


@pytest.mark.parametrize("name", sorted(CASES))
def test_nothing_after_as_of_reaches_the_panel(name: str) -> None:
    case = build_case(name)
    assert case.panel.horizon_periods[0].strftime("%Y-%m-%d") == accuracy_guard.AS_OF
    assert len(case.actual) == case.panel.n * case.panel.horizon
    assert case.panel.demand.shape == (case.panel.n, case.panel.history)
    # The hidden horizon sells about as much as the same number of periods before it.
    before = np.nansum(case.panel.demand[:, -case.panel.horizon :])
    assert 0.5 < case.actual["actual"].sum() / before < 2


def test_a_constant_is_replaced_wherever_it_was_imported_and_put_back() -> None:
    import schemas.settings
    from tasks.forecasting import registry

    before = schemas.settings.BASELINES
    with replaced({"schemas.settings:BASELINES": ("moving_average",)}):
        assert schemas.settings.BASELINES == registry.BASELINES == ("moving_average",)
    assert schemas.settings.BASELINES is registry.BASELINES is before


def test_a_field_of_a_frozen_record_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    size = CASES["daily"][0]
    module = SimpleNamespace(SIZE=size)
    monkeypatch.setitem(accuracy_guard.sys.modules, "tasks.of_this_test", module)
    with replaced({"tasks.of_this_test:SIZE.stores": 3}):
        assert (module.SIZE.stores, module.SIZE.skus) == (3, size.skus)
    assert module.SIZE is size


def test_an_unknown_constant_is_an_error() -> None:
    with pytest.raises(AttributeError), replaced({"tasks.forecasting.registry:NO_SUCH_CONSTANT": 1}):
        pass
