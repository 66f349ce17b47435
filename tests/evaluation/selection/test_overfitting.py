import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.overfitting import CHAMPIONS, overfit_gap, single_models_win

WAPE = SelectionRule(loss=c.WAPE)


def test_gap_by_hand(backtest_of, quantiles):
    actual = np.full((3, 2, 4), 10.0)
    off = np.array([1.0, 1.0, 3.0])[:, None, None]  # good on the first two folds, bad on the last
    backtest = backtest_of(
        actual,
        {"seasonal_naive": actual + 2, "moving_average": actual + 4, "lucky": actual + off},
        step=4,
    )
    table = overfit_gap(backtest, quantiles, WAPE)
    assert list(table.columns) == [c.MODEL, c.EARLIER_FOLDS, c.LAST_FOLD, c.GAP, c.N]
    assert table[c.MODEL].tolist() == ["lucky", "moving_average", "seasonal_naive", CHAMPIONS]
    np.testing.assert_allclose(table[c.EARLIER_FOLDS], [0.1, 0.4, 0.2, 0.1])
    np.testing.assert_allclose(table[c.LAST_FOLD], [0.3, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(table[c.GAP], [2.0, 0.0, 0.0, 2.0], atol=1e-12)
    assert table[c.N].tolist() == [8, 8, 8, 8]


def test_champions_are_chosen_with_what_was_known_at_the_last_cutoff(backtest_of, quantiles):
    random = np.random.default_rng(1)
    actual = np.full((3, 20, 6), 10.0)
    names = ["seasonal_naive", "moving_average", "a", "b"]
    medians = {name: actual + random.normal(0, 3, actual.shape) for name in names}
    backtest = backtest_of(actual, medians, step=2)  # folds overlap: earlier ones reach beyond the last cutoff
    last = backtest[c.CUTOFF].max()
    table = overfit_gap(backtest, quantiles, WAPE).set_index(c.MODEL)
    # What is sold from the last cutoff on cannot change the choice; the known rows of b are made perfect.
    seen = backtest[c.DATE] < last
    better = backtest.copy()
    better.loc[seen & better[c.MODEL].eq("b"), c.MEDIAN] = 10.0
    found = overfit_gap(better, quantiles, WAPE).set_index(c.MODEL)
    assert found.loc[CHAMPIONS, c.LAST_FOLD] == found.loc["b", c.LAST_FOLD]
    assert found.loc["a", c.N] == 20 * 4  # the first fold has seen four steps ahead, the second two
    hidden = backtest.copy()
    hidden.loc[~seen & hidden[c.CUTOFF].lt(last) & hidden[c.MODEL].eq("a"), c.MEDIAN] = 10.0
    pd.testing.assert_frame_equal(overfit_gap(hidden, quantiles, WAPE).set_index(c.MODEL), table)


def test_choosing_by_luck_shows_as_a_gap(backtest_of, quantiles):
    random = np.random.default_rng(2)
    actual = np.full((2, 200, 3), 10.0)
    names = ["seasonal_naive", "moving_average", "a", "b", "c", "d"]
    backtest = backtest_of(actual, {name: actual + random.normal(0, 3, actual.shape) for name in names}, step=3)
    raw = overfit_gap(backtest, quantiles, SelectionRule(c.WAPE, 0.0, 0.0)).set_index(c.MODEL)
    careful = overfit_gap(backtest, quantiles, WAPE).set_index(c.MODEL)
    assert raw.loc[CHAMPIONS, c.GAP] > 0.3
    assert careful.loc[CHAMPIONS, c.GAP] < 0.5 * raw.loc[CHAMPIONS, c.GAP]
    assert raw.loc[names, c.GAP].abs().max() < 0.1


@pytest.mark.parametrize("folds", [0, 1])
def test_fewer_than_two_folds_have_no_gap(backtest_of, quantiles, folds):
    actual = np.full((1, 2, 4), 10.0)
    backtest = backtest_of(actual, {"seasonal_naive": actual + 2, "moving_average": actual + 4})
    table = overfit_gap(backtest.iloc[: len(backtest) * folds], quantiles, WAPE)
    assert table[c.MODEL].tolist() == ["moving_average", "seasonal_naive"][: 2 * folds]
    assert table[c.GAP].isna().all()
    assert table[c.LAST_FOLD].tolist() == pytest.approx([0.4, 0.2][: 2 * folds])


def test_order_of_rows_does_not_matter(backtest_of, quantiles):
    random = np.random.default_rng(3)
    actual = random.poisson(5, (3, 10, 4)).astype(float)
    backtest = backtest_of(
        actual, {m: random.gamma(5, 1, actual.shape) for m in ("seasonal_naive", "moving_average", "a")}
    )
    before = backtest.copy(deep=True)
    straight = overfit_gap(backtest, quantiles)
    pd.testing.assert_frame_equal(straight, overfit_gap(backtest.sample(frac=1, random_state=1), quantiles))
    pd.testing.assert_frame_equal(backtest, before)


@pytest.mark.parametrize(
    ("champions", "ensemble", "single"),
    [(94.0, 100.0, True), (96.0, 100.0, False), (110.0, 100.0, False), (98.0, None, True), (None, 100.0, False)],
)
def test_single_models_replace_the_ensemble_if_they_win_on_the_fold_that_did_not_choose_them(
    champions, ensemble, single
):
    losses = {CHAMPIONS: champions, "ensemble": ensemble}
    known = {name: loss for name, loss in losses.items() if loss is not None}
    gap = pd.DataFrame({c.MODEL: list(known), c.LAST_FOLD: list(known.values())})
    assert single_models_win(gap, SelectionRule()) is single
