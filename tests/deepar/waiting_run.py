"""A run that waits for its training job on the twin of AWS."""

from __future__ import annotations

from tests.deepar import sagemaker_stage as stage

# Longer than it takes to kill the run and to start another one.
SECONDS = "4"

if __name__ == "__main__":
    lake = stage.lake_on_twin()
    stage.backend(lake).train(stage.training(lake, fake_seconds=SECONDS), stage.Told())
