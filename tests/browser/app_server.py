"""The app of a copy of the published company, served for one test file, with names that must stay text."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml
from flask import Response, request
from werkzeug.exceptions import BadRequest
from werkzeug.serving import make_server

from schemas import columns as c
from schemas.errors import PipelineError
from tasks.app.context import AppContext, Runs, WaitingRun
from tasks.app.data.company import Company
from tasks.app.data.scenarios import Jobs
from tasks.app.requests import CALLBACKS
from tasks.app.server import QuietRequests, create_app
from tests.flows import mini_company

SINCE = "2024-07-01T05:00:00Z"
NAMES = ("<script>window.ran=1</script>", 'O\'Brien "42"', "<img src=x onerror='window.ran=1'>", "👟 niño")


class ServedApp(NamedTuple):
    """Address of the app, and the company that it serves."""

    address: str
    settings: Path

    @property
    def lake(self) -> Path:
        """The company's lake."""
        return self.settings.parent / "lake"


class FakeRuns:
    """A Prefect server on which one run waits for an approval."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, str, str]] = []

    def waiting(self) -> list[WaitingRun]:
        name = f"weekly replenishment · {mini_company.AS_OF}"
        return [WaitingRun("run-1", name, mini_company.AS_OF, SINCE, "", "http://127.0.0.1/run-1")]

    def answer(self, run: str, decision: str, name: str, note: str) -> None:
        self.answers.append((run, decision, name, note))

    def recent(self) -> list[dict[str, object]]:
        raise PipelineError("The Prefect server did not answer.")

    def next_run(self) -> str:
        return ""


def copy_with_names(published: Path, folder: Path) -> Path:
    """Copy the company; its products get names, and planners a file of overrides.

    An earlier publication and a preview have one other target each.
    """
    settings = shutil.copytree(published.parent, folder / "company") / published.name
    lake = settings.parent / "lake"
    (products,) = (lake / "validated/products").glob("*.parquet")
    pd.read_parquet(products).assign(**{c.NAME: NAMES}).to_parquet(products, index=False)
    for copy, change in (("runs/2024-06-24", 50), (f"previews/{mini_company.AS_OF}", 9)):
        file = shutil.copytree(lake / "runs" / mini_company.AS_OF, lake / copy) / "replenishment.csv"
        targets = pd.read_csv(file, dtype={c.STORE_ID: str, c.SKU: str})
        targets.loc[0, c.TARGET_QUANTITY] += change
        targets.to_csv(file, index=False)
    content = yaml.safe_load(settings.read_text())
    content["sources"]["overrides"] = {"path": "overrides.csv"}
    content["challenger"] = {"name": "theta <b>", "settings": {"models": {"theta": {}}}}
    settings.write_text(yaml.safe_dump(content))
    return settings


@contextmanager
def served_app(settings: Path, runs: Runs | None = None, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[ServedApp]:
    """Serve the app in a thread of this process while the context is open; no request of its pages is refused."""
    jobs = Jobs(ThreadPoolExecutor(1))
    app = create_app(AppContext(Company(settings), runs, hosts, jobs=jobs))
    refused: list[str] = []

    @app.server.after_request
    def look(response: Response) -> Response:
        if request.path == CALLBACKS and response.status_code == BadRequest.code:
            refused.append(f"{response.get_data(as_text=True)} {request.get_data(as_text=True)[:1000]}")
        return response

    server = make_server("127.0.0.1", 0, app.server, threaded=True, request_handler=QuietRequests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ServedApp(f"http://127.0.0.1:{server.server_port}", settings)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not refused, refused
