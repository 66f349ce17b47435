"""What every forecaster must do, with any implementation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.panel import Forecast, Panel
from schemas.protocols import Forecaster
from tests.forecasting.panels import changed_after

LEVELS = (0.1, 0.5, 0.9)
Make = Callable[[], Forecaster]


def forecast(make: Make, panel: Panel, seed: int = 3) -> Forecast:
    return make().fit(panel, seed).predict(panel, LEVELS)


def same(one: Forecast, other: Forecast, exactly: bool = True) -> bool:
    close = np.array_equal if exactly else (lambda a, b: np.allclose(a, b, rtol=1e-6, atol=1e-6))
    return close(one.mean, other.mean) and close(one.quantiles, other.quantiles) and one.failed == other.failed


def check_is_a_forecast_of_demand(found: Forecast, panel: Panel) -> None:
    assert found.mean.shape == (panel.n, panel.horizon)
    assert found.quantiles.shape == (panel.n, panel.horizon, len(LEVELS))
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.quantiles).all()
    assert (found.mean >= 0).all()
    assert (found.quantiles >= 0).all()
    assert (np.diff(found.quantiles, axis=2) >= 0).all()
    assert set(found.failed) <= set(range(panel.n))
    assert all(failure.reason for failure in found.failed.values())


def check_closed_periods_are_zero(found: Forecast, panel: Panel) -> None:
    closed = panel.closed[:, panel.history :]
    assert closed.any()
    assert (found.mean[closed] == 0).all()
    assert (found.quantiles[closed] == 0).all()


def check_repeats_and_leaves_its_input(make: Make, panel: Panel, first: Forecast | None = None) -> None:
    """``first`` is a forecast of an equal panel, if there is one."""
    demand, closed = panel.demand.copy(), panel.closed.copy()
    known = {name: feature.values.copy() for name, feature in panel.known.items()}
    observed = {name: values.copy() for name, values in panel.observed.items()}
    series = panel.series.copy()
    assert same(forecast(make, panel), first or forecast(make, panel))
    assert np.array_equal(panel.demand, demand, equal_nan=True)
    assert np.array_equal(panel.closed, closed)
    assert all(np.array_equal(panel.known[name].values, values) for name, values in known.items())
    assert all(np.array_equal(panel.observed[name], values, equal_nan=True) for name, values in observed.items())
    assert panel.series.equals(series)


def check_follows_the_order_of_series(make: Make, panel: Panel, forward: Forecast | None = None) -> None:
    """``forward`` is a forecast of an equal panel, if there is one."""
    order = np.arange(panel.n)[::-1].copy()
    forward, backward = forward or forecast(make, panel), forecast(make, panel.take(order))
    assert np.allclose(forward.mean[order], backward.mean, rtol=1e-9)
    assert np.allclose(forward.quantiles[order], backward.quantiles, rtol=1e-9)
    assert {int(order[i]): why for i, why in backward.failed.items()} == dict(forward.failed)


def check_reads_nothing_behind_the_cutoff(make: Make, panel: Panel) -> None:
    cutoff = panel.history - panel.horizon
    told, untold = changed_after(panel, cutoff).until(cutoff), panel.until(cutoff)
    assert same(forecast(make, told), forecast(make, untold))
