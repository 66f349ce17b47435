"""Judges calls by identity policies, as IAM does: a statement must allow action, resource and conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        action: such as ``sagemaker:CreateModel``.
        resource: its ARN, or ``*``.
        context: condition key to value.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def allows(policies: Iterable[dict[str, Any]], call: Call) -> bool:
    """Whether a statement of the policies allows the call."""
    return any(_applies(statement, call) for policy in policies for statement in policy["Statement"])


def without(policy: dict[str, Any], action: str) -> dict[str, Any]:
    """The policy without an action."""
    statements = [
        {**one, "Action": [found for found in _listed(one["Action"]) if found != action]} for one in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def actions(policy: dict[str, Any]) -> list[str]:
    """Every action of a policy, once."""
    return sorted({action for statement in policy["Statement"] for action in _listed(statement["Action"])})


def _applies(statement: dict[str, Any], call: Call) -> bool:
    assert statement["Effect"] == "Allow"
    return (
        any(_like(pattern, call.action) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, call.resource) for pattern in _listed(statement["Resource"]))
        and all(_holds(operator, keys, call) for operator, keys in statement.get("Condition", {}).items())
    )


def _holds(operator: str, keys: Mapping[str, Any], call: Call) -> bool:
    tests: dict[str, Callable[[str, str], bool]] = {"StringEquals": str.__eq__, "StringLike": _like, "Bool": str.__eq__}
    test = tests[operator]
    return all(
        key in call.context and any(test(value, call.context[key]) for value in _listed(wanted))
        for key, wanted in keys.items()
    )


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
