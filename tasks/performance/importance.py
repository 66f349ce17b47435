"""The importance of groups of features for the forecasts of the tree models, by week.

The weekly run stores the parts of every forecast of a tree model: the SHAP values of its trees and the expected effect
of level, season and calendar, summed by group (:mod:`tasks.forecasting.trees.contributions`). Their mean absolute size
shows what drives a category.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import StorageError
from schemas.performance import IMPORTANCE
from schemas.settings import Settings
from tasks.performance.accuracy import places
from tasks.performance.published_week import weeks_before
from tasks.performance.tables import append_if_new, stored_keys
from tasks.storage.lake import Lake


def keep_importance(lake: Lake, settings: Settings, first: date, until: date) -> None:
    """Append the importance of every published week that is not in the table yet, if its parts were not pruned.

    Args:
        lake: lake of the publications.
        settings: settings of the run.
        first: first run date.
        until: first run date that does not count.
    """
    done = {day for day, _ in stored_keys(lake, IMPORTANCE)}
    for week in weeks_before(lake, until, first, settings):
        given = week.plan_inputs
        if week.as_of in done or given is None:
            continue
        try:
            parts = [lake.read_table(ref) for ref in given.parts]
        except StorageError:
            continue
        append_if_new(lake, IMPORTANCE, week.as_of, importance(parts))


def importance(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Compute the table ``importance`` of one week.

    Args:
        parts: store_id, category, date, model, part and units of every forecast; parts of 0 are missing.
    """
    frames = [_of_model(rows, str(model)) for table in parts for model, rows in table.groupby(c.MODEL, observed=True)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _of_model(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    keys = rows[[c.STORE_ID, c.CATEGORY]].astype(str)
    codes, names = pd.MultiIndex.from_frame(keys).factorize(sort=True)
    series = pd.DataFrame(
        {name: names.get_level_values(level).astype(object) for level, name in enumerate((c.STORE_ID, c.CATEGORY))}
    )
    groups, labels = pd.factorize(rows[c.PART].astype(str), sort=True)
    size = np.abs(rows[c.UNITS].to_numpy(dtype=np.float64))
    periods = rows[c.DATE].nunique()
    frames = []
    for level, own, place in places(series):
        cell = place[codes] * len(labels) + groups
        total = np.bincount(cell, weights=size, minlength=len(own) * len(labels)).reshape(len(own), len(labels))
        counted = np.bincount(place, minlength=len(own)) * periods
        whole = total.sum(axis=1, keepdims=True)
        share = np.divide(total, whole, out=np.zeros_like(total), where=whole > 0)
        frame = own.loc[own.index.repeat(len(labels))].reset_index(drop=True)
        frames.append(
            frame.assign(
                **{c.LEVEL: level, c.MODEL: model, c.GROUP: np.tile(labels, len(own))},
                **{c.UNITS: (total / counted[:, None]).ravel(), c.SHARE: share.ravel()},
            )
        )
    return pd.concat(frames, ignore_index=True)
