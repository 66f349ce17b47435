"""The manifest: masked secrets, determinism, and equality of runs."""

from __future__ import annotations

import json

import pytest

from tasks.publication.manifest import build_manifest, masked, package_versions, same_run
from tests.publication import fake_run


@pytest.mark.parametrize("name", ["password", "db_passwd", "SECRET", "aws_secret_access_key", "token", "key", "apiKey"])
def test_secrets_are_masked_by_key_name(name: str) -> None:
    assert masked({"deep": [{name: "abc"}]}) == {"deep": [{name: "***"}]}
    assert masked({name: {"nested": "abc"}}) == {name: "***"}
    assert masked({name: None}) == {name: None}


def test_other_values_are_not_masked() -> None:
    plain = {"columns": {"sku": "Cod_Producto"}, "horizon": 28, "monkey": "x", "path": "s3://bucket/a@b/c.csv"}
    assert masked(plain) == plain


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host/a.csv", "https://***@host/a.csv"),
        ("s3://AKIA:secret@bucket/a", "s3://***@bucket/a"),
        ("https://h/a?X-Amz-Signature=1f&page=2", "https://h/a?X-Amz-Signature=***&page=2"),
    ],
)
def test_secrets_in_addresses_are_masked(url: str, shown: str) -> None:
    assert masked({"path": url}) == {"path": shown}


def test_manifest_has_all_documented_fields() -> None:
    run = fake_run.context()
    content = json.loads(build_manifest(run, fake_run.facts(), {"costs.csv": "12"}, None))
    assert content["as_of"] == "2025-01-02"
    assert content["settings"]["horizon"] == 14
    assert content["settings_sha256"] == run.settings.digest()
    assert [file["table"] for file in content["inputs"]] == ["sales", "stores"]
    assert content["inputs"][0]["rows_read"] == 2845641
    assert content["seconds"] == {"ingest": 12.5, "plan": 30.0}
    assert content["outputs"] == {"costs.csv": "12"}
    assert content["packages"]["pandas"] == package_versions()["pandas"]
    assert content["code_version"]


def test_bytes_do_not_depend_on_the_order_of_facts() -> None:
    run, facts = fake_run.context(), fake_run.facts()
    turned = fake_run.facts(inputs=facts.inputs[::-1], seconds=dict(reversed(facts.seconds.items())))
    assert build_manifest(run, facts, {"a": "1", "b": "2"}, None) == build_manifest(
        run, turned, {"b": "2", "a": "1"}, None
    )


def test_manifests_of_the_same_run_differ_only_in_seconds() -> None:
    one = json.loads(build_manifest(fake_run.context(), fake_run.facts(), {}, None))
    assert same_run(one, {**one, "seconds": {"ingest": 1.0}, "settings": {"compute": {"engine": "dask"}}})
    assert not same_run(one, {**one, "settings_sha256": "0"})


def test_manifest_contains_no_secret_setting() -> None:
    sources = {name: {"path": f"https://user:hunter2@host/{name}.csv"} for name in ("sales", "products", "stores")}
    assert b"hunter2" not in build_manifest(fake_run.context(sources=sources), fake_run.facts(), {}, None)
