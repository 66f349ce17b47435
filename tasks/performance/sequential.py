"""Sequential tests: their error rate holds even if the result is read every week.

:func:`detect` finds a change in a sequence of weekly losses with a stated rate of false alarms. :func:`paired_evidence`
compares two sequences of weekly losses at a stated error rate. Both are e-values (Ramdas, Grünwald, Vovk and Shafer,
Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schemas.panel import FloatArray

# Powers of the betting functions that are averaged: small ones bet on very small p-values.
_POWERS = (0.1, 0.3, 0.5, 0.7, 0.9)
# Bets of the paired test, as multiples of the scale of the differences.
_BETS = (0.25, 0.5, 1.0, 1.5, 2.0)
# Number of first weeks that a detector only uses for comparison.
LEARNING_WEEKS = 4


@dataclass(frozen=True)
class Detection:
    """State of a detector after the last week.

    Attributes:
        statistic: e-detector of the weeks since the last alarm.
        limit: value at which it raises an alarm.
        alarms: positions of the alarms in the sequence.
    """

    statistic: float
    limit: float
    alarms: tuple[int, ...]

    def alarm_at(self, week: int) -> bool:
        """Whether the detector raised an alarm in a week, by its position."""
        return week in self.alarms


def detect(losses: Sequence[float], weeks_per_false_alarm: float) -> Detection:
    """Detect an increase of weekly losses; the statistic starts again at 0 after an alarm.

    Each loss is ranked among all losses up to its week. Without a change the order of the losses is random, and
    the ranks are independent p-values (Vovk, Retrain or not retrain: conformal test martingales for change-point
    detection, 2021). The e-detector of Shiryaev and Roberts, M = (M + 1) e, reaches a limit A without a change after at
    least A weeks on average, whatever the distribution of the losses (Shin, Ramdas and Rinaldo, E-detectors, New
    England Journal of Statistics in Data Science 2, 2024).

    Args:
        losses: one per week, oldest first; NaN = unknown, left out.
        weeks_per_false_alarm: A, least mean number of weeks between two false alarms.
    """
    alarms: list[int] = []
    statistic, seen = 0.0, np.zeros(0)
    for week, loss in enumerate(losses):
        if not np.isfinite(loss):
            continue
        seen = np.append(seen, loss)
        if len(seen) > LEARNING_WEEKS:
            statistic = (statistic + 1.0) * e_value(rank_p_value(seen), len(seen))
        if statistic >= weeks_per_false_alarm:
            alarms.append(week)
            statistic = 0.0
    return Detection(statistic, weeks_per_false_alarm, tuple(alarms))


def rank_p_value(losses: FloatArray) -> float:
    """Share of the losses that are at least as large as the last one.

    >>> rank_p_value(np.array([1.0, 3.0, 2.0, 2.5]))  # 3.0 and 2.5 itself
    0.5
    """
    return float((losses >= losses[-1]).mean())


def e_value(p: float, count: int) -> float:
    """Bet on small p-values: the mean of κ p^(κ − 1) over several κ, over its mean for random ranks.

    Args:
        p: share of losses that are at least as large.
        count: number of losses; without a change p is 1 / count, 2 / count, … or 1, each as likely.

    >>> round(e_value(0.5, 2), 3), round(e_value(1.0, 2), 3)
    (1.124, 0.876)
    """
    return float(_bet(np.array([p]))[0]) / _mean_bet(count)


@lru_cache(maxsize=4096)
def _mean_bet(count: int) -> float:
    """Mean bet over the ranks 1 to ``count``."""
    return float(_bet(np.arange(1, count + 1) / count).mean())


def _bet(p: FloatArray) -> FloatArray:
    found: FloatArray = np.mean([power * p ** (power - 1.0) for power in _POWERS], axis=0)
    return found


def paired_evidence(differences: Sequence[float]) -> tuple[float, float]:
    """Evidence that paired differences tend to be above 0, and below 0.

    If a difference d is as likely as -d, the product of exp(b d − b² d² / 2) is a supermartingale (de la Peña, A
    general class of exponential inequalities for martingales and ratios, Annals of Probability 27, 1999). By Ville's
    inequality it reaches 1 / α with a probability of at most α, at any time. Several bets b are averaged; each is
    scaled by the differences before the week, so that units do not matter.

    Args:
        differences: one per week, oldest first; NaN = unknown, left out.

    Returns:
        Two e-values; 1 without any difference.
    """
    found = [value for value in differences if np.isfinite(value)]
    evidence = [np.zeros(len(_BETS)), np.zeros(len(_BETS))]
    squares = 0.0
    for count, value in enumerate(found):
        # The first week has no earlier week that sets the scale, so it has no bet.
        if squares > 0.0:
            bets = np.array(_BETS) / np.sqrt(squares / count)
            evidence[0] += bets * value - np.square(bets * value) / 2
            evidence[1] += -bets * value - np.square(bets * value) / 2
        squares += value * value
    return float(np.exp(evidence[0]).mean()), float(np.exp(evidence[1]).mean())
