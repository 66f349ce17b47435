"""Drift: hand cases, injected drifts, and the stated rate of false alarms."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.frequency import Frequency
from schemas.panel import FloatArray, KnownFeature, Panel
from schemas.performance import DRIFT
from tasks.demand.features.promotions import PROMOTION_SHARE
from tasks.performance.drift import Findings, error_drift, input_drift
from tasks.performance.drift_alarms import InputChanges, forecast_changes
from tasks.performance.sequential import detect, paired_evidence, rank_p_value
from tasks.performance.tables import append_if_new
from tasks.storage.lake import open_lake

SERIES, DAYS, HORIZON = 40, 3 * 364, 28


def panel(demand: FloatArray, price: float = 10.0, promoted: FloatArray | None = None) -> Panel:
    """A panel of two stores over three years."""
    labels = Frequency("D").range(date(2022, 1, 3), DAYS + HORIZON)
    names = [f"c{number:02d}" for number in range(SERIES // 2)] * 2
    prices = np.full(demand.shape, 10.0, dtype=np.float32)
    prices[:, -28:] = price
    share = np.zeros((1, DAYS + HORIZON)) if promoted is None else promoted
    known = {PROMOTION_SHARE: KnownFeature(share.astype(np.float32), np.zeros(SERIES, dtype=np.int64))}
    return Panel(
        frequency=Frequency("D"),
        series=pd.DataFrame({c.STORE_ID: ["1"] * (SERIES // 2) + ["2"] * (SERIES // 2), c.CATEGORY: names}),
        periods=labels,
        demand=demand,
        closed=np.zeros((SERIES, DAYS + HORIZON), dtype=bool),
        horizon=HORIZON,
        known=known,
        observed={c.UNIT_PRICE: prices},
    )


def seasonal(factor: float = 1.0) -> FloatArray:
    """Poisson demand with a season of a year; the last four weeks are multiplied."""
    rng = np.random.default_rng(1)
    season = 1 + 0.6 * np.sin(2 * np.pi * np.arange(DAYS) / 364)
    rate = np.linspace(1, 8, SERIES)[:, None] * season
    rate[:, -28:] *= factor
    return rng.poisson(rate).astype(float)


def drifted(found: Findings) -> set[tuple[str, str]]:
    rows = found.drift[found.drift[c.DRIFTED].astype(bool)]
    return set(zip(rows[c.FEATURE], rows[c.WINDOW], strict=True))


def test_a_season_is_no_drift() -> None:
    assert drifted(input_drift(panel(seasonal()))) == set()


def test_injected_drifts_are_found() -> None:
    assert ("units", "last_year") in drifted(input_drift(panel(seasonal(1.5))))
    assert ("price", "training") in drifted(input_drift(panel(seasonal(), price=12.0)))
    gone = seasonal()
    gone[: SERIES // 2, -28:] = 0.0
    assert {("vanished_stores", "training"), ("vanished_series", "training")} <= drifted(input_drift(panel(gone)))
    empty = seasonal()
    empty[: SERIES // 2, :-28] = 0.0
    assert ("new_stores", "training") in drifted(input_drift(panel(empty)))
    share = np.zeros((1, DAYS + HORIZON))
    share[0, DAYS - 364 : DAYS - 350] = 0.5
    found = input_drift(panel(seasonal(), promoted=share))
    assert ("planned_promotions", "last_year") in drifted(found)
    # A drift that lasts is reported once.
    before = found.drift.assign(**{c.AS_OF: pd.Timestamp("2025-01-06")})
    assert found.new_messages(before) == []
    assert any("planned promotions" in text for text in found.new_messages(before[:0]))


def test_slow_series_without_a_sale_for_weeks_have_not_vanished() -> None:
    rng = np.random.default_rng(4)
    slow = (rng.random((SERIES, DAYS)) < 0.03).astype(float)  # a sale a month
    assert "vanished_series" not in {feature for feature, _ in drifted(input_drift(panel(slow)))}


def input_changes(whole: Panel) -> tuple[list[Alarm], dict[str, list[dict[str, Any]]]]:
    """The findings of a panel in two parts, which divide a store."""
    found = InputChanges()
    for series in (np.arange(25), np.arange(25, SERIES)):
        found.add(whole.take(series))
    return found.found()


def test_the_weekly_run_raises_alarms_on_drift(tmp_path: Path) -> None:
    assert input_changes(panel(seasonal())) == ([], {"input-drift": []})
    (alarm,), summary = input_changes(panel(seasonal(1.5)))
    assert (alarm.name, alarm.count, str(alarm.date_to)) == ("input_drift", 2, "2024-12-29")
    assert "units, all stores: the mean changed by +" in alarm.message
    assert {row[c.FEATURE] for row in summary["input-drift"]} >= {"units"}
    lake, day = open_lake(str(tmp_path)), date(2025, 1, 6)
    row = {c.LEVEL: "overall", c.FEATURE: "forecast_error", c.WINDOW: "expected", c.TEST: "sequential"}
    row |= {c.STATISTIC: 300.0, c.LIMIT_VALUE: 208.0, c.EFFECT: 0.5, c.DRIFTED: True, c.MESSAGE: "forecast error: 1.5"}
    append_if_new(lake, DRIFT, day, pd.DataFrame([row]))
    # The run of the evaluation's own date was published before it; later ones say so for five weeks.
    assert forecast_changes(lake, day) == ([], [])
    (found,), rows = forecast_changes(lake, date(2025, 1, 13))
    assert (found.name, found.message) == ("forecast_drift", "forecast error: 1.5 (evaluation of 2025-01-06)")
    assert rows[0][c.STATISTIC] == 300.0
    assert forecast_changes(lake, date(2025, 3, 3)) == ([], [])
    append_if_new(lake, DRIFT, date(2025, 1, 13), pd.DataFrame([{**row, c.DRIFTED: False}]))
    assert forecast_changes(lake, date(2025, 1, 20)) == ([], [])


def test_ranks_are_p_values() -> None:
    assert rank_p_value(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 / 3)
    assert rank_p_value(np.array([3.0, 2.0, 1.0])) == 1.0


def test_false_alarms_are_rarer_than_stated_and_a_jump_is_found() -> None:
    rng = np.random.default_rng(2)
    years = 60
    alarms = sum(len(detect(rng.gamma(8, size=156).tolist(), 52).alarms) for _ in range(years // 3))
    assert alarms <= years
    for _ in range(5):
        losses = rng.gamma(8, size=60)
        losses[30:] *= 3
        assert any(30 <= week < 40 for week in detect(losses.tolist(), 52).alarms)


def test_error_drift_is_relative_to_what_the_forecasts_imply() -> None:
    """Errors that grow with the implied errors are a season; errors that grow alone are a drift."""
    rng = np.random.default_rng(3)
    weeks, implied = 40, np.where(np.arange(40) < 30, 100.0, 300.0)
    noise = rng.gamma(50, 1 / 50, size=weeks)
    rows = pd.DataFrame({c.AS_OF: pd.date_range("2024-01-01", periods=weeks, freq="7D"), c.ERROR: 1.0})
    quiet = rows.assign(**{c.EXPECTED_ABSOLUTE_ERROR: implied, c.ABSOLUTE_ERROR: implied * noise})
    loud = rows.assign(**{c.EXPECTED_ABSOLUTE_ERROR: 100.0, c.ABSOLUTE_ERROR: implied * noise})
    until = [day.date() for day in pd.date_range("2024-08-05", periods=10, freq="7D")]
    found = {name: [error_drift(table, day, 52) for day in until] for name, table in (("quiet", quiet), ("loud", loud))}
    alarms = {name: sum(int(one[c.DRIFTED].sum()) for one in own) for name, own in found.items()}
    assert alarms["quiet"] == 0 < alarms["loud"]


def test_paired_evidence_is_symmetric_and_grows_with_consistent_differences() -> None:
    better, worse = paired_evidence([0.1] * 12)
    assert better > 20
    assert worse < 1
    assert paired_evidence([-0.1] * 12) == pytest.approx((worse, better))
    assert paired_evidence([0.5]) == (1.0, 1.0)
    rng = np.random.default_rng(4)
    wrong = [max(paired_evidence(list(row[:n]))[0] for n in range(4, 27)) >= 10 for row in rng.normal(size=(60, 26))]
    assert np.mean(wrong) <= 0.1
