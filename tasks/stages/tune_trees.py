"""Task: the parameters of a tree model, searched before anything is forecast."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import PanelRecord, TreeTuningRecord
from schemas.run import RunContext
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.metrics.stats import ranking_loss
from tasks.forecasting.trees.tuning import tune
from tasks.stages.support import run_stage, say, show_table
from tasks.storage.lake import open_lake


@task(name="tune trees", cache_policy=NO_CACHE, tags=["cpu-fit"])
def tune_trees(run: RunContext, panel: PanelRecord, model: str) -> State[TreeTuningRecord]:
    """Search a model's parameters on windows before the first fold; an artifact shows every trial."""
    parts: dict[str, object] = {
        "panel": {name: ref.sha256 for name, ref in panel.frames.items()},
        "model": [model, getattr(run.settings.models, model).model_dump(mode="json")],
        **run.settings.model_dump(mode="json", include={"frequency", "quantiles", "backtest", "seed"}),
    }
    record, state = run_stage(run, f"tuning-{model}", parts, TreeTuningRecord, lambda: _tune(run, panel, model))
    say(f"{record.note} ({record.seconds:.0f} s)")
    if record.trials:
        ranked = sorted(record.trials, key=lambda trial: (trial.loss is None, trial.loss or 0.0))
        rows = [{"loss": trial.loss, "trial": trial.number, **trial.parameters} for trial in ranked]
        show_table(
            run,
            f"tuning {model}",
            rows,
            "Trials, best first (no loss: ended early); 0 has the parameters of the settings",
        )
    return state


def _tune(run: RunContext, panel: PanelRecord, model: str) -> TreeTuningRecord:
    loaded = load_panel(open_lake(run.settings.storage), run, panel)
    folds = rolling_folds(loaded, **run.settings.backtest.model_dump())
    return tune(model, run.settings, loaded, folds, ranking_loss)
