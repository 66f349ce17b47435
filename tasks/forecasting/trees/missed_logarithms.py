"""Units sold on past occurrences of events over the forecasts of a model, and the effect expected of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import FloatArray, IndexArray
from tasks.forecasting.event_effects import RULE as PLANNED

# Occurrences with fewer known periods around them do not count.
FEWEST_AROUND = 2
# Median of the square of a standard normal variable, and variance of the median of n of them, times n.
MEDIAN_OF_SQUARE, VARIANCE_OF_MEDIAN = 0.4549, np.pi / 2


@dataclass(frozen=True)
class MissedRule:
    """The numbers of the effects that the trees did not learn (docs/decisions/0037-missed-events.md).

    Attributes:
        likely: prior probability that trees forecast a period near an event as if there were none.
        largest_share: the days of an event are at most this fraction of the history.
        series: number of series on which effects are observed at most, evenly spaced by category.
        rows: forecasts of past periods at most.
    """

    likely: float = 0.1
    largest_share: float = 0.1
    series: int = 200
    rows: int = 20_000


RULE = MissedRule()


@dataclass(frozen=True)
class Cells:
    """Periods of past occurrences, shape (m, steps) each.

    Attributes:
        sold: units; NaN = unknown, or the period does not count.
        forecast: by the model.
        key: periods with the same key are added.
    """

    sold: FloatArray
    forecast: FloatArray
    key: IndexArray


@dataclass(frozen=True)
class Seen:
    """What is known of one event, by its K distances, G groups of series and J past occurrences.

    The groups are the categories, and at the end all series.

    Attributes:
        event: number of the event.
        distances: shape (K,).
        log: shape (K, G, J), logarithm of units sold over forecasts, relative to the periods around.
        variance: shape (K, G, J); infinite if nothing is known.
    """

    event: int
    distances: IndexArray
    log: FloatArray
    variance: FloatArray


def logs(
    cells: Cells, code: IndexArray, groups: int, occurrence: IndexArray
) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Keys (K,), the logarithm of units sold over forecasts, and its variance by chance; (K, groups, J) each.

    Args:
        cells: what was sold and forecast.
        code: shape (m,), number of the category of each row.
        groups: number of categories, and one for all series.
        occurrence: shape (m,), number of the occurrence of each row, of J.
    """
    counts = np.isfinite(cells.sold)
    keys = np.unique(cells.key[counts])
    shape = (len(keys), groups, int(occurrence.max()) + 1)
    log, chance = np.zeros(shape), np.full(shape, np.inf)
    for at, key in enumerate(keys):
        row, column = np.nonzero(counts & (cells.key == key))
        # The periods of an occurrence with the same key are summed by series.
        own, place = np.unique(row, return_inverse=True)
        sold = np.bincount(place, cells.sold[row, column])
        forecast = np.bincount(place, cells.forecast[row, column])
        total, base, squares = np.zeros((3, *shape[1:]))
        for group in (code[own], np.full(len(own), groups - 1)):
            np.add.at(total, (group, occurrence[own]), sold)
            np.add.at(base, (group, occurrence[own]), forecast)
        seen = base > 0
        base = np.where(seen, base, 1.0)
        ratio = np.clip(total / base, 1.0 / PLANNED.largest, PLANNED.largest)
        for group in (code[own], np.full(len(own), groups - 1)):
            errors = sold - forecast * ratio[group, occurrence[own]]
            np.add.at(squares, (group, occurrence[own]), np.square(errors))
        log[at] = np.where(seen, np.log(ratio), 0.0)
        chance[at] = np.where(seen, squares / (ratio * base) ** 2 + 1.0 / base, np.inf)
    return keys, log, chance


def relative(
    event: int,
    near: tuple[IndexArray, FloatArray, FloatArray],
    usual: tuple[IndexArray, FloatArray, FloatArray],
) -> Seen:
    """Logarithms relative to the median of the periods around, where the level and the season are the same.

    The variance is that by chance and ``between``. It is larger if the periods around have larger errors, as where few
    series share a promotion that nobody stated: by their median square. Other events among them change no median.
    """
    distances, log, chance = near
    _, around, by_chance = usual
    known = np.isfinite(by_chance)
    count = known.sum(axis=0)
    middle = _median(np.where(known, around, np.nan))
    squares = np.square(around - middle) / (PLANNED.between**2 + by_chance)
    noise = np.ones((log.shape[1], 1))
    for groups in (slice(None, -1), slice(-1, None)):
        own = known[:, groups]
        if own.any():
            noise[groups] = max(1.0, float(np.median(squares[:, groups][own])) / MEDIAN_OF_SQUARE)
    variance = noise * (PLANNED.between**2 + chance) * (1.0 + VARIANCE_OF_MEDIAN / np.maximum(count, 1))
    return Seen(event, distances, log - middle, np.where(count >= FEWEST_AROUND, variance, np.inf))


def _median(values: FloatArray) -> FloatArray:
    """Median over the first axis of what is not NaN; 0 if nothing is."""
    ordered = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0)
    low, high = (np.maximum(place, 0)[None] for place in ((count - 1) // 2, count // 2))
    if not len(values):
        return np.zeros(values.shape[1:])
    found = (
        np.take_along_axis(ordered, low, axis=0)
        + np.take_along_axis(ordered, np.minimum(high, len(values) - 1), axis=0)
    )[0] / 2.0
    return np.where(count > 0, found, 0.0)


def posterior(log: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Expected logarithm of the effect ahead by category, and its standard deviation; shape (K, G - 1) each.

    Args:
        log: shape (K, G, J), observed.
        variance: shape (K, G, J), infinite if nothing is known.
    """
    precision = 1.0 / variance
    variance = 1.0 / np.maximum(precision.sum(axis=-1), np.finfo(np.float32).tiny)
    mean = (precision * log).sum(axis=-1) * variance
    missed, own = RULE.likely, PLANNED.unstated**2
    of_all, _, believed = _mixture(mean[:, -1:], variance[:, -1:], ((1.0 - missed, 0.0, 0.0), (missed, 0.0, own)))
    common = of_all / np.maximum(believed, np.finfo(np.float32).tiny)
    return _mixture(
        mean[:, :-1],
        variance[:, :-1],
        (
            ((1.0 - missed) * (1.0 - believed), 0.0, 0.0),
            ((1.0 - missed) * believed, common, PLANNED.doubt**2),
            (missed, 0.0, own),
        ),
    )[:2]


def _mixture(
    mean: FloatArray, variance: FloatArray, parts: Sequence[tuple[FloatArray | float, FloatArray | float, float]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior of a mixture of normal priors: mean, standard deviation ahead, and share of all parts but the first.

    Args:
        mean: shape (K, G), observed.
        variance: shape (K, G), of the observed mean.
        parts: prior probability, mean and variance of each.
    """
    scores = [
        weight * np.exp(-0.5 * (mean - middle) ** 2 / (variance + width)) / np.sqrt(variance + width)
        for weight, middle, width in parts
    ]
    total = np.maximum(np.sum(scores, axis=0), np.finfo(np.float64).tiny)
    found, spread = np.zeros(mean.shape), np.zeros(mean.shape)
    for score, (_, middle, width) in zip(scores, parts, strict=True):
        found += score / total * (mean * width + middle * variance) / (variance + width)
        if width > 0:
            spread += score / total * np.sqrt(width * variance / (variance + width) + PLANNED.between**2)
    return found, spread, 1.0 - scores[0] / total
