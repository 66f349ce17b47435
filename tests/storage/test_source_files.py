"""Source files: how they are found, and equal rows from every format."""

from __future__ import annotations

import gzip
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
    assert table.row_number.tolist() == [1, 2, 3]


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
    assert table.row_number.tolist() == [1, 3]
    assert list(read(tmp_path / "a.xlsx").frame.columns) == ["not", "this"]
    with pytest.raises(DataContractError, match=r"no sheet 'Stock'; its sheets: Sheet, Ventas"):
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
    assert table.row_number.tolist() == [1, 3, 4, 5, 7]
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


@pytest.mark.parametrize("content", ["", "\n", "   \n1,2\n"])
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
    with pytest.raises(DataContractError, match="cannot be read"):
        read(write(tmp_path, "a.csv.gz", whole[: len(whole) // 2]))


def test_glob_concatenates_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, "2024-02.csv", "sku,units\nB,2\n")
    write(tmp_path, "2024-01.csv", "sku,units,extra\nA,1,x\nC,3,y\n")
    pd.DataFrame({"sku": ["D"], "units": [4.0]}).to_parquet(tmp_path / "2024-03.parquet")
    table = read(tmp_path / "2024-*")
    assert texts(table) == [["A", "1", "x"], ["C", "3", "y"], ["B", "2", ""], ["D", "4", ""]]
    assert table.file.tolist() == [0, 0, 1, 2]
    assert table.row_number.tolist() == [1, 2, 1, 1]
    assert [Path(file.path).name for file in table.files] == ["2024-01.csv", "2024-02.csv", "2024-03.parquet"]
    assert table.files[1].columns == ("sku", "units")
    assert len({file.sha256 for file in table.files}) == 3


def test_parquet_files_of_one_type_keep_the_type(tmp_path: Path) -> None:
    for name, units in (("a", [1.5]), ("b", [2.5])):
        pd.DataFrame({"units": units, "sku": ["x"]}).to_parquet(tmp_path / f"{name}.parquet")
    table = read(tmp_path / "*.parquet")
    assert table.frame["units"].tolist() == [1.5, 2.5]
    assert table.frame["sku"].astype(object).tolist() == ["x", "x"]


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
    with pytest.raises(DataContractError, match=r"No file found for table sales: .*s3://restock-test/none"):
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
