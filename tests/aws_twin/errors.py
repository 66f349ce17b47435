"""What an operation of the twin answers instead of a result."""

from __future__ import annotations

VALIDATION = "ValidationException"
IN_USE = "ResourceInUse"

# Codes that AWS answers with a special status; any other code is the caller's fault: 400.
STATUS_OF = {
    "InternalFailure": 500,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "ModelError": 424,
    # of S3
    "AccessDenied": 403,
    "NoSuchKey": 404,
    "SlowDown": 503,
}


class AwsError(Exception):
    """An error as AWS words it: a code, a message and an HTTP status."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS_OF.get(code, 400)
        self.details = details

    def body(self) -> dict[str, object]:
        return {"__type": self.code, "message": self.message, "Message": self.message, **self.details}


def refuse(message: str) -> AwsError:
    """The answer to a request that makes no sense."""
    return AwsError(VALIDATION, message)
