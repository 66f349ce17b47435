"""One sentence per series: why its model was selected. Published in the column ``why`` of ``champions.parquet``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray
from schemas.settings import BASELINES
from tasks.evaluation.metrics.aggregation import FoldGrid
from tasks.evaluation.metrics.sums import ABSOLUTE_ACTUAL, SIGNED_ERROR
from tasks.evaluation.ranking import LOSSES, loss_base, loss_parts, loss_rows

_NAMES = {c.WAPE: "WAPE", c.WQL: "quantile loss", c.INVENTORY_COST: "inventory cost per period"}


@dataclass(frozen=True)
class ReasonRule:
    """The limits from which on a sentence mentions a fact.

    Attributes:
        largest_bias: the sentence states a bias above this fraction of the sales, in either direction.
    """

    largest_bias: float = 0.10


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
    """Figures of one series on the folds where its champion was scored.

    Attributes:
        folds: number of folds.
        sold: whether anything was sold.
        figures: by model, one figure per metric of the loss, in order.
        bias: bias of the champion, a fraction of the sales.
    """

    folds: int
    sold: bool
    figures: dict[str, tuple[float, ...]]
    bias: float

    def text(self, model: str) -> str:
        return " / ".join(f"{figure:.3f}" for figure in self.figures[model])

    def loss(self, model: str) -> float:
        return float(np.mean(self.figures[model]))


def reasons(grid: FoldGrid, choice: Choice, loss: str, rule: ReasonRule | None = None) -> list[str]:
    """One sentence per series.

    Figures are over the rows of the folds on which the champion was scored; models without some of these rows are left
    out. Errors are in units if nothing was sold. Inventory costs are per period.
    """
    rule = rule or ReasonRule()
    parts = np.stack([grid.cells(part) for part in loss_parts(grid.sums, loss)])
    counted, base = grid.cells(loss_rows(grid.sums, loss)), grid.cells(loss_base(grid.sums, loss))
    units, signed = grid.cells(grid.sums[ABSOLUTE_ACTUAL]), grid.cells(grid.sums[SIGNED_ERROR])
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
        denominator = based if based > 0 else float(rows[champion].sum())
        figures: FloatArray = parts[:, :, cells, place].sum(axis=2) / denominator
        record = _Record(
            folds=int(cells.sum()),
            sold=based > 0,
            figures={name: tuple(figures[:, index]) for name, index in position.items() if same[index]},
            bias=float(signed[champion, cells, place].sum() / sold) if sold > 0 else 0.0,
        )
        sentences.append(_sentence(model, winner, record, loss) + _bias(record.bias, rule.largest_bias))
    return sentences


def _without_folds(model: str, winner: str | None) -> str:
    if winner is None:
        return f"{model}: no fold could be scored, so the models cannot be compared yet"
    why = "best over all series" if model == winner else f"used instead of {winner}"
    return f"{model}: {why}; this series has no known sales on the folds"


def _sentence(model: str, winner: str, record: _Record, loss: str) -> str:
    label = " / ".join(_NAMES[name] for name in LOSSES[loss])
    label = label if record.sold else f"no sales, {label} in units"
    folds = "1 fold" if record.folds == 1 else f"{record.folds} folds"
    rivals = [f"{name} {record.text(name)}" for name in BASELINES if name != model and name in record.figures]
    text = f"{model}: {label} {record.text(model)} on {folds}"
    text += f", compared with {', '.join(rivals)}" if rivals else ""
    return text + _compared(model, winner, record)


def _compared(model: str, winner: str, record: _Record) -> str:
    """The champion compared with the global winner and with the model that has the lowest loss on the series."""
    if model != winner:
        figures = f" ({record.text(winner)})" if winner in record.figures else ""
        return f"; better on this series than {winner}{figures}, which is best over all series"
    lowest = min(sorted(record.figures), key=record.loss)
    if record.loss(lowest) < record.loss(model):
        return f"; best over all series; the lower loss of {lowest} ({record.text(lowest)}) may be chance"
    return ""


def _bias(bias: float, largest: float) -> str:
    if abs(bias) <= largest:
        return ""
    return f"; bias: forecasts are {abs(bias):.0%} too {'high' if bias > 0 else 'low'}"
