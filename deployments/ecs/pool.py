"""Create the work pool for Amazon ECS: ``python -m deployments.ecs.pool --help``.

Flow runs of this pool are Fargate tasks of the image of ``deployments/Dockerfile``. A worker starts them
(``prefect worker start --pool ecs``). The worker needs the ``aws`` packages and AWS credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import click
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

POOL = "ecs"


def job_template(  # noqa: PLR0913, PLR0917
    image: str,
    cluster: str,
    vpc_id: str,
    execution_role_arn: str,
    task_role_arn: str,
    cpu: int,
    memory: int,
    subnets: Sequence[str] = (),
    security_groups: Sequence[str] = (),
    public_ip: bool = False,
    log_group: str = "/restock/restock",
    auth_secret_arn: str | None = None,
) -> dict[str, Any]:
    """Return prefect-aws's template for ECS tasks with the given defaults. A deployment's job variables override them.

    Args:
        image: Address of the image in a container registry.
        cluster: Name or ARN of the ECS cluster.
        vpc_id: Network of the tasks.
        execution_role_arn: Role that pulls the image and writes logs.
        task_role_arn: Role of the run: reads the sources, reads and writes the lake's bucket.
        cpu: Units of 1/1024 core.
        memory: MiB.
        subnets: Subnets of the tasks; empty = all subnets of the network, with public addresses.
        security_groups: Security groups of the tasks; empty = the default one of the network.
        public_ip: Whether a task in one of the subnets gets a public address.
        log_group: CloudWatch log group of the tasks; it must exist.
        auth_secret_arn: Secret with the authentication string of the Prefect server.
    """
    from prefect_aws.workers import ECSWorker

    template = deepcopy(ECSWorker.get_default_base_job_template())
    defaults: dict[str, Any] = {
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
        # The group exists: to create one, the execution role would need one more right.
        "cloudwatch_logs_options": {"awslogs-group": log_group, "awslogs-create-group": "false"},
    }
    if subnets:
        defaults["network_configuration"] = {
            "subnets": list(subnets),
            "securityGroups": list(security_groups),
            "assignPublicIp": "ENABLED" if public_ip else "DISABLED",
        }
    if auth_secret_arn:
        defaults["prefect_api_auth_string_secret_arn"] = auth_secret_arn
    properties = template["variables"]["properties"]
    for name, value in defaults.items():
        properties[name]["default"] = value
    return template


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--image", required=True, help="Set the address of the image in a container registry.")
@click.option("--cluster", required=True, help="Set the ECS cluster, by name or ARN.")
@click.option("--vpc-id", required=True, help="Set the network of the tasks.")
@click.option("--execution-role-arn", required=True, help="Set the role that pulls the image and writes logs.")
@click.option("--task-role-arn", required=True, help="Set the role of the run; it needs the lake's bucket.")
@click.option("--subnets", multiple=True, metavar="ID", help="Set a subnet of the tasks. Repeatable.  [default: all]")
@click.option("--security-groups", multiple=True, metavar="ID", help="Set a security group of the tasks. Repeatable.")
@click.option("--public-ip", is_flag=True, help="Give tasks in the subnets a public address.")
@click.option("--log-group", default="/restock/restock", show_default=True, help="Set the log group of the tasks.")
@click.option("--auth-secret-arn", metavar="ARN", help="Set the secret with the server's authentication string.")
@click.option("--cpu", default=4096, show_default=True, help="Set the CPU units of a task (1024 = one core).")
@click.option("--memory", default=16384, show_default=True, help="Set the memory of a task, in MiB.")
def create_pool(**options: Any) -> None:
    """Create or update the work pool "ecs" on the server of PREFECT_API_URL."""
    template = job_template(**options)
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="ecs", base_job_template=template))
        else:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    click.echo(f"Work pool {POOL} is ready. Next: RESTOCK_POOL={POOL} prefect --no-prompt deploy --all")


if __name__ == "__main__":
    create_pool()
