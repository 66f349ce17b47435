"""``python -m tasks.deepar.container``: see :mod:`tasks.deepar.container.commands`."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import warnings
from pathlib import Path

# Before torch is imported: on its small arrays two threads are slower than one.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

PARENT_VARIABLE = "DEEPAR_PARENT"
_PARENT_POLL_SECONDS = 0.5
_ORPHANED = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: as on the command line, without the program's name.

    Returns:
        The exit code.
    """
    from tasks.deepar.container import commands

    # Newer torch versions warn about the way in which GluonTS indexes; without these warnings, failures are visible in
    # the log.
    warnings.filterwarnings("ignore", message="Using a non-tuple sequence", category=UserWarning)
    given = _parser().parse_args(arguments)
    if os.environ.get(PARENT_VARIABLE, "").isdigit():
        _die_with(int(os.environ[PARENT_VARIABLE]))
    if given.command == "train":
        return commands.train(given.root)
    if given.command == "transform":
        return commands.transform(given.model, given.input, given.output, given.seed)
    if given.command == "serve":
        return commands.serve(given.model, given.seed, sys.stdin, sys.stdout)
    return commands.pack(given.root, given.archive)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.deepar.container", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True)
    train = command.add_parser("train", help="train the job of a folder")
    train.add_argument("--root", type=Path, required=True)
    transform = command.add_parser("transform", help="forecast the lines of a file")
    transform.add_argument("--model", type=Path, required=True)
    transform.add_argument("--input", type=Path, required=True)
    transform.add_argument("--output", type=Path, required=True)
    transform.add_argument("--seed", type=int)
    serve = command.add_parser("serve", help="answer requests on standard input")
    serve.add_argument("--model", type=Path, required=True)
    serve.add_argument("--seed", type=int)
    pack = command.add_parser("pack", help="pack a job's model")
    pack.add_argument("--root", type=Path, required=True)
    pack.add_argument("--archive", type=Path, required=True)
    return parser


def _die_with(parent: int) -> None:
    """End this process as soon as the process that started it has ended for any reason."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_SECONDS)
        os._exit(_ORPHANED)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
