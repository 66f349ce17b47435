"""Run one stage in this process: ingest, panel, features, or the horizon of a model that learns from all series.

Usage: python -m benchmarks.scale.stage STAGE --settings FILE --as-of DATE [--set KEY=VALUE ...]

A stage reads what the stage before it left in the lake and in `records/` next to the settings file. No Prefect, no
cache: the figures are those of the work itself.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np

from schemas.records import IngestRecord, PanelRecord
from schemas.run import ShardSpec
from schemas.settings import Settings
from schemas.settings.slices import FoldsSlice, IngestSlice, PanelSlice
from tasks.configuration.settings_file import read_settings
from tasks.demand.assemble import PanelInputs, assemble_panel
from tasks.demand.features.rows import Features
from tasks.demand.features.training_rows import horizon_rows
from tasks.demand.ingest.ingest import IngestInputs, ingest
from tasks.demand.stored import load_panel
from tasks.forecasting.shard import ShardInputs, forecast_shard
from tasks.storage.lake import open_lake
from tasks.storage.machine import Cores
from tasks.storage.mapped import filled
from tasks.storage.source_files import expand_sources

DATA_PATH = ("ingest", "panel", "features")
TREES = ("xgboost", "xgboost_lags", "xgboost_recursive")
MODELS = ("seasonal_naive", *TREES)
STAGES = (*DATA_PATH, *MODELS)


def run_stage(stage: str, settings: Settings, as_of: date, records: Path) -> dict[str, int]:
    """Run a stage and return what it made: numbers by name."""
    lake = open_lake(settings.storage)
    if stage == "ingest":
        files = expand_sources(settings.sources)
        found = IngestInputs(files={table: [file.sha256 for file in of_table] for table, of_table in files.items()})
        ingested = ingest(lake, found, IngestSlice.of(settings), files)
        (records / "ingest.json").write_text(ingested.model_dump_json(), "utf-8")
        return {"rows": ingested.rows()[0], "sales": ingested.tables["sales"].rows}
    if stage == "panel":
        ingested = IngestRecord.model_validate_json((records / "ingest.json").read_text("utf-8"))
        made = assemble_panel(lake, PanelInputs(tables=ingested.tables, as_of=as_of), PanelSlice.of(settings))
        (records / "panel.json").write_text(made.model_dump_json(), "utf-8")
        return {"series": made.series, "periods": made.periods}
    record = PanelRecord.model_validate_json((records / "panel.json").read_text("utf-8"))
    if stage in MODELS:
        use = FoldsSlice.of(settings, model=settings.models.named().get(stage))
        inputs = ShardInputs(panel=record.panel, shard=ShardSpec(model=stage))
        forecast = forecast_shard(lake, inputs, use, Cores())
        (records / f"{stage}.json").write_text(forecast.model_dump_json(), "utf-8")
        return {"forecasts": forecast.table.rows}
    panel = load_panel(lake, record.panel, settings.period)
    shape = (panel.n, len(panel.periods))
    effects = filled(shape[0] * shape[1], np.float32, lambda part: np.ones(part.stop - part.start)).reshape(shape)
    features, rows = Features(panel, effects), horizon_rows(panel)
    # As a global model predicts: a block of series at a time.
    shapes = [features.table(rows.take(block)).matrix.shape for block in features.blocks(rows)]
    return {"feature rows": sum(rows for rows, _ in shapes), "columns": shapes[0][1]}


def main() -> None:
    """Run the stage that the command line names, and print what it made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    records = given.settings.parent / "records"
    records.mkdir(exist_ok=True)
    # A model that the settings do not name gets its defaults.
    changes = [*([f"models.{given.stage}={{}}"] if given.stage in TREES else []), *given.overrides]
    made = run_stage(given.stage, read_settings(given.settings, changes).settings, given.as_of, records)
    print(", ".join(f"{value:,} {name}" for name, value in made.items()))


if __name__ == "__main__":
    main()
