"""The expected time of a run's shards, from the finished ones."""

from __future__ import annotations

from collections.abc import Sequence

MINUTE, HOUR = 60, 3600
# Key of the artifact of Prefect that shows the progress of a run.
PROGRESS = "forecast-progress"


def remaining_seconds(waiting: Sequence[str], finished: Sequence[tuple[str, float]], elapsed: float) -> float | None:
    """Estimate the time until all shards are finished.

    A shard takes as long as the finished shards of its model on average, or, if none is finished, as those of all
    models. The speed is the work that is finished per second so far.

    Args:
        waiting: model of each shard that is not finished.
        finished: model and seconds of each computed shard.
        elapsed: seconds since the first shard began.

    Returns:
        Seconds; None if nothing is known yet.

    >>> remaining_seconds(["arima", "theta"], [("arima", 10.0), ("arima", 20.0)], 15.0)
    15.0
    """
    done = sum(seconds for _, seconds in finished)
    if not done:
        return None
    everywhere = done / len(finished)
    expected = 0.0
    for model in waiting:
        own = [seconds for name, seconds in finished if name == model]
        expected += sum(own) / len(own) if own else everywhere
    return expected * elapsed / done


def duration(seconds: float) -> str:
    """A duration in words, rounded.

    >>> duration(34.4), duration(90), duration(3 * 3600 + 29 * 60)
    ('34 s', '2 min', '3 h 29 min')
    """
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    return f"{hours} h {minutes} min"
