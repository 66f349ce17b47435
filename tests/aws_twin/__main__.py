"""`python -m tests.aws_twin`: a twin of AWS until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.aws_twin.containers import CONTAINER, CONTAINER_VARIABLE, Containers
from tests.aws_twin.server import BUCKET, ROLE_ARN, Twin


def arguments(line: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.aws_twin", description=__doc__)
    parser.add_argument("--port", type=int, default=5005, help="0 takes a free one (default: 5005)")
    parser.add_argument("--data", type=Path, help="folder for the jobs' files (default: a temporary one)")
    parser.add_argument("--instances", type=int, default=2, help="trainings and transforms at a time (default: 2)")
    parser.add_argument("--local", type=json.loads, default={}, help="JSON for local.json of every training, as {seed}")
    parser.add_argument("--stop-grace", type=float, default=120.0, help="seconds a stopped training has to end")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop with whoever holds standard input")
    return parser.parse_args(line)


def main() -> None:
    options = arguments()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    if options.until_stdin_closes:
        threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    command = tuple(shlex.split(os.environ.get(CONTAINER_VARIABLE, ""))) or CONTAINER
    with tempfile.TemporaryDirectory(prefix="aws-twin-") as temporary:
        folder = (options.data or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        twin = Twin(
            folder,
            Containers(command, options.local),
            options.port,
            instances=options.instances,
            stop_grace_seconds=options.stop_grace,
        )
        twin.start()
        print(_welcome(twin.endpoint), flush=True)  # noqa: T201
        over.wait()
        twin.stop()


def _welcome(endpoint: str) -> str:
    return "\n".join(
        [
            "A twin of AWS is ready: S3, IAM and SageMaker DeepAR, in memory, on this machine.",
            f"export AWS_ENDPOINT_URL={endpoint}",
            "export AWS_ACCESS_KEY_ID=twin AWS_SECRET_ACCESS_KEY=twin AWS_DEFAULT_REGION=us-east-1",
            f"# bucket s3://{BUCKET}, role {ROLE_ARN}",
            "# Faults on demand: POST /twin/faults; calls so far: GET /twin/calls; start afresh: POST /twin/reset",
            "# Ctrl-C stops it and everything that it started; nothing is kept.",
        ]
    )


if __name__ == "__main__":
    main()
