import numpy as np
import pandas as pd
import pytest

from schemas.errors import ConfigError
from tasks.evaluation.backtest.paired_losses import PeriodLosses, compare_with_winner, network_winner
from tasks.evaluation.ranking import SelectionRule

EVERY = np.arange(2)
RULE = SelectionRule(tolerance=0.05, covariate_free=frozenset({"tsb"}))


def test_score_against_a_hand_calculation():
    """Two models, two series, four periods; the first model wins in all, the second on series 1."""
    loss = np.array([[[3.0, 3, 3, 3], [4, 4, 4, 4]], [[9.0, 9, 9, 9], [1, 3, 1, 3]]])
    losses = PeriodLosses(("a", "b"), pd.DataFrame(index=range(2)), loss, np.ones(loss.shape, dtype=np.int64))
    found = compare_with_winner(losses, EVERY, EVERY, EVERY, SelectionRule(prior_periods=4, margin=2))
    assert found.winner == 0  # 12 + 16 against 36 + 8
    # Units: (3 + 9) / 2 = 6 and (4 + 2) / 2 = 3. d: 6/6 = 1 and (-3, -1, -3, -1)/3, mean -2/3.
    pooled = (4 * 6 * 1 + 4 * 3 * (-2 / 3)) / (4 * 6 + 4 * 3)
    # Variance 0 and (4 * (1/3)^2) / 3 = 4/27; the pool's is that of the series that varies. n/(n+k) = 1/2.
    margin = [2 * np.sqrt(0.5 * (0 + 4 / 27) / 4), 2 * np.sqrt(4 / 27 / 4)]
    expected = [0.5 * (1 + margin[0]) + 0.5 * pooled, 0.5 * (-2 / 3 + margin[1]) + 0.5 * pooled]
    np.testing.assert_allclose(found.score, [[0, 0], expected])
    assert found.periods.tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_the_score_does_not_depend_on_the_unit_of_the_loss(scale):
    loss = np.array([[[3.0, 1, 4, 3], [4, 4, 4, 4]], [[9.0, 2, 9, 9], [1, 3, 1, 3]]])
    ones = np.ones(loss.shape, dtype=np.int64)
    plain, scaled = (
        compare_with_winner(
            PeriodLosses(("a", "b"), pd.DataFrame(index=range(2)), given, ones), EVERY, EVERY, EVERY, RULE
        )
        for given in (loss, scale * loss)
    )
    np.testing.assert_allclose(scaled.score, plain.score)


def test_without_prior_and_margin_the_score_is_the_raw_difference():
    loss = np.array([[[2.0, 2.0]], [[1.0, 5.0]]])
    losses = PeriodLosses(("a", "b"), pd.DataFrame(index=range(1)), loss, np.ones(loss.shape, dtype=np.int64))
    one = np.arange(1)
    found = compare_with_winner(losses, EVERY, one, one, SelectionRule(prior_periods=0, margin=0))
    assert found.score[1, 0] == pytest.approx(1.0 / 2.5)


def test_only_periods_that_both_models_forecast_equally_often_are_paired():
    loss = np.array([[[2.0, 2.0, 2.0]], [[1.0, 9.0, 0.0]]])
    folds = np.array([[[1, 2, 1]], [[1, 1, 0]]])
    losses = PeriodLosses(("a", "b"), pd.DataFrame(index=range(1)), loss, folds)
    one = np.arange(1)
    found = compare_with_winner(losses, EVERY, one, one, SelectionRule(prior_periods=0, margin=0))
    assert found.winner == 1
    assert found.periods[0, 0] == 1
    assert found.score[0, 0] > 0


def _totals(*totals: float, models: tuple[str, ...]) -> PeriodLosses:
    loss = np.array(totals)[:, None, None]
    return PeriodLosses(models, pd.DataFrame(index=range(1)), loss, np.ones(loss.shape, dtype=np.int64))


@pytest.mark.parametrize(("ensemble", "winner"), [(104.9, "ensemble"), (105.1, "b")])
def test_the_ensemble_wins_unless_a_single_model_is_clearly_better(ensemble, winner):
    losses = _totals(130.0, 100.0, ensemble, models=("a", "b", "ensemble"))
    assert losses.models[network_winner(losses, RULE)] == winner


@pytest.mark.parametrize(("ensemble", "winner"), [(115.4, "ensemble"), (115.6, "tsb")])
def test_the_loss_of_a_covariate_free_model_counts_a_tenth_more(ensemble, winner):
    losses = _totals(100.0, 130.0, ensemble, models=("tsb", "b", "ensemble"))
    assert losses.models[network_winner(losses, RULE)] == winner


def test_without_an_ensemble_the_lowest_loss_wins():
    assert network_winner(_totals(100.0, 99.9, models=("a", "b")), RULE) == 1


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ConfigError, match="tolerance must be at least 0, found 28, 2 and -1"):
        SelectionRule(tolerance=-1)


def test_the_penalty_and_the_share_of_the_network_are_arguments():
    losses = _totals(100.0, 109.0, models=("tsb", "b"))
    assert losses.models[network_winner(losses, RULE)] == "b"
    assert losses.models[network_winner(losses, SelectionRule(covariate_free_penalty=1.0))] == "tsb"
    assert losses.models[network_winner(losses, SelectionRule(covariate_free=frozenset()))] == "tsb"
    # Model a serves two of three series and is better there.
    loss = np.array([[[1.0], [1.0], [0.0]], [[2.0], [2.0], [2.0]]])
    folds = np.array([[[1], [1], [0]], [[1], [1], [1]]])
    partial = PeriodLosses(("a", "b"), pd.DataFrame(index=range(3)), loss, folds)
    assert network_winner(partial, SelectionRule()) == 1
    assert network_winner(partial, SelectionRule(network_share=0.6)) == 0
