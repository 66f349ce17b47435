"""Cut the forecasting work of a run into shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from schemas.facts import Scope
from schemas.panel import Fold, IndexArray, Panel
from schemas.records import ForecastRecord
from schemas.run import ShardSpec
from schemas.settings import Settings
from tasks.forecasting.budget import chosen_series, series_per_shard
from tasks.forecasting.fold_forecasts import fit_groups
from tasks.forecasting.registry import facts, model_names


def shards(settings: Settings, panel: Panel, folds: Sequence[Fold]) -> list[ShardSpec]:
    """Every shard of a run, the longest first.

    A baseline serves all series and cutoffs in one shard. A global model learns from all series, one shard
    per fit: the horizon, and each group of folds. A local model is cut by series into shards of about the same measured
    cost. Each has all cutoffs in ascending order, so that an order found on the first fold is kept; if one fit serves
    them all, there is one shard. A local model for which every history is too short at the first fold has no shard.

    Args:
        settings: which models, their limits and the shard size.
        panel: n series.
        folds: by rising cutoff; the horizon comes on top.
    """
    order = sorted(model_names(settings), key=_place)
    return [spec for name in order for spec in _of_model(name, settings, panel, folds)]


def summary_rows(records: Sequence[ForecastRecord]) -> list[dict[str, Any]]:
    """Series, fallbacks, seconds and notes of each model, summed over its shards."""
    rows = []
    for model in dict.fromkeys(record.model for record in records):
        of_model = [record for record in records if record.model == model]
        fell_back = {(failure.store_id, failure.category) for record in of_model for failure in record.failures}
        rows.append(
            {
                "model": model,
                "series": sum(record.series for record in of_model if record.live),
                "fell back": len(fell_back),
                "seconds": round(sum(record.seconds for record in of_model)),
                "notes": "; ".join(dict.fromkeys(note for record in of_model for note in record.notes)),
            }
        )
    return rows


def _place(name: str) -> tuple[bool, bool, bool]:
    """Sort key of a model, the longest work first: global models, models of single series, baselines."""
    model = facts()[name]
    return model.scope is Scope.BASELINE, model.scope is not Scope.GLOBAL, not model.starts_first


def _of_model(name: str, settings: Settings, panel: Panel, folds: Sequence[Fold]) -> Iterator[ShardSpec]:
    every, model = tuple(range(len(folds))), facts()[name]
    if model.scope is Scope.BASELINE:
        yield ShardSpec(model=name, folds=every)
    elif model.scope is Scope.GLOBAL:
        known = [fold.known_periods for fold in folds]
        groups = fit_groups(known) if model.shares_fits else [(number,) for number in every]
        for number, group in enumerate(groups, start=1):
            yield ShardSpec(model=name, folds=group, live=False, number=number, of=len(groups) + 1)
        yield ShardSpec(model=name, number=len(groups) + 1, of=len(groups) + 1)
    else:
        ahead = settings.horizon + (len(folds) - 1) * settings.backtest.step if folds else 0
        own = getattr(settings.models, name)
        chosen = chosen_series(panel, model, own, len(folds) + 1, panel.history - ahead)
        whole = model.together is not None and model.together(own)
        size = settings.compute.shard_series or series_per_shard(model, own, panel.history, len(folds) + 1)
        parts = _cut(chosen, len(chosen) if whole else size) if len(chosen) else []
        for number, part in enumerate(parts, start=1):
            yield ShardSpec(model=name, series=tuple(part.tolist()), folds=every, number=number, of=len(parts))


def _cut(chosen: IndexArray, size: int) -> list[IndexArray]:
    """Parts of at most ``size`` series, as even as can be."""
    return np.array_split(chosen, max(1, -(-len(chosen) // size)))
