"""Prefect automations: what is watched, and which notifications are sent.

``python -m deployments.automations`` creates or updates them on the server of ``PREFECT_API_URL``. If
``RESTOCK_WEBHOOK_URL`` is set, notifications are posted there, as JSON with ``subject``, ``severity``, ``company``,
``message`` (with what to do), ``text`` (subject and message) and ``link`` to the run. No flow runs are needed for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from deployments.janitor import schedule_janitors
from flows.dead_runs import START_AGAIN
from tasks.publication.addresses import FORMER_RUN_PAGE, RUN_PAGE
from tasks.stages.events import DATA_QUALITY_ALARM, DRIFT_DETECTED, PUBLICATION_FINISHED

WEBHOOK_VARIABLE = "RESTOCK_WEBHOOK_URL"
WEBHOOK_BLOCK = "restock-notifications"
# Earlier versions started this deployment for every notification.
FORMER_NOTIFY = "notify/notify"
LATE = "late run"
RETRAIN = "retrain-"
TAG = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.restock"}
RUN = "prefect.flow-run"
MESSAGE = "prefect.state-message"
# Prefect's messages for a run that nobody resumed, and for one whose process was ended by a signal.
NEVER_RESUMED = "The flow was *never resumed."
KILLED = "*xited with *status code*"
# Prefect runs send a heartbeat, every three minutes by default. After three missing heartbeats a run is dead.
HEARTBEATS_MISSED = 3
SECONDS_BETWEEN_HEARTBEATS = 180
SIGNS_OF_LIFE = ("heartbeat", "Completed", "Failed", "Cancelled", "Cancelling", "Crashed", "Paused", "Suspended")
SIGNS_OF_A_START = ("Running", "Retrying", "AwaitingConcurrencySlot", "AwaitingRetry", "Scheduled", "Late")
# Long enough to pull the image of a container.
MINUTES_PENDING = 15
# Jinja expressions for the message of a notification.
ABOUT_RUN = "flow_run.name ~ ': ' ~ (flow_run.state.message or '{description}')"
ABOUT_EVENT = "event.payload.message"
LINK_TO_RUN = f"(flow_run|ui_url or '')|replace('{FORMER_RUN_PAGE}', '{RUN_PAGE}') or none"
# A late run does not have a name and a message yet.
ABOUT_LATE_RUN = "deployment.name ~ ', due ' ~ flow_run.expected_start_time ~ ', has not started. Is a worker running?'"


def automations(
    notify: dict[str, list[ActionTypes]], retrain: Mapping[str, UUID] | None = None
) -> list[AutomationCore]:
    """Return every automation.

    Args:
        notify: Actions of each notification, by name in :data:`NOTIFICATIONS`; empty without a webhook.
        retrain: Deployment of the flow `retrain_models` of each company.
    """
    return [
        _mark_as_crashed(
            name="restock: dead run",
            description="Marks a run without a heartbeat as crashed, so that it does not block other runs.",
            after="heartbeat",
            unless=SIGNS_OF_LIFE,
            within=timedelta(seconds=HEARTBEATS_MISSED * _seconds_between_heartbeats()),
            message="No heartbeat: the process or the machine of the run stopped.",
        ),
        _mark_as_crashed(
            name="restock: run that does not start",
            description=f"Marks a run that is pending for {MINUTES_PENDING} minutes as crashed: its task or process "
            "did not start.",
            after="Pending",
            unless=(*SIGNS_OF_LIFE, *SIGNS_OF_A_START),
            within=timedelta(minutes=MINUTES_PENDING),
            message=f"The run did not start within {MINUTES_PENDING} minutes: its process or container could not be "
            "started (image, network, roles, capacity). See the worker's log.",
        ),
        _replace_message(
            name="restock: approval timed out",
            description="Sets a message with the next step for a run that nobody approved in time.",
            event=f"{RUN}.Failed",
            message=NEVER_RESUMED,
            state=ChangeFlowRunState(
                state=StateType.FAILED,
                name="NotApproved",
                message="Nobody approved the publication in time (publication.approval_timeout_hours). The "
                "previous file is kept. Start the weekly run for the same as_of again; all stages except the "
                "publication are reused.",
                force=True,
            ),
        ),
        _replace_message(
            name="restock: killed run",
            description="Sets a message with the next step for a run whose process was killed.",
            event=f"{RUN}.Crashed",
            message=KILLED,
            state=ChangeFlowRunState(
                state=StateType.CRASHED,
                message="The run's process was killed, often because memory ran out. In that case lower "
                f"expert.compute.workers or use a larger machine. {START_AGAIN}",
                force=True,
            ),
        ),
        *(
            AutomationCore(
                name=f"restock: {name}",
                description=notification.description,
                trigger=EventTrigger(
                    expect=notification.events,
                    match={MESSAGE: f"!{notification.unless}"} if notification.unless else {},
                    match_related=TAG if notification.about_run else {},
                    for_each={"prefect.resource.id"},
                    within=timedelta(0),
                ),
                actions=notify[name],
            )
            for name, notification in NOTIFICATIONS.items()
            if name in notify
        ),
        *(_retrain(company, deployment) for company, deployment in (retrain or {}).items()),
    ]


def _retrain(company: str, deployment: UUID) -> AutomationCore:
    """Return the automation that tunes and trains a company's models again after drift in one of its deployments."""
    sources = [f"{flow}-{company}" for flow in ("weekly", "evaluate-week", "optimize")]
    return AutomationCore(
        name=f"restock: retrain {company}",
        description="Tunes and trains the models again after drift of inputs or forecast errors.",
        trigger=EventTrigger(
            expect={DRIFT_DETECTED},
            match_related={"prefect.resource.role": "deployment", "prefect.resource.name": sources},
            for_each={"prefect.resource.id"},
            within=timedelta(0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment)],
    )


def _mark_as_crashed(
    name: str, description: str, after: str, unless: Sequence[str], within: timedelta, message: str
) -> AutomationCore:
    """Return an automation that marks a run as crashed if none of some events follows an event in time."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after={f"{RUN}.{after}"},
            expect={f"{RUN}.{sign}" for sign in unless},
            match={"prefect.resource.id": f"{RUN}.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            within=within,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"{message} {START_AGAIN}")],
    )


def _replace_message(
    name: str, description: str, event: str, message: str, state: ChangeFlowRunState
) -> AutomationCore:
    """Return an automation that replaces a state whose message does not say what to do."""
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


class Notification(NamedTuple):
    """A notification and the events that trigger it.

    Attributes:
        description: Text for the list of automations.
        events: Names of the events.
        about_run: Whether the events are about a flow run of a deployment.
        unless: Pattern of state messages without a notification, because another automation replaces their state.
        severity: ``info``, ``warning`` or ``error``.
    """

    description: str
    events: set[str]
    about_run: bool = False
    unless: str = ""
    severity: str = "warning"


NOTIFICATIONS = {
    LATE: Notification("A scheduled run has not started. Is a worker running?", {f"{RUN}.Late"}, about_run=True),
    "failed run": Notification(
        "A run failed, or nobody approved it in time. The message says what to do.",
        {f"{RUN}.Failed", f"{RUN}.TimedOut", f"{RUN}.NotApproved"},
        about_run=True,
        unless=NEVER_RESUMED,
        severity="error",
    ),
    "crashed run": Notification(
        "The process or the machine of a run stopped. The message says what to do.",
        {f"{RUN}.Crashed"},
        about_run=True,
        unless=KILLED,
        severity="error",
    ),
    "cancelled run": Notification(
        "A run was cancelled: its week may not be published.", {f"{RUN}.Cancelled"}, about_run=True
    ),
    "waiting for approval": Notification(
        "A run waits until somebody approves or rejects its file. Open the run and choose Resume in its menu.",
        {f"{RUN}.Suspended", f"{RUN}.Paused"},
        about_run=True,
    ),
    "data quality": Notification(
        "An input table has many invalid rows, or its data end before as_of.", {DATA_QUALITY_ALARM}
    ),
    "drift": Notification(
        "Inputs or forecast errors differ from the past. The models are trained again.", {DRIFT_DETECTED}
    ),
    "published": Notification("A new replenishment file was published.", {PUBLICATION_FINISHED}, severity="info"),
}


def register(webhook_url: str | None) -> list[str]:
    """Create or update every automation on the server.

    Args:
        webhook_url: Notifications are posted to this address. None means the address that was registered before, for
            example by another company; without one, there are no notifications.

    Returns:
        The names of the automations.
    """
    webhook = _webhook_block(webhook_url) if webhook_url else _registered_webhook()
    notify = {} if webhook is None else {name: _post(name, one, webhook) for name, one in NOTIFICATIONS.items()}
    with get_client(sync_client=True) as client:
        retrain = {
            one.name.removeprefix(RETRAIN): one.id for one in client.read_deployments() if one.name.startswith(RETRAIN)
        }
        current = automations(notify, retrain)
        existing = {automation.name: automation.id for automation in client.read_automations()}
        for automation in current:
            if automation.name in existing:
                # An update sends only the fields that were set, so every field must be set.
                client.update_automation(
                    existing[automation.name], AutomationCore(**automation.model_dump(exclude={"owner_resource"}))
                )
            else:
                client.create_automation(automation)
        for name in {f"restock: {name}" for name in NOTIFICATIONS if name not in notify} & set(existing):
            client.delete_automation(existing[name])
        with suppress(ObjectNotFound):
            client.delete_deployment(client.read_deployment_by_name(FORMER_NOTIFY).id)
    return [automation.name for automation in current]


def _post(name: str, about: Notification, webhook: UUID) -> list[ActionTypes]:
    """The action of a notification: post it."""
    about_run = ABOUT_RUN.format(description=about.description)
    message = ABOUT_LATE_RUN if name == LATE else about_run if about.about_run else ABOUT_EVENT
    parts = {
        "subject": f"'{name}'",
        "severity": f"'{about.severity}'",
        "company": "deployment.work_queue_name" if about.about_run else "event.payload.company",
        "message": message,
        "text": f"'{name}: ' ~ {message}",
        "link": LINK_TO_RUN if about.about_run else "event.payload.link",
    }
    fields = ", ".join(f'"{field}": {{{{ ({words}) | tojson }}}}' for field, words in parts.items())
    return [CallWebhook(block_document_id=webhook, payload=f"{{{fields}}}")]


def _registered_webhook() -> UUID | None:
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(WEBHOOK_BLOCK, "webhook").id
        except ObjectNotFound:
            return None


def _webhook_block(url: str) -> UUID:
    block = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    return cast(UUID, block.save(WEBHOOK_BLOCK, overwrite=True))


def _seconds_between_heartbeats() -> int:
    return int(get_current_settings().flows.heartbeat_frequency or SECONDS_BETWEEN_HEARTBEATS)


if __name__ == "__main__":
    for registered in register(os.environ.get(WEBHOOK_VARIABLE)):
        print(registered)  # noqa: T201
    with get_client(sync_client=True) as own_client:
        for janitor in schedule_janitors(own_client):
            print(f"{janitor}: scheduled")  # noqa: T201
