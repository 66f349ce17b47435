"""The CloudFormation template is valid, and its roles have the policies of deployments/iam."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.cloudformation.__main__ import write_template
from deployments.cloudformation.template import build
from deployments.iam.policies import SERVICES, template

pytestmark = pytest.mark.slow


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    from cfnlint.api import lint_file  # type: ignore[import-untyped]
    from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

    file = tmp_path / "restock.json"
    result = CliRunner().invoke(write_template)
    assert result.exit_code == 0
    file.write_text(result.output, encoding="utf-8")
    found = lint_file(file, ManualArgs(regions=["us-east-1", "eu-west-1"]))
    assert [f"{match.rule.id} {match.path}: {match.message}" for match in found] == []


def test_roles_trust_one_service_and_have_the_policies_of_the_folder() -> None:
    resources = build()["Resources"]
    roles = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert len(roles) == 4
    for role in roles.values():
        (policy,) = role["Policies"]
        (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trusted["Principal"] == {"Service": SERVICES[policy["PolicyName"]]}
        written = [statement["Action"] for statement in template(policy["PolicyName"])["Statement"]]
        assert [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]] == written


def test_storage_is_encrypted_private_kept_and_tidied() -> None:
    bucket = build()["Resources"]["Bucket"]
    assert bucket["DeletionPolicy"] == "Retain"
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert "aws:kms" in json.dumps(properties["BucketEncryption"])
    (models, _) = properties["LifecycleConfiguration"]["Rules"]
    assert models["Prefix"] == {"Fn::Sub": "${Prefix}deepar/"}
