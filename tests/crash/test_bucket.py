"""A sample of the sweep over a bucket; ``make crash`` tries every request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tasks.publication.earlier_runs import run_key
from tasks.storage.s3 import S3Lake
from tests.crash.bucket import BucketFault, BucketServer
from tests.crash.bucket_sweep import BucketPoint, BucketSweep
from tests.crash.scenarios import AS_OF, SCENARIOS

pytestmark = pytest.mark.slow
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
REPLACED = BY_NAME["publication that replaces one"]
STAGES = BY_NAME["results of stages"]


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    server = BucketServer()
    with server.in_use():
        yield server
    server.close()


def copying(sweep: BucketSweep) -> int:
    """Number of the first request that copies a file of a publication into place."""
    requests = sweep.state(REPLACED, 1).requests
    return next(
        number for number, request in enumerate(requests, 1) if "PUT" in request and f"lake/{run_key(AS_OF)}" in request
    )


def test_a_sample_of_faults_in_a_bucket_loses_and_tears_nothing(server: BucketServer) -> None:
    sweep = BucketSweep(server)
    requests = len(sweep.state(STAGES, 1).requests)
    points = [BucketPoint(STAGES, 1, number % requests + 1, fault) for number, fault in enumerate(BucketFault)]
    points += [BucketPoint(REPLACED, 1, copying(sweep), BucketFault.OUTAGE_AFTER)]
    for point in points:
        sweep.try_point(point)
    assert sweep.result.failures == []
    assert {fault for _, fault in sweep.result.points} == set(BucketFault)


def test_the_sweep_finds_a_publication_that_is_not_taken_back(
    server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Lake, "exclusive", lambda _: nullcontext())
    sweep = BucketSweep(server)
    sweep.try_point(BucketPoint(REPLACED, 1, copying(sweep), BucketFault.OUTAGE_AFTER))
    assert any("neither the one before nor the one after" in line for line in sweep.result.failures)


def test_the_sweep_finds_a_fault_that_did_not_happen(server: BucketServer) -> None:
    sweep = BucketSweep(server)
    sweep.try_point(BucketPoint(STAGES, 1, 10_000, BucketFault.CUT))
    assert any("the planned fault did not happen" in line for line in sweep.result.failures)
