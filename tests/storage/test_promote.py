"""Publication of a folder is atomic: readers see the complete new folder or the complete old one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import ConfigError, StorageError
from tasks.storage.lake import Lake, open_lake

pytestmark = pytest.mark.slow

KEY = "runs/2024-01-01"
LAST = "replenishment.csv"


class Killed(BaseException):
    """Simulates the end of the process: no code catches it."""


def folder_of(path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def published(lake: Lake) -> dict[str, str]:
    return {key.removeprefix(f"{KEY}/"): lake.read_bytes(key).decode() for key in lake.keys(KEY)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "old", **{LAST: "old targets", "plots__a.svg": "old", "gone.csv": "old"})


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "new", **{LAST: "new targets", "plots__a.svg": "new", "fresh.csv": "new"})


OLD = {LAST: "old targets", "plots/a.svg": "old", "gone.csv": "old"}
NEW = {LAST: "new targets", "plots/a.svg": "new", "fresh.csv": "new"}


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "lake") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/lake"


def test_promote_replaces_the_complete_folder(root: str, old: Path, new: Path) -> None:
    lake = open_lake(root)
    lake.write_bytes(f"{KEY}-b/other.csv", b"beside")
    lake.promote(old, KEY, LAST)
    assert published(lake) == OLD
    lake.promote(new, KEY, LAST)
    assert published(lake) == NEW
    assert lake.read_bytes(f"{KEY}-b/other.csv") == b"beside"
    assert lake.keys("") == sorted([f"{KEY}-b/other.csv", *(f"{KEY}/{name}" for name in NEW)])
    assert (new / LAST).is_file()


def test_folder_without_its_last_file_raises_an_error(root: str, old: Path, new: Path) -> None:
    lake = open_lake(root)
    lake.promote(old, KEY, LAST)
    (new / LAST).unlink()
    with pytest.raises(StorageError, match=r"replenishment.csv is missing; found fresh.csv, plots/a.svg"):
        lake.promote(new, KEY, LAST)
    assert published(lake) == OLD


def _failing_at(call: int, real: Callable, error: BaseException) -> Callable:
    count = iter(range(1, 1000))

    def wrapped(*args: object, **kwargs: object) -> object:
        if next(count) == call:
            raise error
        return real(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize("call", [1, 2])
def test_failed_rename_keeps_the_old_folder(
    call: int, tmp_path: Path, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    lake.promote(old, KEY, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _failing_at(call, Path.rename, OSError("no space left")))
        with pytest.raises(StorageError, match=r"could not be replaced.*no space left.*previous folder is kept"):
            lake.promote(new, KEY, LAST)
    assert published(lake) == OLD
    lake.promote(new, KEY, LAST)
    assert published(lake) == NEW


@pytest.mark.parametrize("recovery", ["open", "promote"])
def test_crash_between_the_renames_is_recovered(
    recovery: str, tmp_path: Path, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    lake.promote(old, KEY, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _failing_at(2, Path.rename, Killed()))
        with pytest.raises(Killed):
            lake.promote(new, KEY, LAST)
    assert published(lake) == {}
    if recovery == "open":
        lake = open_lake(str(tmp_path / "lake"))
        assert published(lake) == OLD
    lake.promote(new, KEY, LAST)
    assert published(lake) == NEW
    assert [path.name for path in (tmp_path / "lake" / ".promote").iterdir()] == ["lock"]


def test_crash_while_copying_keeps_the_old_folder(
    tmp_path: Path, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    lake = open_lake(str(tmp_path / "lake"))
    lake.promote(old, KEY, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", _failing_at(2, shutil.copyfile, OSError("disk")))
        with pytest.raises(StorageError):
            lake.promote(new, KEY, LAST)
    assert published(lake) == OLD


@pytest.mark.parametrize("call", range(1, 4))
def test_failed_copy_in_the_bucket_restores_the_old_folder(
    call: int, bucket: str, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    lake = open_lake(f"{bucket}/lake")
    lake.promote(old, KEY, LAST)
    error = EndpointConnectionError(endpoint_url="http://twin")
    copies_aside = len(OLD)
    with monkeypatch.context() as patched:
        patched.setattr(lake._client, "copy", _failing_at(copies_aside + call, lake._client.copy, error))
        with pytest.raises(StorageError, match="cannot be accessed"):
            lake.promote(new, KEY, LAST)
    assert published(lake) == OLD
    lake.promote(new, KEY, LAST)
    assert published(lake) == NEW


def test_crash_in_the_bucket_is_recovered_by_the_next_promotion(
    bucket: str, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(f"{bucket}/lake")
    lake.promote(old, KEY, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(lake._client, "copy", _failing_at(len(OLD) + 2, lake._client.copy, Killed()))
        with pytest.raises(Killed):
            lake.promote(new, KEY, LAST)
    assert published(lake)[LAST] == "old targets"
    newest = folder_of(new.parent / "newest", **{LAST: "newest targets"})
    lake.promote(newest, KEY, LAST)
    assert published(lake) == {LAST: "newest targets"}
    assert lake._below(".promote") == []


def test_failed_upload_changes_nothing(bucket: str, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boto3.exceptions import S3UploadFailedError

    lake = open_lake(f"{bucket}/lake")
    lake.promote(old, KEY, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(lake._client, "upload_file", _failing_at(2, lake._client.upload_file, S3UploadFailedError("x")))
        with pytest.raises((StorageError, ConfigError)):
            lake.promote(new, KEY, LAST)
    assert published(lake) == OLD


def test_last_file_is_copied_last_in_the_bucket(bucket: str, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = open_lake(f"{bucket}/lake")
    copied: list[str] = []
    real = lake._client.copy

    def noting(source: dict, target_bucket: str, key: str) -> None:
        copied.append(key)
        real(source, target_bucket, key)

    monkeypatch.setattr(lake._client, "copy", noting)
    lake.promote(new, KEY, LAST)
    assert copied[-1] == f"lake/{KEY}/{LAST}"
