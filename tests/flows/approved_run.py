"""A flow that somebody calls: without a deployment, so it waits for its approval in its process."""

from __future__ import annotations

import sys

from flows import approval
from flows.weekly import weekly_replenishment
from schemas.errors import PipelineError

if __name__ == "__main__":
    settings, as_of, *overrides = sys.argv[1:]
    approval.SECONDS_BETWEEN_POLLS = 1
    try:
        weekly_replenishment(settings, as_of=as_of, approve_before_publishing=True, overrides=overrides)
    except PipelineError as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(error.exit_code)
