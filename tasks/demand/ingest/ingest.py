"""Read and validate the source files: accepted rows go into the lake, bad rows into quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.alarms import Alarm, raise_alarm
from schemas.records import IngestRecord, InputFile, Record
from schemas.settings.slices import IngestSlice
from tasks.demand.ingest.validation import Findings, judge_tables
from tasks.storage.arrow_tables import PART_ROWS
from tasks.storage.lake import Lake
from tasks.storage.source_files import SourceFile, read_tables


class IngestInputs(Record):
    """Checksums of the source files, by table."""

    files: dict[str, list[str]]


def ingest(
    lake: Lake,
    inputs: IngestInputs,  # noqa: ARG001
    use: IngestSlice,
    files: Mapping[str, Sequence[SourceFile]],
) -> IngestRecord:
    """Read and validate the input tables.

    Args:
        lake: where the tables go.
        inputs: checksums of the files.
        use: how the files are written, and what a valid row is.
        files: where the files are, by table.

    Raises:
        DataContractError: a table's structure is wrong, or too many of its rows are bad.
    """
    valid = judge_tables(read_tables(files, use.sources), use)
    return IngestRecord(
        tables={
            name: lake.write_parts(f"validated/{name}", valid.parts(name, PART_ROWS), valid.empty_columns(name))
            for name in valid.mapped
        },
        quarantine=lake.write_table("quarantine", valid.quarantine),
        files=valid.files,
        reasons=valid.reasons,
        rejected=valid.rejected,
        ignored=valid.ignored,
        alarms=ingest_alarms(valid, use),
    )


def ingest_alarms(found: Findings, use: IngestSlice) -> list[Alarm]:
    """Return all alarms of the ingestion."""
    return [*rejected_rows(found.files, use.quality.alarm_share), *found.alarms]


def rejected_rows(files: Sequence[InputFile], limit: float) -> list[Alarm]:
    """Return an alarm for every table with a larger share of rejected rows than the limit.

    Args:
        files: one entry per source file.
        limit: fraction of a table's rows.
    """
    read: dict[str, int] = {}
    bad: dict[str, int] = {}
    for file in files:
        read[file.table] = read.get(file.table, 0) + file.rows_read
        bad[file.table] = bad.get(file.table, 0) + file.rows_quarantined
    return [
        raise_alarm(
            "rejected_rows",
            f"{table}: {bad[table]:,} of {read[table]:,} rows are in quarantine ({bad[table] / read[table]:.2%}), "
            f"more than expert.quality.alarm_share ({limit:.2%})",
            count=bad[table],
        )
        for table in read
        if bad[table] > limit * read[table]
    ]
