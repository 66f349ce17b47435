from __future__ import annotations

from schemas.records import InputFile
from tasks.demand.ingest.ingest import rejected_rows


def file(table: str, bad: int) -> InputFile:
    return InputFile(table=table, path="x.csv", sha256="", rows_read=500, rows_accepted=500 - bad, rows_quarantined=bad)


def test_many_bad_rows_of_a_table_are_an_alarm() -> None:
    files = [file("sales", 1), file("sales", 2), file("stock", 6), file("overrides", 0)]
    (alarm,) = rejected_rows(files, 0.005)
    assert (alarm.name, alarm.count) == ("rejected_rows", 6)
    assert alarm.message == (
        "stock: 6 of 500 rows are in quarantine (1.20%), more than expert.quality.alarm_share (0.50%)"
    )
