"""Temporary Prefect server of a run from the command line: ``python -m flows.server_process PORT``.

:mod:`flows.server` starts it and sets its environment.
"""

from __future__ import annotations

import atexit
import gc
import sys
from datetime import timedelta
from functools import partial

from tasks.storage.machine import no_garbage_collection

BETWEEN_LOOKS = timedelta(seconds=1)


def look_for_work_less_often() -> None:
    """Let the background worker of a server in this process look for work once per second instead of four times.

    This is a large part of what an idle server uses.
    """
    from prefect.server.api import background_workers

    names = vars(background_workers)
    names["Worker"] = partial(
        names["Worker"], minimum_check_interval=BETWEEN_LOOKS, scheduling_resolution=BETWEEN_LOOKS
    )


def main() -> None:
    """Serve the API on a port of this machine until a signal ends the process."""
    atexit.register(gc.freeze)  # as in flows.__main__
    with no_garbage_collection():
        import uvicorn
        from prefect.server.api.server import create_app

        look_for_work_less_often()
        app = create_app()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), lifespan="on", log_level="error")


if __name__ == "__main__":
    main()
