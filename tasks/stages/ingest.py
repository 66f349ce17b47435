"""Task: read and validate the source files."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from schemas.outputs import REJECTED_ROWS
from schemas.records import IngestRecord, InputFile
from schemas.run import RunContext
from schemas.settings.slices import CategorySlice, IngestSlice
from tasks.demand.ingest import scope
from tasks.demand.ingest.ingest import IngestInputs, ingest
from tasks.demand.ingest.validation import validate_tables
from tasks.publication.csv_format import csv_bytes
from tasks.stages.events import report_alarms
from tasks.stages.stage import Stage
from tasks.stages.support import RETRY_DELAYS_SECONDS, is_transient, log_alarms, say, show_table
from tasks.storage.lake import open_lake
from tasks.storage.source_files import SourceFile, expand_sources, read_tables

INGEST = Stage("ingest", IngestRecord, ingest)


@task(
    name="ingest",
    task_run_name="ingest",
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=is_transient,
)
def ingest_tables(run: RunContext) -> State[IngestRecord]:
    """Store validated tables and quarantined rows in the lake, and show the data quality as artifacts.

    Raises:
        ConfigError: the run's scope names an unknown store or category.
        DataContractError: a table's structure is invalid, or the share of its rejected rows is too large.
    """
    files = expand_sources(run.settings.sources)
    _check_scope(run, files)
    inputs = IngestInputs(files={table: [file.sha256 for file in of_table] for table, of_table in files.items()})
    record, state = INGEST.run(run, inputs, IngestSlice.of(run.settings), files)
    read, quarantined = record.rows()
    ignored = record.rows_ignored()
    say(
        f"{len(record.tables)} tables, {read:,} rows read: {read - quarantined - ignored:,} accepted, "
        f"{quarantined:,} in quarantine, {ignored:,} ignored"
    )
    for line in record.rejected:
        say(f"Rejected: {line}")
    log_alarms(record.alarms)
    report_alarms(run, record.alarms)
    rows = [file.model_dump(mode="json", exclude={"sha256"}) for file in record.files]
    show_table(
        run,
        "data-quality",
        [{**row, "reasons": _reasons(record, file)} for row, file in zip(rows, record.files, strict=True)],
        "Rows read, accepted, quarantined and ignored per source file; quarantine.csv has the quarantined rows",
    )
    return state


def _reasons(record: IngestRecord, file: InputFile) -> str:
    """The reasons why rows of a file's table were rejected, with counts."""
    if not file.rows_quarantined:
        return ""
    return "; ".join(f"{reason}: {count:,} rows" for table, reason, count in record.reasons if table == file.table)


def write_rejected_rows(run: RunContext, record: IngestRecord) -> IngestRecord:
    """Write the rejected rows as CSV next to the Parquet file, and return the record with the address."""
    if record.quarantine.rows == 0:
        return record
    lake = open_lake(run.settings.storage)
    rows = lake.read_table(record.quarantine)
    key = record.quarantine.key.removesuffix(".parquet") + ".csv"
    lake.write_bytes(key, csv_bytes(rows, list(rows.columns), REJECTED_ROWS, run.settings.output))
    return record.model_copy(update={"quarantine_csv": lake.uri(key)})


def _check_scope(run: RunContext, files: dict[str, list[SourceFile]]) -> None:
    """Check the scope against the small tables before the large tables are read."""
    if run.scoped:
        small = {name: files[name] for name in scope.TABLES}
        known = validate_tables(read_tables(small, run.settings.sources), IngestSlice.of(run.settings)).tables
        scope.check_scope(run.stores, run.categories, known, CategorySlice.of(run.settings))
