"""Secrets that somebody wrote into settings appear nowhere: messages, manifest, artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.group import cli
from schemas.errors import ConfigError, PipelineError
from schemas.secrets import without_secrets
from tasks.publication.manifest import build_manifest
from tasks.report.artifact_tables import display_value
from tests.flows import mini_company
from tests.publication import fake_run

PLANTED = "planted-secret"
ADDRESSES = [f"https://me:{PLANTED}@host/x.csv?token={PLANTED}", f"s3://me:{PLANTED}@bucket/x.csv"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini_company.write(tmp_path_factory.mktemp("company"))


@pytest.mark.parametrize(
    "given",
    [
        *(f"sources.sales.path={address}" for address in ADDRESSES),
        *(f"storage={address}" for address in ADDRESSES),
        *(f"sources.stock.path={address}*" for address in ADDRESSES),
        *(f"password={PLANTED}", f"sources.sales.password={PLANTED}", f"output.delimiter=https://me:{PLANTED}@host"),
    ],
)
def test_no_message_of_the_command_line_has_a_secret(
    settings: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, PLANTED)
    result = CliRunner().invoke(cli, ["check", "--settings", str(settings), "--set", given])
    assert PLANTED not in result.output + str(result.exception)


def test_errors_manifest_and_artifacts_mask_addresses() -> None:
    for address in ADDRESSES:
        assert PLANTED not in str(ConfigError(f"{address} is wrong"))
        assert PLANTED not in str(PipelineError("a", address))
        assert PLANTED not in display_value(f"folder/{address}")
        sources = {name: {"path": address} for name in ("sales", "products", "stores")}
        run = fake_run.context(storage=address, sources=sources)
        assert PLANTED.encode() not in build_manifest(run, fake_run.facts(), {}, None)


@pytest.mark.parametrize(
    "address",
    [
        *("s3://AKIA1:{}/a+b/{}@bucket/x.csv", "https://me:a@{}@host/x", "//me:{}@host/x", "https://:{}@host"),
        *("https://host/x?pwd={}&page=2", "https://host/x?a=1;auth={}", "https://host/#access_token={}"),
    ],
)
def test_keys_with_slashes_and_other_forms_of_secrets_are_masked(address: str) -> None:
    assert PLANTED not in without_secrets(f'"{address.replace("{}", PLANTED)}", and more')


@pytest.mark.parametrize(
    "text",
    [
        *("sources.sales.path: s3://bucket/x.csv", "a@b.example", "stale_sales@2025-02-24"),
        *("s3://bucket/data@2024/x.csv", "https://localhost:4200/x@y", "/data/a:b/c@d", "C:/x/y@z"),
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert without_secrets(text) == text
