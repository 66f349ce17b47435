"""The settings file: every problem at once, in words; paths where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.settings import Settings
from tasks.configuration.settings_file import load_settings, read_settings
from tasks.inventory.registry import unknown_policies

BASE = """
name: shoes
sources:
  sales: {path: data/sales.csv, columns: {units: Uns}}
  products: {path: /abs/products.csv}
  stores: {path: 's3://bucket/stores.csv'}
"""


@pytest.fixture
def company(tmp_path: Path) -> Path:
    folder = tmp_path / "company"
    folder.mkdir()
    return folder


def load(company: Path, text: str = BASE, *overrides: str, cwd: Path | None = None) -> Settings:
    (company / "settings.yaml").write_text(text)
    return read_settings(company / "settings.yaml", overrides, cwd or company.parent, [unknown_policies]).settings


def problems(company: Path, text: str = BASE, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(company, text, *overrides)
    message = str(error.value)
    assert "pydantic" not in message
    assert "http" not in message
    return message


def test_relative_paths_start_at_the_file(company: Path) -> None:
    settings = load(company)
    assert settings.sources.sales.path == str(company / "data/sales.csv")
    assert settings.sources.products.path == "/abs/products.csv"
    assert settings.sources.stores.path == "s3://bucket/stores.csv"
    assert settings.storage == str(company / "lake")


def test_relative_paths_of_overrides_start_at_the_working_directory(company: Path, tmp_path: Path) -> None:
    settings = load(
        company, BASE, "storage=elsewhere", "sources.sales.path=x/../s.csv", "sources.stock={path: stock.csv}"
    )
    assert settings.storage == str(tmp_path / "elsewhere")
    assert settings.sources.sales.path == str(tmp_path / "s.csv")
    assert settings.sources.sales.columns == {"units": "Uns"}
    assert settings.sources.stock is not None
    assert settings.sources.stock.path == str(tmp_path / "stock.csv")


def test_the_digest_does_not_depend_on_where_a_command_starts(
    company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(company).digest()
    assert load(company, cwd=tmp_path / "other").digest() == first
    monkeypatch.chdir(company)
    assert load_settings(Path("settings.yaml")).digest() == first


def test_overrides_are_yaml_and_mappings_are_merged(company: Path) -> None:
    settings = load(
        company,
        BASE + "inventory: {lead_time: 1, eoq: {lead_time: 5}}\n",
        "inventory={review_period: 3, eoq: {max_coverage: 9}}",
        "quantiles=[0.1, 0.5]",
        "horizon=9",
        "inventory.holding_cost=1e-2",
        "country=CL",
        "horizon=10",
        "sources.stock=null",
    )
    assert (settings.inventory.lead_time, settings.inventory.review_period) == (1, 3)
    assert (settings.inventory.eoq.lead_time, settings.inventory.eoq.max_coverage) == (5, 9)
    assert (settings.quantiles, settings.horizon, settings.country) == ([0.1, 0.5], 10, "CL")
    assert settings.inventory.holding_cost == 0.01


def test_null_in_an_override_removes_a_model(company: Path) -> None:
    settings = load(company, BASE, "models={arima: {}, ets: {}}", "models.arima=null")
    assert list(settings.models.named()) == ["ets"]


def test_a_group_without_anything_behind_it_keeps_its_defaults(company: Path) -> None:
    settings = load(company, BASE + "quality:\ninventory:\nmodels:\n  xgboost:\n")
    assert settings.quality.max_quarantined_share == 0.01
    assert list(settings.models.named()) == ["xgboost"]


def test_all_problems_are_listed_with_key_expected_and_got(company: Path) -> None:
    message = problems(
        company,
        BASE.replace("columns: {units: Uns}", "colums: {}")
        + """
horizen: 3
horizon: soon
aggregate: maybe
country: NO
seed: true
lead_time: 2
category: sku
quantiles: [0.5, 0.1]
inventory:
  policies: [eoq, magic]
  shortage_cost: cheap
  service_level: 2
  holding_cost: .inf
  genetic: {popluation: 3}
output: {delimiter: ';;', columns: {shop: x}}
""",
    )
    assert message.startswith("The settings (")
    for line in (
        "sources.sales.colums: unknown key; did you mean sources.sales.columns?",
        "horizen: unknown key; did you mean horizon?",
        "horizon: expected an integer, found 'soon'",
        "aggregate: expected true or false, found 'maybe'",
        "country: expected text, found false (YAML does not read it as text; put it in quotes)",
        "seed: expected a number, found true",
        "lead_time: unknown key; did you mean inventory.lead_time or inventory.eoq.lead_time?",
        "category: expected a list, such as [a, b], found 'sku'",
        "quantiles: quantile levels must be in rising order without repetition (found [0.5, 0.1])",
        "inventory.policies.1: expected 'eoq', 'eoq_published', 'genetic', ",
        "inventory.shortage_cost: expected 'price' or a number, found 'cheap'",
        "inventory.service_level: expected a number below 1, found 2",
        "inventory.holding_cost: expected a finite number, found inf",
        "expert.inventory.genetic.popluation: unknown key; did you mean expert.inventory.genetic.population?",
        "output.delimiter: expected a text of at most 1 character(s), found ';;'",
        "output.columns: no CSV file has the columns shop; expected ",
    ):
        assert f"\n  - {line}" in message
    assert "have 16 problems" in message


def test_a_required_group_is_named(company: Path) -> None:
    assert "have 1 problem:\n  - sources: is required but missing" in problems(company, "name: x\n")
    assert "sources.stores: is required" in problems(
        company, "name: x\nsources: {sales: {path: a}, products: {path: b}}\n"
    )


def test_rules_across_keys_speak_for_themselves(company: Path) -> None:
    message = problems(company, BASE, "horizon=3")
    assert "horizon is 3, but inventory.lead_time + inventory.review_period = 7" in message
    assert "set horizon to at least 7" in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("horizon", "--set horizon: expected key.path=value"),
        ("=3", "--set =3: expected key.path=value"),
        ("a..b=3", "expected key.path=value"),
        ("horizon.days=3", "horizon is 28 in the settings file, a value without keys"),
        ("category.0=x", r"category is ['sku'] in the settings file, a value without keys"),
        ("name=[1", "the value is not valid YAML (line 1"),
        ("name=2024", "name: expected text, found 2024 (YAML does not read it as text; put it in quotes)"),
        ("storage=", "storage: expected text, found no value"),
        ('name="a\\nb"', "name: expected printable text of at most 255 characters: names of runs contain it"),
        ("inventory=3", "inventory: expected a mapping (keys with values), found 3"),
        ("inventory.laed_time=3", "did you mean inventory.lead_time?"),
    ],
)
def test_wrong_overrides(company: Path, override: str, message: str) -> None:
    assert message in problems(company, BASE + "horizon: 28\ncategory: [sku]\n", override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "is not valid YAML: line 2, column 2"),
        (BASE + "name: again\n", "line 7, column 1: the key 'name' occurs twice"),
        (BASE + "storage: {{ lake }}\n", "line 7, column 11: a key must be plain text"),
        (BASE + "extra: 2024-13-45\n", "settings.yaml cannot be read: month must be in 1..12"),
        ("", "contains no settings"),
        ("- a\n", "contains no settings"),
    ],
)
def test_text_that_is_no_settings(company: Path, text: str, message: str) -> None:
    assert message in problems(company, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml does not exist.*--settings"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


def test_old_spellings_are_accepted_with_a_warning(company: Path) -> None:
    path = company / "settings.yaml"
    path.write_text(BASE + "compute: {workers: 3}\nbacktest: {further: 1}\n")
    loaded = read_settings(path, ["inventory.genetic.population=4", "expert.inventory.genetic.generations=5"])
    assert loaded.settings.compute.workers == 3
    assert loaded.settings.backtest.extra_folds == 1
    assert (loaded.settings.inventory.genetic.population, loaded.settings.inventory.genetic.generations) == (4, 5)
    accepted = "The old spelling is accepted until the next release; replace it."
    assert loaded.warnings == (
        f"{path}: backtest.further is now expert.backtest.extra_folds. {accepted}",
        f"{path}: compute.workers is now expert.compute.workers. {accepted}",
        "--set inventory.genetic.population=4: inventory.genetic is now expert.inventory.genetic. " + accepted,
    )


def test_a_file_in_the_current_spelling_has_no_warnings(company: Path) -> None:
    (company / "settings.yaml").write_text(BASE + "expert: {compute: {workers: 3}}\n")
    assert read_settings(company / "settings.yaml").warnings == ()


@pytest.mark.parametrize("override", ["compute.workers=2", "expert.compute.workers=2"])
@pytest.mark.parametrize("place", ["compute: {workers: 3}", "expert: {compute: {workers: 3}}"])
def test_an_override_wins_over_either_place(company: Path, place: str, override: str) -> None:
    assert load(company, f"{BASE}{place}\n", override).compute.workers == 2


def test_an_override_removes_a_group_at_its_old_place(company: Path) -> None:
    text = BASE + "models: {xgboost_lags: {}}\nexpert: {models: {xgboost_lags: {tuning: {}}}}\n"
    tuned = load(company, text).models.xgboost_lags
    untuned = load(company, text, "models.xgboost_lags.tuning=null").models.xgboost_lags
    assert tuned is not None
    assert untuned is not None
    assert (tuned.tuning is None, untuned.tuning is None) == (False, True)


def test_settings_of_a_model_that_is_not_fitted_have_a_warning(company: Path) -> None:
    (company / "settings.yaml").write_text(BASE + "expert: {models: {theta: {max_series: 3}}}\n")
    assert read_settings(company / "settings.yaml").warnings == (
        "expert.models.theta has no effect because models.theta is not fitted. Add models.theta: {} to fit it, or "
        "remove expert.models.theta.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expert: {horizon: 3}", "expert.horizon: not an expert setting; move it to horizon"),
        ("expert: {xgboost: {}}", "expert.xgboost: unknown key; did you mean models.xgboost?"),
        ("expert: {compute: {worker: 3}}", "expert.compute.worker: unknown key; did you mean expert.compute.workers?"),
        ("expert: {compute: {workers: x}}", "expert.compute.workers: expected an integer, found 'x'"),
        ("expert: {compute: {workers: true}}", "expert.compute.workers: expected a number, found true"),
        ("expert: 3", "expert: expected a mapping"),
        ("genetic: {}", "genetic: unknown key; did you mean expert.inventory.genetic?"),
        (
            "compute: {workers: 1}\nexpert: {compute: {workers: 2}}",
            "compute.workers: also set as expert.compute.workers; remove compute.workers",
        ),
        ("inventory: {frozen: {}, blackout: {}}", "inventory.frozen: also set as inventory.blackout"),
        ("compute: {engine: dask}", "compute.engine is dask, but compute.address is absent. Set it to the address of"),
        ("compute: {engine: ray}", "compute.engine: expected 'local' or 'dask', found 'ray'"),
    ],
)
def test_problems_name_the_place_in_the_file(company: Path, text: str, message: str) -> None:
    assert message in problems(company, f"{BASE}{text}\n")


def test_numbers_with_colons_or_leading_zeros_are_text(company: Path) -> None:
    settings = load(company, BASE.replace("columns: {units: Uns}", "ignore: {store_id: [190:20:30, 007, 12]}"))
    assert settings.sources.sales.ignore == {"store_id": ["190:20:30", "007", "12"]}
    assert "horizon: expected an integer, found '190:20:30'" in problems(company, BASE + "horizon: 190:20:30\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 3000, "more than 50 levels of nesting"),
        ("a: " + "{b: " * 3000, "more than 50 levels of nesting"),
        ("a: &x [*x]", r"aliases \(\*name\) give more than 100,000 values"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{name}: &{name} [{', '.join([f'*{above}'] * 10)}]\n"
                for above, name in zip("abcdefg", "bcdefgh", strict=True)
            ),
            "aliases",
        ),
        ("x" * (2 << 20), "is larger than 1,048,576 bytes"),
    ],
)
def test_files_that_exhaust_the_reader_are_errors(company: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(company, text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("horizon: 3650", "horizon is 3,650 periods of frequency D; at most 730 are possible"),
        ("horizon: 100000000000000000000", "time and memory grow with it"),
        ("quantiles: [1.0e-9, 0.5]", "quantile levels must be between 0.001 and 0.999"),
        ("quality: {max_quarantined_share: {sale: 0.1}}", "unknown table sale; expected stores, products, sales"),
        ('storage: "a\\0b"', "storage: not a folder"),
        ("storage: " + "x" * 300, "storage: a folder's name is longer than 255 bytes"),
        ("category: [brand, brand]", "category: every product column must have a name and occur once"),
        ("backtest: {windows: 1000000}", "backtest.windows: expected a number of at most 1000"),
    ],
)
def test_values_beyond_what_can_be_computed(company: Path, line: str, words: str) -> None:
    assert words in problems(company, f"{BASE}{line}\n")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("date_format: DD/MM/YYYY", "not a date format; expected year, month and day"),
        ("date_format: '%H:%M'", "not a date format"),
        ("date_format: '%s'", "%s is not supported in a date format"),
        ("date_format: '%Y-%m-%dT%H:%M%z'", "%z is not supported in a date format"),
        ("date_format: '%Q'", "not a date format"),
        ("timezone: Mars/Phobos", "unknown time zone"),
        ("timezone: ../../etc/passwd", "unknown time zone"),
        ("thousands: ',', decimal: ','", "thousands and decimal are both ','"),
        ("header_row: 0", "expected a number of at least 1"),
        ("conversion: {BX: 0}", "expected a number above 0"),
        ("ignore: {store_id: [NO]}", "expected text, found false (YAML does not read it as text; put it in quotes)"),
    ],
)
def test_reading_rules_that_cannot_be_followed(company: Path, rule: str, words: str) -> None:
    assert words in problems(company, BASE.replace("columns: {units: Uns}", rule))


def test_country_codes_in_lower_case_are_accepted(company: Path) -> None:
    assert load(company, BASE + "country: cl\n").country == "CL"


def test_a_share_of_one_table_replaces_the_number_of_the_file(company: Path) -> None:
    settings = load(company, BASE, "quality.max_quarantined_share={sales: 0.1}")
    assert settings.quality.max_quarantined_share == {"sales": 0.1}
    text = BASE + "quality: {max_quarantined_share: 0.02}\n"
    assert load(company, text, "quality.max_quarantined_share={sales: 0.1}").quality == settings.quality
