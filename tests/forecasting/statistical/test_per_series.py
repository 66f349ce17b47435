"""The rule by which a model of single series serves a panel."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.facts import Cost, FailureKind, ModelContext, ModelFacts, Scope, SeriesFailure
from schemas.settings import ArimaSettings
from tasks.forecasting.baselines import NO_HISTORY, SeasonalNaive
from tasks.forecasting.statistical import per_series
from tasks.forecasting.statistical.arima import ArimaModel
from tasks.forecasting.statistical.per_series import UNSEEN, LocalForecaster, SeriesModel, reason_of, run_each
from tasks.forecasting.statistical.series import series_tasks
from tests.forecasting.panels import panel_of

LEVELS = (0.1, 0.5, 0.9)


class Scripted(SeriesModel):
    """A model that misbehaves as the store's history says: its first value is the case."""

    facts = ModelFacts("scripted", "Scripted", "Misbehaves", Scope.SERIES, min_known=5, cost=lambda _: Cost(0, 0, 1, 0))

    def __init__(self, learns: bool = False) -> None:
        super().__init__(50)
        self.learns = learns
        self.learned: list[str] = []

    def learn(self, task):
        self.learned.append(task.key[0])
        if task.values[0] == 5:
            raise RuntimeError("no structure")
        return "a structure"

    def describe(self, structure):
        return structure

    def forecast(self, task, levels, structure):
        case = task.values[0]
        mean = np.full(task.lead, 3.0)
        if case == 1:
            raise RuntimeError("it broke at /tmp/abc/file.csv\nsecond line")
        if case == 2:
            mean[-1] = np.nan
        if case == 3:
            mean[:] = 1e9
        return mean, mean[:, None] + np.array([1.0, 0.0, -1.0])


def arima(workers=1):
    return ArimaModel.from_settings(ArimaSettings(), ModelContext(LEVELS, workers=workers))


def panel_of_cases(*cases):
    return panel_of(np.array([[case, *[4.0] * 18, 9.0] for case in cases]), horizon=4)


def forecast(panel, model=None):
    return LocalForecaster(model or Scripted()).fit(panel, 0).predict(panel, LEVELS)


def test_a_served_series_is_tidied():
    found = forecast(panel_of_cases(7))
    assert found.mean[0].tolist() == [3, 3, 3, 3]
    assert found.quantiles[0, 0].tolist() == [2, 3, 4]
    assert not found.failed


@pytest.mark.parametrize(
    ("case", "kind", "reason"),
    [
        (1, FailureKind.ERROR, "RuntimeError: it broke at ..."),
        (2, FailureKind.NOT_FINITE, "the forecast is not finite"),
        (3, FailureKind.DIVERGED, "the forecast diverged: 1e+09 against 9 at most in the history"),
    ],
)
def test_a_failure_is_served_by_seasonal_naive_and_says_why(case, kind, reason):
    panel = panel_of_cases(7, case)
    found = forecast(panel)
    naive = SeasonalNaive("fixed").fit(panel, 0).predict(panel, LEVELS)
    assert found.failed == {1: SeriesFailure(kind, reason)}
    assert not kind.is_insufficient_history
    assert np.array_equal(found.mean[1], naive.mean[1])
    assert np.array_equal(found.quantiles[1], naive.quantiles[1])
    assert found.mean[0].tolist() == [3, 3, 3, 3]


def test_short_and_unknown_series_say_so():
    demand = np.full((2, 20), np.nan)
    demand[0, -3:] = [1.0, 2.0, 3.0]
    short = SeriesFailure(FailureKind.INSUFFICIENT_HISTORY, "3 known open periods, 5 needed")
    assert forecast(panel_of(demand)).failed == {0: short, 1: NO_HISTORY}
    assert short.kind.is_insufficient_history
    assert NO_HISTORY.kind.is_insufficient_history


@pytest.mark.parametrize(("unknown", "after", "read"), [(28, 60, 60), (27, 60, 97), (28, 59, 97)])
def test_the_history_before_a_long_gap_is_left_out_if_enough_follows(unknown, after, read):
    values = np.arange(1.0, 1.0 + 10 + unknown + after)
    values[10 : 10 + unknown] = np.nan
    (task,) = series_tasks(panel_of(values), np.array([0]), 1_000, False, seed=1)
    assert len(task.values) == read


def test_a_constant_history_is_its_own_forecast():
    found = forecast(panel_of(np.full(30, 6.0)))
    assert (found.mean == 6).all()
    assert (found.quantiles == 6).all()
    assert not found.failed


def test_a_structure_is_learnt_once():
    model = Scripted(learns=True)
    forecaster = LocalForecaster(model)
    panel = panel_of_cases(7, 8)
    forecaster.fit(panel.until(15), 0).refit(panel, 0)
    assert model.learned == ["s00", "s01"]
    forecaster.fit(panel, 0)
    assert model.learned == ["s00", "s01", "s00", "s01"]


def test_a_series_without_structure_falls_back_with_the_reason_of_its_search():
    found = forecast(panel_of_cases(7, 5), Scripted(learns=True))
    assert found.failed == {1: SeriesFailure(FailureKind.ERROR, "RuntimeError: no structure")}
    assert found.notes == ("scripted: 1 structures over 1 series; most often a structure 1",)


def test_a_series_that_was_constant_when_the_model_was_fitted_is_unseen():
    panel = panel_of_cases(7)
    found = LocalForecaster(Scripted(learns=True)).fit(panel_of(np.full(20, 4.0)), 0).predict(panel, LEVELS)
    assert found.failed == {0: UNSEEN}
    assert UNSEEN.kind.is_insufficient_history


def test_reasons_hold_no_paths_or_addresses():
    assert reason_of(ValueError("object at 0x7f01 in /a/b")) == "ValueError: object at ... in ..."
    assert len(reason_of(ValueError("x" * 500))) == 160


def test_outcomes_keep_the_order_of_their_tasks():
    assert [outcome.value for outcome in run_each(lambda task: task, list(range(45)), 1)] == list(range(45))


@pytest.mark.slow
def test_processes_change_no_forecast(monkeypatch):
    monkeypatch.setattr(per_series, "CHUNK", 2)
    rng = np.random.default_rng(0)
    panel = panel_of(50 + np.cumsum(rng.normal(0, 2, (5, 40)), axis=1), "W-MON", 4)
    alone, together = (arima(workers).fit(panel, 0).predict(panel, LEVELS) for workers in (1, 2))
    assert np.array_equal(alone.mean, together.mean)
    assert np.array_equal(alone.quantiles, together.quantiles)


def test_a_series_is_forecast_alike_alone_and_among_others():
    rng = np.random.default_rng(1)
    panel = panel_of(50 + np.cumsum(rng.normal(0, 2, (3, 40)), axis=1), "W-MON", 4)
    among = arima().fit(panel, 0).predict(panel, LEVELS)
    single = panel.take(np.array([2]))
    alone = arima().fit(single, 0).predict(single, LEVELS)
    assert np.array_equal(among.quantiles[2], alone.quantiles[0])
