"""DeepAR as a forecaster, with a backend that trains nothing."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.facts import FailureKind, SeriesFailure
from schemas.protocols import Forecaster, SamplingForecaster
from schemas.settings import DeepArConfiguration, DeepArSettings
from tasks.deepar import forecaster as deepar_forecaster
from tasks.deepar.forecaster import DeepArForecaster
from tasks.storage.lake import open_lake
from tests.deepar.flat_backend import FlatBackend
from tests.forecasting.check_forecaster import LEVELS, check_closed_periods_are_zero, check_is_a_forecast_of_demand
from tests.forecasting.panels import AWKWARD, awkward_panel, panel_of


@pytest.fixture
def backend(tmp_path):
    return FlatBackend(open_lake(str(tmp_path / "lake")))


def forecaster(backend, **settings):
    return DeepArForecaster(
        DeepArSettings(**settings), DeepArConfiguration(), backend.lake, backend, lambda progress: None
    )


def too_little(reason):
    return SeriesFailure(FailureKind.INSUFFICIENT_HISTORY, reason)


@pytest.mark.parametrize("frequency", ["D", "W-MON"])
def test_forecast_of_awkward_series(backend, frequency):
    panel = awkward_panel(frequency)
    found = forecaster(backend).fit(panel, 3).predict(panel, LEVELS)
    check_is_a_forecast_of_demand(found, panel)
    # Only the series without any known value falls back.
    assert set(found.failed) == {AWKWARD.index("unknown")}
    flat = float(np.nanmean(panel.demand[AWKWARD.index("seasonal")]))
    np.testing.assert_allclose(found.mean[AWKWARD.index("seasonal")], flat)


def test_closed_periods_are_zero(backend):
    panel = awkward_panel("D", ("seasonal", "closed", "gaps", "sparse", "constant", "zero"))
    check_closed_periods_are_zero(forecaster(backend).fit(panel, 3).predict(panel, LEVELS), panel)


def test_it_is_a_forecaster(backend):
    assert isinstance(forecaster(backend), Forecaster)


def test_too_little_for_deepar_is_told_and_nothing_is_trained(backend):
    panel = awkward_panel("MS", ("seasonal", "sparse"))
    found = forecaster(backend).fit(panel, 3).predict(panel, LEVELS)
    assert backend.trained == []
    assert set(found.failed.values()) == {too_little("80 known values in all series, 300 needed")}
    check_is_a_forecast_of_demand(found, panel)


def test_a_history_shorter_than_the_horizon_is_told_and_nothing_is_trained(backend):
    panel = panel_of(np.ones((40, 10)), horizon=11)
    found = forecaster(backend).fit(panel, 3).predict(panel, LEVELS)
    assert backend.trained == []
    assert set(found.failed.values()) == {too_little("10 periods in the longest series, 11 needed")}


def test_settings_reach_the_job(backend):
    panel = awkward_panel("D")
    forecaster(backend, hyperparameters={"epochs": 3, "learning_rate": 0.01}).fit(panel, 5)
    request = backend.trained[0]
    assert request.hyperparameters["epochs"] == "3"
    assert float(request.hyperparameters["learning_rate"]) == 0.01
    assert request.hyperparameters["time_freq"] == "D"
    assert request.hyperparameters["prediction_length"] == "14"
    assert (request.seed, request.purpose) == (5, "student-t")


def test_a_later_panel_is_asked_with_the_categories_of_the_fit(backend):
    whole = awkward_panel("D", ("seasonal", "closed", "gaps", "sparse", "constant", "huge"))
    fitted = forecaster(backend).fit(whole.until(60), 3)
    found = fitted.predict(whole, LEVELS)
    assert len(backend.trained) == 1
    assert backend.asked[0].inference != backend.trained[0].channel.inference
    np.testing.assert_allclose(found.mean[0], np.nanmean(whole.demand[0]))


def test_sample_paths_come_where_they_are_asked_for_and_not_too_many(backend, monkeypatch):
    panel = awkward_panel("D")
    fitted = forecaster(backend, num_samples=20).fit(panel, 3)
    assert isinstance(fitted, SamplingForecaster)
    assert fitted.predict(panel, LEVELS).paths is None
    found = fitted.predict_with_paths(panel, LEVELS)
    assert found.paths.shape == (panel.n, panel.horizon, 20)
    unknown = AWKWARD.index("unknown")
    assert np.isnan(found.paths[unknown]).all()
    assert np.isfinite(np.delete(found.paths, unknown, axis=0)).all()
    rise = found.paths[AWKWARD.index("seasonal"), 0]
    np.testing.assert_allclose(np.diff(rise), 1.0, rtol=1e-5)
    monkeypatch.setattr(deepar_forecaster, "MOST_PATH_NUMBERS", 100)
    assert fitted.predict_with_paths(panel, LEVELS).paths is None
    assert backend.asked_for_paths == [False, True, False]
