"""Variants of an endpoint (A/B): their kept answers, their weekly losses on later sales, and paired tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray
from schemas.performance import CHAMPION, FOLDER, VARIANT_WEEKS, VARIANTS, Decision
from schemas.settings.challenger import ChallengerSettings
from tasks.evaluation.metrics import stats
from tasks.performance.actuals import Actuals
from tasks.performance.challengers import DECISION, verdict
from tasks.performance.published_week import ForecastGrid, ModelForecast
from tasks.performance.read import read_table
from tasks.performance.sequential import paired_evidence
from tasks.performance.tables import append_if_new
from tasks.storage.lake import Lake

ANSWERS = f"{FOLDER}/answers"
MEASURES = (c.WAPE, c.WQL)
_PAIR = (c.ENDPOINT, c.VARIANT)
_SERIES = [c.STORE_ID, c.CATEGORY]


def keep_answers(lake: Lake, endpoint: str, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Keep the answers of the variants of an endpoint, for the comparison with later sales.

    Only the first answer of a variant for a series and first period is stored, because a later one could use newer
    data.

    Args:
        lake: receives the answers.
        endpoint: name of the endpoint.
        answers: variant to rows with store_id, category, date, mean and quantiles.

    Returns:
        Number of series of each variant whose answers were not kept before.
    """
    kept = {}
    for variant, rows in answers.items():
        frame = pd.DataFrame(list(rows))
        frame = frame.assign(**{c.ENDPOINT: endpoint, c.VARIANT: variant, c.DATE: pd.to_datetime(frame[c.DATE])})
        first = frame[c.DATE].min().date()
        # Names may hold any text, so the file is named by their checksum.
        name = hashlib.sha256(f"{endpoint}\n{variant}".encode()).hexdigest()[:12]
        key = f"{ANSWERS}/{first}/{name}.parquet"
        earlier = pd.read_parquet(io.BytesIO(lake.read_bytes(key))) if lake.exists(key) else frame.iloc[:0]
        asked_before = pd.MultiIndex.from_frame(earlier[_SERIES].astype(str))
        new = frame[~pd.MultiIndex.from_frame(frame[_SERIES].astype(str)).isin(asked_before)]
        kept[variant] = len(new[_SERIES].drop_duplicates())
        if kept[variant]:
            buffer = io.BytesIO()
            both = pd.concat([earlier, new], ignore_index=True) if len(earlier) else new
            both.to_parquet(buffer, index=False, compression="zstd")
            lake.write_bytes(key, buffer.getvalue())
    return kept


def compare_variants(
    lake: Lake, actuals: Actuals, first: date, until: date, lag_length: int, settings: ChallengerSettings
) -> None:
    """Append the weekly losses of the variants, and the decision on each of them, to the tables.

    Args:
        lake: has the answers; receives the rows.
        actuals: demand before ``until``.
        first: answers from an earlier date are not compared again.
        until: run date of the evaluation.
        lag_length: periods of a week.
        settings: error rate and fewest weeks, as for a challenger.
    """
    for day in sorted({date.fromisoformat(key.split("/")[2]) for key in lake.keys(ANSWERS)}):
        if first <= day < until:
            append_if_new(lake, VARIANT_WEEKS, day, _week(lake, day, actuals, until, lag_length))
    weeks = read_table(lake, VARIANT_WEEKS.name)
    append_if_new(lake, VARIANTS, until, decide_variants(weeks[weeks[c.AS_OF] < pd.Timestamp(until)], settings))


def _week(lake: Lake, day: date, actuals: Actuals, until: date, lag_length: int) -> pd.DataFrame:
    """Losses of the answers of one date; no rows before the week is over, or with one variant."""
    frames = [pd.read_parquet(io.BytesIO(lake.read_bytes(key))) for key in lake.keys(f"{ANSWERS}/{day}")]
    rows: list[tuple[Any, ...]] = []
    every = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(_PAIR))
    for endpoint, own in every.groupby(c.ENDPOINT):
        dates = pd.DatetimeIndex(np.sort(own[c.DATE].unique()))[:lag_length]
        if len(own[c.VARIANT].unique()) > 1 and dates[-1] < pd.Timestamp(until):
            rows += [(endpoint, *row) for row in _losses(own, dates, actuals)]
    return pd.DataFrame(rows, columns=[*_PAIR, c.MEASURE, c.LOSS, c.N])


def _losses(answers: pd.DataFrame, dates: pd.DatetimeIndex, actuals: Actuals) -> Iterator[tuple[Any, ...]]:
    """Variant, measure, loss and number of cells, over the cells that all variants answered."""
    series = answers[_SERIES].astype(str).drop_duplicates().sort_values(_SERIES)
    demand, _ = actuals.within(series, dates)
    found = {str(name): _placed(own, series, dates) for name, own in answers.groupby(c.VARIANT)}
    known: BoolArray = np.isfinite(demand) & np.all([np.isfinite(one.mean) for one in found.values()], axis=0)
    actual, count = demand[known], int(known.sum())
    units = float(actual.sum())
    if units <= 0:
        return
    for variant, forecast in found.items():
        quantiles = forecast.quantiles[known]
        errors = stats.absolute_error(actual, forecast.median[known])
        yield variant, c.WAPE, float(errors.sum()) / units, count
        yield variant, c.WQL, float(stats.quantile_score(actual, quantiles, forecast.levels).sum()) / units, count


def _placed(answers: pd.DataFrame, series: pd.DataFrame, dates: pd.DatetimeIndex) -> ModelForecast:
    """The forecast of one variant for some series and dates; NaN where it did not answer."""
    whole = answers.dropna(axis="columns", how="all").assign(**{c.MODEL: CHAMPION, c.CHAMPION: True})
    grid = ForecastGrid.of(whole)
    found = grid.of_model(CHAMPION)
    at = pd.MultiIndex.from_frame(grid.series).get_indexer(pd.MultiIndex.from_frame(series))
    period = grid.dates.get_indexer(dates)
    missing = (at < 0)[:, None] | (period < 0)[None, :]
    mean: FloatArray = np.where(missing, np.nan, found.mean[at][:, period])
    return ModelForecast(mean, found.quantiles[at][:, period], found.levels)


def decide_variants(weeks: pd.DataFrame, settings: ChallengerSettings) -> pd.DataFrame:
    """Test all pairs of variants of each endpoint over their common weeks: table ``variants``.

    A difference is (loss of the other - own loss) / loss of the other of one week. The error rate is divided among
    the pairs and the two measures (Bonferroni), and the test may be looked at every week. A variant is dropped if
    another one is significantly better in one measure and not significantly worse in the other. A variant that is in
    this sense better than all others is kept.

    Args:
        weeks: rows of ``variant_weeks``, current versions.
        settings: error rate and fewest weeks.
    """
    rows: list[tuple[Any, ...]] = []
    for endpoint, own in weeks.groupby(c.ENDPOINT):
        losses = own.pivot_table(index=c.AS_OF, columns=[c.VARIANT, c.MEASURE], values=c.LOSS)
        names = sorted(own[c.VARIANT].unique())
        pairs = list(combinations(names, 2))
        limit = max(len(MEASURES) * len(pairs), 1) / settings.error_rate
        better: dict[str, dict[str, Decision]] = {name: {} for name in names}
        for first, second in pairs:
            found = {}
            for measure in MEASURES:
                both = losses[[(first, measure), (second, measure)]].dropna().to_numpy(dtype=np.float64)
                one, other = both[:, 0], both[:, 1]
                enough = len(both) >= settings.weeks
                ahead, behind = paired_evidence(_relative(one, other).tolist())
                found[measure] = verdict(ahead >= limit and enough, behind >= limit and enough)
                for names_of, mine, theirs, evidence in (
                    ((first, second), one, other, (ahead, behind)),
                    ((second, first), other, one, (behind, ahead)),
                ):
                    gain = _relative(mine, theirs)
                    means = (float(values.mean()) if len(both) else np.nan for values in (mine, gain))
                    rows.append((endpoint, *names_of, measure, len(both), *means, *evidence, limit, ""))
            result = verdict(Decision.PROMOTE in found.values(), Decision.KEEP in found.values())
            better[first][second] = result
            better[second][first] = _OPPOSITE.get(result, result)
        for name in names:
            rows.append((endpoint, name, "", DECISION, len(losses), *[np.nan] * 4, limit, _of(better[name])))
    columns = [*_PAIR, c.AGAINST, c.MEASURE, c.WEEKS, c.LOSS, c.DIFFERENCE, c.EVIDENCE_FOR, c.EVIDENCE_AGAINST]
    frame = pd.DataFrame(rows, columns=[*columns, c.LIMIT_VALUE, c.DECISION])
    return frame.assign(**{c.ERROR_RATE: settings.error_rate})


_OPPOSITE = {Decision.PROMOTE: Decision.KEEP, Decision.KEEP: Decision.PROMOTE}


def _of(results: Mapping[str, Decision]) -> Decision:
    """The decision on a variant from its comparisons with the others: promote = better, keep = worse.

    >>> str(_of({"b": Decision.PROMOTE})), str(_of({"b": Decision.PROMOTE, "c": Decision.KEEP}))
    ('keep', 'drop')
    """
    if Decision.KEEP in results.values():
        return Decision.DROP
    if results and all(result == Decision.PROMOTE for result in results.values()):
        return Decision.KEEP
    return Decision.UNDECIDED


def _relative(one: FloatArray, other: FloatArray) -> FloatArray:
    """The share by which a loss is smaller than another one; 0 if the other one is 0."""
    gain: FloatArray = np.divide(other - one, other, out=np.zeros(len(one)), where=other > 0)
    return gain
