"""Task: tune DeepAR's chosen configuration."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.deepar import DeepArChoice, DeepArTrial, TuningRecord
from schemas.records import PanelRecord
from schemas.run import RunContext
from tasks.deepar import stage as deepar
from tasks.stages.deepar_tools import deepar_tools, deepar_tuning_slice
from tasks.stages.stage import Stage
from tasks.stages.support import show_markdown, show_table

TUNING = Stage("deepar-tuning", TuningRecord, deepar.tune_chosen)


@task(name="tune", task_run_name="tune deepar", cache_policy=NO_CACHE)
def tune_best(run: RunContext, panel: PanelRecord, trial: DeepArTrial, choice: DeepArChoice) -> State[TuningRecord]:
    """Search the hyperparameters of the chosen configuration; show the trials and the best settings as artifacts.

    Raises:
        TrainingError: no training finished, or the history is too short.
    """
    inputs = deepar.TuningInputs(panel=panel.panel, trial=trial, choice=choice)
    record, state = TUNING.run(run, inputs, deepar_tuning_slice(run), deepar_tools(run))
    show_table(run, "deepar-tuning", deepar.trial_rows(record.result), f"Trials of {record.result.job}, best first")
    show_markdown(run, "deepar-tuned", f"```yaml\n{record.settings}```\n", "The best hyperparameters, for the settings")
    return state
