"""`restock explain`: parts that add up, words for what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.group import cli
from schemas.errors import ConfigError
from tests.flows import mini_company


def ask(company: Path, **changed: str) -> str:
    given = {"settings": str(company), "as-of": mini_company.AS_OF, "store": "2", "category": "10"}
    given |= {"date": "2024-07-06"} | changed
    answer = CliRunner().invoke(cli, ["explain", *(f"--{name}={value}" for name, value in given.items())])
    if answer.exception:
        raise answer.exception
    return answer.output


def test_the_parts_add_up_to_the_median(company: Path) -> None:
    answer = ask(company)
    total = float(re.search(r"median is ([\d.,]+) units", answer).group(1).replace(",", ""))
    parts = [float(text.replace(",", "")) for text in re.findall(r"^ *([+-][\d.,]+)  ", answer, re.MULTILINE)]
    assert len(parts) > 3
    assert sum(parts) == pytest.approx(total, abs=0.01 * len(parts))
    # SKU 10 sells 12 units on an average day in the first store, half as much again in the second.
    assert 10 < total < 50
    assert "recent level" in answer
    assert "Most important features" in answer


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"store": "9"}, "--store 9: no sales before the run date. Known stores: 001, 2, north/1"),
        ({"category": "77"}, "--category 77: no sales in store 2. Its categories: 0013, 10, 11, A 12"),
        ({"date": "2024-08-30"}, "--date 2024-08-30: not in the horizon"),
    ],
)
def test_what_is_not_there_is_named(company: Path, changed: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        ask(company, **changed)
