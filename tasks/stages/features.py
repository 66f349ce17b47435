"""Task: build the demand panel with its features."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import IngestRecord, PanelRecord
from schemas.run import RunContext
from schemas.settings.slices import PanelSlice
from schemas.tables import OVERRIDES
from tasks.demand.assemble import PanelInputs
from tasks.performance.drift_alarms import assemble_watched_panel
from tasks.stages.stage import Stage
from tasks.stages.support import log_alarms, say, show_table

FEATURES = Stage("features", PanelRecord, assemble_watched_panel)


@task(name="features", task_run_name="features", cache_policy=NO_CACHE)
def build_features(run: RunContext, ingested: IngestRecord) -> State[PanelRecord]:
    """Build the panel of one ``as_of`` and show series, cleaning and features as artifacts.

    Raises:
        DataContractError: there are no sales before ``as_of``.
        ConfigError: a store or category of the scope has no sales.
    """
    # Overrides correct targets after the plan; they do not change the demand.
    tables = {name: ref for name, ref in ingested.tables.items() if name != OVERRIDES.name}
    inputs = PanelInputs(tables=tables, as_of=run.as_of, stores=run.stores, categories=run.categories)
    record, state = FEATURES.run(run, inputs, PanelSlice.of(run.settings))
    log_alarms(record.alarms)
    say(f"{record.series:,} series, {record.periods:,} periods of history, horizon {record.panel.horizon}")
    for name, description in (
        ("series-profile", "Series by demand pattern (Syntetos-Boylan) and share of zeros"),
        ("cleaning-log", "What cleaning did to the accepted rows"),
        ("features", "Known future covariates and past covariates"),
    ):
        show_table(run, name, record.summary[name], description)
    return state
