"""The app of a copy of the published company, served for one test file, with names that must stay text."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from werkzeug.serving import make_server

from schemas import columns as c
from tasks.app.context import AppContext, Runs
from tasks.app.data.company import Company
from tasks.app.server import QuietRequests, create_app
from tests.flows import mini_company

NAMES = ("<script>window.ran=1</script>", 'O\'Brien "42"', "<img src=x onerror='window.ran=1'>", "👟 niño")


class ServedApp(NamedTuple):
    """Address of the app, and the company that it serves."""

    address: str
    settings: Path

    @property
    def lake(self) -> Path:
        """The company's lake."""
        return self.settings.parent / "lake"


def copy_with_names(published: Path, folder: Path) -> Path:
    """Copy the company; its products get names. An earlier publication has one other target."""
    settings = shutil.copytree(published.parent, folder / "company") / published.name
    lake = settings.parent / "lake"
    (products,) = (lake / "validated/products").glob("*.parquet")
    pd.read_parquet(products).assign(**{c.NAME: NAMES}).to_parquet(products, index=False)
    shutil.copytree(lake / "runs" / mini_company.AS_OF, lake / "runs/2024-06-24")
    earlier = lake / "runs/2024-06-24/replenishment.csv"
    targets = pd.read_csv(earlier, dtype={c.STORE_ID: str, c.SKU: str})
    targets.loc[0, c.TARGET_QUANTITY] += 50
    targets.to_csv(earlier, index=False)
    return settings


@contextmanager
def served_app(settings: Path, runs: Runs | None = None, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[ServedApp]:
    """Serve the app in a thread of this process while the context is open."""
    app = create_app(AppContext(Company(settings), runs, hosts))
    server = make_server("127.0.0.1", 0, app.server, threaded=True, request_handler=QuietRequests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ServedApp(f"http://127.0.0.1:{server.server_port}", settings)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
