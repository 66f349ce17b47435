"""Read and validate the source files: accepted rows into the lake, bad rows into quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.records import IngestRecord, Record
from schemas.settings.slices import IngestSlice
from tasks.demand.ingest.validation import validate_tables
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
        DataContractError: a table's structure is wrong, or too large a share of its rows is bad.
    """
    valid = validate_tables(read_tables(files, use.sources), use)
    return IngestRecord(
        tables={name: lake.write_table(f"validated/{name}", frame) for name, frame in valid.tables.items()},
        quarantine=lake.write_table("quarantine", valid.quarantine),
        files=valid.files,
        reasons=valid.reasons,
    )
