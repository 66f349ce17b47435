"""An S3 server that fails at a chosen request: moto's, with a layer of faults in front of it."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from unittest import mock

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends
from moto.server import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

BUCKET = "restock-crash"
# The client waits long for answers, so that a busy machine is not a fault. Planned time-outs come at once.
SECONDS_TO_ANSWER = 60
ATTEMPTS = 4
TIMES_SLOW = 3


class BucketFault(StrEnum):
    """What happens at the chosen request."""

    ERROR = "500 InternalError"
    SLOW = "503 SlowDown, three times"
    DENIED = "403 AccessDenied"
    TIME_OUT = "no answer (time-out)"
    CUT = "connection cut"
    LOST = "done, answer lost"
    HALF = "done, half of the answer"
    OUTAGE_BEFORE = "outage from this request on"
    OUTAGE_AFTER = "outage after this request"


# The client repeats these requests: the operation completes.
REPEATED = (BucketFault.ERROR, BucketFault.SLOW, BucketFault.TIME_OUT, BucketFault.CUT, BucketFault.LOST)
CODES = {
    BucketFault.ERROR: (500, "InternalError"),
    BucketFault.SLOW: (503, "SlowDown"),
    BucketFault.DENIED: (403, "AccessDenied"),
}


@dataclass
class Plan:
    """Counts requests and fails at one of them.

    Attributes:
        at: number of the request that fails, from 1; 0 = none.
        fault: how it fails.
        requests: method and path of the counted requests so far.
        fired: whether the fault happened.
    """

    at: int = 0
    fault: BucketFault = BucketFault.ERROR
    requests: list[str] = field(default_factory=list)
    fired: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, request: str) -> BucketFault | None:
        """Count a request; return the fault that hits it."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            if not self.at or number < self.at:
                return None
            later = number - self.at
            if self.fault in (BucketFault.OUTAGE_BEFORE, BucketFault.OUTAGE_AFTER):
                self.fired = True
                after = self.fault is BucketFault.OUTAGE_AFTER and later == 0
                return BucketFault.LOST if after else BucketFault.CUT
            if later < (TIMES_SLOW if self.fault is BucketFault.SLOW else 1):
                self.fired = True
                return self.fault
            return None

    def times_out(self, request: str) -> bool:
        """Count a request that gets no answer, if the plan says so: it never reaches the server."""
        with self._lock:
            planned = self.fault is BucketFault.TIME_OUT and len(self.requests) + 1 == self.at
            if planned:
                self.requests.append(request)
                self.fired = True
            return planned


class _Handler(MotoRequestHandler):
    """Answers a request, or fails as the plan says. Connections are kept, as S3 keeps them.

    werkzeug's own handler closes every connection and waits 10 ms for more data after each answer.
    """

    bucket: BucketServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        fault = self.bucket.plan.next(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault is None:
            self._send(*self._answer(body))
        elif fault in CODES:
            status, code = CODES[fault]
            error = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>planned</Message></Error>"
            self._send(f"{status} planned", {"Content-Type": "application/xml"}, error.encode())
        else:
            if fault in (BucketFault.LOST, BucketFault.HALF):
                status, headers, content = self._answer(body)
                if fault is BucketFault.HALF and content:
                    self._send(status, headers, content, len(content) // 2)
            self._cut()

    def _answer(self, body: bytes) -> tuple[str, Mapping[str, str], bytes]:
        """Status, headers and content of moto's answer."""
        environ = {**self.make_environ(), "wsgi.input": io.BytesIO(body)}
        parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        return status, dict(headers), b"".join(parts)

    def _send(self, status: str, headers: Mapping[str, str], content: bytes, most: int | None = None) -> None:
        number, _, words = status.partition(" ")
        self.send_response(int(number), words)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        bodiless = int(number) in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        if not bodiless:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:most])

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log(self, *_: Any) -> None:
        pass


class BucketServer:
    """moto's S3 in this process; requests fail as :attr:`plan` says."""

    def __init__(self) -> None:
        self.plan = Plan()
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        handler = type("Handler", (_Handler,), {"bucket": self})
        self._server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.client = self._client()

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        session = boto3.session.Session("testing", "testing", region_name="us-east-1")
        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        config = Config(retries=retries, read_timeout=SECONDS_TO_ANSWER, s3={"addressing_style": "path"})
        client = session.client("s3", endpoint_url=self.address, config=config)
        client.meta.events.register("before-send.s3", self._time_out)
        return client

    def _time_out(self, request: Any, **_: Any) -> None:
        from botocore.exceptions import ReadTimeoutError

        if self.plan.times_out(f"{request.method} {request.url.removeprefix(self.address)}"):
            raise ReadTimeoutError(endpoint_url=request.url)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let lakes in buckets use this server; repeated requests come without a pause."""
        from botocore.retries.standard import ExponentialBackoff

        self.client.create_bucket(Bucket=BUCKET)
        with (
            mock.patch("tasks.storage.s3.client", return_value=self.client),
            mock.patch.object(ExponentialBackoff, "delay_amount", return_value=0.0),
        ):
            yield

    def objects(self) -> dict[str, tuple[bytes, dict[str, str], datetime]]:
        """Content, metadata and time of all objects, without a request."""
        keys = _backend().buckets[BUCKET].keys
        return {name: (key.value, dict(key.metadata), key.last_modified) for name, key in list(keys.items())}

    def restore(self, objects: dict[str, tuple[bytes, dict[str, str], datetime]]) -> None:
        """Put exactly these objects into the bucket, without a request."""
        keys = _backend().buckets[BUCKET].keys
        for name in [name for name, _ in keys.items()]:
            keys.pop(name)
        for name, (content, metadata, modified) in objects.items():
            key = _backend().put_object(BUCKET, name, content)
            key.set_metadata(metadata, replace=True)
            key.last_modified = modified


def make_old(at: datetime) -> None:
    """Set the time of all objects."""
    for _, key in list(_backend().buckets[BUCKET].keys.items()):
        key.last_modified = at.replace(tzinfo=None)


def _backend() -> S3Backend:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
