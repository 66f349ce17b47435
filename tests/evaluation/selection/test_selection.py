import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.evaluation.metrics.definitions import COST_METRIC, METRICS
from tasks.evaluation.ranking import LOSSES, SelectionRule
from tasks.evaluation.selection.champions import select_champions

RAW = SelectionRule(prior_periods=0.0, margin=0.0)


def served(backtest):
    return backtest[[c.STORE_ID, c.CATEGORY, c.MODEL]].drop_duplicates()


@pytest.fixture
def simple(backtest_of):
    """Ten units every day on 3 folds of 4 days, 5 series; models are off by a fixed number of units."""

    def build(**offsets):
        actual = np.full((3, 5, 4), 10.0)
        offsets = {"seasonal_naive": 4.0, "moving_average": 3.0, **offsets}
        return backtest_of(
            actual, {name: actual + np.asarray(off) for name, off in offsets.items()}, step=4, spread=0.0
        )

    return build


def by_series(champions):
    return champions[c.MODEL].tolist()


def test_the_best_model_is_champion_and_the_reason_names_its_losses(simple, quantiles):
    backtest = simple(boost=2.0, prophet=2.5)
    champions = select_champions(backtest, served(backtest), quantiles, SelectionRule(loss=c.WAPE))
    assert list(champions.columns) == [c.STORE_ID, c.CATEGORY, c.MODEL, c.WHY]
    assert by_series(champions) == ["boost"] * 5
    expected = "boost: WAPE 0.200 on 3 folds, compared with seasonal_naive 0.400, moving_average 0.300"
    assert champions[c.WHY].iloc[0] == f"{expected}; bias: forecasts are 20% too high"


def test_without_a_model_that_beats_both_baselines_a_baseline_is_champion(simple, quantiles):
    backtest = simple(boost=3.5)
    champions = select_champions(backtest, served(backtest), quantiles)
    assert by_series(champions) == ["moving_average"] * 5
    assert "compared with seasonal_naive 0.400" in champions[c.WHY].iloc[0]


def test_a_series_with_a_clear_winner_of_its_own_leaves_the_global_one(simple, quantiles):
    own = np.array([1.0, 1.0, 1.0, 1.0, 5.0])[None, :, None]
    backtest = simple(boost=own, ets=2.0)
    champions = select_champions(backtest, served(backtest), quantiles)
    assert by_series(champions) == ["boost"] * 4 + ["ets"]
    assert "better on this series than boost (0.500 / 0.500), which is best over all series" in champions[c.WHY].iloc[4]


def test_a_baseline_can_be_the_better_model_on_one_series(simple, quantiles):
    backtest = simple(boost=np.array([1.0, 1.0, 1.0, 1.0, 9.0])[None, :, None])
    champions = select_champions(backtest, served(backtest), quantiles)
    assert by_series(champions) == ["boost"] * 4 + ["moving_average"]


def test_a_lower_loss_that_may_be_chance_changes_nothing(backtest_of, quantiles):
    random = np.random.default_rng(2)
    actual = np.full((2, 40, 3), 10.0)
    medians = {
        "seasonal_naive": actual + 6.0,
        "moving_average": actual + 5.0,
        "boost": actual + 1.0,
        "ets": actual + 1.2,
    }
    # Series 0: one hit of the baseline by chance among six noisy days.
    medians = {name: median + random.normal(0, 3, actual.shape) for name, median in medians.items()}
    medians["boost"][:, 0] = actual[:, 0] + np.array([[1.0, 2.0, 9.0], [1.0, 0.0, 2.0]])
    medians["moving_average"][:, 0] = actual[:, 0] + np.array([[2.0, 3.0, 0.0], [3.0, 1.0, 2.0]])
    backtest = backtest_of(actual, medians, step=3)
    live = served(backtest)
    careful, raw = (select_champions(backtest, live, quantiles, rule) for rule in (None, RAW))
    assert raw[c.MODEL].iloc[0] == "moving_average"
    assert careful[c.MODEL].iloc[0] == "boost"
    assert "best over all series; the lower loss of moving_average" in careful[c.WHY].iloc[0]


def test_only_models_with_a_live_forecast_are_candidates(simple, quantiles):
    backtest = simple(boost=1.0, ets=2.0)
    live = served(backtest)
    live = live[~(live[c.MODEL].eq("boost") & live[c.STORE_ID].isin(["s0001", "s0003"]))]
    champions = select_champions(backtest, live, quantiles)
    assert by_series(champions) == ["boost", "ets", "boost", "ets", "boost"]


def test_a_model_of_the_largest_series_is_compared_on_those_only(simple, backtest_of, quantiles):
    # prophet serves series 0 and 1 only, where every model is off by less; boost is better on each of them.
    hard = np.array([0.5, 0.5, 2.0, 2.0, 2.0])[None, :, None]
    prophet = np.where(hard < 1, 0.8, np.nan)
    backtest = simple(seasonal_naive=3 * hard, moving_average=3 * hard, boost=hard, prophet=prophet)
    champions = select_champions(backtest, served(backtest), quantiles)
    assert by_series(champions) == ["boost"] * 5
    better = simple(seasonal_naive=3 * hard, moving_average=3 * hard, boost=hard, prophet=prophet / 4)
    assert by_series(select_champions(better, served(better), quantiles)) == ["prophet"] * 2 + ["boost"] * 3


def test_models_of_different_series_without_a_common_one_are_still_ranked(simple, quantiles):
    first = np.array([1.0, 1.0, np.nan, np.nan, np.nan])[None, :, None]
    last = np.array([np.nan, np.nan, 1.0, 1.0, 1.0])[None, :, None]
    backtest = simple(croston=first, theta=last)
    everyone = pd.concat([served(backtest), served(simple(croston=1.0, theta=1.0))]).drop_duplicates()
    assert by_series(select_champions(backtest, everyone, quantiles))[2:] == ["theta"] * 3


def test_a_series_without_known_sales_takes_the_global_winner(simple, quantiles):
    backtest = simple(boost=1.0)
    backtest.loc[backtest[c.STORE_ID].eq("s0002"), c.ACTUAL] = np.nan
    live = pd.concat([served(backtest), pd.DataFrame([("new", "shoes", "boost")], columns=served(backtest).columns)])
    champions = select_champions(backtest, live, quantiles).set_index(c.STORE_ID)
    sentence = "boost: best over all series; this series has no known sales on the folds"
    assert champions.loc["new", [c.MODEL, c.WHY]].tolist() == ["boost", sentence]
    assert champions.loc["s0002", [c.MODEL, c.WHY]].tolist() == ["boost", sentence]


def test_a_fold_with_one_known_period_counts(backtest_of, quantiles):
    actual = np.full((2, 1, 3), 10.0)
    actual[1, 0, 1:] = np.nan
    off = np.array([1.0, 5.0])[:, None, None]
    middle = np.full((2, 1, 3), 10.0)
    backtest = backtest_of(
        actual, {"seasonal_naive": middle + 9, "moving_average": middle + 9, "boost": middle + off}, step=3
    )
    champions = select_champions(backtest, served(backtest), quantiles, SelectionRule(loss=c.WAPE))
    # Errors of 1, 1, 1 and 5 over 40 units.
    assert champions[c.WHY].tolist()[0].startswith("boost: WAPE 0.200 on 2 folds")


def test_without_folds_the_moving_average_serves(simple, quantiles):
    backtest = simple(boost=1.0)
    live = served(backtest)
    champions = select_champions(backtest.iloc[:0], live, quantiles)
    assert by_series(champions) == ["moving_average"] * 5
    assert champions[c.WHY].iloc[0] == ("moving_average: no fold could be scored, so the models cannot be compared yet")
    unknown = backtest.assign(**{c.ACTUAL: np.nan})
    assert by_series(select_champions(unknown, live, quantiles)) == ["moving_average"] * 5
    only_boost = live[live[c.MODEL] == "boost"]
    assert by_series(select_champions(unknown, only_boost, quantiles)) == ["boost"] * 5


def test_ties_go_to_the_baseline_and_then_to_the_first_name(simple, quantiles):
    backtest = simple(boost=3.0)
    assert by_series(select_champions(backtest, served(backtest), quantiles)) == ["moving_average"] * 5
    backtest = simple(theta=1.0, ets=1.0)
    assert by_series(select_champions(backtest, served(backtest), quantiles)) == ["ets"] * 5


def test_series_without_sales_have_errors_in_units(backtest_of, quantiles):
    actual = np.zeros((2, 3, 4))
    medians = {"seasonal_naive": actual + 1.0, "moving_average": actual, "boost": actual + 0.5}
    backtest = backtest_of(actual, medians, spread=0.0, step=4)
    champions = select_champions(backtest, served(backtest), quantiles, SelectionRule(loss=c.WAPE))
    assert by_series(champions) == ["moving_average"] * 3
    assert champions[c.WHY].iloc[0] == (
        "moving_average: no sales, WAPE in units 0.000 on 2 folds, compared with seasonal_naive 1.000"
    )


def test_loss_decides_what_is_ranked(backtest_of, quantiles):
    actual = np.full((3, 4, 5), 10.0)
    backtest = backtest_of(
        actual, {"seasonal_naive": actual + 5, "moving_average": actual + 5, "sharp": actual + 1, "wide": actual}
    )
    wide = backtest[c.MODEL].eq("wide")
    backtest.loc[wide, ["q0.1", "q0.25"]] = 0.0
    backtest.loc[wide, ["q0.75", "q0.9"]] = 30.0
    live = served(backtest)
    for loss, best in ((c.WAPE, "wide"), (c.WQL, "sharp")):
        assert by_series(select_champions(backtest, live, quantiles, SelectionRule(loss=loss))) == [best] * 4


def test_evaluate_only_metrics_never_rank_models():
    metrics = METRICS | {COST_METRIC.name: COST_METRIC}
    assert not any(metrics[name].facts.evaluate_only for names in LOSSES.values() for name in names)
    with pytest.raises(ConfigError, match=r"expected one of wape, wql, wape_wql, inventory_cost, found 'bias'"):
        SelectionRule(loss=c.BIAS)
    with pytest.raises(ConfigError, match=r"at least 0, found -1, 2 and 0\.05"):
        SelectionRule(prior_periods=-1)


def test_order_of_rows_does_not_matter_and_inputs_stay(backtest_of, quantiles):
    random = np.random.default_rng(4)
    actual = random.poisson(4, (3, 30, 5)).astype(float)
    names = ["seasonal_naive", "moving_average", "a", "b", "c"]
    backtest = backtest_of(actual, {name: random.gamma(4, 1, actual.shape) for name in names})
    live = served(backtest)
    before = backtest.copy(deep=True), live.copy(deep=True)
    straight = select_champions(backtest, live, quantiles)
    pd.testing.assert_frame_equal(backtest, before[0])
    pd.testing.assert_frame_equal(live, before[1])
    shuffled = select_champions(backtest.sample(frac=1, random_state=1), live.sample(frac=1, random_state=2), quantiles)
    pd.testing.assert_frame_equal(straight, shuffled)


def test_a_period_in_several_folds_counts_once(backtest_of, quantiles):
    """The same six days forecast by one fold or by three overlapping ones select the same models."""
    random = np.random.default_rng(8)
    noise = random.normal(0, 3, (40, 6))
    actual = np.full((1, 40, 6), 10.0)
    medians = {
        "seasonal_naive": actual + 5,
        "moving_average": actual + 1.3 + noise,
        "boost": actual + 1 + random.normal(0, 3, (40, 6)),
    }
    once = backtest_of(actual, medians)
    cutoffs = [pd.Timestamp("2023-12-01"), pd.Timestamp("2023-12-02"), pd.Timestamp("2024-01-01")]
    thrice = pd.concat([once.assign(**{c.CUTOFF: cutoff}) for cutoff in cutoffs], ignore_index=True)
    live = served(once)
    assert by_series(select_champions(once, live, quantiles)) == by_series(select_champions(thrice, live, quantiles))


def world(seed, backtest_of, spread_of_skill):
    """Noisy sales of 120 series, five models whose skill differs by model and, a little, by series.

    Returns the backtest (2 folds of 4 days) and each model's expected loss per series on fresh days.
    """
    random = np.random.default_rng(seed)
    names = ["seasonal_naive", "moving_average", "a", "b", "c"]
    skill = np.array([0.5, 0.45, 0.2, 0.25, 0.3])[:, None]
    off = skill * random.choice([-1, 1], (5, 120)) * np.exp(spread_of_skill * random.normal(size=(5, 120)))
    level = random.gamma(3, 5, 120) + 5

    def sales(shape):
        return level[:, None] * np.clip(random.normal(1, 0.4, shape), 0, 2)

    folds = np.stack([sales((120, 4)) for _ in range(2)])
    medians = {
        n: np.broadcast_to((level * np.clip(1 + o, 0, None))[:, None], folds.shape)
        for n, o in zip(names, off, strict=True)
    }
    backtest = backtest_of(folds, medians, spread=0.0, step=4)
    fresh = sales((120, 400))
    loss = np.array([np.abs(fresh - medians[name][0, :, :1]).mean(axis=1) for name in names])
    return backtest, pd.DataFrame(loss.T, columns=names)


@pytest.mark.parametrize("spread_of_skill", [0.1, 0.3])
def test_out_of_sample_shrinkage_beats_the_least_fold_loss_per_series(backtest_of, quantiles, spread_of_skill):
    """Averaged over seeds: what each way of choosing loses on days that nobody has seen."""
    lost = {"shrunk": [], "raw": [], "oracle": []}
    for seed in range(6):
        backtest, loss = world(seed, backtest_of, spread_of_skill)
        for name, rule in (("shrunk", SelectionRule(loss=c.WAPE)), ("raw", SelectionRule(c.WAPE, 0.0, 0.0))):
            chosen = select_champions(backtest, served(backtest), quantiles, rule)[c.MODEL]
            lost[name].append(loss.to_numpy()[np.arange(120), loss.columns.get_indexer(chosen)].sum())
        lost["oracle"].append(loss.min(axis=1).sum())
    shrunk, raw, oracle = (np.mean(lost[name]) for name in ("shrunk", "raw", "oracle"))
    assert oracle <= shrunk < raw
    assert (raw - oracle) > 1.3 * (shrunk - oracle)


def test_out_of_sample_real_differences_between_series_are_found(backtest_of, quantiles):
    """Where models truly differ by series and folds are long, the champions differ, and for the better."""
    random = np.random.default_rng(11)
    actual = 20 + random.normal(0, 2, (3, 60, 14))
    good = np.where(np.arange(60) < 30, 1.0, 6.0)[None, :, None]
    medians = {
        "seasonal_naive": actual * 0 + 30,
        "moving_average": actual * 0 + 12,
        "a": actual * 0 + 20 + good,
        "b": actual * 0 + 27 - good,
    }
    backtest = backtest_of(actual, medians, step=14)
    chosen = select_champions(backtest, served(backtest), quantiles)[c.MODEL].to_numpy()
    assert (chosen[:30] == "a").mean() > 0.9
    assert (chosen[30:] == "b").mean() > 0.9
