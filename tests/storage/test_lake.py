"""The lake in a local folder and in a bucket."""

from __future__ import annotations

import builtins
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigError, StorageError
from schemas.records import FileRef, TableRef
from tasks.configuration.settings_file import load_settings
from tasks.storage.arrow_tables import PART_ROWS
from tasks.storage.aws import _kept_client, client
from tasks.storage.lake import Lake, open_lake


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    if request.param == "folder":
        yield open_lake(str(tmp_path / "lake"))
    else:
        yield open_lake(f"{request.getfixturevalue('bucket')}/some/prefix")


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "store": pd.Categorical(["b", "a", None], categories=["b", "a", "unused"]),
            "sku": ["007", None, "ñandú"],
            "date": pd.to_datetime(["2024-01-01", None, "2024-02-29"]),
            "small": np.array([1.5, np.nan, -0.1], dtype=np.float32),
            "wide": [0.1, np.inf, np.nan],
            "whole": [1, 2, 3],
            "flag": [True, False, True],
        }
    )


def test_table_round_trip(lake: Lake) -> None:
    ref = lake.write_table("panel", frame())
    pd.testing.assert_frame_equal(lake.read_table(ref), frame())
    assert ref.key == f"panel/{ref.sha256[:24]}.parquet"
    assert ref.rows == 3
    assert list(lake.read_table(ref, ["wide", "sku"]).columns) == ["wide", "sku"]


def test_a_table_in_parts_has_the_bytes_of_the_whole_table(tmp_path: Path) -> None:
    lake, rows = open_lake(str(tmp_path / "lake")), PART_ROWS + 5
    late = np.full(rows, None, dtype=object)
    late[-2:] = "x"
    columns = {"late": late, "never": np.full(rows, None, dtype=object), "units": np.arange(rows) / 7}
    whole = pd.DataFrame(columns).assign(date=pd.Timestamp("2024-01-01"), sku="007")
    parts = [whole.iloc[:PART_ROWS], whole.iloc[PART_ROWS:].reset_index(drop=True)]
    written = lake.write_parts("t", iter(parts), ["never"])
    assert written == lake.write_table("t", whole)
    blocks = list(lake.read_blocks(written, ["units", "sku"]))
    assert [len(block) for block in blocks] == [PART_ROWS, 5]
    pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), whole[["units", "sku"]])
    small = frame().drop(columns="store")
    assert lake.write_parts("t", iter([small])) == lake.write_table("t", small)


def test_blocks_are_read_one_row_group_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of pyarrow keeps the bytes of all row groups that it has read."""
    lake = open_lake(str(tmp_path))
    ref = lake.write_table("t", pd.DataFrame({"n": np.arange(2 * PART_ROWS + 1)}))
    groups: list[list[int]] = []
    read = pq.ParquetFile.iter_batches

    def recorded(file: pq.ParquetFile, *given: Any, **named: Any) -> Any:
        groups.append(named["row_groups"])
        return read(file, *given, **named)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", recorded)
    between = (PART_ROWS - 1, 2 * PART_ROWS + 1)
    assert [block["n"].tolist() for block in lake.read_blocks(ref, between=between) if len(block) < 2] == [
        [PART_ROWS - 1],
        [2 * PART_ROWS],
    ]
    assert groups == [[0], [1], [2]]


def test_an_empty_table_keeps_its_types(lake: Lake) -> None:
    empty = frame().iloc[:0]
    ref = lake.write_table("t", empty)
    assert [block.columns.tolist() for block in lake.read_blocks(ref)] == [empty.columns.tolist()]
    back = lake.read_table(ref)
    assert back.empty
    # Parquet keeps the categorical type of an empty column, but not its categories.
    assert [dtype.name for dtype in back.dtypes] == [dtype.name for dtype in empty.dtypes]


def test_key_does_not_depend_on_the_index(lake: Lake) -> None:
    first = lake.write_table("t", frame())
    assert lake.write_table("t", frame().set_index(pd.Index([7, 5, 1]))) == first
    assert lake.write_table("t", frame().iloc[::-1]) != first
    assert len(lake.keys("t")) == 2


def test_mixed_types_raise_an_error_that_names_the_column(lake: Lake) -> None:
    with pytest.raises(StorageError, match="column odd"):
        lake.write_table("t", pd.DataFrame({"odd": [1, "x"]}))
    assert lake.keys("") == []


def test_missing_and_damaged_tables_raise_errors_with_instructions(lake: Lake) -> None:
    with pytest.raises(StorageError, match=r"missing from the lake.*--force"):
        lake.read_table(TableRef(key="t/none.parquet", rows=1, sha256="0"))
    damaged = lake.write_bytes("t/bad.parquet", b"PAR1 not at all")
    with pytest.raises(StorageError, match=r"not a readable Parquet.*run again"):
        lake.read_table(TableRef(key=damaged.key, rows=1, sha256=damaged.sha256))
    with pytest.raises(StorageError, match=r"not a readable Parquet.*run again"):
        list(lake.read_blocks(TableRef(key=damaged.key, rows=1, sha256=damaged.sha256)))
    with pytest.raises(StorageError, match=r"missing columns zip; it has store, sku"):
        lake.read_table(lake.write_table("t", frame()), ["sku", "zip"])


def test_a_shared_folder_that_disappears_is_reported_and_not_replaced(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    ref = lake.write_table("features/x", pd.DataFrame({"x": [1.0]}))
    shutil.rmtree(tmp_path / "lake")
    assert not lake.holds(ref)
    gone = rf"storage: {tmp_path}/lake is no longer there: .* Mount it again and start the run again with the same date"
    with pytest.raises(StorageError, match=gone):
        lake.read_table(ref)
    with pytest.raises(StorageError, match=gone):
        lake.write_table("features/x", pd.DataFrame({"x": [1.0]}))
    with pytest.raises(StorageError, match=gone):
        lake.exclusive().__enter__()
    (tmp_path / "lake").mkdir()  # the mount point of the share
    with pytest.raises(StorageError, match=gone):
        open_lake(str(tmp_path / "lake"))
    assert not list((tmp_path / "lake").rglob("*"))


def test_files_are_replaced_listed_and_deleted(lake: Lake) -> None:
    lake.write_bytes("a/b/c.csv", b"old")
    ref = lake.write_bytes("a/b/c.csv", b"new")
    lake.write_bytes("ab/d.csv", b"x")
    assert (ref.bytes, lake.read_bytes("a/b/c.csv")) == (3, b"new")
    assert lake.keys("a") == ["a/b/c.csv"]
    assert lake.keys("") == ["a/b/c.csv", "ab/d.csv"]
    assert lake.keys("nothing/here") == []
    assert lake.local_copy("a/b/c.csv").read_bytes() == b"new"
    lake.delete("a/b/c.csv")
    lake.delete("a/b/c.csv")
    assert not lake.exists("a/b/c.csv")
    with pytest.raises(StorageError, match="missing from the lake"):
        lake.read_bytes("a/b/c.csv")
    with pytest.raises(StorageError, match="missing from the lake"):
        lake.local_copy("a/b/c.csv")


def test_holds_checks_existence_and_checksum(lake: Lake) -> None:
    ref = lake.write_bytes("a", b"one")
    assert lake.holds(ref)
    assert not lake.holds(FileRef(key="b", bytes=3, sha256=ref.sha256))
    lake.write_bytes("a", b"two")
    assert not lake.holds(ref)


def test_records_are_stored_and_loaded(lake: Lake) -> None:
    assert lake.load_record("ingest", "k1") is None
    lake.store_record("ingest", "k1", {"rows": 3, "name": "año"})
    assert lake.load_record("ingest", "k1") == {"rows": 3, "name": "año"}
    assert lake.exists("records/ingest/k1.json")
    lake.write_bytes("records/ingest/k1.json", b'{"rows"')
    assert lake.load_record("ingest", "k1") is None


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../../b", "a//b", "./a", "a\\b"])
def test_invalid_keys_are_rejected(lake: Lake, key: str) -> None:
    with pytest.raises(StorageError, match="not a valid key of the lake"):
        lake.write_bytes(key, b"x")


def test_uri_of_an_object(tmp_path: Path, bucket: str) -> None:
    assert open_lake(str(tmp_path)).uri("a/b") == f"{tmp_path}/a/b"
    assert open_lake(f"{bucket}/p/").uri("a/b") == f"{bucket}/p/a/b"
    assert open_lake(bucket).uri("a") == f"{bucket}/a"


def test_a_bucket_without_prefix_works(bucket: str) -> None:
    lake = open_lake(bucket)
    lake.write_bytes("a/b", b"x")
    assert lake.keys("") == ["a/b"]


def _write_often(root: str) -> None:
    lake = open_lake(root)
    for _ in range(25):
        ref = lake.write_table("t", frame())
        lake.write_bytes("same", b"x" * 100_000)
        if not lake.holds(ref) or len(lake.read_bytes("same")) != 100_000:
            sys.exit(1)


def test_two_processes_may_write_the_same_key(tmp_path: Path) -> None:
    # Spawned processes: a fork would inherit threads and servers that other tests started.
    script = "import sys; from tests.storage.test_lake import _write_often; _write_often(sys.argv[1])"
    command = [sys.executable, "-c", script, str(tmp_path)]
    workers = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    assert len(open_lake(str(tmp_path)).keys("")) == 2
    assert not any((tmp_path / ".tmp").iterdir())


def test_a_file_cannot_be_the_lake_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"storage: .*file cannot be used"):
        open_lake(str(tmp_path / "file"))


def test_unknown_bucket_raises_config_error(bucket: str) -> None:
    with pytest.raises(ConfigError, match=r"s3://nowhere-at-all.*bucket does not exist"):
        open_lake("s3://nowhere-at-all/x")
    with pytest.raises(ConfigError, match="has no bucket"):
        open_lake("s3://")


def test_missing_boto3_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_boto3(name: str, *args: object, **kwargs: object) -> object:
        if name.partition(".")[0] in ("boto3", "botocore"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    _kept_client.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_boto3)
    with pytest.raises(ConfigError, match=r"restock\[aws\]"):
        open_lake("s3://bucket/prefix")


def test_object_without_stored_checksum_is_checked_by_its_bytes(bucket: str) -> None:
    import boto3

    lake = open_lake(bucket)
    ref = lake.write_bytes("a", b"one")
    boto3.client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key="a", Body=b"one")
    assert lake.holds(ref)
    boto3.client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key="a", Body=b"two")
    assert not lake.holds(ref)


def test_the_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="by-endpoint")
        lake = open_lake("s3://by-endpoint/lake")
        assert lake.read_table(lake.write_table("t", frame())).shape == (3, 7)
    finally:
        server.stop()


def test_settings_may_lie_in_a_bucket_and_relative_paths_with_them(bucket: str) -> None:
    text = "name: shoes\nsources:\n" + "".join(
        f"  {name}: {{path: data/{name}.csv}}\n" for name in ("sales", "products", "stores")
    )
    key = "company/settings.yaml"
    client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key=key, Body=text.encode())
    found = load_settings(Path(f"{bucket}/{key}"), ["seed=8"])
    assert found.sources.sales.path == f"{bucket}/company/data/sales.csv"
    assert found.storage == f"{bucket}/company/lake"
    assert found.seed == 8
    with pytest.raises(ConfigError, match=rf"The settings file {bucket}/other\.yaml does not exist"):
        load_settings(Path(f"{bucket}/other.yaml"))
