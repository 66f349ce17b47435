import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.evaluation.selection.configurations import ConfigurationRule, rank_configurations


def metrics_of(**rows):
    """By configuration: RMSE, share excellent, share good."""
    return pd.DataFrame.from_dict(rows, orient="index", columns=[c.RMSE, c.SHARE_EXCELLENT, c.SHARE_GOOD])


def test_the_lowest_rmse_comes_first():
    found = rank_configurations(metrics_of(a=(12.0, 0.9, 0.1), b=(10.0, 0.1, 0.1), c=(11.0, 0.5, 0.2)))
    assert found.index.tolist() == ["b", "c", "a"]


def test_within_one_percent_the_share_within_ten_percent_of_the_actual_decides():
    table = metrics_of(a=(10.0, 0.2, 0.1), b=(10.09, 0.1, 0.3), c=(10.2, 0.9, 0.1))
    assert rank_configurations(table).index.tolist() == ["b", "a", "c"]
    assert rank_configurations(table, ConfigurationRule(equal_rmse=1.0)).index.tolist() == ["a", "b", "c"]
    assert rank_configurations(table, ConfigurationRule(equal_rmse=1.03)).index.tolist() == ["c", "b", "a"]


def test_equal_shares_fall_back_to_rmse_and_the_input_stays():
    table = metrics_of(a=(10.05, 0.3, 0.1), b=(10.0, 0.2, 0.2))
    before = table.copy()
    found = rank_configurations(table)
    assert found.index.tolist() == ["b", "a"]
    assert np.array_equal(found.loc["a"], table.loc["a"])
    pd.testing.assert_frame_equal(table, before)
