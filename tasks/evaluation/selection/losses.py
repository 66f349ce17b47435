"""Why a model is a series' champion, in a sentence that a planner understands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray
from schemas.settings import BASELINES
from tasks.evaluation.backtest.paired_losses import LOSSES, ranking_metrics
from tasks.evaluation.metrics.aggregation import FoldGrid
from tasks.evaluation.metrics.sums import ABSOLUTE_ACTUAL, SIGNED_ERROR, Sums

# Share of the sales by which the champion's mean may lie off before the sentence says so.
BIAS_WATCHED = 0.10
_NAMES = {c.WAPE: "WAPE", c.WQL: "quantile loss", c.INVENTORY_COST: "inventory cost a period"}


@dataclass(frozen=True)
class Choice:
    """Champions of S series.

    Attributes:
        series: S rows, store_id and category, sorted.
        model: shape (S,), name of the champion.
        winner: shape (S,), name of the global winner among the series' candidates; None without folds.
        place: shape (S,), position among the series of the folds, -1 where a series has no fold rows.
    """

    series: pd.DataFrame
    model: NDArray[np.object_]
    winner: NDArray[np.object_]
    place: IndexArray


@dataclass(frozen=True)
class _Record:
    """What the folds say about one series: figures by model, those of the ranking loss in order."""

    folds: int
    sold: bool
    figures: dict[str, tuple[float, ...]]
    bias: float

    def text(self, model: str) -> str:
        return " / ".join(f"{figure:.3f}" for figure in self.figures[model])

    def loss(self, model: str) -> float:
        return float(np.mean(self.figures[model]))


def loss_parts(sums: Sums, loss: str) -> list[FloatArray]:
    """The numerator of each metric of a loss, shape (G,) each."""
    return [sums[metric.numerator] for metric in ranking_metrics(loss)]


def loss_rows(sums: Sums, loss: str) -> FloatArray:
    """Rows that count in a loss, shape (G,): known actuals, or counted costs."""
    return sums[ranking_metrics(loss)[0].counted]


def loss_base(sums: Sums, loss: str) -> FloatArray:
    """The denominator of a loss, shape (G,): units sold, or periods whose cost is counted."""
    return sums[ranking_metrics(loss)[0].denominator]


def reasons(grid: FoldGrid, choice: Choice, loss: str) -> list[str]:
    """One sentence per series.

    Figures are those of the folds' rows on which the champion was scored; a model that lacks some of
    them is not quoted. Where nothing was sold, errors are quoted in units. Inventory costs are quoted per period.
    """
    parts = np.stack([grid.cells(part) for part in loss_parts(grid.sums, loss)])
    counted, base, units, signed = (
        grid.cells(values)
        for values in (
            loss_rows(grid.sums, loss),
            loss_base(grid.sums, loss),
            grid.sums[ABSOLUTE_ACTUAL],
            grid.sums[SIGNED_ERROR],
        )
    )
    position = {name: index for index, name in enumerate(grid.models)}
    sentences = []
    for model, winner, place in zip(choice.model, choice.winner, choice.place, strict=True):
        champion = position.get(model)
        rows = None if champion is None or place < 0 else counted[:, :, place]
        if rows is None or not rows[champion].any():
            sentences.append(_without_folds(model, winner))
            continue
        cells = rows[champion] > 0
        same = (rows[:, cells] == rows[champion, cells]).all(axis=1)
        sold = float(units[champion, cells, place].sum())
        based = float(base[champion, cells, place].sum())
        below = based if based > 0 else float(rows[champion].sum())
        figures = parts[:, :, cells, place].sum(axis=2) / below
        record = _Record(
            folds=int(cells.sum()),
            sold=based > 0,
            figures={name: tuple(figures[:, index]) for name, index in position.items() if same[index]},
            bias=float(signed[champion, cells, place].sum() / sold) if sold > 0 else 0.0,
        )
        sentences.append(_sentence(model, winner, record, loss))
    return sentences


def _without_folds(model: str, winner: str | None) -> str:
    if winner is None:
        return f"{model}: no fold could be scored, so nothing is known about any model yet"
    lead = "best over all series" if model == winner else f"stands in for {winner}"
    return f"{model}: {lead}; this series has no known sales on the folds"


def _sentence(model: str, winner: str, record: _Record, loss: str) -> str:
    label = " / ".join(_NAMES[name] for name in LOSSES[loss])
    label = label if record.sold else f"nothing sold, {label} in units"
    folds = "1 fold" if record.folds == 1 else f"{record.folds} folds"
    rivals = [f"{floor} {record.text(floor)}" for floor in BASELINES if floor != model and floor in record.figures]
    text = f"{model}: {label} {record.text(model)} on {folds}"
    text += f" against {', '.join(rivals)}" if rivals else ""
    return text + _standing(model, winner, record) + _watch(record.bias)


def _standing(model: str, winner: str, record: _Record) -> str:
    """How the champion stands to the global winner and to the model that leads here."""
    if model != winner:
        other = f" {record.text(winner)}" if winner in record.figures else ""
        return f"; better here than {winner}{other}, the best over all series"
    leader = min(sorted(record.figures), key=record.loss)
    if record.loss(leader) < record.loss(model):
        return f"; best over all series, the lead of {leader} {record.text(leader)} here may be luck"
    return ""


def _watch(bias: float) -> str:
    if abs(bias) <= BIAS_WATCHED:
        return ""
    return f"; watch: forecasts {abs(bias):.0%} too {'high' if bias > 0 else 'low'}"
