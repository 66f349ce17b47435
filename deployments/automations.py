"""Automations as code: what is watched, and who is told.

``python -m deployments.automations`` registers them on the server of ``PREFECT_API_URL``; again = up to date.
With ``RESTOCK_WEBHOOK_URL`` every notification is also posted there, as JSON with ``subject``, ``message`` and
``text`` (both in one).
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import NamedTuple, cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import get_current_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from tasks.stages.events import DATA_QUALITY_ALARM, PUBLICATION_FINISHED

WEBHOOK_VARIABLE = "RESTOCK_WEBHOOK_URL"
WEBHOOK_BLOCK = "restock-notifications"
NOTIFY = "notify/notify"
LATE = "late run"
TAG = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.restock"}
RUN = "prefect.flow-run"
MESSAGE = "prefect.state-message"
# Prefect's own words for a run that nobody resumed, and for one whose process ended by a signal.
NEVER_RESUMED = "The flow was *never resumed."
KILLED = "*xited with *status code*"
START_AGAIN = "Start the weekly run (or the backfill) again with the same date: finished stages are reused."
# Prefect's runs beat every three minutes; three missing beats in a row mean that nobody is there any more.
BEATS_MISSED = 3
SECONDS_BETWEEN_BEATS = 180
SIGNS_OF_LIFE = ("heartbeat", "Completed", "Failed", "Cancelled", "Cancelling", "Crashed", "Paused", "Suspended")
# Jinja expressions: the message of a notification.
ABOUT_RUN = "flow_run.name ~ ': ' ~ flow_run.state.message"
ABOUT_EVENT = "event.payload.message"
# A late run has no name and no message of its own yet.
ABOUT_LATE_RUN = "deployment.name ~ ', due ' ~ flow_run.expected_start_time ~ ', has not begun. Is a worker running?'"


def automations(notify: dict[str, list[ActionTypes]]) -> list[AutomationCore]:
    """Every automation.

    Args:
        notify: name of an automation that tells something to the actions that tell it.
    """
    return [
        AutomationCore(
            name="restock: dead run",
            description="A run without a sign of life is marked as crashed, so that it blocks nothing.",
            trigger=EventTrigger(
                after={f"{RUN}.heartbeat"},
                expect={f"{RUN}.{sign}" for sign in SIGNS_OF_LIFE},
                match={"prefect.resource.id": f"{RUN}.*"},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                within=timedelta(seconds=BEATS_MISSED * _seconds_between_beats()),
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED,
                    message=f"No sign of life: its process or machine is gone. {START_AGAIN}",
                )
            ],
        ),
        _reworded(
            name="restock: approval timed out",
            description="Says what to do about a run that nobody approved in time.",
            event=f"{RUN}.Failed",
            message=NEVER_RESUMED,
            state=ChangeFlowRunState(
                state=StateType.FAILED,
                name="NotApproved",
                message="Nobody approved the publication in time (publication.approval_timeout_hours). The last "
                "good file stands. Start the weekly run for the same as_of again; all but the publication is "
                "reused.",
                force=True,
            ),
        ),
        _reworded(
            name="restock: killed run",
            description="Says what to do about a run whose process was killed.",
            event=f"{RUN}.Crashed",
            message=KILLED,
            state=ChangeFlowRunState(
                state=StateType.CRASHED,
                message="The run's process was killed, often because memory ran out (then use fewer "
                f"expert.compute.workers, or a larger machine). {START_AGAIN}",
                force=True,
            ),
        ),
        *(
            AutomationCore(
                name=f"restock: {name}",
                description=told.description,
                trigger=EventTrigger(
                    expect=told.events,
                    match={MESSAGE: f"!{told.unless}"} if told.unless else {},
                    match_related=TAG if told.about_run else {},
                    for_each={"prefect.resource.id"},
                    within=timedelta(0),
                ),
                actions=notify[name],
            )
            for name, told in TOLD.items()
        ),
    ]


def _reworded(name: str, description: str, event: str, message: str, state: ChangeFlowRunState) -> AutomationCore:
    """An automation that puts a state that says what to do in place of one that does not."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            expect={event},
            match={"prefect.resource.id": f"{RUN}.*", MESSAGE: message},
            for_each={"prefect.resource.id"},
            within=timedelta(0),
        ),
        actions=[state],
    )


class Told(NamedTuple):
    """What is told, and of which events.

    Attributes:
        description: for the list of automations.
        events: names.
        about_run: whether they are about a flow run of a deployment.
        unless: pattern of state messages that are left out: their run gets another state at once.
    """

    description: str
    events: set[str]
    about_run: bool = False
    unless: str = ""


TOLD = {
    LATE: Told("A scheduled run has not begun: is a worker running?", {f"{RUN}.Late"}, about_run=True),
    "failed run": Told(
        "A run failed, or nobody approved it; the message says what to do.",
        {f"{RUN}.Failed", f"{RUN}.TimedOut", f"{RUN}.NotApproved"},
        about_run=True,
        unless=NEVER_RESUMED,
    ),
    "crashed run": Told(
        "A run's process or machine is gone; the message says what to do.",
        {f"{RUN}.Crashed"},
        about_run=True,
        unless=KILLED,
    ),
    "data quality": Told("A source table has many bad rows, or its data end before as_of.", {DATA_QUALITY_ALARM}),
    "published": Told("A new replenishment file stands.", {PUBLICATION_FINISHED}),
}


def register(webhook_url: str | None) -> list[str]:
    """Create or update every automation on the server.

    Args:
        webhook_url: where notifications are posted too; None = log and artifact only.

    Returns:
        Their names.
    """
    webhook = _webhook_block(webhook_url) if webhook_url else None
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(NOTIFY).id
        wanted = automations({name: _actions(name, told.about_run, deployment, webhook) for name, told in TOLD.items()})
        standing = {automation.name: automation.id for automation in client.read_automations()}
        for automation in wanted:
            if automation.name in standing:
                # An update sends what was set only, and so must have every field set.
                client.update_automation(
                    standing[automation.name], AutomationCore(**automation.model_dump(exclude={"owner_resource"}))
                )
            else:
                client.create_automation(automation)
    return [automation.name for automation in wanted]


def _actions(name: str, about_run: bool, deployment: UUID, webhook: UUID | None) -> list[ActionTypes]:
    message = ABOUT_LATE_RUN if name == LATE else ABOUT_RUN if about_run else ABOUT_EVENT
    actions: list[ActionTypes] = [
        RunDeployment(
            source="selected",
            deployment_id=deployment,
            parameters={"subject": name, "message": {"__prefect_kind": "jinja", "template": f"{{{{ {message} }}}}"}},
        )
    ]
    if webhook is not None:
        parts = {"subject": f"'{name}'", "message": message, "text": f"'{name}: ' ~ {message}"}
        fields = ", ".join(f'"{field}": {{{{ ({words}) | tojson }}}}' for field, words in parts.items())
        actions.append(CallWebhook(block_document_id=webhook, payload=f"{{{fields}}}"))
    return actions


def _webhook_block(url: str) -> UUID:
    block = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    return cast(UUID, block.save(WEBHOOK_BLOCK, overwrite=True))


def _seconds_between_beats() -> int:
    return int(get_current_settings().flows.heartbeat_frequency or SECONDS_BETWEEN_BEATS)


if __name__ == "__main__":
    for registered in register(os.environ.get(WEBHOOK_VARIABLE)):
        print(registered)  # noqa: T201
