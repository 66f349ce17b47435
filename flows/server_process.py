"""Temporary Prefect server of a run from the command line, in a child process (:mod:`flows.server` starts it)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from datetime import timedelta
from functools import partial

from tasks.storage.machine import no_garbage_collection

BETWEEN_LOOKS = timedelta(seconds=1)
USED_BY_RUNS = ("/flows", "/flow_runs", "/task_runs", "/logs", "/artifacts", "/events", "/admin", "/csrf-token")
END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl


def look_for_work_less_often() -> None:
    """Let the background worker of a server in this process look for work once per second instead of four times.

    This is a large part of what an idle server uses.
    """
    from prefect.server.api import background_workers

    names = vars(background_workers)
    names["Worker"] = partial(
        names["Worker"], minimum_check_interval=BETWEEN_LOOKS, scheduling_resolution=BETWEEN_LOOKS
    )


def serve(port: int) -> None:
    """Serve the API on a port of this machine until SIGTERM ends the process, or until its parent ends."""
    leave_the_parent()
    with no_garbage_collection():
        import uvicorn
        from prefect.server.api import server
        from prefect.settings import Settings

        look_for_work_less_often()
        # FastAPI prepares the routes of every router in turn until one has the path: those of a run come first.
        server.API_ROUTERS = tuple(sorted(server.API_ROUTERS, key=lambda router: router.prefix not in USED_BY_RUNS))
        # The key of Prefect's caches of apps; there is one app.
        Settings.hash_key = lambda _: ""  # type: ignore[assignment, method-assign]
        app = server.create_app(ephemeral=True)  # without UI, and without services that outlive a run
    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="on", log_level="error")


def leave_the_parent() -> None:
    """Leave the session, so that Ctrl-C ends the run first, and undo what a fork inherits: the handlers of signals."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(END_WITH_PARENT, int(signal.SIGTERM))
