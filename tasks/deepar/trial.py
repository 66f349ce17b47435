"""The periods on which DeepAR's configurations are compared."""

from __future__ import annotations

import numpy as np

from schemas.deepar import DeepArTrial
from schemas.panel import Fold, Panel

# The test of the configurations takes at most one period in three of the history.
_PERIODS_PER_TEST_PERIOD = 3


def plan_trial(panel: Panel, before: int) -> DeepArTrial:
    """The last horizon, or less of it, of the first ``before`` periods, up to the last one with known demand.

    Args:
        panel: T known periods, H to forecast.
        before: periods that may be looked at: those before the first fold, or all T.

    Returns:
        The trial; its window is 0 where no horizon would be left to train on.

    Example:
        H = 28: of 730 periods 702 are trained on and 28 tested; of 60 periods 40 and 20; of 40 periods none is tested,
        because fewer than a horizon would be left.
    """
    known = np.flatnonzero(np.isfinite(panel.demand[:, :before]).any(axis=0))
    history = int(known[-1]) + 1 if len(known) else before
    window = min(panel.horizon, history // _PERIODS_PER_TEST_PERIOD)
    if history - window < panel.horizon:
        note = f"deepar: {history} periods are known, too few to compare configurations: the first one is used"
        return DeepArTrial(history=history, known=history, note=note)
    if window < panel.horizon:
        note = f"deepar: configurations are compared on {window} of {panel.horizon} periods: {history} are known then"
        return DeepArTrial(history=history, known=history - window, note=note)
    return DeepArTrial(history=history, known=history - window)


def fold_of(base: Panel, trial: DeepArTrial) -> Fold:
    """The trial's test periods as a fold of the panel before them."""
    return Fold(base.periods[trial.known], trial.known)
