"""Sales of last year in the periods of the forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import KnownFeature, Panel
from schemas.records import PanelRef
from tasks.demand.panel_frames import to_frames
from tasks.demand.stored import has_events, load_panel, periods_with_demand, sales_last_year, stored_table
from tasks.storage.lake import open_lake


def panel(frequency: str, history: int, horizon: int = 3, sold: bool = True) -> Panel:
    """Two series; the first sells its period's position, the second ten times as much."""
    period = Frequency(frequency)
    units = np.arange(history, dtype=np.float64)
    demand = np.stack([units, 10 * units])
    return Panel(
        frequency=period,
        series=pd.DataFrame({c.STORE_ID: ["1", "2"], c.CATEGORY: ["a", "a"]}),
        periods=period.range(pd.Timestamp("2023-01-02"), history + horizon),
        demand=np.full_like(demand, np.nan) if sold else demand,
        closed=np.zeros((2, history + horizon), dtype=bool),
        horizon=horizon,
        sold=demand if sold else None,
    )


@pytest.mark.parametrize(("frequency", "year"), [("D", 364), ("W-MON", 52), ("MS", 12)])
def test_sales_are_those_of_the_same_period_a_year_before(frequency: str, year: int) -> None:
    given = panel(frequency, year + 5)
    rows = sales_last_year(given)
    assert rows[c.UNITS].tolist() == [5, 6, 7, 50, 60, 70]
    assert rows[c.DATE].tolist() == [*given.horizon_periods, *given.horizon_periods]
    if frequency == "D":
        assert (given.horizon_periods[0] - given.periods[5]).days == 364


def test_periods_without_a_year_of_history_are_left_out() -> None:
    rows = sales_last_year(panel("W-MON", 50, sold=False))
    assert rows[c.UNITS].tolist() == [0.0, 0.0]
    assert sales_last_year(panel("W-MON", 20)).empty


def test_some_series_of_a_panel_are_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    period = Frequency("W-MON")
    rng, n, history, horizon = np.random.default_rng(0), 7, 9, 3
    demand = rng.poisson(2, (n, history)).astype(np.float64)
    demand[:, [0, 4]] = np.nan
    whole = Panel(
        frequency=period,
        series=pd.DataFrame({c.STORE_ID: [str(at) for at in range(n)], c.CATEGORY: ["a"] * n}),
        periods=period.range(pd.Timestamp("2023-01-02"), history + horizon),
        demand=demand,
        closed=rng.random((n, history + horizon)) > 0.5,
        horizon=horizon,
        known={c.OPEN: KnownFeature(rng.random((n, history + horizon)).astype(np.float32), np.arange(n))},
        observed={c.PRICE: rng.random((n, history)).astype(np.float32)},
        sold=demand + 1,
    )
    lake = open_lake(str(tmp_path))
    monkeypatch.setattr("tasks.storage.lake.PART_ROWS", 20)
    frames = {name: lake.write_parts(name, iter([frame])) for name, frame in to_frames(whole).items()}
    ref = PanelRef(horizon=horizon, frames=frames)
    assert not has_events(lake, ref)
    assert periods_with_demand(lake, ref).tolist() == [at not in (0, 4) for at in range(history)]
    for chosen in ([3, 4, 5], [6], [5, 0, 2]):
        found, expected = load_panel(lake, ref, period, np.array(chosen)), whole.take(np.array(chosen))
        for name, frame in to_frames(expected).items():
            pd.testing.assert_frame_equal(to_frames(found)[name], frame)


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_a_table_read_by_blocks_has_the_same_values(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.mapped.BLOCK_ROWS", 4)
    table = pd.DataFrame(
        {
            c.STORE_ID: ["s2", "s1", "s2"] * 3,
            c.SKU: list("abcabcabc"),
            c.ON_HAND: [1.0, np.nan, 2.5] * 3,
            c.DATE: pd.date_range("2024-01-01", periods=9),
            c.UNIT: ["box", None, "box"] * 3,
            "shelf": np.arange(9),
        }
    ).head(rows)
    lake = open_lake(str(tmp_path))
    ref = lake.write_table("stock", table)
    found = stored_table(lake, ref)
    pd.testing.assert_frame_equal(found.astype({c.STORE_ID: object, c.SKU: object}), lake.read_table(ref))
