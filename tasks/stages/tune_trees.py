"""Task: tune the parameters of a tree model before forecasting."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import PanelRecord, TreeTuningRecord
from schemas.run import RunContext
from schemas.settings.slices import FoldsSlice
from tasks.evaluation.tuning import TreeTuningInputs, tune_model
from tasks.forecasting.registry import module_of
from tasks.stages.stage import Stage
from tasks.stages.support import say, show_table

TUNE = Stage("tuning", TreeTuningRecord, tune_model)


@task(name="tune trees", cache_policy=NO_CACHE)
def tune_trees(run: RunContext, panel: PanelRecord, model: str) -> State[TreeTuningRecord]:
    """Search a model's parameters on periods before the first fold, and show the trials as an artifact."""
    use = FoldsSlice.of(run.settings, model=run.settings.models.named()[model])
    inputs = TreeTuningInputs(panel=panel.panel, model=model)
    record, state = TUNE.of(model, module_of(model)).run_as_work(run, f"tune {model}", inputs, use)
    say(f"{record.note} ({record.seconds:.0f} s)")
    if record.trials:
        ranked = sorted(record.trials, key=lambda trial: (trial.loss is None, trial.loss or 0.0))
        rows = [{"loss": trial.loss, "trial": trial.number, **trial.parameters} for trial in ranked]
        show_table(
            run,
            f"tuning {model}",
            rows,
            "Trials, best first; a trial without loss was stopped early; trial 0 has the parameters of the settings",
        )
    return state
