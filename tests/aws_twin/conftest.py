from __future__ import annotations

from tests.aws_twin.fixture import aws_twin, aws_twin_real

__all__ = ["aws_twin", "aws_twin_real"]
