"""Processes end with the run that started them, and a signal ends a run soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from flows import family
from tasks.publication.versions import verify
from tasks.storage.lake import open_lake
from tests.commands import Start
from tests.flows.stopped_publication import AFTER, AS_OF, BEFORE, STUCK, WITHIN

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the watchdog reads /proc"),
]

ROOT = Path(__file__).parents[2]
SECONDS_TO_WAIT = 60
CHILD = (
    "import signal, time; [signal.signal(one, signal.SIG_IGN) for one in (2, 15)]; print(flush=True); time.sleep(600)"
)
PARENT = f"""
import signal, subprocess, sys, time
from flows import family
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
family.SECONDS_TO_STOP = 1.0
family.end_children_with_this_process()
family.end_soon_after_a_signal(family.RESUME)
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""
SLEEP = "time.sleep(600)\n"
# As the temporary server of a run.
FORK = """
import os
from flows.server_process import leave_the_parent
if not os.fork():
    leave_the_parent()
    print(os.getpid(), flush=True)
time.sleep(600)
"""
# A computation that swallows what the handler raises, as a library may.
DEAF = """
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass
"""


def parent(then: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT + then],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for_the_end(process: int) -> None:
    until = time.monotonic() + SECONDS_TO_WAIT
    while is_alive(process):
        assert time.monotonic() < until, "the child lives on"
        time.sleep(0.1)


def test_a_killed_run_leaves_no_process_and_no_forked_server_behind() -> None:
    process, child = parent(FORK)
    assert process.stdout is not None
    server = int(process.stdout.readline())
    assert os.getsid(server) == server, "Ctrl-C would end it before the run"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(SECONDS_TO_WAIT)
    wait_for_the_end(server)
    wait_for_the_end(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("send", "then"), [(os.kill, SLEEP), (os.killpg, DEAF)], ids=["process", "group, deaf"])
def test_a_signal_ends_a_run_and_one_line_says_how_to_resume(
    send: Callable[[int, int], None], number: signal.Signals, then: str
) -> None:
    process, child = parent(then)
    send(process.pid, number)
    out, _ = process.communicate(timeout=SECONDS_TO_WAIT)
    assert out == "Stopping. Finished stages are kept. Start the same command again to resume.\n"
    assert process.returncode
    wait_for_the_end(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_can_cancel_its_run_and_a_signal_still_ends_it(number: signal.Signals, fork: Start) -> None:
    process = fork("tests.flows.cancelled_run", environment=dict(os.environ))
    until = time.monotonic() + SECONDS_TO_WAIT
    while "\n" not in process.output()[0]:
        assert process.poll() is None, process.output()
        assert time.monotonic() < until, process.output()
        time.sleep(0.05)
    os.kill(process.pid, number)
    code, out, err = process.wait()
    assert (code, out) == (family.EXIT_CODE, "True\n"), err


IN_FORCE = f"The file of {AS_OF} is in force. It was published before the run was stopped: "
KEPT = f"Nothing was published. The earlier file of {AS_OF} is in force. Finished stages are kept. "
INTERRUPTED = f"The publication of {AS_OF} was interrupted. "
AGAIN = "Start the same command again to resume."


BACKFILL = "The backfill published {} before it was stopped{}. Finished stages are kept. "
A_WEEK = BACKFILL.format("1 of 3 weeks", f": {AS_OF}")
NO_WEEK = BACKFILL.format("none of 3 weeks", "")
OPEN = " It is then completed or undone."


@pytest.mark.parametrize(
    ("point", "of", "line", "code", "units"),
    [
        (BEFORE, (), KEPT + AGAIN, 1, 0),
        (WITHIN, (), IN_FORCE + "{file}", 0, 5),
        (STUCK, (), INTERRUPTED + AGAIN + OPEN, 1, 0),
        (AFTER, (), IN_FORCE + "{file}", 0, 5),
        (BEFORE, ("backfill",), NO_WEEK + AGAIN, 1, 0),
        (STUCK, ("backfill",), "The publication of a week was interrupted. " + AGAIN + OPEN, 1, 0),
        (AFTER, ("backfill",), A_WEEK + AGAIN, 1, 5),
    ],
)
def test_a_signal_during_the_publication_ends_with_the_truth_about_the_file(
    point: str, of: tuple[str, ...], line: str, code: int, units: int, fork: Start, tmp_path: Path
) -> None:
    process = fork("tests.flows.stopped_publication", tmp_path, point, *of, environment=dict(os.environ))
    until = time.monotonic() + SECONDS_TO_WAIT
    while "ready" not in process.output()[0]:
        assert process.poll() is None, process.output()
        assert time.monotonic() < until, process.output()
        time.sleep(0.05)
    first = pd.read_csv(next(tmp_path.glob("versions/*/0001/replenishment.csv")))["target_quantity"]
    os.kill(process.pid, signal.SIGTERM)
    ended, _, err = process.wait()
    file = tmp_path / f"runs/{AS_OF}/replenishment.csv"
    assert (err, ended) == (f"Stopping ...\n{line.format(file=file)}\n", code)
    lake = open_lake(str(tmp_path))  # the next command
    targets = pd.read_csv(lake.local_copy(f"runs/{AS_OF}/replenishment.csv"))["target_quantity"]
    assert (targets - first).tolist() == [units, *[0] * (len(first) - 1)]
    assert verify(lake)[1] == []
