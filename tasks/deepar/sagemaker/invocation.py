"""Requests to an endpoint: series in small requests, several at a time, with answers in the order of the series."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from schemas.errors import TrainingError
from tasks.deepar.sagemaker.api import SageMakerApi
from tasks.deepar.sagemaker.faults import calls, code_of

# SageMaker ends a request after 60 seconds and takes 6 MB; a series takes up to a second or more.
MOST_SERIES = 20
MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Invocation:
    """The requests to a variant.

    Attributes:
        api: the SDK on its session.
        endpoint: name of the endpoint.
        variant: which of its models answers.
        configuration: samples, quantiles and kinds of output.
        threads: requests at once.
    """

    api: SageMakerApi
    endpoint: str
    variant: str
    configuration: dict[str, Any]
    threads: int

    def answers(self, lines: Sequence[bytes], heard: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
        """Request one answer per series, in the order of the series.

        Args:
            lines: a JSON object per series.
            heard: callback after every request.

        Raises:
            TrainingError: the model fails on a series, or leaves answers out.
            ConfigError: the endpoint or variant is unknown, or rights are missing.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            found: list[dict[str, Any]] = []
            for answered in pool.map(self._ask, batches(lines)):
                found += answered
                heard()
            return found

    def _ask(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """One request; if it takes too long or the model fails on it, its halves are requested separately."""
        instances = [json.loads(line) for line in lines]
        body = json.dumps({"instances": instances, "configuration": self.configuration})
        with calls(f"asking endpoint {self.endpoint}"):
            try:
                response = self.api.runtime.invoke_endpoint(
                    EndpointName=self.endpoint,
                    TargetVariant=self.variant,
                    ContentType="application/json",
                    Accept="application/json",
                    Body=body,
                )
            except (ClientError, ReadTimeoutError) as error:
                if isinstance(error, ClientError) and code_of(error) != "ModelError":
                    raise
                if len(lines) > 1:
                    middle = len(lines) // 2
                    return self._ask(lines[:middle]) + self._ask(lines[middle:])
                raise TrainingError(f"Endpoint {self.endpoint} failed on a series: {error}") from error
            answers: list[dict[str, Any]] = json.loads(response["Body"].read())["predictions"]
        if len(answers) != len(lines):
            raise TrainingError(f"Endpoint {self.endpoint} gave {len(answers)} answers to {len(lines)} series.")
        return answers


def batches(lines: Sequence[bytes], most: int = MOST_SERIES, most_bytes: int = MOST_BYTES) -> Iterator[list[bytes]]:
    """Split series into requests of limited numbers of series and bytes; a larger series is its own request.

    >>> list(batches([b"aaaa", b"bb", b"c"], most=2, most_bytes=5))
    [[b'aaaa'], [b'bb', b'c']]
    """
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == most or size + len(line) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch
