"""The command line itself: it starts fast, and its help is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli.group import MODULES, SECTIONS, cli
from schemas.errors import PipelineError
from tests.demand.inspect.companies import write_english

ROOT = Path(__file__).parents[2]


def imported_by(statement: str) -> set[str]:
    """The packages in memory after a statement in a fresh process."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_neither_prefect_nor_pandas() -> None:
    found = imported_by("from flows.cli.group import cli\ncli.main(['--help'], standalone_mode=False)")
    assert "click" in found
    assert not found & {"prefect", "pandas", "numpy", "pydantic"}


def test_questions_and_the_check_of_the_settings_do_not_import_prefect() -> None:
    found = imported_by("import flows.preparation, tasks.answers.why, tasks.answers.what_if, tasks.answers.explain")
    assert "pandas" in found
    assert "prefect" not in found


def test_init_and_check_import_neither_prefect_nor_great_expectations(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_english(folder)
    settings = tmp_path / "settings.yaml"
    run = "cli.main({!r}, standalone_mode=False)"
    init = run.format(["init", str(folder), "--settings", str(settings)])
    check = run.format(["check", "--settings", str(settings), "--as-of", "2024-08-31"])
    found = imported_by(f"from flows.cli.group import cli\n{init}\n{check}")
    assert "pandas" in found
    assert not found & {"prefect", "great_expectations", "numba", "xgboost", "torch"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exports", "settings.yaml"]


def test_the_settings_are_read_from_the_working_directory_by_default() -> None:
    for name in ("weekly", "ingest", "check", "why"):
        option = next(option for option in command(name).params if option.name == "settings_file")
        assert (option.default, option.required) == ("settings.yaml", False)


def test_check_ends_with_code_2_where_a_run_would_stop(tmp_path: Path) -> None:
    write_english(tmp_path / "exports")
    settings = str(tmp_path / "settings.yaml")
    assert CliRunner().invoke(cli, ["init", str(tmp_path / "exports"), "--settings", settings]).exit_code == 0
    done = CliRunner().invoke(cli, ["check", "--settings", settings, "--as-of", "2023-01-01"])
    assert isinstance(done.exception, PipelineError)
    assert done.exception.exit_code == 2
    assert "Result: a run would stop." in done.output


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_command_and_each_of_its_options_have_a_help_text(name: str) -> None:
    assert command(name).name == name
    assert command(name).get_short_help_str(limit=70).endswith(".")
    options = [option for option in command(name).params if isinstance(option, click.Option)]
    assert not [option.name for option in options if not option.help]


def test_the_help_page_lists_every_command_in_one_section() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    for title, names in SECTIONS.items():
        section = shown.partition(f"{title}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == list(names)


def test_the_help_of_baselines_names_the_models_of_the_settings() -> None:
    shown = CliRunner().invoke(cli, ["baselines", "--help"]).output
    assert "xgboost_lags" in shown
    assert "theta" in shown


def test_an_unknown_command_ends_with_code_2() -> None:
    done = CliRunner().invoke(cli, ["weakly"])
    assert done.exit_code == 2
    assert "No such command 'weakly'" in done.output
