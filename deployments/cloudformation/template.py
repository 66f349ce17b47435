"""The CloudFormation template: bucket, roles, registry, cluster, log group, task events and budget alarm.

Policies come from deployments/iam, so that they are written once: their ``${...}`` become references to parameters.
"""

from __future__ import annotations

import json
import re
from typing import Any

from deployments.iam.policies import SERVICES, template

Json = dict[str, Any]

# CloudFormation's texts for the policies' ${...}. Names of jobs are cut. CloudFormation cannot cut a text: the first
# characters are a parameter.
_SUBSTITUTES = {
    "account": "${AWS::AccountId}",
    "region": "${AWS::Region}",
    "partition": "${AWS::Partition}",
    "name": "${Name}",
    "job_name": "${JobNames}",
    "short_name": "${TuningNames}",
    "bucket": "${BucketName}",
    "prefix": "${Prefix}",
    "sources": "${BucketName}",
    "storage": "s3://${BucketName}/${StoragePath}",
    "jobs_role": "${JobsRole.Arn}",
    "run_role": "${RunRole.Arn}",
    "task_execution_role": "${TaskExecutionRole.Arn}",
}
_ROLES = {"JobsRole": "jobs", "RunRole": "run", "TaskExecutionRole": "task-execution", "WorkerRole": "worker"}
_SECONDS_OF_FOUR_DAYS = 345_600


def build() -> Json:
    """The template as JSON values."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Restock: storage, roles, image registry, ECS cluster, logs, task events and budget alarm",
        "Parameters": _parameters(),
        "Conditions": {
            "AlarmsOnBudget": {"Fn::Not": [{"Fn::Equals": [{"Ref": "BudgetEmail"}, ""]}]},
        },
        "Resources": {
            **_bucket(),
            **{role: _role(policy) for role, policy in _ROLES.items()},
            **_containers(),
            **_task_events(),
            "Budget": _budget(),
        },
        "Outputs": {
            name: {"Value": value}
            for name, value in {
                "Storage": {"Fn::Sub": "s3://${BucketName}/${StoragePath}"},
                "JobsRoleArn": {"Fn::GetAtt": ["JobsRole", "Arn"]},
                "RunRoleArn": {"Fn::GetAtt": ["RunRole", "Arn"]},
                "TaskExecutionRoleArn": {"Fn::GetAtt": ["TaskExecutionRole", "Arn"]},
                "WorkerRoleArn": {"Fn::GetAtt": ["WorkerRole", "Arn"]},
                "RepositoryUri": {"Fn::GetAtt": ["Repository", "RepositoryUri"]},
                "EventsQueueName": {"Fn::GetAtt": ["EventsQueue", "QueueName"]},
            }.items()
        },
    }


def _parameters() -> Json:
    texts = {
        "Name": ("The settings' name in lowercase letters, digits and dashes", "^[a-z0-9][a-z0-9-]{1,40}$", None),
        "JobNames": ("The first 15 characters of Name, with which the names of jobs begin", "^[a-z0-9-]{2,15}$", None),
        "TuningNames": ("The first 5 characters of Name", "^[a-z0-9-]{2,5}$", None),
        "BucketName": ("Name of the bucket to create", "^[a-z0-9][a-z0-9.-]{2,62}$", None),
        "StoragePath": ("Prefix of the storage in the bucket, without slashes at its ends", "^[^/].*[^/]$", "restock"),
        "Prefix": ("StoragePath with a slash at its end", "^.*/$", "restock/"),
        "BudgetEmail": ("Who is notified of the budget; empty: nobody", "^.*$", ""),
    }
    parameters: Json = {
        name: {
            "Type": "String",
            "Description": text,
            "AllowedPattern": pattern,
            **({} if default is None else {"Default": default}),
        }
        for name, (text, pattern, default) in texts.items()
    }
    numbers = {
        "MonthlyBudget": ("US dollars a month of SageMaker and ECS, above which BudgetEmail is notified", 200),
        "DaysOfModels": ("Days after which data and models of DeepAR in the storage are deleted", 90),
        "DaysOfLogs": ("Days that logs of tasks are kept", 90),
    }
    parameters |= {
        name: {"Type": "Number", "Description": text, "Default": default} for name, (text, default) in numbers.items()
    }
    return parameters


def _bucket() -> Json:
    expire = {"ExpirationInDays": {"Ref": "DaysOfModels"}, "Status": "Enabled"}
    rules = [
        {"Id": "models", "Prefix": {"Fn::Sub": "${Prefix}deepar/"}, **expire},
        {
            "Id": "remains",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        },
    ]
    arns = [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]
    return {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BucketName": {"Ref": "BucketName"},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
                    ]
                },
                "VersioningConfiguration": {"Status": "Enabled"},
                "LifecycleConfiguration": {"Rules": rules},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
                "Tags": _tags(),
            },
        },
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "OnlyEncryptedConnections",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:*",
                            "Resource": arns,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                },
            },
        },
    }


def _role(policy: str) -> Json:
    trusted = {"Effect": "Allow", "Principal": {"Service": SERVICES[policy]}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": {"Fn::Sub": f"${{Name}}-{policy}"},
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trusted]},
            "Policies": [{"PolicyName": policy, "PolicyDocument": _referring(template(policy))}],
            "Tags": _tags(),
        },
    }


def _containers() -> Json:
    untagged = {
        "rulePriority": 1,
        "description": "Delete untagged images",
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
        "action": {"type": "expire"},
    }
    return {
        "Repository": {
            "Type": "AWS::ECR::Repository",
            "Properties": {
                "RepositoryName": {"Ref": "Name"},
                "ImageTagMutability": "IMMUTABLE",
                "ImageScanningConfiguration": {"ScanOnPush": True},
                "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [untagged]})},
                "Tags": _tags(),
            },
        },
        "Cluster": {
            "Type": "AWS::ECS::Cluster",
            "Properties": {"ClusterName": {"Ref": "Name"}, "Tags": _tags()},
        },
        "TaskLogs": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "LogGroupName": {"Fn::Sub": "/restock/${Name}"},
                "RetentionInDays": {"Ref": "DaysOfLogs"},
                "Tags": _tags(),
            },
        },
    }


def _task_events() -> Json:
    """The events by which Prefect's worker notices a task that could not start or was killed."""
    return {
        "EventsQueue": {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "QueueName": {"Fn::Sub": "${Name}-events"},
                "MessageRetentionPeriod": _SECONDS_OF_FOUR_DAYS,
                "SqsManagedSseEnabled": True,
                "Tags": _tags(),
            },
        },
        "EventsQueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "EventsQueue"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": {"Fn::GetAtt": ["EventsQueue", "Arn"]},
                            "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["TaskEvents", "Arn"]}}},
                        }
                    ],
                },
            },
        },
        "TaskEvents": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": {"Fn::Sub": "${Name}-task-events"},
                "EventPattern": {
                    "source": ["aws.ecs"],
                    "detail-type": ["ECS Task State Change"],
                    "detail": {"clusterArn": [{"Fn::GetAtt": ["Cluster", "Arn"]}]},
                },
                "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["EventsQueue", "Arn"]}}],
            },
        },
    }


def _budget() -> Json:
    notice = {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": 80,
        "ThresholdType": "PERCENTAGE",
    }
    subscriber = {"SubscriptionType": "EMAIL", "Address": {"Ref": "BudgetEmail"}}
    return {
        "Type": "AWS::Budgets::Budget",
        "Condition": "AlarmsOnBudget",
        "Properties": {
            "Budget": {
                "BudgetName": {"Fn::Sub": "${Name}-monthly"},
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": {"Ref": "MonthlyBudget"}, "Unit": "USD"},
                "CostFilters": {"Service": ["Amazon SageMaker", "Amazon Elastic Container Service"]},
            },
            "NotificationsWithSubscribers": [
                {"Notification": notice, "Subscribers": [subscriber]},
                {
                    "Notification": {**notice, "NotificationType": "FORECASTED", "Threshold": 100},
                    "Subscribers": [subscriber],
                },
            ],
        },
    }


def _tags() -> list[Json]:
    return [{"Key": "restock:name", "Value": {"Ref": "Name"}}]


def _referring(value: Any) -> Any:
    """A policy whose ``${...}`` are references to the template's parameters and resources."""
    if isinstance(value, dict):
        return {key: _referring(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_referring(item) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    text = re.sub(r"\$\{(\w+)\}", lambda found: _SUBSTITUTES[found[1]], value)
    return {"Fn::Sub": text} if "${" in text else text
