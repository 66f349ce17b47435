"""Task: read the source files and validate them."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.records import IngestRecord
from schemas.run import RunContext
from tasks.demand.ingest import scope
from tasks.demand.ingest.validation import validate_tables
from tasks.stages.events import tell_of_bad_rows
from tasks.stages.support import RETRY_DELAYS_SECONDS, is_transient, run_stage, say, show_table, warn
from tasks.storage.lake import open_lake
from tasks.storage.source_files import SourceFile, expand_sources, read_tables


@task(
    name="ingest",
    task_run_name="ingest",
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_transient,
)
def ingest_tables(run: RunContext) -> State[IngestRecord]:
    """Validated tables in the lake, bad rows in quarantine; a data-quality artifact.

    Raises:
        ConfigError: the run's scope names a store or category that there is not.
        DataContractError: a structural fault, or too large a share of bad rows.
    """
    settings = run.settings
    files = expand_sources(settings.sources)
    if run.scoped:
        small = {name: files[name] for name in scope.TABLES}
        known = validate_tables(read_tables(small, settings.sources), settings).tables
        scope.check_scope(run.stores, run.categories, known, settings)
    parts: dict[str, object] = {
        "files": {table: [file.sha256 for file in of_table] for table, of_table in files.items()},
        "sources": settings.sources.model_dump(mode="json"),
        **settings.model_dump(mode="json", include={"frequency", "aggregate", "category", "quality"}),
    }
    record, state = run_stage(run, "ingest", parts, IngestRecord, lambda: _ingest(run, files))
    read, quarantined = record.rows()
    say(
        f"{len(record.tables)} tables, {read:,} rows read: {read - quarantined:,} accepted, "
        f"{quarantined:,} in quarantine"
    )
    warn(tell_of_bad_rows(run, record))
    _show(run, record)
    return state


def _ingest(run: RunContext, files: dict[str, list[SourceFile]]) -> IngestRecord:
    lake = open_lake(run.settings.storage)
    valid = validate_tables(read_tables(files, run.settings.sources), run.settings)
    return IngestRecord(
        tables={name: lake.write_table(f"validated/{name}", frame) for name, frame in valid.tables.items()},
        quarantine=lake.write_table("quarantine", valid.quarantine),
        files=valid.files,
        reasons=valid.reasons,
    )


def _show(run: RunContext, record: IngestRecord) -> None:
    show_table(
        run,
        "data-quality",
        [file.model_dump(mode="json", exclude={"sha256"}) for file in record.files],
        "Rows read, accepted and quarantined per source file",
    )
    if record.reasons:
        rows = [{"table": table, "reason": reason, "rows": count} for table, reason, count in record.reasons]
        show_table(run, "quarantine-reasons", rows, "Why rows are in quarantine (all of them: quarantine.parquet)")
