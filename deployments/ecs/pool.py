"""The work pool for Amazon ECS: ``python -m deployments.ecs.pool --help``.

Flow runs of this pool are Fargate tasks of the image of ``deployments/Dockerfile``. A worker beside the server
starts them (``prefect worker start --pool ecs``); it needs the ``aws`` packages and AWS credentials.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import click
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

POOL = "ecs"


def job_template(
    image: str,
    cluster: str,
    vpc_id: str,
    execution_role_arn: str,
    task_role_arn: str,
    cpu: int,
    memory: int,
) -> dict[str, Any]:
    """prefect-aws's template for ECS tasks with our defaults; a deployment's job variables still change each.

    Args:
        image: address of the image in a registry.
        cluster: name or ARN of the ECS cluster.
        vpc_id: network that tasks run in; its default subnets and security group are used.
        execution_role_arn: may pull the image and write logs.
        task_role_arn: what a run may do itself: read and write the lake's bucket.
        cpu: in units of 1/1024 core.
        memory: in MiB.
    """
    from prefect_aws.workers import ECSWorker

    template = deepcopy(ECSWorker.get_default_base_job_template())
    defaults = {
        "image": image,
        "cluster": cluster,
        "vpc_id": vpc_id,
        "execution_role_arn": execution_role_arn,
        "task_role_arn": task_role_arn,
        "cpu": cpu,
        "memory": memory,
        "family": "restock",
        "container_name": "restock",
        "launch_type": "FARGATE",
        "configure_cloudwatch_logs": True,
        "cloudwatch_logs_prefix": "restock",
    }
    properties = template["variables"]["properties"]
    for name, value in defaults.items():
        properties[name]["default"] = value
    return template


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--image", required=True, help="Address of the image, as a registry knows it.")
@click.option("--cluster", required=True, help="ECS cluster, by name or ARN.")
@click.option("--vpc-id", required=True, help="Network that tasks run in.")
@click.option("--execution-role-arn", required=True, help="Role that pulls the image and writes logs.")
@click.option("--task-role-arn", required=True, help="Role of the run itself: the lake's bucket.")
@click.option("--cpu", default=4096, show_default=True, help="Units of 1/1024 core.")
@click.option("--memory", default=16384, show_default=True, help="MiB.")
def create_pool(**options: Any) -> None:
    """Create the work pool "ecs" on the server of PREFECT_API_URL, or bring it up to date."""
    template = job_template(**options)
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="ecs", base_job_template=template))
        else:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    click.echo(f"Work pool {POOL} is ready. Now: RESTOCK_POOL={POOL} prefect --no-prompt deploy --all")


if __name__ == "__main__":
    create_pool()
