"""The report: complete, self-contained, and tolerant of what is absent."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import RunOutputs
from tasks.publication.changes import compare_targets
from tasks.report.drawing import COLOURS
from tasks.report.page import ReportData, render_report
from tests.publication import fake_run

SECTIONS = ["changes", "accuracy", "champions", "forecasts", "costs", "stock", "reasons", "quality", "run"]
VOID = {"meta", "img"}
PICTURE = re.compile(r'src="data:image/webp;base64,[A-Za-z0-9+/=]+"')


@pytest.fixture(scope="module")
def good() -> RunOutputs:
    return fake_run.outputs(stores=4, categories=4)


@pytest.fixture(scope="module")
def text(good: RunOutputs) -> str:
    return page(good)


@pytest.fixture(scope="module")
def unpictured(good: RunOutputs) -> RunOutputs:
    """Quick to make a page of."""
    return replace(good, history=None, stock_by_day=None)


def page(outputs: RunOutputs, previous: pd.DataFrame | None = None, **facts: object) -> str:
    change = None if previous is None else compare_targets(previous, outputs.replenishment, date(2024, 12, 26))
    return render_report(ReportData(fake_run.context(), outputs, fake_run.facts(**facts), change, "0.1.0+abc"))


class Balanced(HTMLParser):
    """Collects ids and links, and fails on tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attrs)
        self.ids.add(str(named.get("id")))
        self.links.add(str(named.get("href", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_every_anchor_leads_somewhere(good: RunOutputs) -> None:
    parser = Balanced()
    parser.feed(page(good, fake_run.outputs(4, 4, seed=2).replenishment))
    assert parser.open == []
    assert set(SECTIONS) <= parser.ids
    assert {link.removeprefix("#") for link in parser.links if link} == set(SECTIONS)


def test_the_page_refers_to_nothing_outside_itself(text: str) -> None:
    rest = PICTURE.sub("", text)
    for mark in ("http", "//", "src=", "@import", "url(", "<script", "<link"):
        assert mark not in rest, mark


def test_the_same_run_gives_the_same_page(text: str) -> None:
    assert text == page(fake_run.outputs(stores=4, categories=4))


def test_a_planner_finds_the_headline(unpictured: RunOutputs) -> None:
    text = page(unpictured, unpictured.replenishment.iloc[1:], stock_given=False)
    for words in (
        "48 store-SKU pairs in 4 stores; 2.1 % changed since 26 Dec 2024",
        "191,370,000",
        "policy genetic; instead of newsvendor 258,100,000, eoq 1,001,820,000",
        "opening stock of every store is taken as 0",
        "The calendar ends before the horizon",
        "Necesita mejora",
        "2,845,641",
        "units: no number",
        "fewer than 2 known periods",
        "20 times the peak",
        "dc_stock exceeded",
        "98.4 %",
        "0.1.0+abc",
    ):
        assert words in text, words


def test_every_picture_says_what_it_shows_and_how_large_it_is(text: str) -> None:
    pictures = re.findall(r'<img class="plot" src="data:[^"]+" alt="([^"]+)" width="\d+" height="\d+">', text)
    stores = [f"Store {store}: stock, sales and capacity by period, genetic beside eoq" for store in range(101, 105)]
    assert pictures[-6:] == ["Stores visited by period", "Map of visits, stores 101 to 104", *stores]
    assert pictures[0] == "Whole network: demand and forecast"
    assert len(pictures) == 1 + 12 + 2 + 4
    assert text.count("<img") == len(pictures)


def test_legends_and_pictures_share_their_colours(text: str) -> None:
    for name, colour in COLOURS.items():
        assert f"--{name}:{colour};" in text
    assert set(re.findall(r"var\(--([a-z0-9]+)\)", text)) <= {*COLOURS, "soft", "b0", "b1", "b2", "b3"}


def test_text_of_the_data_cannot_become_markup(good: RunOutputs) -> None:
    strange = {name: getattr(good, name).replace("101", "<b>&\"'") for name in ("champions", "history", "stock_by_day")}
    forecast = {name: getattr(good, name).replace("101", "<b>&\"'") for name in ("forecast", "backtest")}
    text = page(replace(good, **strange, **forecast), warnings=["<script>alert(1)</script>"])
    assert "<b>&" not in text.replace("<b>Target", "")
    assert "<script" not in text
    assert "&lt;b&gt;&amp;" in text


@pytest.mark.parametrize(
    "absent",
    [
        {"history": None, "stock_by_day": None, "cleaning_log": None},
        {"history": "empty", "stock_by_day": "empty", "cleaning_log": "empty"},
        {"backtest": "empty", "metrics": "empty"},
        {"visits": "empty", "deliveries": "empty"},
        {name: "empty" for name in ("champions", "forecast", "backtest", "metrics", "replenishment", "history")},
    ],
)
def test_absent_parts_are_told_or_left_out(good: RunOutputs, absent: dict[str, object]) -> None:
    frames = {name: getattr(good, name).iloc[:0] if how == "empty" else how for name, how in absent.items()}
    text = page(replace(good, **frames), failures=(), inputs=(), reasons=(), warnings=())
    parser = Balanced()
    parser.feed(text)
    assert set(SECTIONS) <= parser.ids
    assert ">nan" not in text
    assert "nan%" not in text
    if "backtest" in absent:
        assert "no metric can be computed" in text
    if "stock_by_day" in absent:
        assert "There is no plan by day to draw" in text
    assert "None: every model served every series" in text


def test_unlimited_capacity_is_told(good: RunOutputs) -> None:
    assert good.stock_by_day is not None
    text = page(replace(good, stock_by_day=good.stock_by_day.assign(**{c.CAPACITY: np.nan, c.OVER: 0.0})))
    assert text.count("capacity unlimited") == 4
    assert 'class="store crowded"' not in text


def test_many_warnings_are_cut_and_repeated_ones_told_once(unpictured: RunOutputs) -> None:
    text = page(unpictured, warnings=[f"warning {i // 2}" for i in range(60)])
    assert text.count("<li>warning") == 20
    assert "10 more in the log" in text


def test_the_figures_come_first_and_remarks_are_counted_by_kind_and_folded_away(unpictured: RunOutputs) -> None:
    notes = {"Remarks on forecasts": ["36 rounds", "36 rounds", "1 round"], "Remarks on the plan": []}
    text = page(unpictured, warnings=["stock is old"], notes=notes, stock_given=False)
    assert "<summary>Warnings: 1 · Remarks on forecasts: 2</summary>" in text
    assert "Remarks on the plan" not in text
    order = [text.index(words) for words in ('class="cards"', "No stock table", 'class="remarks"', "stock is old")]
    assert order == sorted(order)
    assert '<details class="remarks" open' not in text
    assert "<summary>Warnings" not in page(unpictured, warnings=())


def test_further_tables_of_the_stages_are_shown(unpictured: RunOutputs) -> None:
    text = page(
        unpictured, summary={"demand_classes": [{"class": "lumpy", "series": 1234}, {"class": "smooth", "series": 5}]}
    )
    assert "demand classes" in text
    assert "1,234" in text


@pytest.mark.parametrize(("frequency", "words"), [("W-MON", "weeks"), ("MS", "months")])
def test_weeks_and_months_are_called_so(unpictured: RunOutputs, frequency: str, words: str) -> None:
    run = fake_run.context(frequency=frequency)
    text = render_report(ReportData(run, unpictured, fake_run.facts(), None, "v"))
    assert f"14 {words}" in text


def test_a_network_of_59_stores_stays_small() -> None:
    text = page(fake_run.outputs(stores=59, categories=100))
    assert len(text.encode()) < 1_000_000
    assert re.search(r"59 of 59 stores, 101 to 159", text)


def test_the_page_says_what_the_lower_bound_holds_for(unpictured: RunOutputs) -> None:
    assert "fall below, where one is known.<" in page(unpictured)
    told = unpictured.costs.assign(bound_holds_for="every plan <without> returns")
    assert "it holds for every plan &lt;without&gt; returns.<" in page(replace(unpictured, costs=told))


def test_the_inventory_cost_of_every_model_stands_where_it_ranked_them(unpictured: RunOutputs) -> None:
    plain = page(unpictured)
    assert "nventory cost a period" not in plain
    costed = page(replace(unpictured, backtest=unpictured.backtest.assign(**{c.INVENTORY_COST: 1.2345})))
    assert costed.count("1.234") == 1 + unpictured.backtest[c.MODEL].nunique()
    assert "Inventory cost a period" in costed
    assert "Models were ranked by inventory cost (expert.selection.loss)" in costed
