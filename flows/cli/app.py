"""The planner's app in a browser. It starts no Prefect server."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import click

from flows.cli.options import settings_option
from flows.cli.terminal import say
from schemas.errors import ConfigError

HOST = "127.0.0.1"
PORT = 4202


@click.command()
@settings_option
@click.option("--port", default=PORT, show_default=True, help="Set the port that the app listens on, on 127.0.0.1.")
def app(settings_file: str, port: int) -> None:
    """Serve the planner's app on this machine until Ctrl-C: exceptions, overrides, what-if and approval.

    The app has no accounts and listens on 127.0.0.1 only. A proxy with a login can forward other machines to it; set
    its address in RESTOCK_APP_URL.
    """
    if find_spec("dash") is None or find_spec("dash_ag_grid") is None:
        raise ConfigError("The app needs further packages. Install them: pip install 'restock[app]'")
    from werkzeug.serving import make_server

    from flows.family import end_children_with_this_process
    from flows.run_board import run_board
    from tasks.app.context import THIS_MACHINE, AppContext
    from tasks.app.data.company import Company
    from tasks.app.server import QuietRequests, create_app
    from tasks.publication.addresses import APP_URL, FILES_URL

    end_children_with_this_process()  # the process that computes scenarios
    company = Company(Path(settings_file).absolute())
    name = company.settings.name
    proxy = urlsplit(os.environ.get(APP_URL, "")).hostname
    context = AppContext(
        company,
        run_board(str(company.settings_file)),
        (*THIS_MACHINE, *([proxy] if proxy else [])),
        os.environ.get(FILES_URL, "").rstrip("/"),
    )
    try:
        server = make_server(HOST, port, create_app(context).server, threaded=True, request_handler=QuietRequests)
    except (OSError, SystemExit):  # Werkzeug exits if the port is taken
        raise ConfigError(f"Port already in use: {HOST}:{port}. Choose another one with --port.") from None
    say(f"App of {name}: http://{HOST}:{server.server_port}", "Stop with Ctrl-C.")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("Stopping ...")
    finally:
        server.server_close()
