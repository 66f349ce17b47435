"""Command lines run in forks of a process that has imported the weekly run's modules once.

A run of the mini company would spend most of its processor time on importing Great Expectations, Prefect and
Matplotlib, on numba's kernels, on the table of tail quantiles and on the digests of the code. The forks find all of
this done. Everything else is as in ``python -m``: a separate process, in a separate session, with its own arguments,
environment, streams, exit handlers and exit code. With :mod:`tests.flows.forks`, what they start is forked too.

``python -m tests.flows.warm PORT`` serves all workers of a test run, until it is stopped. Each connection sends one
JSON object in one line, and is answered with a number in one line. To start a module: arguments, the first its name,
environment, out and err, the files for the streams, and the seconds after which it is killed (0: never); answered with
the process's id. To ask whether it has ended: the id; answered with its exit code (below 0: the signal that killed it),
or nothing while it runs. All of them end with this process. ``python -m tests.flows.warm PORT MODULE ...``, in a fork
of it, imports more modules and serves like it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import ssl
import sys
import time
from functools import cache

import certifi
import pytest
from PIL import Image
from prefect.context import refresh_global_settings_context

from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import judge_tables
from tasks.forecasting.registry import model_classes
from tasks.inventory.model.loss_function import tail_table
from tasks.inventory.registry import policy_classes
from tasks.report import page
from tasks.storage.code_version import import_closure
from tests import compile_kernels
from tests.flows import forks
from tests.publication import fake_run

MODULES = (
    "boto3",
    "deployments.automations",
    "flows.backfill",
    "flows.cli.runs",
    "flows.weekly",
    "great_expectations",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.style",
    "openpyxl",
    "prefect.artifacts",
    "prefect.cli.deploy",
    "prefect.cli.flow_run",
    "prefect.cli.work_pool",
    "prefect.cli.worker",
    "prefect.engine",
    "prefect.runner._workspace_resolver",
    "prefect.runner._workspace_supervisor",
    "prefect.runtime",
    "prefect.server.api.server",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "prefect.workers.process",
    "pyarrow.csv",
    "pyarrow.parquet",
    "rich._emoji_codes",
    "sagemaker.core.image_uris",
    "sagemaker.core.resources",
    "sagemaker.core.utils.utils",
    "scipy.optimize",
    "scipy.stats",
    "tasks.app.server",
    "tasks.demand.ingest.validation",
    "tasks.inventory.weekly",
    "tasks.publication.transaction",
)


def main() -> None:
    """Serve until stopped; in a fork, run one module and exit with its code."""
    more = sys.argv[2:]
    for module in (*MODULES, *more):
        importlib.import_module(module)
    if not more:
        _prepare()
    # Or every collection in a fork walks, and thereby copies, all that was imported: half of a run's processor time.
    gc.collect()
    gc.freeze()
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as stream:
                asked = json.loads(stream.readline() or "{}")
                if "arguments" in asked and not (child := os.fork()):
                    stream.close()
                    connection.close()
                    server.close()
                    break
                stream.write(f"{child if 'arguments' in asked else _code(asked)}\n")
    _become(**asked)


def _prepare() -> None:
    """Do once what every run would do."""
    model_classes()
    policy_classes()
    tail_table()
    compile_kernels.main()  # loads them
    Image.init()
    page.template()
    # Each client of Prefect reads all certificates again, and the servers on this machine use none.
    ssl.create_default_context = cache(ssl.create_default_context)
    ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE", certifi.where()))
    import_closure(tuple(module for module in sys.modules if module.startswith("tasks.")))


def _code(asked: dict[str, int]) -> str:
    if "id" not in asked:
        return ""
    found, status = os.waitpid(asked["id"], os.WNOHANG)
    return str(os.waitstatus_to_exitcode(status)) if found else ""


def _become(arguments: list[str], environment: dict[str, str], out: str, err: str, seconds: int) -> None:
    os.setsid()
    forks.end_with_parent()
    signal.alarm(seconds)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    _run(["-m", *arguments], environment)


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    if forks.VARIABLE in environment and sys.platform == "linux":
        forks.fork_children(_run)
    if forks.WITH_ARRAYS in environment:
        judge_tables.__defaults__ = (with_arrays,)
    if forks.WITHOUT_FIGURES in environment:
        fake_run.draw_no_figures(pytest.MonkeyPatch())
    while True:
        os.environ.clear()
        os.environ.update(environment)
        forks.show(environment)
        time.tzset()
        refresh_global_settings_context()  # Prefect read the environment when it was imported
        try:
            _execute(*arguments)
        except forks.Replaced as new:
            arguments, environment = new.arguments, new.environment
            forks.begin_afresh()
        except SystemExit as end:
            forks.end(end.code)
        else:
            forks.end(None)


def _execute(kind: str, program: str, *arguments: str) -> None:
    """What ``python -m`` or ``python -c`` does."""
    if kind == "-m":
        sys.argv[1:] = arguments
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [kind, *arguments]
        exec(program, {"__name__": "__main__"})


if __name__ == "__main__":
    main()
