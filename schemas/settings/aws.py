"""Settings of access to Amazon Web Services: `aws`."""

from __future__ import annotations

from pydantic import Field

from schemas.settings.strict import IN_ITS_SECTION, Strict


class AwsSettings(Strict):
    """Credentials of all AWS calls: storage and sources on `s3://`, and SageMaker."""

    credentials_block: str | None = Field(
        default=None,
        description="Name of a Prefect block of type AWS Credentials; absent: credentials from the environment",
        examples=["planning-account"],
        json_schema_extra=IN_ITS_SECTION,
    )
