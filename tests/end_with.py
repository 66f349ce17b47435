"""Run a command until another process is gone: ``python -m tests.end_with PID COMMAND ...``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 10.0


def main(watched: int, command: list[str]) -> int:
    """Run the command in this process's session; end it when the watched process is gone."""
    with subprocess.Popen(command) as process:
        while process.poll() is None and _lives(watched):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(0, signal.SIGKILL)
            return 1


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
