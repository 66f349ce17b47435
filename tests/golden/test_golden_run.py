"""The golden run: every published file of one small company, compared with what is stored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial

import pytest

from tests.commands import LIGHT, Restock
from tests.golden.fingerprint import differences, platform_fingerprint
from tests.golden.snapshot import Snapshot, take_snapshots
from tests.golden.stored import byte_differences, figure_differences, read_stored
from tests.golden.weekly_run import publish_golden_run

STORED = read_stored()
HOW_TO_RECORD = "If the change is intended, run: python -m tests.golden.record (see tests/golden/README.md)."


@pytest.fixture(scope="module")
def found(
    restock: Restock, prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Snapshot]:
    """Every file that the golden company's week publishes; Great Expectations judges its rows."""
    company = tmp_path_factory.mktemp("golden").resolve() / "company"
    ordinary = {name: value for name, value in prefect_server.items() if name not in LIGHT}
    return take_snapshots(publish_golden_run(company, partial(restock, environment=ordinary)), company)


@pytest.fixture(scope="module")
def same_platform() -> bool:
    """Whether bytes can be compared: the golden run was recorded on such a processor, with these packages."""
    other = differences(dict(STORED.platform), platform_fingerprint())
    if other:
        warnings.warn(
            "The bytes of the golden run were NOT compared, only its figures within rounding: it was recorded on "
            f"another processor or with other packages ({'; '.join(other)})",
            stacklevel=1,
        )
    return not other


@pytest.mark.flow
def test_the_same_files_are_published(found: Mapping[str, Snapshot]) -> None:
    assert sorted(found) == sorted(STORED.files), HOW_TO_RECORD


@pytest.mark.flow
@pytest.mark.parametrize("name", sorted(STORED.files))
def test_a_published_file_is_unchanged(name: str, found: Mapping[str, Snapshot], same_platform: bool) -> None:
    assert name in found, f"{name} is no longer published. {HOW_TO_RECORD}"
    compare = byte_differences if same_platform else figure_differences
    difference = compare(STORED.files[name], found[name])
    if difference:
        pytest.fail(f"{difference}\n{HOW_TO_RECORD}", pytrace=False)
