"""DeepAR's answers: one JSON line per series, checked before use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from schemas.columns import level_text
from schemas.deepar import DeepArChannel
from schemas.errors import TrainingError

_SHOWN = 200


def check_answers(text: bytes, where: str, channel: DeepArChannel, quantiles: Sequence[float]) -> None:
    """Check that every series is answered, with every quantile, over the whole horizon.

    Args:
        text: JSON Lines.
        where: the answers' address, for messages.
        channel: what was asked.
        quantiles: requested quantile levels.

    Raises:
        TrainingError: answers are missing, damaged or too short.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != channel.series:
        raise TrainingError(
            f"{where} holds {len(lines)} answers; {channel.series} series were asked ({channel.inference.key}). "
            "Delete the file and run again."
        )
    for number, line in enumerate(lines, start=1):
        wrong = _wrong(line, channel.prediction_length, [level_text(quantile) for quantile in quantiles])
        if wrong:
            raise TrainingError(f"{where}, line {number}: {wrong}")


def _wrong(line: bytes, length: int, levels: Sequence[str]) -> str:
    """The fault of an answer in words; "" if it is correct."""
    try:
        answer: Any = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("quantiles"), dict) or "mean" not in answer:
        return f"expected mean and quantiles, got {line[:_SHOWN].decode(errors='replace')}"
    missing = [level for level in levels if level not in answer["quantiles"]]
    if missing:
        return f"does not have the quantiles {', '.join(missing)}; it has {', '.join(answer['quantiles'])}."
    rows = {"mean": answer["mean"], **{f"quantile {level}": answer["quantiles"][level] for level in levels}}
    short = [name for name, row in rows.items() if not isinstance(row, list) or len(row) != length]
    return f"{', '.join(short)} of another length than {length}." if short else ""
