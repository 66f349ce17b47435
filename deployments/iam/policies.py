"""Render the IAM policies for one installation.

The policies are the JSON files of this folder, with ``${...}`` for what differs between installations. Job names begin
with the settings' name, and everything has the tag ``restock:installation``, so that both limit what a role may use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from tasks.deepar.sagemaker.names import slug

FOLDER = Path(__file__).parent
# Names of jobs are cut to 63 characters, those of tuning jobs to 32: at least these of the settings' name remain.
JOB_CHARACTERS, TUNING_CHARACTERS = 15, 5
# File to the service that assumes the role; None = a person, or a policy that is added to a role.
SERVICES: dict[str, str | None] = {
    "jobs": "sagemaker.amazonaws.com",
    "run": "ecs-tasks.amazonaws.com",
    "task-execution": "ecs-tasks.amazonaws.com",
    "worker": "ecs-tasks.amazonaws.com",
    "deployer": None,
    "jobs-network": None,
    "scaling": None,
    "encryption": None,
}


@dataclass(frozen=True)
class Installation:
    """The facts of an installation that its policies depend on.

    Attributes:
        account: number of the AWS account.
        region: region of jobs and tasks.
        name: the settings' name; starts the names of jobs, roles, cluster and repository.
        bucket: bucket of the storage.
        prefix: prefix of the storage in the bucket; empty, or ending with "/".
        sources: bucket of the sources.
        kms_key: ARN of the key that encrypts bucket and volumes; empty = none.
        partition: ``aws``, ``aws-cn`` or ``aws-us-gov``.
        storage: the ``storage`` setting, as in the tag ``restock:installation``.
    """

    account: str
    region: str
    name: str
    bucket: str
    prefix: str = ""
    sources: str = ""
    kms_key: str = ""
    partition: str = "aws"

    @property
    def storage(self) -> str:
        """The ``storage`` setting."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def values(self) -> dict[str, str]:
        """The value of each ``${...}``."""
        name = slug(self.name)
        role = f"arn:{self.partition}:iam::{self.account}:role/{name}"
        return {
            "account": self.account,
            "region": self.region,
            "partition": self.partition,
            "name": name,
            "job_name": name[:JOB_CHARACTERS].rstrip("-"),
            "short_name": name[:TUNING_CHARACTERS].rstrip("-"),
            "bucket": self.bucket,
            "prefix": self.prefix,
            "sources": self.sources or self.bucket,
            "kms_key": self.kms_key,
            "storage": self.storage,
            "jobs_role": f"{role}-jobs",
            "run_role": f"{role}-run",
            "task_execution_role": f"{role}-task-execution",
        }


def template(policy: str) -> dict[str, Any]:
    """The policy of a file, with its ``${...}``."""
    found: dict[str, Any] = json.loads((FOLDER / f"{policy}.json").read_text(encoding="utf-8"))
    return found


def render(policy: str, installation: Installation) -> dict[str, Any]:
    """The policy of a file for an installation.

    Raises:
        KeyError: the file has a ``${...}`` that is unknown.
    """
    text = Template((FOLDER / f"{policy}.json").read_text(encoding="utf-8")).substitute(installation.values())
    rendered: dict[str, Any] = json.loads(text)
    return rendered


def rendered_files(installation: Installation) -> dict[str, dict[str, Any]]:
    """File name to content: the policies that the installation needs, and the trust policies of its roles."""
    files = {}
    for policy, service in SERVICES.items():
        if policy == "encryption" and not installation.kms_key:
            continue
        files[f"{policy}.json"] = render(policy, installation)
        if service:
            files[f"{policy}-trust.json"] = trust(service)
    return files


def trust(service: str) -> dict[str, Any]:
    """The trust policy of a role that a service assumes."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}
