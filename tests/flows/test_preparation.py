"""What a run is about when nobody says so."""

from __future__ import annotations

from datetime import UTC, date, datetime

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from flows.preparation import today


def test_a_run_that_goes_on_another_day_is_still_about_the_day_it_began_on() -> None:
    began = FlowRun.model_construct(start_time=datetime(2024, 7, 1, 12, tzinfo=UTC))
    with FlowRunContext.model_construct(flow_run=began):
        assert today() == date(2024, 7, 1)
    with FlowRunContext.model_construct(flow_run=FlowRun.model_construct(start_time=None)):
        assert today() == date.today()
    assert today() == date.today()
