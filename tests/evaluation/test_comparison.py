import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import TrainingError
from schemas.panel import Fold
from schemas.settings import EnsembleSettings, Settings
from tasks.evaluation.backtest.recalibration import RecalibrationRule
from tasks.evaluation.comparison import ComparisonRules, compare, selection_rule
from tasks.evaluation.metrics.definitions import METRICS
from tasks.evaluation.selection.weights import WeightRule

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
SERIES, KNOWN, HORIZON = 6, 40, 4
CUTOFFS = (32, 34, 36)


@pytest.fixture
def settings():
    return Settings(name="t", horizon=HORIZON, inventory={"review_period": 4}, sources=SOURCES, models={"xgboost": {}})


@pytest.fixture
def panel(panel_of):
    demand = np.random.default_rng(0).poisson(8, (SERIES, KNOWN)).astype(float)
    demand[2, 37] = np.nan
    keys = [(f"s{number % 2}", f"c{number // 2}") for number in range(SERIES)]
    return panel_of(demand, horizon=HORIZON, keys=sorted(keys))


@pytest.fixture
def folds(panel):
    return [Fold(pd.Timestamp(panel.periods[known]), known) for known in CUTOFFS]


def forecast_of(panel, model, error, series, quantiles, seed):
    """Rows of a model: folds and live forecast in one table, off by about ``error`` units."""
    random = np.random.default_rng(seed)
    level = np.nanmean(panel.demand, axis=1)
    rows = [
        (panel.periods[known], *panel.series.iloc[number], panel.periods[known + ahead], model, level[number])
        for known in (*CUTOFFS, KNOWN)
        for number in series
        for ahead in range(HORIZON)
    ]
    frame = pd.DataFrame(rows, columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN])
    frame[c.MEAN] += error * random.choice([-1, 1], len(frame))
    spread = {c.quantile_column(q): (frame[c.MEAN] * (0.5 + q)).clip(lower=0) for q in quantiles}
    return frame.assign(**spread)


@pytest.fixture
def forecasts(panel, quantiles):
    everyone = range(SERIES)
    return [
        forecast_of(panel, "xgboost", 0.0, [0, 1, 2], quantiles, 1),
        forecast_of(panel, "xgboost", 0.0, [3, 4, 5], quantiles, 2),
        forecast_of(panel, "seasonal_naive", 7.0, everyone, quantiles, 3),
        forecast_of(panel, "moving_average", 5.0, everyone, quantiles, 4),
        forecast_of(panel, "prophet", 2.0, [0, 3], quantiles, 5),
    ]


def test_a_whole_comparison(forecasts, panel, folds, settings, quantiles):
    found = compare(forecasts, panel, folds, settings)
    spread = c.quantile_columns(quantiles)
    assert list(found.forecast.columns) == [c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN, *spread, c.CHAMPION]
    assert found.forecast[c.CHAMPION].dtype == bool
    assert len(found.forecast) == (3 * SERIES + 2) * HORIZON
    assert found.forecast[c.DATE].min() == panel.horizon_periods[0]
    champions = found.forecast[found.forecast[c.CHAMPION]]
    assert champions.groupby([c.STORE_ID, c.CATEGORY])[c.MODEL].nunique().tolist() == [1] * SERIES
    assert len(champions) == SERIES * HORIZON
    assert found.champions[c.MODEL].tolist() == ["xgboost"] * SERIES
    assert found.backtest[c.DATE].max() < panel.horizon_periods[0]
    assert len(found.backtest) == 3 * (3 * SERIES + 2) * HORIZON
    assert found.backtest[c.ACTUAL].isna().sum() == 3 * 2  # period 37 lies in the folds of 34 and 36


def test_tables_for_the_artifacts(forecasts, panel, folds, settings):
    found = compare(forecasts, panel, folds, settings)
    assert list(found.overall.columns) == [c.MODEL, c.RELATIVE_LOSS, *METRICS, c.N]
    assert found.overall[c.MODEL].iloc[0] == "xgboost"
    assert found.overall[c.RELATIVE_LOSS].is_monotonic_increasing
    floors = found.overall.set_index(c.MODEL).loc[["seasonal_naive", "moving_average"], c.RELATIVE_LOSS]
    assert floors.mean() == pytest.approx(1.0)
    shares = [c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR]
    assert list(found.bands.columns) == [c.MODEL, *shares, c.N]
    np.testing.assert_allclose(found.bands[shares].sum(axis=1), 1.0)
    assert found.champion_counts.to_dict("list") == {c.MODEL: ["xgboost"], c.N: [SERIES], c.SHARE: [1.0]}
    assert "champions" in found.gap[c.MODEL].tolist()


def test_order_of_tables_and_rows_does_not_matter(forecasts, panel, folds, settings):
    before = [table.copy(deep=True) for table in forecasts]
    straight = compare(forecasts, panel, folds, settings)
    shuffled = compare([t.sample(frac=1, random_state=1) for t in reversed(forecasts)], panel, folds, settings)
    for name in ("backtest", "metrics", "champions", "forecast", "overall", "bands", "champion_counts", "gap"):
        pd.testing.assert_frame_equal(getattr(straight, name), getattr(shuffled, name))
    for table, original in zip(forecasts, before, strict=True):
        pd.testing.assert_frame_equal(table, original)


def test_tables_survive_parquet(forecasts, panel, folds, settings, tmp_path):
    found = compare(forecasts, panel, folds, settings)
    for name in ("backtest", "metrics", "champions", "forecast", "overall", "bands", "champion_counts", "gap"):
        table = getattr(found, name)
        table.to_parquet(tmp_path / "table.parquet", index=False)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table)


def test_without_folds_every_series_still_has_a_champion(forecasts, panel, settings):
    live = [table[table[c.CUTOFF] == panel.horizon_periods[0]] for table in forecasts]
    found = compare(live, panel, [], settings)
    assert found.backtest.empty
    assert found.metrics.empty
    assert found.champions[c.MODEL].tolist() == ["moving_average"] * SERIES
    assert found.forecast[c.CHAMPION].sum() == SERIES * HORIZON


def test_a_series_without_a_live_forecast_stops_the_comparison(forecasts, panel, folds, settings):
    cut = [table[~table[c.CATEGORY].eq("c1")] for table in forecasts]
    with pytest.raises(TrainingError, match=r"without a live forecast .*: s0 / c1, s1 / c1 \(2 in all\)"):
        compare(cut, panel, folds, settings)


def test_a_live_forecast_that_ends_early_stops_the_comparison(forecasts, panel, folds, settings):
    prophet = forecasts[-1]
    forecasts[-1] = prophet[prophet[c.DATE] < panel.periods[-1]]
    with pytest.raises(TrainingError, match=r"each of the 4 periods from .*prophet / s0 / c0, prophet / s1 / c0"):
        compare(forecasts, panel, folds, settings)


def test_the_ensemble_competes_where_it_is_set(forecasts, panel, folds, settings):
    models = settings.models.model_copy(update={"ensemble": EnsembleSettings(members=["prophet", "xgboost"])})
    found = compare(forecasts, panel, folds, settings.model_copy(update={"models": models}))
    live = found.forecast.set_index([c.STORE_ID, c.CATEGORY, c.DATE])
    medians = {name: rows[c.MEDIAN] for name, rows in live.groupby(c.MODEL)}
    both = medians["prophet"].index
    np.testing.assert_allclose(medians["ensemble"].loc[both], (medians["prophet"] + medians["xgboost"].loc[both]) / 2)
    assert {"ensemble"} < set(found.backtest[c.MODEL]) & set(found.metrics[c.MODEL]) & set(found.overall[c.MODEL])
    assert found.forecast[c.CHAMPION].sum() == SERIES * HORIZON


def test_an_ensemble_without_named_members_leans_on_what_the_folds_show(forecasts, panel, folds, settings):
    models = settings.models.model_copy(update={"ensemble": EnsembleSettings()})
    found = compare(forecasts, panel, folds, settings.model_copy(update={"models": models}))
    error = found.backtest.assign(error=(found.backtest[c.MEDIAN] - found.backtest[c.ACTUAL]).abs())
    losses = error.groupby(c.MODEL)["error"].mean()
    assert losses["ensemble"] < losses[["moving_average", "seasonal_naive"]].min()
    assert found.forecast[c.CHAMPION].sum() == SERIES * HORIZON
    levels = found.forecast[c.quantile_columns(settings.quantiles)].to_numpy()
    assert (np.diff(levels, axis=1) >= 0).all()
    # The published weights make the ensemble's means from those of its members.
    live = found.forecast[found.forecast[c.WEIGHT].notna()]
    keys = [c.STORE_ID, c.CATEGORY, c.DATE]
    groups = live.assign(part=live[c.WEIGHT] * live[c.MEAN]).groupby(keys)
    ensemble = found.forecast[found.forecast[c.MODEL].eq("ensemble")].set_index(keys)[c.MEAN]
    np.testing.assert_allclose(groups[c.WEIGHT].sum(), 1.0)
    np.testing.assert_allclose(groups["part"].sum().loc[ensemble.index], ensemble)


def test_models_ranked_by_simulated_cost_show_it(forecasts, panel, folds, settings):
    costs = {"holding_cost": 0.2, "shortage_cost": 1.0}
    by_cost = settings.model_copy(
        update={
            "models": settings.models.model_copy(update={"ensemble": EnsembleSettings()}),
            "inventory": settings.inventory.model_copy(update=costs),
            "selection": settings.selection.model_copy(update={"loss": "inventory_cost"}),
        }
    )
    found = compare(forecasts, panel, folds, by_cost)
    assert list(found.overall.columns) == [c.MODEL, c.RELATIVE_LOSS, c.INVENTORY_COST, *METRICS, c.N]
    assert found.overall[c.RELATIVE_LOSS].is_monotonic_increasing
    assert {"seasonal_naive", "moving_average", "ensemble"} < set(found.overall[c.MODEL])
    mean = found.backtest.groupby(c.MODEL)[c.INVENTORY_COST].mean()
    pd.testing.assert_series_equal(found.overall.set_index(c.MODEL)[c.INVENTORY_COST].sort_index(), mean)
    of_series = found.metrics[found.metrics[c.LEVEL].eq("series")]
    assert (of_series[c.INVENTORY_COST] >= 0).all()
    assert found.champions[c.WHY].str.contains("inventory cost per period").all()
    plain = compare(forecasts, panel, folds, settings)
    for table in (plain.overall, plain.metrics, plain.backtest):
        assert c.INVENTORY_COST not in table.columns


@pytest.mark.parametrize(("loss", "words"), [("wape_wql", "WAPE / quantile loss 0."), ("wql", ": quantile loss 0.")])
def test_the_set_loss_ranks_the_models(forecasts, panel, folds, settings, loss, words):
    assert settings.selection.loss == "wape_wql"
    set_loss = settings.model_copy(update={"selection": settings.selection.model_copy(update={"loss": loss})})
    found = compare(forecasts, panel, folds, set_loss)
    assert found.champions[c.WHY].str.contains(words, regex=False).all()
    figures = found.overall.set_index(c.MODEL).loc[["xgboost", "seasonal_naive", "moving_average"]]
    ranked = figures[[c.WQL] if loss == "wql" else [c.WAPE, c.WQL]].mean(axis=1)
    expected = ranked / ranked[["seasonal_naive", "moving_average"]].mean()
    pd.testing.assert_series_equal(figures[c.RELATIVE_LOSS], expected, check_names=False)


def test_the_default_rule_penalizes_the_models_without_covariates(settings):
    rule = selection_rule(settings)
    assert rule.covariate_free == {"seasonal_naive", "moving_average", "croston", "tsb"}
    assert rule.loss == settings.selection.loss


def test_the_numbers_of_a_comparison_are_arguments(forecasts, panel, folds, settings):
    models = settings.models.model_copy(update={"ensemble": EnsembleSettings()})
    settings = settings.model_copy(update={"models": models})
    default = compare(forecasts, panel, folds, settings)
    selection = selection_rule(settings)
    same = compare(forecasts, panel, folds, settings, ComparisonRules(selection))
    pd.testing.assert_frame_equal(default.forecast, same.forecast)
    equal_weights = ComparisonRules(selection, weights=WeightRule(sharpness=0.0))
    changed = compare(forecasts, panel, folds, settings, equal_weights).forecast
    ensemble = changed[c.MODEL].eq("ensemble")
    assert not changed.loc[ensemble, c.MEAN].equals(default.forecast.loc[ensemble, c.MEAN])
    few_rows = ComparisonRules(selection, recalibration=RecalibrationRule(fewest_rows=10))
    changed = compare(forecasts, panel, folds, settings, few_rows).forecast
    assert not changed["q0.9"].equals(default.forecast["q0.9"])
