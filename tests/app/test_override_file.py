"""The file of the planners' overrides: changed row by row, in its own format, without losing anybody's work."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from tasks.app.data.override_file import Edit, OverrideFile
from tests.publication.fake_run import settings

ROW = {
    "store_id": "101", "sku": "000-36", "category": "", "date_from": "2025-01-01", "date_to": "2025-01-31",
    "action": "multiply", "value": "1.5", "reason": "feria ñ", "author": "Ana",
}  # fmt: skip
SPANISH = {
    "decimal": ",", "date_format": "%d/%m/%Y", "encoding": "cp1252",
    "columns": {"store_id": "Tienda", "value": "Valor", "date_from": "Desde", "date_to": "Hasta"},
}  # fmt: skip
TEXT = (
    "Correcciones 2025;;;;;;;;;\r\n"
    "Nota;Tienda;sku;category;Desde;Hasta;action;Valor;reason;author\r\n"
    'a;101;000-36;;01/01/2025;31/01/2025;multiply;1,5;"feria; ñ";Ana\r\n'
    "b;102;;SHOE;15/01/2025;16/01/2025;cap;7;poco espacio;Tom\r\n"
)


def file_of(path: Path, /, **source: object) -> OverrideFile:
    sources = {name: {"path": f"data/{name}.csv"} for name in ("sales", "products", "stores")}
    return OverrideFile.of(settings(sources={**sources, "overrides": {**source, "path": str(path)}}))


def test_rows_keep_the_format_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(TEXT.encode("cp1252"))
    file = file_of(path, **SPANISH)
    first, second = file.rows()
    assert (first["value"], first["date_from"], first["reason"]) == ("1.5", "2025-01-01", "feria; ñ")
    file.apply([Edit(second, {**second, "value": "7.5", "date_to": "2025-02-01"}), Edit(None, ROW)])
    lines = path.read_bytes().decode("cp1252").split("\r\n")
    assert lines[:3] == TEXT.split("\r\n")[:3], "title, header and untouched rows are the same"
    assert lines[3] == "b;102;;SHOE;15/01/2025;01/02/2025;cap;7,5;poco espacio;Tom"
    assert lines[4] == ";101;000-36;;01/01/2025;31/01/2025;multiply;1,5;feria ñ;Ana"
    file.apply([Edit(first, None)])
    assert [row["store_id"] for row in file.rows()] == ["102", "101"]


def test_a_row_that_somebody_else_changed_is_not_overwritten(tmp_path: Path) -> None:
    file = file_of(tmp_path / "data/new.csv")
    assert file.rows() == []
    file.apply([Edit(None, ROW), Edit(None, {**ROW, "sku": "001-36"})])
    seen, other = file.rows()
    file.apply([Edit(seen, {**seen, "value": "2", "author": "Tom"})])
    before = file.path.read_bytes()
    with pytest.raises(
        ConfigError, match=r"Somebody else changed or removed this override.*101, 000-36.*Load the page"
    ):
        file.apply([Edit(other, None), Edit(seen, {**seen, "value": "3"})])
    assert file.path.read_bytes() == before, "nothing of the rejected save was written"
    # Two planners who change different rows do not disturb each other.
    file.apply([Edit(other, {**other, "value": "9"})])
    assert [row["value"] for row in file.rows()] == ["2", "9"]


def test_texts_that_a_spreadsheet_would_execute_stay_text(tmp_path: Path) -> None:
    file = file_of(tmp_path / "x.csv")
    file.apply([Edit(None, {**ROW, "reason": "=HYPERLINK(1)\nx", "author": "👟 O'Brien"})])
    assert "'=HYPERLINK(1) x" in file.path.read_text("utf-8")
    assert file.rows()[0]["reason"] == "=HYPERLINK(1) x"
    assert file.rows()[0]["author"] == "👟 O'Brien"


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("store_id,sku,value\n101,a,1\n")
    with pytest.raises(
        ConfigError, match="missing columns date_from, date_to, action, reason, author; it has store_id"
    ):
        file_of(path).rows()
    path.write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(ConfigError, match="'👟' cannot be written in cp1252"):
        file_of(path, **SPANISH).apply([Edit(None, {**ROW, "reason": "👟"})])
    assert path.read_bytes() == TEXT.encode("cp1252")


@pytest.mark.parametrize("path", ["data/*.csv", "s3://bucket/overrides.csv", "overrides.xlsx"])
def test_other_sources_are_read_only(path: str) -> None:
    sources = {name: {"path": f"data/{name}.csv"} for name in ("sales", "products", "stores")}
    with pytest.raises(ConfigError, match=r"sources.overrides.path: the app can change a single .csv file"):
        OverrideFile.of(settings(sources={**sources, "overrides": {"path": path}}))
    with pytest.raises(ConfigError, match=r"overrides: \{path: data/overrides.csv\}"):
        OverrideFile.of(settings(sources=sources))
