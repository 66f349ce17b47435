"""What goes wrong on demand, and how often each operation was called."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.aws_twin.errors import AwsError

JOBS = ("training", "transform", "endpoint")
JOB_FAULTS = ("fail", "interrupt", "max_wait", "delay")

MESSAGES = {
    "ThrottlingException": "Rate exceeded",
    "ResourceLimitExceeded": "The account-level service limit of this instance type is 0 Instances, with current "
    "utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an "
    "increase for this quota.",
    "SlowDown": "Please reduce your request rate.",
    "AccessDenied": "Access Denied",
    "AccessDeniedException": "User is not authorized to perform this operation.",
    "InternalFailure": "The request processing has failed because of an unknown error, exception or failure.",
    "ServiceUnavailable": "The request has failed due to a temporary failure of the server.",
}


@dataclass
class Fault:
    """One thing that goes wrong, `times` times."""

    times: int = 1
    operation: str | None = None  # an operation that answers an error
    error: str = "InternalFailure"
    message: str | None = None
    performed: bool = False  # True: the operation is done and only its answer is lost
    job: str | None = None  # or a job in which something happens
    fault: str | None = None
    reason: str = "InternalServerError: We encountered an internal error. Please try again."
    seconds: float = 0.0
    name: str = ""  # a part of the job's name; empty: any job

    def __post_init__(self) -> None:
        if (self.operation is None) == (self.job is None):
            raise ValueError("a fault names either an operation or a job")
        if self.job is not None and (self.job not in JOBS or self.fault not in JOB_FAULTS):
            raise ValueError(f"job is one of {', '.join(JOBS)}; its fault one of {', '.join(JOB_FAULTS)}")
        if self.times < 1:
            raise ValueError(f"times must be at least 1, came {self.times}")

    def raised(self) -> AwsError:
        return AwsError(self.error, self.message or MESSAGES.get(self.error, "A fault on demand"))


@dataclass
class FaultBook:
    """Faults to come and calls that came; safe under threads."""

    waiting: list[Fault] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    recorded: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, wish: dict[str, Any]) -> None:
        if wish.get("forget"):
            with self.lock:
                self.waiting = [fault for fault in self.waiting if fault.operation != wish.get("operation")]
            return
        try:
            fault = Fault(**wish)
        except (TypeError, ValueError) as problem:
            raise AwsError("ValidationException", f"Not a fault: {problem}") from None
        with self.lock:
            self.waiting.append(fault)

    def for_operation(self, operation: str) -> Fault | None:
        """Count a call, and give the fault that waits for it."""
        with self.lock:
            self.asked[operation] += 1
            return self._take(lambda fault: fault.operation == operation)

    def for_job(self, job: str, kind: str, name: str) -> Fault | None:
        """The fault of a kind that waits for a job of this name."""
        with self.lock:
            return self._take(lambda fault: fault.job == job and fault.fault == kind and fault.name in name)

    def record(self, operation: str, request: dict[str, Any]) -> None:
        """Keep what IAM would judge: the operation, what it names, tags and roles."""
        judged = {
            name: value
            for name, value in request.items()
            if name.endswith(("Name", "Arn")) or name in ("Tags", "Key", "PrimaryContainer")
        }
        with self.lock:
            self.recorded.append({"operation": operation, "request": judged})

    def accept(self, operation: str) -> None:
        with self.lock:
            self.accepted[operation] += 1

    def calls(self) -> dict[str, dict[str, int]]:
        with self.lock:
            return {name: {"asked": self.asked[name], "accepted": self.accepted[name]} for name in sorted(self.asked)}

    def clear(self) -> None:
        with self.lock:
            self.waiting.clear()
            self.asked.clear()
            self.accepted.clear()
            self.recorded.clear()

    def _take(self, fits: Any) -> Fault | None:
        for fault in self.waiting:
            if fits(fault):
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None
