"""Comparables become champions of short and new series; everything else stays as it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import Fold
from schemas.settings import Settings
from tasks.evaluation.comparison import ComparisonRules, compare, selection_rule
from tasks.evaluation.selection.likeness import COMPARABLES, LAST_SEASON, LikenessRules, short_history_alarm
from tasks.forecasting.comparables import ComparableRule

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
STORES, KNOWN, HORIZON, OPENED = 5, 110, 4, 9
CUTOFFS = (100, 103, 106)
OFF = LikenessRules(comparables=ComparableRule(most_loss=-9.0))


@pytest.fixture
def settings():
    inventory = {"review_period": 1}
    return Settings(name="t", frequency="W-MON", horizon=HORIZON, inventory=inventory, sources=SOURCES, models={})


@pytest.fixture
def panel(panel_of):
    """Five stores; all sell three times their level in the last ten weeks, the last store opened nine weeks ago."""
    level = np.array([10.0, 20.0, 30.0, 40.0, 15.0])
    demand = np.repeat(level[:, None], KNOWN, axis=1)
    demand[:, -10:] *= 3
    demand[-1, :-OPENED] = np.nan
    return panel_of(demand, "W-MON", horizon=HORIZON)


@pytest.fixture
def folds(panel):
    return [Fold(pd.Timestamp(panel.periods[known]), known) for known in CUTOFFS]


def forecasts_of(panel, quantiles):
    """A model that knows the season of the old stores, and projects the last week of the new one."""
    level = panel.demand[:, 0].copy()
    tables = []
    for model, error in (("xgboost", 0.5), ("moving_average", 3.0), ("seasonal_naive", 4.0)):
        rows = []
        for known, store, ahead in product((*CUTOFFS, KNOWN), range(STORES), range(HORIZON)):
            young = store == STORES - 1
            season = 3.0 if known < KNOWN and not young else 1.0
            mean = np.nan_to_num(panel.demand[store, known - 1]) if young else season * level[store]
            key = (panel.periods[known], *panel.series.iloc[store], panel.periods[known + ahead])
            rows.append((*key, model, mean + error))
        frame = pd.DataFrame(rows, columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN])
        tables.append(frame.assign(**{c.quantile_column(q): frame[c.MEAN] * (0.5 + q) for q in quantiles}))
    return tables


def run(panel, folds, settings, quantiles, likeness=None, new=None):
    rules = ComparisonRules(selection_rule(settings), likeness=likeness or LikenessRules())
    return compare(forecasts_of(panel, quantiles), panel, folds, settings, rules, new_series=new)


def test_the_new_store_is_forecast_from_the_others(panel, folds, settings, quantiles) -> None:
    found = run(panel, folds, settings, quantiles)
    own = found.champions.set_index(c.STORE_ID).loc["s0004"]
    assert own[c.MODEL] == COMPARABLES
    assert "relative to 4 comparable stores in the same weeks" in own[c.WHY]
    live = found.forecast[found.forecast[c.CHAMPION] & found.forecast[c.STORE_ID].eq("s0004")]
    assert live[c.MEAN].mean() == pytest.approx(15.0, rel=0.1)  # not 45, its level so far
    assert found.replaced.to_dict("records") == [{c.STORE_ID: "s0004", c.CATEGORY: "shoes"}]
    tested = found.backtest[found.backtest[c.MODEL].eq(COMPARABLES)]
    assert tested[c.CUTOFF].nunique() == len(CUTOFFS)
    assert COMPARABLES in found.metrics[c.MODEL].tolist()


def test_every_other_series_stays_as_it_is(panel, folds, settings, quantiles) -> None:
    before, after = (run(panel, folds, settings, quantiles, rule) for rule in (OFF, None))
    assert before.replaced.empty
    for name in ("forecast", "backtest", "champions"):
        one, other = (getattr(found, name) for found in (before, after))
        kept = other[other[c.STORE_ID].ne("s0004")].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, one[one[c.STORE_ID].ne("s0004")].reset_index(drop=True))


def test_folds_that_speak_clearly_against_comparables_are_heard(panel, folds, settings, quantiles) -> None:
    found = run(panel, folds, settings, quantiles, LikenessRules(comparables=ComparableRule(most_loss=-9.0)))
    assert COMPARABLES not in found.champions[c.MODEL].tolist()
    assert "comparables not used for series with sales: their loss on the folds is" in found.notes[-1]


def test_without_folds_comparables_are_used(panel, settings, quantiles) -> None:
    live = [table[table[c.CUTOFF] == panel.horizon_periods[0]] for table in forecasts_of(panel, quantiles)]
    found = compare(live, panel, [], settings)
    assert found.champions[c.MODEL].tolist()[-1] == COMPARABLES
    assert found.backtest.empty


def test_a_store_without_sales_is_added(panel, folds, settings, quantiles) -> None:
    new = pd.DataFrame({c.STORE_ID: ["s0009"], c.CATEGORY: ["shoes"]})
    found = run(panel, folds, settings, quantiles, new=new)
    own = found.forecast[found.forecast[c.STORE_ID].eq("s0009")]
    assert own[c.MODEL].unique().tolist() == [COMPARABLES]
    assert len(own) == HORIZON
    assert own[c.CHAMPION].all()
    assert own[c.MEAN].gt(0).all()
    assert not found.backtest[c.STORE_ID].eq("s0009").any()
    assert len(found.champions) == STORES + 1
    assert "1 of them without sales" in found.notes[-1]


def test_the_alarm_names_young_stores(panel, folds, settings, quantiles) -> None:
    alike = run(panel, folds, settings, quantiles).champions
    alarm = short_history_alarm(panel, alike)
    assert alarm is not None
    assert (alarm.stores, alarm.count) == (["s0004"], 1)
    assert alarm.message.startswith("1 of 5 series have less than a year of sales; 1 of them are forecast from")
    # A category that last season's sales of other stores serve makes no older store of it.
    more = panel.series.tail(1).assign(**{c.CATEGORY: "seeds"})
    two = replace(panel, series=pd.concat([panel.series, more]), demand=np.vstack([panel.demand, panel.demand[-1:]]))
    champions = pd.concat([alike, more[[c.STORE_ID, c.CATEGORY]].assign(**{c.MODEL: LAST_SEASON})])
    assert short_history_alarm(two, champions).stores == ["s0004"]
    old = replace(panel, demand=np.ones_like(panel.demand))
    assert short_history_alarm(old, alike) is None


@pytest.mark.parametrize(("error", "used"), [(0.01, False), (0.9, True)])
@pytest.mark.parametrize("weeks_in", [12, 2])
def test_folds_in_season_decide_on_the_last_season(panel_of, settings, quantiles, error, used, weeks_in) -> None:
    """A season of 20 weeks sells 80 % of last year's; the models are right or not. Before the season, no fold says."""
    week = np.arange(52 + 52 + 26 + weeks_in)
    demand = np.where((week - 26) % 52 < 20, 30.0, 0.0) * np.where(week >= 104, 0.8, 1.0)
    panel = panel_of(np.stack([demand * size for size in (1.0, 2.0, 3.0)]), "W-MON", horizon=HORIZON)
    ends = (len(week) - 8, len(week) - 4)
    folds = [Fold(pd.Timestamp(panel.periods[known]), known) for known in ends]
    rows = [
        (
            panel.periods[known],
            *panel.series.iloc[store],
            panel.periods[known + ahead],
            model,
            24.0 * (store + 1) * share,
        )
        for known, store, ahead in product((*ends, len(week)), range(3), range(HORIZON))
        for model, share in (("xgboost", 1 - error), ("moving_average", 2.0), ("seasonal_naive", 2.0))
    ]
    table = pd.DataFrame(rows, columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN])
    table = table.assign(**{c.quantile_column(q): table[c.MEAN] * (0.5 + q) for q in quantiles})
    found = compare([table], panel, folds, settings)
    assert (found.champions[c.MODEL] == LAST_SEASON).all() == (used or weeks_in == 2)
    told = "last_season not used for series with sales" in " ".join(found.notes)
    assert told == (not used and weeks_in > 2)
