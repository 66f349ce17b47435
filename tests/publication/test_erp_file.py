"""The replenishment file: expected bytes, output settings, and reading it back."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import columns as c
from schemas.errors import ConfigError, PublicationError
from schemas.settings import OutputSettings
from tasks.publication.erp_file import formula_ids, read_replenishment, replenishment_bytes

COLUMNS = [c.STORE_ID, c.SKU, c.TARGET_QUANTITY]


def targets(*rows: tuple[object, object, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def test_lines_are_sorted_by_store_and_sku_and_ids_are_unchanged() -> None:
    frame = targets(("2", "b", 3), ("10", "0013", 0), ("10", "A 12", 7), ("north/1", " x(y)", 1))
    assert replenishment_bytes(frame, OutputSettings()) == (
        b"store_id,sku,target_quantity\n10,0013,0\n10,A 12,7\n2,b,3\nnorth/1, x(y),1\n"
    )


def test_bytes_do_not_depend_on_row_order_and_types() -> None:
    frame = targets(("2", "b", 3.0), ("10", "a", 0.0), ("10", "b", 7.0))
    coded = frame.iloc[::-1].astype({c.STORE_ID: pd.CategoricalDtype(["2", "x", "10"])})
    assert replenishment_bytes(coded, OutputSettings()) == replenishment_bytes(
        frame.astype({c.TARGET_QUANTITY: "int64"}), OutputSettings()
    )


def test_names_delimiter_and_encoding_follow_the_settings() -> None:
    output = OutputSettings(
        delimiter=";", encoding="latin-1", columns={"store_id": "Tienda", "sku": "Artículo", "target_quantity": "Uns"}
    )
    data = replenishment_bytes(targets(("Viña", "NIÑO;36", 4)), output)
    assert data == 'Tienda;Artículo;Uns\nViña;"NIÑO;36";4\n'.encode("latin-1")


def test_further_columns_follow_the_first_three_as_the_settings_say() -> None:
    frame = targets(("1", "a", 2)).assign(**{c.COLOR: "red", c.PRODUCT_NAME: "=A1", c.TO_SEND: 1, c.CATEGORY: "x"})
    assert replenishment_bytes(frame, OutputSettings()) == (
        b"store_id,sku,target_quantity,to_send,product_name,color\n1,a,2,1,'=A1,red\n"
    )
    assert replenishment_bytes(frame, OutputSettings(extra_columns=[])) == b"store_id,sku,target_quantity\n1,a,2\n"
    output = OutputSettings(extra_columns=["color", "to_send"], columns={"color": "Farbe", "sku": "Artikel"})
    data = replenishment_bytes(frame, output)
    assert data == b"store_id,Artikel,target_quantity,Farbe,to_send\n1,a,2,red,1\n"
    assert read_replenishment(data, output).to_numpy().tolist() == [["1", "a", 2]]


@pytest.mark.parametrize("sku", ["=1+1", "-A1", "+A1", "@A1", "'A1", "\tA1", "-5"])
def test_the_file_of_the_erp_contains_ids_unchanged(sku: str) -> None:
    data = replenishment_bytes(targets(("1", sku, 2)), OutputSettings())
    assert data == f"store_id,sku,target_quantity\n1,{sku},2\n".encode()
    assert read_replenishment(data, OutputSettings())[c.SKU].tolist() == [sku]


@pytest.mark.parametrize(
    ("sku", "field"),
    [('5" heel', b'"5"" heel"'), ("a,b", b'"a,b"'), ("a\nb", b'"a\nb"'), ("a\rb", b'"a\rb"'), ("a;b", b"a;b")],
)
def test_fields_are_quoted_only_if_necessary(sku: str, field: bytes) -> None:
    assert replenishment_bytes(targets(("1", sku, 2)), OutputSettings()).endswith(b"\n1," + field + b",2\n")


def test_error_names_ids_outside_the_encoding() -> None:
    frame = targets(("1", "ñandú", 1), ("1", "鞋", 1), ("1", "靴", 2))
    with pytest.raises(ConfigError) as caught:
        replenishment_bytes(frame, OutputSettings(encoding="latin-1"))
    for words in ("sku", "latin-1", "靴, 鞋 (2 in all)", "output.encoding to utf-8"):
        assert words in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("quantity", [1.5, -1, float("nan"), float("inf"), "many"])
def test_error_names_targets_that_are_not_integers(quantity: object) -> None:
    with pytest.raises(PublicationError, match=r"1 of 2 rows are not integers of at least 0: 7 / b / "):
        replenishment_bytes(targets(("7", "a", 1), ("7", "b", quantity)), OutputSettings())


def test_ids_that_are_not_text_raise_an_error() -> None:
    with pytest.raises(PublicationError, match="store_id: ids must be non-empty text"):
        replenishment_bytes(targets((7, "a", 1)), OutputSettings())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@example({("\x00", "a"): 1, ("\x000", "a"): 2}, ",", "utf-8")
@given(
    st.dictionaries(st.tuples(TEXT, TEXT), st.integers(0, 10**9), max_size=8),
    st.sampled_from([",", ";", "\t", "|", "ñ"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_written_file_reads_back(rows: dict[tuple[str, str], int], delimiter: str, encoding: str) -> None:
    output = OutputSettings(delimiter=delimiter, encoding=encoding)
    frame = targets(*[(*key, quantity) for key, quantity in rows.items()])
    try:
        data = replenishment_bytes(frame, output)
    except ConfigError:
        return
    found = read_replenishment(data, output)
    assert list(found.itertuples(index=False, name=None)) == sorted((*key, q) for key, q in rows.items())


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n", b"store_id,sku,target_quantity\n1,2\n", b"store_id,sku,target_quantity\n1,2,x\n", b"\xff"]
)
def test_damaged_file_raises_an_error(data: bytes) -> None:
    with pytest.raises(PublicationError, match=r"^replenishment.csv: "):
        read_replenishment(data, OutputSettings())


def test_ids_that_spreadsheets_execute_raise_an_alarm() -> None:
    assert formula_ids(targets(("1", "a", 1), ("-5", "b-1", 1))) == []
    (alarm,) = formula_ids(targets(("@1", "=a", 1), ("@1", "-b", 1), ("2", "c", 1)))
    assert (alarm.name, alarm.stores, alarm.skus, alarm.count) == ("formula_ids", ["@1"], ["-b", "=a"], 3)
    assert alarm.message.endswith("store_id: @1; sku: -b, =a (2 in all)")
