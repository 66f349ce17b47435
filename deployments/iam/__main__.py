"""Write the IAM policies of an installation into a folder: ``python -m deployments.iam --help``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from deployments.iam.policies import Installation, rendered_files


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--account", required=True, metavar="NUMBER", help="Set the AWS account.")
@click.option("--region", required=True, help="Set the region of jobs and tasks.")
@click.option("--name", required=True, help="Set the settings' name, with which the names of jobs begin.")
@click.option("--bucket", required=True, help="Set the bucket of the storage.")
@click.option("--prefix", default="", help="Set the prefix of the storage in the bucket.")
@click.option("--sources", default="", help="Set the bucket of the sources, if it is another one.")
@click.option("--kms-key", default="", metavar="ARN", help="Set the key that encrypts bucket and volumes.")
@click.option("--partition", default="aws", show_default=True, help="Set the partition: aws, aws-cn or aws-us-gov.")
@click.option("--out", default="iam", show_default=True, metavar="DIR", help="Write the policies to DIR.")
def write_policies(out: str, prefix: str, **options: str) -> None:
    """Write one policy, and for the roles of services a trust policy, per role."""
    clean = prefix.strip("/")
    files = rendered_files(Installation(prefix=f"{clean}/" if clean else "", **options))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    click.echo(f"Wrote {', '.join(files)} to {folder}.")


if __name__ == "__main__":
    write_policies()
