"""The twin's HTTP server: SageMaker and the twin's own controls here, everything else moto's."""

from __future__ import annotations

import html
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from tests.aws_twin.containers import Containers
from tests.aws_twin.errors import AwsError
from tests.aws_twin.faults import FaultBook
from tests.aws_twin.jobs import Workshop
from tests.aws_twin.objects import ACCOUNT, WORKER, Objects
from tests.aws_twin.service import SageMaker

BUCKET = "restock-twin"
ROLE = "restock-twin"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
TARGET = "SageMaker."
# Moto's services whose calls are recorded.
RECORDED = ("Logs_20140328.", "AnyScaleFrontendService.")
INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
ON_OBJECTS = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
JSON = "application/x-amz-json-1.1"
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 424: "Failed Dependency", 500: "Internal Server Error"}

Answer = tuple[int, dict[str, str], bytes]


class TwinApplication:
    """WSGI application of the twin.

    Args:
        service: SageMaker.
        faults: Faults to come and calls that came.
        reset: Empties everything.
    """

    def __init__(self, service: SageMaker, faults: FaultBook, reset: Callable[[], None]) -> None:
        self.service, self.faults, self.reset = service, faults, reset
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.controls: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("POST", "/twin/faults"): self._order_fault,
            ("GET", "/twin/faults"): lambda _: [asdict(fault) for fault in self.faults.waiting],
            ("GET", "/twin/calls"): lambda _: self.faults.calls(),
            ("GET", "/twin/requests"): lambda _: self.faults.recorded,
            ("POST", "/twin/reset"): lambda _: self.reset(),
            ("GET", "/twin/health"): lambda _: {"status": "ready"},
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self._answer(environ)
        if answer is None:
            return self.moto(environ, start_response)
        status, headers, body = answer
        headers = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Length": str(len(body)), **headers}
        start_response(f"{status} {REASONS.get(status, 'Error')}", list(headers.items()))
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answer | None:
        """The twin's answer; None for what is moto's."""
        path, target = environ.get("PATH_INFO", ""), environ.get("HTTP_X_AMZ_TARGET", "")
        try:
            if path.startswith("/twin/"):
                return self._control(environ["REQUEST_METHOD"], path, _body(environ))
            invoked = INVOCATION.fullmatch(path)
            if invoked and environ["REQUEST_METHOD"] == "POST":
                return self._invoke(invoked.group(1), environ)
            if target.startswith(TARGET):
                return self._operate(target.removeprefix(TARGET), _region(environ), environ)
            if target.startswith(RECORDED):
                self.faults.record(target.partition(".")[2], {})
            on_s3 = _s3_operation(environ)
            if on_s3:
                return self._pass_to_s3(on_s3, environ)
        except AwsError as error:
            return _error(error)
        except Exception as problem:  # the caller must see an error of the twin
            logging.getLogger(__name__).exception("The twin failed at %s %s", target, path)
            return _error(AwsError("InternalFailure", f"The twin of AWS failed: {problem!r}"))
        return None

    def _operate(self, operation: str, region: str, environ: dict[str, Any]) -> Answer | None:
        fault = self.faults.for_operation(operation)
        if fault and not fault.performed:
            raise fault.raised()
        if not self.service.plays(operation, region):
            return None
        request = json.loads(_body(environ) or b"{}")
        answer = self.service.call(operation, region, request)
        self.faults.accept(operation)
        inner = request.get("TrainingJobDefinition") or {}
        self.faults.record(operation, {**request, **({"RoleArn": inner["RoleArn"]} if "RoleArn" in inner else {})})
        if fault:
            raise fault.raised()
        return 200, {"Content-Type": JSON}, json.dumps(answer).encode()

    def _invoke(self, endpoint: str, environ: dict[str, Any]) -> Answer:
        fault = self.faults.for_operation("InvokeEndpoint")
        if fault:
            raise fault.raised()
        variant = environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT")
        chosen, body = self.service.region(_region(environ)).endpoints.invoke(endpoint, variant, _body(environ))
        self.faults.accept("InvokeEndpoint")
        self.faults.record("InvokeEndpoint", {"EndpointName": endpoint})
        return 200, {"Content-Type": "application/json", "x-Amzn-Invoked-Production-Variant": chosen}, body

    def _pass_to_s3(self, operation: str, environ: dict[str, Any]) -> Answer | None:
        """S3 is moto's; the twin only counts and, where a fault waits, answers an error."""
        fault = self.faults.for_operation(operation)
        if fault is None or fault.performed:
            self.faults.accept(operation)
            self.faults.record(
                operation, {"Key": environ["PATH_INFO"].lstrip("/") + "?" + environ.get("QUERY_STRING", "")}
            )
        if fault is None:
            return None
        if fault.performed:
            list(self.moto(environ, lambda *_: lambda _: None))
        error = fault.raised()
        code, message = html.escape(error.code), html.escape(error.message)
        xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else xml.encode()
        return error.status, {"Content-Type": "application/xml"}, body

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        action = self.controls.get((method, path))
        if action is None:
            known = ", ".join(f"{verb} {place}" for verb, place in self.controls)
            return _plain(404, {"message": f"The twin knows {known}; came {method} {path}"})
        return _plain(200, action(json.loads(body or b"{}")))

    def _order_fault(self, wish: dict[str, Any]) -> dict[str, Any]:
        self.faults.order(wish)
        return wish


class Twin:
    """A running twin of AWS.

    Args:
        folder: Where the jobs' folders lie.
        containers: How the container is started.
        port: Port on this machine; 0 takes a free one.
        instances: Trainings and transforms that run at a time; others wait in Starting.
        stop_grace_seconds: Time between asking a stopped training to end and ending it.
    """

    def __init__(
        self,
        folder: Path,
        containers: Containers,
        port: int = 0,
        instances: int = 2,
        stop_grace_seconds: float = 120.0,
    ) -> None:
        self.faults = FaultBook()
        self.server: BaseWSGIServer = make_server(
            "127.0.0.1", port, self._wsgi, threaded=True, request_handler=MotoRequestHandler
        )
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        workshop = Workshop(
            Objects(self.endpoint), containers, self.faults, folder, instances, stop_grace_seconds=stop_grace_seconds
        )
        self.service = SageMaker(workshop)
        self.application = TwinApplication(self.service, self.faults, self.reset)
        self.objects = workshop.objects

    def _wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self.application(environ, start_response)

    def start(self) -> None:
        """Serve in a thread, and make the bucket and the role."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        threading.Thread(target=self.server.serve_forever, name="twin", daemon=True).start()
        self._furnish()

    def stop(self) -> None:
        self.service.close()
        self.server.shutdown()
        self.server.server_close()

    def reset(self) -> None:
        """As on start: no job, no object but the empty bucket, no fault, no count."""
        from moto.moto_api._internal.models import moto_api_backend

        self.service.close()
        moto_api_backend.reset()
        self.faults.clear()
        self._furnish()

    def _furnish(self) -> None:
        self.objects.s3.create_bucket(Bucket=BUCKET)
        self.objects.client("iam").create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "sagemaker.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
        )


def _body(environ: dict[str, Any]) -> bytes:
    content: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return content


def _region(environ: dict[str, Any]) -> str:
    """The region that the call was signed for."""
    signed = re.search(r"Credential=[^/]+/\d+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token")
    return signed.group(1)


def _s3_operation(environ: dict[str, Any]) -> str | None:
    """The plain operation on an object that a signed call asks of S3; None for others and the worker's own."""
    signed = re.search(r"Credential=([^/]+)/\d+/[^/]+/s3/", environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None or signed.group(1) == WORKER:
        return None
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    _, _, key = environ["PATH_INFO"].strip("/").partition("/")
    if not key:
        return "ListObjectsV2" if method == "GET" and "list-type=2" in query else None
    return None if "upload" in query else ON_OBJECTS.get(method)


def _error(error: AwsError) -> Answer:
    headers = {"Content-Type": JSON, "x-amzn-ErrorType": error.code}
    return error.status, headers, json.dumps(error.body()).encode()


def _plain(status: int, answer: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()
