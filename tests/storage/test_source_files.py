"""Source files: how they are found, and equal rows from every format."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from schemas.errors import ConfigError, DataContractError
from schemas.raw import RawTable, as_text
from schemas.settings import Sources, SourceSettings
from tasks.storage.source_files import expand, expand_sources, read_table, read_tables

pytestmark = pytest.mark.slow

HEADER = ["Fecha", "Cliente", "Cod", "Uns", "Neto final"]
ROWS = [
    ["2024-01-01", "TIENDA Ñ, 1", "007", "3", "12990.5"],
    ["2024-01-02", "TIENDA 2", "010", "-1", ""],
    ["2024-01-03", 'say "hi"', "100", "0", "7"],
]


def csv_text(delimiter: str = ",", rows: list[list[str]] = ROWS) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if delimiter in text or '"' in text else text

    return "\n".join(delimiter.join(cell(text) for text in row) for row in [HEADER, *rows]) + "\n"


def read(path: Path | str, **settings: str) -> RawTable:
    source = SourceSettings(path=str(path), **settings)
    return read_table("sales", expand(source, "sales"), source)


def texts(table: RawTable) -> list[list[str]]:
    return pd.DataFrame({name: as_text(table.frame[name]).astype(object) for name in table.frame}).values.tolist()


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_of_any_delimiter_and_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = write(tmp_path, "sales.csv", csv_text(delimiter).encode(encoding))
    table = read(path, encoding=encoding if encoding != "utf-8-sig" else "utf-8")
    assert list(table.frame.columns) == HEADER
    assert texts(table) == ROWS
    assert table.row_number.tolist() == [2, 3, 4]


def test_configured_delimiter_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a;b,c\n1;2,3\n")
    assert list(read(path).frame.columns) == ["a;b", "c"]
    assert list(read(path, delimiter=";").frame.columns) == ["a", "b,c"]


def test_gzip_excel_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    gz = tmp_path / "sales.csv.gz"
    gz.write_bytes(gzip.compress(csv_text().encode()))
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.append(HEADER)
    for day, store, sku, units, amount in ROWS:
        sheet.append([date.fromisoformat(day), store, sku, int(units), float(amount) if amount else None])
    sheet.cell(2, 3).value = 7
    sheet.cell(2, 3).number_format = "000"
    workbook.save(tmp_path / "sales.xlsx")
    frame = pd.DataFrame(ROWS, columns=HEADER)
    typed = frame.assign(
        Fecha=pd.to_datetime(frame["Fecha"]), Uns=[3.0, -1.0, 0.0], **{"Neto final": [12990.5, np.nan, 7.0]}
    )
    typed.to_parquet(tmp_path / "sales.parquet")
    for name in ("sales.csv.gz", "sales.xlsx", "sales.parquet"):
        assert texts(read(tmp_path / name)) == ROWS, name


def test_parquet_keeps_types_and_digits(tmp_path: Path) -> None:
    big = 2**60 + 1
    frame = pd.DataFrame(
        {
            "id": pd.array([big, None], dtype="Int64"),
            "zone": pd.to_datetime(["2024-01-01 23:30", "2024-01-02 00:00"]).tz_localize("America/Santiago"),
            "day": [date(2024, 1, 1), None],
            "text": pd.Categorical(["a", None]),
            "units": [np.inf, 1.0],
        },
        index=pd.Index([5, 6]),
    )
    frame.to_parquet(tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert texts(table) == [
        [str(big), "2024-01-01 23:30:00", "2024-01-01", "a", "inf"],
        ["", "2024-01-02", "", "", "1"],
    ]
    assert table.frame["units"].dtype == "float64"


def test_parquet_with_lists_raises_an_error(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1], "many": [[1, 2]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataContractError, match="the columns many contain lists or structures"):
        read(tmp_path / "a.parquet")
    with pytest.raises(DataContractError, match="not a readable Parquet file"):
        read(write(tmp_path, "b.parquet", "no"))


def test_excel_sheets_times_and_blank_rows(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["not", "this"])
    sheet = workbook.create_sheet("Ventas")
    for row in (["id", "when", "flag"], [1.0, datetime(2024, 1, 1, 8, 30), True], [None, None, None], [2.5, None, "x"]):
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    table = read(tmp_path / "a.xlsx", sheet="Ventas")
    assert texts(table) == [["1", "2024-01-01 08:30:00", "true"], ["2.5", "", "x"]]
    assert table.row_number.tolist() == [2, 4]
    assert list(read(tmp_path / "a.xlsx").frame.columns) == ["not", "this"]
    with pytest.raises(DataContractError, match=r"no sheet 'Stock' with rows. Its sheets: Sheet, Ventas"):
        read(tmp_path / "a.xlsx", sheet="Stock")
    with pytest.raises(DataContractError, match="not a readable Excel workbook"):
        read(write(tmp_path, "b.xlsx", "no"))


def test_empty_sheet_counts_as_an_empty_file(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    with pytest.raises(DataContractError, match="is empty"):
        read(tmp_path / "a.xlsx")


def test_blank_rows_are_skipped_and_malformed_rows_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'a,b\n1,2\n\n3,4,5\n"x\ny",6\n7\n , \n8,9\n\n')
    table = read(path)
    assert texts(table) == [["1", "2"], ["3", "4 5"], ["x\ny", "6"], ["7", ""], ["8", "9"]]
    assert table.row_number.tolist() == [2, 4, 5, 6, 8]
    assert table.malformed == {1: "3 cells, but the header has 2", 3: "1 cells, but the header has 2"}
    assert table.files[0].rows == 5


@pytest.mark.parametrize(
    "content", ['a,b\n1,2\n"3,4\n5,6\n7,8\n', 'a,b\n1,2\n"3,4\n5,6\n"7",8\n9,0\n', 'a,b\n1,"2\n3,4\n5,6\n']
)
def test_unclosed_quotation_mark_raises_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataContractError, match=r"a.csv: the quotation mark at .* is not closed in its row"):
        read(write(tmp_path, "a.csv", content))


def test_quotation_marks_within_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'a,b\n1,12" boot\n"two\nlines, one cell",4\n')
    assert texts(read(path)) == [["1", '12" boot'], ["two\nlines, one cell", "4"]]


def test_a_one_column_file(tmp_path: Path) -> None:
    table = read(write(tmp_path, "a.csv", "\ufeffsku\r\n001\r\n\r\nA B\r\n"))
    assert texts(table) == [["001"], ["A B"]]


def test_file_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    table = read(write(tmp_path, "a.csv", "sku,price\n"))
    assert (len(table.frame), table.files[0].rows) == (0, 0)


@pytest.mark.parametrize("content", ["", "\n", "   \n \n"])
def test_a_file_without_header_is_empty(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataContractError, match=r"a.csv is empty.*Deliver the file again"):
        read(write(tmp_path, "a.csv", content))


def test_repeated_column_name_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match="repeated column names sku"):
        read(write(tmp_path, "a.csv", "sku,a, sku\n1,2,3\n"))


def test_wrong_encoding_error_names_the_setting(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sku\nñandú\n".encode("cp1252"))
    with pytest.raises(DataContractError, match=r"a.csv cannot be read as CSV in the encoding utf-8.*`encoding`"):
        read(path)
    assert texts(read(path, encoding="cp1252")) == [["ñandú"]]
    with pytest.raises(ConfigError, match="unknown encoding 'utf-9'"):
        read(path, encoding="utf-9")


def test_truncated_gzip_raises_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(b"sku,units\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(10_000)))
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + b"\x83^\x98" * 9 + whole[middle + 27 :]):
        with pytest.raises(DataContractError, match="cannot be read"):
            read(write(tmp_path, "a.csv.gz", damaged))


def test_glob_concatenates_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, "2024-02.csv", "sku,units\nB,2\n")
    write(tmp_path, "2024-01.csv", "sku,units,extra\nA,1,x\nC,3,y\n")
    pd.DataFrame({"sku": ["D"], "units": [4.0]}).to_parquet(tmp_path / "2024-03.parquet")
    table = read(tmp_path / "2024-*")
    assert texts(table) == [["A", "1", "x"], ["C", "3", "y"], ["B", "2", ""], ["D", "4", ""]]
    assert table.file.tolist() == [0, 0, 1, 2]
    assert table.row_number.tolist() == [2, 3, 2, 1]
    assert [Path(file.path).name for file in table.files] == ["2024-01.csv", "2024-02.csv", "2024-03.parquet"]
    assert table.files[1].columns == ("sku", "units")
    assert len({file.sha256 for file in table.files}) == 3


def test_parquet_files_of_one_type_keep_the_type(tmp_path: Path) -> None:
    for name, units in (("a", [1.5]), ("b", [2.5])):
        pd.DataFrame({"units": units, "sku": ["x"]}).to_parquet(tmp_path / f"{name}.parquet")
    table = read(tmp_path / "*.parquet")
    assert table.frame["units"].tolist() == [1.5, 2.5]
    assert table.frame["sku"].astype(object).tolist() == ["x", "x"]


def test_a_table_read_in_blocks_of_rows_on_disk_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[f"2024-01-{day:02}", f"store {day % 3}", str(day), "1", f"{day}.5"] for day in range(1, 29)]
    lines = csv_text(rows=rows).splitlines()
    broken = [*lines[:5], "", "2024-01-05,store 2,5", *lines[5:20], ",,,,", "a,b,c,d,e,f", *lines[20:]]
    for index, content in enumerate([lines, broken, lines[:1], [lines[0].replace("Uns", "Units"), *lines[1:9]]]):
        write(tmp_path, f"{index}.csv", "\n".join([*content, ""]))
    typed = pd.DataFrame(rows[:9], columns=HEADER).astype({"Uns": float})
    typed.assign(Fecha=pd.to_datetime(typed["Fecha"])).to_parquet(tmp_path / "4.parquet")
    typed.assign(Fecha=pd.to_datetime(typed["Fecha"])).to_parquet(tmp_path / "5.parquet")
    for pattern in ("*", "*.csv", "*.parquet", "1.csv"):
        whole = read(tmp_path / pattern)
        with monkeypatch.context() as patch:
            patch.setattr("tasks.storage.mapped.BLOCK_ROWS", 3)
            patch.setattr("tasks.storage.csv_files._BLOCK_BYTES", 100)
            blocks = read(tmp_path / pattern)
        with monkeypatch.context() as patch:
            patch.setattr("tasks.storage.source_files._FILES_AT_ONCE", 2)
            merged = read(tmp_path / pattern)
        for other in (blocks, merged):
            pd.testing.assert_frame_equal(whole.frame, other.frame)
            np.testing.assert_array_equal(whole.file, other.file)
            np.testing.assert_array_equal(whole.row_number, other.row_number)
            assert (whole.files, whole.malformed) == (other.files, other.malformed)


def test_brackets_in_an_existing_file_name_are_not_a_pattern(tmp_path: Path) -> None:
    write(tmp_path, "sales[1].csv", "sku\nA\n")
    assert texts(read(tmp_path / "sales[1].csv")) == [["A"]]


def test_error_names_every_table_without_files(tmp_path: Path) -> None:
    write(tmp_path, "stores.csv", "store_id\n1\n")
    sources = Sources(
        sales=SourceSettings(path=str(tmp_path / "sales-*.csv")),
        products=SourceSettings(path=str(tmp_path / "products.csv")),
        stores=SourceSettings(path=str(tmp_path / "stores.csv")),
    )
    with pytest.raises(DataContractError) as error:
        expand_sources(sources)
    assert "sources.sales.path" in str(error.value)
    assert "sources.products.path" in str(error.value)


def test_folders_and_unknown_formats_raise_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is the folder .* such as .*\*\.csv"):
        read(tmp_path)
    write(tmp_path, "a.txt", "sku\n1\n")
    with pytest.raises(ConfigError, match=r"files of unknown format: .*a.txt"):
        read(tmp_path / "*")


def test_sources_in_a_bucket(bucket: str) -> None:
    import boto3

    s3, name = boto3.client("s3"), bucket.removeprefix("s3://")
    for key, body in (
        ("in/sales-2.csv", b"sku\nB\n"),
        ("in/sales-1.csv", b"sku\nA\n"),
        ("in/old/sales-0.csv", b"sku\nZ\n"),
        ("in/stores.csv", b"store_id\n1\n"),
    ):
        s3.put_object(Bucket=name, Key=key, Body=body)
    assert texts(read(f"{bucket}/in/sales-*.csv")) == [["A"], ["B"]]
    assert texts(read(f"{bucket}/in/**/sales-*.csv")) == [["Z"], ["A"], ["B"]]
    one = expand(SourceSettings(path=f"{bucket}/in/stores.csv"), "stores")
    assert [file.path for file in one] == [f"{bucket}/in/stores.csv"]
    with pytest.raises(DataContractError, match=f"No file found for table sales: .*{bucket}/none"):
        read(f"{bucket}/none/*.csv")
    with pytest.raises(ConfigError, match="bucket does not exist"):
        read("s3://nowhere-at-all/a.csv")


def test_read_tables_uses_the_format_of_each_source(tmp_path: Path) -> None:
    write(tmp_path, "sales.csv", "sku;units\nA;1\n")
    write(tmp_path, "products.csv", "sku\nA\n")
    write(tmp_path, "stores.csv", "store_id\n1\n")
    sources = Sources(
        **{name: SourceSettings(path=str(tmp_path / f"{name}.csv")) for name in ("sales", "products", "stores")}
    )
    tables = read_tables(expand_sources(sources), sources)
    assert {name: len(table.frame) for name, table in tables.items()} == {"sales": 1, "products": 1, "stores": 1}


MAPPED = {"date": "Fecha", "store_id": "Almacén", "sku": "Código", "units": "Uds"}
REPORT = "Informe de ventas;;;;\n;;;;\nDesde 01/01/2024;hasta 30/06/2024;;;\n\n;Fecha;Almacén;Código;Uds\n"


def test_title_rows_and_columns_without_data_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", REPORT + ";2024-01-01;01;A;5\n;;;;\n;2024-01-02;01;A;1,5\n")
    table = read_table("sales", expand(source := SourceSettings(path=str(path), columns=MAPPED), "sales"), source)
    assert texts(table) == [["2024-01-01", "01", "A", "5"], ["2024-01-02", "01", "A", "1,5"]]
    assert list(table.frame.columns) == ["Fecha", "Almacén", "Código", "Uds"]
    assert table.row_number.tolist() == [6, 8]


def test_a_title_with_a_line_break_counts_as_one_row(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '"Sales\nof 2024",\ndate,units\n2024-01-01,5\n2024-01-02,1,2\n')
    table = read(path)
    assert table.row_number.tolist() == [3, 4]
    assert table.malformed == {1: "3 cells, but the header has 2"}


def test_header_row_is_set(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "date,units\nfirst day,pieces\n2024-01-01,5\n")
    source = SourceSettings(path=str(path), header_row=2)
    table = read_table("sales", expand(source, "sales"), source)
    assert list(table.frame.columns) == ["first day", "pieces"]
    with pytest.raises(DataContractError, match=r"a.csv: row 9 has no column names.*header_row"):
        read_table("sales", expand(source, "sales"), SourceSettings(path=str(path), header_row=9))


def workbook(path: Path, *sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for index, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{index}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_excel_with_title_rows_a_cover_sheet_and_stray_cells(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Sales report"], [], [None, "date", "store_id", "sku", "units"], []]
    rows += [[None, date(2024, 1, day), "01", "A", day + 0.5] for day in (1, 2)]
    path = workbook(tmp_path / "a.xlsx", [["Cover"], ["by", "me"]], rows)
    book = openpyxl.load_workbook(path)
    book["S1"]["XFD1048576"] = "x"
    book["S1"]["H9"] = "y"
    book.save(path)
    table = read(path)
    assert texts(table) == [["2024-01-01", "01", "A", "1.5"], ["2024-01-02", "01", "A", "2.5"]]
    assert list(table.frame.columns) == ["date", "store_id", "sku", "units"]
    assert table.row_number.tolist() == [5, 6]
    assert texts(read(path, decimal=","))[0][3] == "1,5"


def test_excel_with_a_chart_first_and_formulas_without_a_value(tmp_path: Path) -> None:
    header: list[object] = ["date", "store_id", "sku", "units", "note"]
    rows = [header, [date(2024, 1, 1), "01", "A", "=2*3", "=1"], [date(2024, 1, 2), "01", "A", 4, None]]
    path = workbook(tmp_path / "a.xlsx", rows)
    book = openpyxl.load_workbook(path)
    book.create_chartsheet("Chart", 0)
    book.save(path)
    assert texts(read(path)) == [["2024-01-01", "01", "A", "=2*3", ""], ["2024-01-02", "01", "A", "4", ""]]
    with pytest.raises(DataContractError, match=r"no sheet 'Chart' with rows. It is a chart"):
        read(path, sheet="Chart")


def test_damaged_and_dangerous_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = workbook(tmp_path / "good.xlsx", [["sku", "units"], ["A", 1]])

    def changed(name: str, change: Callable[[bytes], bytes]) -> Path:
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as new:
            for part in old.namelist():
                data = old.read(part)
                new.writestr(part, change(data) if part.startswith("xl/worksheets/") else data)
        return tmp_path / name

    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">]>'
    for path, words in (
        (changed("cut.xlsx", lambda data: data[: len(data) // 2]), "cut.xlsx is not a readable Excel workbook"),
        (changed("entities.xlsx", lambda data: bomb + data), "defines XML entities"),
        (write(tmp_path, "part.xlsx", good.read_bytes()[:900]), "part.xlsx is not a readable Excel workbook"),
    ):
        with pytest.raises(DataContractError, match=words):
            read(path)
    monkeypatch.setattr("tasks.storage.contents.UNPACKED_BYTES", 1 << 20)
    with pytest.raises(DataContractError, match=r"bomb.xlsx unpacks to more than 1 MB and 100 times its size"):
        read(changed("bomb.xlsx", lambda data: data + b" " * (4 << 20)))
    with pytest.raises(DataContractError, match=r"bomb.csv.gz unpacks to more than 1 MB"):
        read(write(tmp_path, "bomb.csv.gz", gzip.compress(b"sku,units\n" + b"A,1\n" * (1 << 20))))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"<html><body><table>", "an HTML page, not a table"),
        ("a.csv", "\ufeff<!DOCTYPE html>".encode("utf-16"), "an HTML page, not a table"),
        ("a.csv", b'<?xml version="1.0"?><Workbook/>', "an XML document"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1", r"old format \(.xls\) or with a password"),
        ("a.csv", b"%PDF-1.7", "a PDF document"),
        ("a.csv", b"PK\x03\x04nothing", "a ZIP archive"),
        ("a.xlsx", b"sku,units\nA,1\n", "not a readable Excel workbook: its content is plain text.*name it .csv"),
        ("a.parquet", b"sku,units\nA,1\n", "not a readable Parquet file: its content is plain text"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(DataContractError, match=f"{name} is .*{words}"):
        read(write(tmp_path, name, content))


def test_files_with_the_wrong_ending_are_read_by_their_content(tmp_path: Path) -> None:
    book = workbook(tmp_path / "b.xlsx", [["sku", "units"], ["A", 1]])
    pd.DataFrame({"sku": ["A"], "units": ["1"]}).to_parquet(tmp_path / "c.parquet")
    for content in (gzip.compress(b"sku,units\nA,1\n"), book.read_bytes(), (tmp_path / "c.parquet").read_bytes()):
        assert texts(read(write(tmp_path, "a.csv", content))) == [["A", "1"]]
    assert texts(read(write(tmp_path, "a.csv.gz", b"sku,units\nA,1\n"))) == [["A", "1"]]


def test_a_byte_order_mark_decides_the_encoding(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        path = write(tmp_path, "a.csv", "Código\nñandú\n".encode(encoding))
        table = read(path, encoding="latin-1")
        assert (list(table.frame.columns), texts(table)) == (["Código"], [["ñandú"]])


def test_a_cell_of_five_megabytes_is_read(tmp_path: Path) -> None:
    table = read(write(tmp_path, "a.csv", "sku,units\n" + "x" * (5 << 20) + ",1\nA,2\n"))
    assert [len(row[0]) for row in texts(table)] == [5 << 20, 1]


def test_lock_files_are_skipped_and_long_paths_are_errors(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", [["sku"], ["A"]])
    for name in ("~$a.xlsx", ".~lock.a.xlsx#"):
        write(tmp_path, name, b"\x05Somebody")
    assert texts(read(tmp_path / "*")) == [["A"]]
    with pytest.raises(ConfigError, match=r"sources.sales.path cannot be used \(File name too long\)"):
        read(tmp_path / ("x" * 5000 + ".csv"))


def test_wrong_bytes_in_a_row_of_the_wrong_length_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"sku,units\nA,1\nB,2,\x8f\nC,3\n")
    with pytest.raises(DataContractError, match=r"a.csv cannot be read as CSV .* \(line 3: byte 8f is not UTF-8"):
        read(path)
