"""The report: complete, self-contained, and robust to missing tables."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import date
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.alarms import Alarm, Severity
from schemas.outputs import RunOutputs
from tasks.publication.changes import compare_targets
from tasks.report.drawing import COLORS
from tasks.report.page import ReportData, render_report
from tests.publication import fake_run

pytestmark = pytest.mark.slow

SECTIONS = [
    *("week", "exceptions", "forecasts", "accuracy", "costs", "stock", "reasons", "quality", "models", "run"),
]
VOID = {"meta", "img", "input"}
LEGENDS = {*(f"{part}{i}" for part in "bk" for i in range(4)), "band", "sales", "alarm"} | {
    f"c-{name}" for name in COLORS
}
PICTURE = re.compile(r'src="data:image/webp;base64,[A-Za-z0-9+/=]+"')


@pytest.fixture(scope="module")
def good() -> RunOutputs:
    return fake_run.outputs(stores=4, categories=4)


@pytest.fixture(scope="module")
def text(good: RunOutputs) -> str:
    return page(good)


@pytest.fixture(scope="module")
def small() -> RunOutputs:
    """Outputs with few figures, because drawing them takes most of the time."""
    return fake_run.outputs(stores=2, categories=2)


@pytest.fixture
def without_figures(good: RunOutputs, page_without_figures: None) -> RunOutputs:
    """Outputs without the tables of figures, and a page without the others: they take most of the time."""
    return replace(good, history=None, stock_by_day=None)


def page(outputs: RunOutputs, previous: pd.DataFrame | None = None, **facts: object) -> str:
    change = None if previous is None else compare_targets(previous, outputs.replenishment, date(2024, 12, 26))
    return render_report(ReportData(fake_run.context(), outputs, fake_run.facts(**facts), change, "0.1.0+abc"))


class Balanced(HTMLParser):
    """Collect ids and links; fail on tags that are not nested correctly."""

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


def test_page_is_well_formed_and_every_anchor_exists(small: RunOutputs) -> None:
    parser = Balanced()
    parser.feed(page(small, fake_run.outputs(2, 2, seed=2).replenishment))
    assert parser.open == []
    assert set(SECTIONS) <= parser.ids
    assert {link.removeprefix("#") for link in parser.links if link} == set(SECTIONS)


def test_page_has_no_external_references(text: str) -> None:
    rest = re.sub(r"'sha256-[^']+'", "", unescape(PICTURE.sub("", text)))
    for mark in ("http:", "https:", "//", "src=", "@import", "url(", "<link", "style=", "onclick"):
        assert mark not in rest, mark


def test_only_the_style_and_the_script_of_the_page_may_run(text: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    given = unescape(policy[1])
    assert given.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for tag in ("style", "script"):
        parts = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(parts) == 1
        digest = b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in given


def test_equal_runs_have_equal_pages(text: str) -> None:
    assert text == page(fake_run.outputs(stores=4, categories=4))


def test_page_shows_key_figures_and_data_quality(without_figures: RunOutputs) -> None:
    text = page(without_figures, without_figures.replenishment.iloc[1:], stock_given=False)
    for words in (
        "48 store-SKU pairs, 4 stores; 2.1 % changed since 26 Dec 2024",
        "spends 97,500,000: transport 97,500,000, holding 0.",
        "The total counts a penalty of 2,000,000 for it",
        "Expected lost sales: 91,870,000",
        "The fill rate 98.4 % reaches the service level 95.0 %",
        "opening stock of every store is taken as 0",
        "The calendar ends before the horizon",
        "Forecast error, sums of 7 days",
        "Poor",
        "2,845,641",
        "units: no number",
        "fewer than 2 known periods",
        "20 times the peak",
        "dc_stock exceeded",
        "0.1.0+abc",
    ):
        assert words in text, words
    assert "all demand is met" not in text


def test_every_image_has_alt_text_and_size(text: str) -> None:
    pictures = re.findall(r'<img class="plot" src="data:[^"]+" alt="([^"]+)" width="\d+" height="\d+">', text)
    stores = [f"Store {store}: stock, sales and capacity by period, genetic + eoq" for store in range(101, 105)]
    assert pictures[-6:] == ["Stores with a delivery by period", "Map of deliveries, stores 101 to 104", *stores]
    assert pictures[0] == "Network: demand and forecast"
    assert len(pictures) == 1 + 12 + 2 + 4
    assert text.count("<img") == len(pictures)


def test_legends_and_images_use_the_same_colors(text: str) -> None:
    for name, color in COLORS.items():
        assert f"--{name}:{color};" in text
    assert set(re.findall(r"var\(--([a-z0-9]+)\)", text)) <= {*COLORS, "soft", "b0", "b1", "b2", "b3"}
    assert set(re.findall(r'<i class="(?:l |d )*([a-z0-9-]+)">', text)) <= LEGENDS


def test_text_of_the_data_is_escaped(small: RunOutputs) -> None:
    strange = {
        name: getattr(small, name).replace("101", "<b>&\"'") for name in ("champions", "history", "stock_by_day")
    }
    forecast = {name: getattr(small, name).replace("101", "<b>&\"'") for name in ("forecast", "backtest")}
    text = page(replace(small, **strange, **forecast), warnings=["<script>alert(1)</script>"])
    assert "<b>&" not in text
    assert text.count("<script") == 1
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
def test_missing_tables_are_stated_or_left_out(small: RunOutputs, absent: dict[str, object]) -> None:
    frames = {name: getattr(small, name).iloc[:0] if how == "empty" else how for name, how in absent.items()}
    text = page(replace(small, **frames), failures=(), inputs=(), reasons=(), warnings=())
    parser = Balanced()
    parser.feed(text)
    assert set(SECTIONS) <= parser.ids
    assert ">nan" not in text
    assert "nan%" not in text
    if "backtest" in absent:
        assert "no metric can be computed" in text
    if "stock_by_day" in absent:
        assert "There is no stock by period" in text
    assert "None: every model forecast all of its series" in text


def test_unlimited_capacity_is_stated(small: RunOutputs) -> None:
    assert small.stock_by_day is not None
    text = page(replace(small, stock_by_day=small.stock_by_day.assign(**{c.CAPACITY: np.nan, c.OVER: 0.0})))
    assert text.count("capacity unlimited") == 2
    assert 'class="store over-capacity"' not in text


def test_warnings_are_deduplicated_and_cut_off(without_figures: RunOutputs) -> None:
    text = page(without_figures, warnings=[f"warning {i // 2}" for i in range(60)])
    assert text.count('<div class="alert warning">warning') == 20
    assert "10 more in the log of the run" in text


def test_alarms_are_open_and_first_and_remarks_of_models_are_last(without_figures: RunOutputs) -> None:
    alarms = [
        Alarm(name="known_name", severity=Severity.INFO, message="for your information"),
        Alarm(name="odd_rows", severity=Severity.WARNING, message="6 odd rows", stores=["101"], skus=["000-36"]),
        Alarm(name="old_sales", severity=Severity.HOLD, message="sales end <early>", date_from=date(2024, 3, 1)),
    ]
    notes = {"Remarks on forecasts": ["36 rounds", "36 rounds", "1 round"], "Remarks on the plan": []}
    text = page(without_figures, alarms=alarms, warnings=["stock is old"], notes=notes, stock_given=False)
    order = [
        *('<div class="alert hold"><b>old_sales</b>', '<div class="alert warning"><b>odd_rows</b>', "no stock table"),
        *("stock is old", "Notes on the data", 'class="cards"', 'id="week"', 'id="models"', "36 rounds"),
    ]
    positions = [text.index(words) for words in order]
    assert positions == sorted(positions)
    assert "sales end &lt;early&gt;<span>1 Mar 2024 – 1 Mar 2024</span>" in text
    assert "Stores: 101 · SKUs: 000-36" in text
    assert "<summary>Remarks on forecasts: 2</summary>" in text
    assert "Remarks on the plan" not in text
    assert '<details class="remarks" open' not in text
    assert '<div class="alert' not in page(without_figures, warnings=())


def test_summary_tables_of_the_stages_are_shown(without_figures: RunOutputs) -> None:
    text = page(
        without_figures,
        summary={"demand_classes": [{"class": "lumpy", "series": 1234}, {"class": "smooth", "series": 5}]},
    )
    assert "demand classes" in text
    assert "1,234" in text


@pytest.mark.parametrize(("frequency", "words"), [("W-MON", "weeks"), ("MS", "months")])
def test_period_names_follow_the_frequency(without_figures: RunOutputs, frequency: str, words: str) -> None:
    run = fake_run.context(frequency=frequency)
    text = render_report(ReportData(run, without_figures, fake_run.facts(), None, "v"))
    assert f"14 {words}" in text


@pytest.mark.nightly
def test_page_of_59_stores_is_smaller_than_one_megabyte() -> None:
    text = page(fake_run.outputs(stores=59, categories=100))
    assert len(text.encode()) < 1_000_000
    assert re.search(r"59 of 59 stores, 101 to 159", text)


def test_inventory_cost_of_models_is_shown_if_it_ranked_them(without_figures: RunOutputs) -> None:
    plain = page(without_figures)
    assert "nventory cost a period" not in plain
    costed = page(replace(without_figures, backtest=without_figures.backtest.assign(**{c.INVENTORY_COST: 1.2345})))
    assert costed.count("1.234") == 1 + without_figures.backtest[c.MODEL].nunique()
    assert "Inventory cost a period" in costed
    assert "Models were ranked by inventory cost (expert.selection.loss)" in costed


def test_alarms_begin_in_the_language_of_the_report(without_figures: RunOutputs) -> None:
    alarm = Alarm(name="negative_stock", severity=Severity.WARNING, message="stock: on_hand is negative", stores=["4"])
    data = ReportData(fake_run.context(language="es"), without_figures, fake_run.facts(alarms=[alarm]), None, "1")
    text = render_report(data)
    assert "<b>negative_stock</b> · Hay stock negativo; cuenta como 0." in text
    assert "<span>Tiendas: 4 · stock: on_hand is negative</span>" in text
