"""Python processes that a fork of the warm process starts are forks as well (Linux).

``make serve`` starts nine Python processes until it is ready and three for every run, and each would import Prefect for
seconds. In a process whose environment has :data:`VARIABLE`, ``subprocess`` and ``multiprocessing`` fork instead where
``python -m`` starts a module of Prefect, of ``deployments``, of ``tasks`` or the command line, where a process is
spawned, and where multiprocessing starts its fork server; everything else is started the ordinary way. ``exec`` of such
a module ends the program and begins the other one in the same process.

A process with threads cannot be forked safely. So a process is forked before it runs anything; this copy waits and is
forked in its place (zygote). The new process must be a child of the one that asked: the copy forks twice, and what
has lost its parent gets the nearest ancestor that has said that it adopts (``PR_SET_CHILD_SUBREAPER``).
"""

from __future__ import annotations

import _posixsubprocess
import atexit
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from execnet.gateway_io import popen_bootstrapline

VARIABLE = "RESTOCK_TESTS_FORK_CHILDREN"
# In the environment of a fork: rows are judged with arrays instead of Great Expectations.
WITH_ARRAYS = "RESTOCK_TESTS_WITH_ARRAYS"
# In the environment of a fork: the page has no figures, which are half of a mini company's run.
WITHOUT_FIGURES = "RESTOCK_TESTS_WITHOUT_FIGURES"
ROOMS = ("deployments", "flows", "prefect", "tasks")
END_WITH_PARENT, SET_NAME, ADOPT = 1, 15, 36  # PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER of prctl
STREAMS = (0, 1, 2)
LONGEST_MESSAGE = 1 << 17
LONGEST_NAME = 15
MOST_FILES = 16
NEW_SESSION = 15  # its position among the arguments of fork_exec
ENVIRONMENT_FIELDS = (50, 51)  # of /proc/<pid>/stat
WORKER = ["-u", "-c", popen_bootstrapline]  # of pytest-xdist
SPAWNED = ("from multiprocessing.spawn import spawn_main;", "from multiprocessing.forkserver import main;")
# In the environment of the warm process: room for the environments of its forks.
PLACE = {"RESTOCK_TESTS_PLACE": "-" * 16384}


class Replaced(BaseException):
    """The program is replaced by another one, as by ``exec``.

    Args:
        arguments: of the new one, as after ``python``.
        environment: its environment.
    """

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        super().__init__(arguments)
        self.arguments, self.environment = arguments, environment


def end_with_parent() -> None:
    """Kill this process when its parent ends."""
    _prctl(END_WITH_PARENT, int(signal.SIGKILL))


def fork_children(become: Callable[..., None]) -> None:
    """From now on, fork the Python processes that this process starts.

    Args:
        become: in a new process, does what ``python`` does with arguments in an environment, and does not return.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        end_with_parent()
        ours.close()
        asked = _serve(its)
        become(**asked)
    its.close()
    lock, ordinary = threading.Lock(), subprocess._fork_exec

    def fork_or_exec(*given: Any) -> int:
        arguments, _, _, kept, cwd, environment, p2cread, _, _, c2pwrite, _, errwrite, _, errpipe, *_ = given
        words = [os.fsdecode(word) for word in arguments]
        if not _is_known(words):
            return int(ordinary(*given))
        variables = os.environ if environment is None else dict(os.fsdecode(one).split("=", 1) for one in environment)
        files = [int(number) for number in kept if number != errpipe]
        streams = [own if pipe < 0 else pipe for own, pipe in zip(STREAMS, (p2cread, c2pwrite, errwrite), strict=True)]
        message = {
            "arguments": words[1:],
            "environment": {**variables},
            "new_session": bool(given[NEW_SESSION]),
            "cwd": os.getcwd() if cwd is None else os.fsdecode(cwd),
            "ignored": [int(one) for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) == signal.SIG_IGN],
            "files": [*STREAMS, *files],
        }
        with lock:
            _prctl(ADOPT, 1)
            socket.send_fds(ours, [json.dumps(message).encode()], [*streams, *files])
            process = int(ours.recv(LONGEST_MESSAGE))
            _prctl(ADOPT, 0)
            return process

    execvpe = os.execvpe

    def replace(file: str, arguments: list[str], environment: dict[str, str]) -> None:
        if _is_known(arguments):
            raise Replaced(list(arguments[1:]), dict(environment))
        execvpe(file, arguments, environment)

    subprocess._fork_exec = _posixsubprocess.fork_exec = fork_or_exec
    os.execvpe = replace


def end(code: object) -> None:
    """End as Python does, but do not free what was imported: that takes a third of a second of processor time."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)  # noqa: T201
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))


def begin_afresh(ignored: Sequence[int] = ()) -> None:
    """Set the signals as Python does when it starts; those that are ignored stay so."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        signal.signal(number, signal.SIG_IGN if number in ignored else handler)


def show(environment: Mapping[str, str]) -> None:
    """Write the environment to where the system reads that of this process (``/proc/<pid>/environ``).

    The place is as long as the environment with which the warm process was started (:data:`PLACE`).
    """
    if sys.platform != "linux":
        return
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = (int(fields[number - 3]) for number in ENVIRONMENT_FIELDS)
    known = sorted(environment.items(), key=lambda item: not item[0].startswith(("RESTOCK", "PREFECT")))
    content = "".join(f"{name}={value}\0" for name, value in known if name not in PLACE).encode()
    ctypes.memmove(start, content[: end - start].ljust(end - start, b"\0"), end - start)


def _is_known(words: Sequence[str]) -> bool:
    if len(words) < 3 or words[0] != sys.executable:
        return False
    return (
        words[1:] == WORKER
        or (words[1] == "-m" and words[2].split(".")[0] in ROOMS)
        or (words[1] == "-c" and words[2].startswith(SPAWNED))
    )


def _serve(its: socket.socket) -> dict[str, Any]:
    """Fork for every message, until this process is killed; in the fork, return what was asked."""
    while True:
        content, files, _, _ = socket.recv_fds(its, LONGEST_MESSAGE, MOST_FILES)
        if not content:
            os._exit(0)
        reads, writes = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if not child:
                break
            os.write(writes, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # from now on, the new process is a child of the one that asked
        its.send(os.read(reads, LONGEST_MESSAGE))
        for number in (reads, writes, *files):
            os.close(number)
    for number in (reads, writes, its.detach()):
        os.close(number)
    asked: dict[str, Any] = json.loads(content)
    # First out of the way: the numbers that they shall have may be taken by others of them.
    away = [fcntl.fcntl(number, fcntl.F_DUPFD, max(asked["files"]) + MOST_FILES) for number in files]
    for number in files:
        os.close(number)
    for number, wanted in zip(away, asked["files"], strict=True):
        os.dup2(number, wanted)
        os.close(number)
    begin_afresh(asked["ignored"])
    if asked["new_session"]:
        os.setsid()
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]
    _prctl(SET_NAME, ctypes.c_char_p(" ".join(asked["arguments"][1:])[:LONGEST_NAME].encode()))
    return {"arguments": asked["arguments"], "environment": asked["environment"]}


def _prctl(option: int, value: Any) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
