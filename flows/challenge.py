"""Forecasts of the challenger, in shadow: nothing is published."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flows.first_stages import ingest_stage, panel_stage
from flows.preparation import prepare_run
from flows.stages import compare_stage, forecast_stage
from flows.submitting import done
from schemas.run import RunContext
from tasks.stages.evaluate import keep_challenger, take_challenger
from tasks.stages.support import warn


def forecast_challenger(run: RunContext, settings_file: str, overrides: Sequence[str]) -> None:
    """Forecast with the challenger of a run's settings, or take its forecasts, and keep them for the comparison.

    An error here never fails a run whose file is published.

    Args:
        run: the published run.
        settings_file: its settings file.
        overrides: its ``key.path=value`` texts.
    """
    challenger = run.settings.challenger
    if run.dry_run or not (challenger.settings or challenger.lake):
        return
    try:
        if challenger.lake:
            done(take_challenger, run)
            return
        # The shadow run has another name: Prefect would show its artifacts as later versions of the run's artifacts.
        given = [*overrides, *challenger.changes(), f"name={json.dumps(f'{run.settings.name} challenger')}"]
        shadow = prepare_run(settings_file, run.as_of, given, force=run.force)
        panel = panel_stage(shadow, ingest_stage(shadow))
        compared = compare_stage(shadow, panel, forecast_stage(shadow, panel))
        done(keep_challenger, run, compared)
    except Exception as error:
        warn([f"The challenger {challenger.name} has no forecast of {run.as_of} ({type(error).__name__}: {error})."])
