"""The ranking of configurations of one model that were compared on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from schemas import columns as c


@dataclass(frozen=True)
class ConfigurationRule:
    """The rule that ranks configurations.

    Attributes:
        equal_rmse: configurations whose RMSE is at most this multiple of the lowest count as equal.
    """

    equal_rmse: float = 1.01


def rank_configurations(metrics: pd.DataFrame, rule: ConfigurationRule | None = None) -> pd.DataFrame:
    """Sort configurations, best first: by RMSE, equal ones by the share of forecasts within 10 % of the actual.

    Args:
        metrics: one row per configuration, with rmse, share_excellent and share_good.
        rule: what counts as equal; the default if None.

    Returns:
        The same rows in another order. Configurations with the same figures keep their order.
    """
    rule = rule or ConfigurationRule()
    equal = metrics[c.RMSE] <= rule.equal_rmse * metrics[c.RMSE].min()
    within = metrics[c.SHARE_EXCELLENT] + metrics[c.SHARE_GOOD]
    order = pd.DataFrame({"apart": ~equal, "missed": (1.0 - within).where(equal, 0.0), c.RMSE: metrics[c.RMSE]})
    return metrics.loc[order.sort_values(["apart", "missed", c.RMSE], kind="stable").index]
