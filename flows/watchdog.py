"""Wait until a process ends, then end its processes. Started by :mod:`flows.family`; uses only the standard library."""

import os
import signal
import sys
import time

SECONDS_FOR_THE_END = 2.0
SECONDS_TO_REPORT = 3.0


def marked(mark: bytes) -> list[int]:
    """Return the processes whose environment has the mark."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:
                if mark in environment.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


def end(processes: list[int], number: int) -> None:
    """Send a signal to processes that may have ended."""
    for process in processes:
        try:
            os.kill(process, number)
        except OSError:
            continue


def main() -> None:
    """Wait for the end of standard input: the watched process holds its other end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = sys.argv[1].encode()
    while sys.stdin.buffer.read(1):
        continue
    time.sleep(SECONDS_FOR_THE_END)  # processes that end by themselves
    end(marked(mark), signal.SIGTERM)
    until = time.monotonic() + SECONDS_TO_REPORT
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.1)
    end(marked(mark), signal.SIGKILL)


if __name__ == "__main__":
    main()
