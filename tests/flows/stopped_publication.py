"""A process that publishes a second version of a date, and waits at a point of the publication: LAKE POINT.

With a third argument, the date is the second of three weeks of a backfill.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flows import family, interrupted
from flows.preparation import WEEK, weeks_between
from tasks.publication import transaction
from tasks.storage.lake import open_lake
from tests.publication import fake_run

BEFORE, WITHIN, STUCK, AFTER = "before the commit", "within the commit", "stuck within the commit", "after the commit"
AS_OF = fake_run.AS_OF
# Longer than the signal takes to arrive, shorter than the process waits for a commit.
SECONDS_WITHIN = 1.0


def publish(storage: Path, units: int) -> None:
    """Publish a run whose first target has this many units more."""
    lake, outputs = open_lake(str(storage)), fake_run.outputs()
    outputs.replenishment.loc[0, "target_quantity"] += units
    with pytest.MonkeyPatch.context() as patch:
        fake_run.draw_no_page(patch)
        transaction.publish_run(lake, fake_run.context(as_of=AS_OF), outputs, fake_run.facts())


def main(storage: Path, point: str, *backfill: str) -> None:
    """Publish once, then again in a thread, as a task does; say ``ready`` at the point, and wait for a signal."""
    publish(storage, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    family.SECONDS_TO_STOP, interrupted.SECONDS_TO_COMMIT = 2.0, 5.0 if point == WITHIN else 0.2
    family.end_soon_after_a_signal(family.RESUME)
    run = fake_run.context(as_of=AS_OF)
    run = run.model_copy(update={"settings": run.settings.model_copy(update={"storage": str(storage)})})
    if backfill:
        interrupted.say_which_weeks_are_in_force(run, weeks_between(AS_OF - WEEK, AS_OF + WEEK))
    else:
        interrupted.say_what_is_in_force(run)

    def wait_at(here: str) -> None:
        if here == point or (here == WITHIN and point == STUCK):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            time.sleep(SECONDS_WITHIN if point == WITHIN else 600)

    put_in_force, rename = transaction.put_in_force, Path.rename

    def publication(*given: Any) -> None:
        wait_at(BEFORE)
        put_in_force(*given)
        wait_at(AFTER)

    def exchange(self: Path, target: Path) -> Path:
        if self.name == "new" and target.parent.name == "runs":
            wait_at(WITHIN)
        return rename(self, target)

    transaction.put_in_force = publication  # type: ignore[assignment]
    Path.rename = exchange  # type: ignore[method-assign]
    threading.Thread(target=publish, args=(storage, 5), daemon=True).start()
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
