"""Flow: write a notification. Automations start it."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger


@flow(name="notify", flow_run_name="notify · {subject}")
def notify(subject: str, message: str) -> None:
    """Write a notification to the log and to the artifact "notification". Automations start this flow.

    Args:
        subject: What happened, in a few words.
        message: The details, and what to do.
    """
    get_run_logger().warning("%s: %s", subject, message)
    create_markdown_artifact(
        markdown=f"# {subject}\n\n{message}", key="notification", description=f"Latest notification: {subject}"
    )
