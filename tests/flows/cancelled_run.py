"""The process of a worker's run while it computes: says whether the worker can cancel it, and is deaf to the signal."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress

from prefect.utilities.engine import can_ack_control_intent, capture_sigterm

from flows import family


def main() -> None:
    """Do what a flow does, and compute until the process is ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    family.SECONDS_TO_STOP = 1.0
    with capture_sigterm():
        family.end_soon_after_a_signal()
        sys.stdout.write(f"{can_ack_control_intent()}\n")
        sys.stdout.flush()
        while True:
            with suppress(BaseException):
                time.sleep(600)


if __name__ == "__main__":
    main()
