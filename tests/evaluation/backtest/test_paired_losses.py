import numpy as np
import pandas as pd
import pytest

from schemas.errors import ConfigError
from tasks.evaluation.backtest.paired_losses import Evidence, SelectionRule, advantages, network_winner

EVERY = np.arange(2)


def test_score_against_a_hand_calculation():
    """Two models, two series, four periods; the first model wins in all, the second on series 1."""
    loss = np.array([[[3.0, 3, 3, 3], [4, 4, 4, 4]], [[9.0, 9, 9, 9], [1, 3, 1, 3]]])
    evidence = Evidence(("a", "b"), pd.DataFrame(index=range(2)), loss, np.ones(loss.shape, dtype=np.int64))
    found = advantages(evidence, EVERY, EVERY, EVERY, SelectionRule(prior_periods=4, margin=2))
    assert found.winner == 0  # 12 + 16 against 36 + 8
    # Units: (3 + 9) / 2 = 6 and (4 + 2) / 2 = 3. d: 6/6 = 1 and (-3, -1, -3, -1)/3, mean -2/3.
    pooled = (4 * 6 * 1 + 4 * 3 * (-2 / 3)) / (4 * 6 + 4 * 3)
    # Variance 0 and (4 * (1/3)^2) / 3 = 4/27; the pool's is that of the series that varies. n/(n+k) = 1/2.
    margin = [2 * np.sqrt(0.5 * (0 + 4 / 27) / 4), 2 * np.sqrt(4 / 27 / 4)]
    expected = [0.5 * (1 + margin[0]) + 0.5 * pooled, 0.5 * (-2 / 3 + margin[1]) + 0.5 * pooled]
    np.testing.assert_allclose(found.score, [[0, 0], expected])
    assert found.periods.tolist() == [[4, 4], [4, 4]]


def test_without_prior_and_margin_the_score_is_the_raw_difference():
    loss = np.array([[[2.0, 2.0]], [[1.0, 5.0]]])
    evidence = Evidence(("a", "b"), pd.DataFrame(index=range(1)), loss, np.ones(loss.shape, dtype=np.int64))
    one = np.arange(1)
    found = advantages(evidence, EVERY, one, one, SelectionRule(prior_periods=0, margin=0))
    assert found.score[1, 0] == pytest.approx(1.0 / 2.5)


def test_only_periods_that_both_models_forecast_equally_often_are_paired():
    loss = np.array([[[2.0, 2.0, 2.0]], [[1.0, 9.0, 0.0]]])
    folds = np.array([[[1, 2, 1]], [[1, 1, 0]]])
    evidence = Evidence(("a", "b"), pd.DataFrame(index=range(1)), loss, folds)
    one = np.arange(1)
    found = advantages(evidence, EVERY, one, one, SelectionRule(prior_periods=0, margin=0))
    assert found.winner == 1
    assert found.periods[0, 0] == 1
    assert found.score[0, 0] > 0


def _totals(*losses: float, models: tuple[str, ...]) -> Evidence:
    loss = np.array(losses)[:, None, None]
    return Evidence(models, pd.DataFrame(index=range(1)), loss, np.ones(loss.shape, dtype=np.int64))


@pytest.mark.parametrize(("ensemble", "winner"), [(104.9, "ensemble"), (105.1, "b")])
def test_the_ensemble_wins_unless_a_single_model_is_clearly_better(ensemble, winner):
    evidence = _totals(130.0, 100.0, ensemble, models=("a", "b", "ensemble"))
    assert evidence.models[network_winner(evidence, tolerance=0.05)] == winner


@pytest.mark.parametrize(("ensemble", "winner"), [(115.4, "ensemble"), (115.6, "tsb")])
def test_the_lead_of_a_model_that_only_carries_on_must_be_a_tenth_larger(ensemble, winner):
    evidence = _totals(100.0, 130.0, ensemble, models=("tsb", "b", "ensemble"))
    assert evidence.models[network_winner(evidence, tolerance=0.05)] == winner


def test_without_an_ensemble_the_least_loss_wins():
    assert network_winner(_totals(100.0, 99.9, models=("a", "b")), tolerance=0.05) == 1


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ConfigError, match="tolerance must be at least 0, got 28, 2 and -1"):
        SelectionRule(tolerance=-1)
