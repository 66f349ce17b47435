"""The address of a job's log, and its last lines."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from tasks.deepar.sagemaker.under_way import Kind

LAST_LINES = 20
_GROUPS: dict[Kind, str] = {
    "training": "/aws/sagemaker/TrainingJobs",
    "tuning": "/aws/sagemaker/TrainingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
}
_PAGES: dict[Kind, str] = {"training": "jobs", "tuning": "hyper-tuning-jobs", "transform": "transform-jobs"}
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def place_of(kind: Kind, job: str, region: str) -> str:
    """The log streams and the console page of a job, in a sentence each.

    >>> place_of("training", "shoes-1", "eu-west-1").split(". ")[0]
    'CloudWatch log: group /aws/sagemaker/TrainingJobs, streams shoes-1/*'
    """
    console = next((host for start, host in _CONSOLES.items() if region.startswith(start)), "console.aws.amazon.com")
    page = f"https://{region}.{console}/sagemaker/home?region={region}#/{_PAGES[kind]}/{quote(job)}"
    streams = f"{job}-*" if kind == "tuning" else f"{job}/*"
    return f"CloudWatch log: group {_GROUPS[kind]}, streams {streams}. Console: {page}"


def last_lines(client: Any, kind: Kind, job: str, most: int = LAST_LINES) -> list[str]:
    """The last lines of a job's log; none if it has no log or the rights to read it are missing.

    Args:
        client: boto3's client of CloudWatch Logs.
        kind: kind of the job.
        job: its name.
        most: number of lines.
    """
    group, prefix = _GROUPS[kind], f"{job}-" if kind == "tuning" else f"{job}/"
    try:
        streams = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        if not streams:
            return []
        newest = max(streams, key=lambda stream: stream.get("lastEventTimestamp", 0))["logStreamName"]
        events = client.get_log_events(logGroupName=group, logStreamName=newest, limit=most, startFromHead=False)
    except (ClientError, BotoCoreError):
        return []
    return [str(event["message"]).rstrip() for event in events["events"]][-most:]
