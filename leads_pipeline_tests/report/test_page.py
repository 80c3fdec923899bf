"""The page as a whole, drawn once: what it may not hold, what it needs nothing of, and what it says."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import pyarrow as pa
import pytest

from leads_pipeline.report.drawing import Ink, drawing_style
from leads_pipeline.report.figures import draw_trend
from leads_pipeline.report.page import render_page
from leads_pipeline.report.queries import ReportRequest, read_facts
from leads_pipeline.storage.tables import BUYERS, LEADS, Table
from leads_pipeline_tests.report.databases import PUBLISHED, published_database, three_weeks
from leads_pipeline_tests.storage.lead_tables import DAY, day_after

CANARY = "zanzibar"
BUYER = "5ca1ab1e-0000-4000-8000-000000000000"
TOLD = {"account", "query_type", "sender_city", "sender_state", "sender_country_iso", "query_product_name"}
"""The columns of text whose values the page shows; none of them tells who a buyer is."""
PRODUCT = '<b>Bolts</b> & "nuts" for $5 or $x_1$, galvanised, in boxes'
HINDI = "लोहे के पाइप"
TEXTS = {pa.string(): CANARY, pa.list_(pa.string()): [CANARY], pa.map_(pa.string(), pa.string()): [(CANARY, CANARY)]}


def texts_of(table: Table) -> dict[str, object]:
    """Return the canary for every column of text that the table has."""
    return {field.name: TEXTS[field.type] for field in table.schema if field.type in TEXTS} | {"buyer_id": BUYER}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "leads.duckdb"
    with published_database(path) as published:
        three_weeks(published)
        published.add_leads(
            day_after(20),
            2,
            query_type="V",
            query_product_name=PRODUCT,
            sender_city="Pune",
            sender_state="Maharashtra",
            sender_country_iso="IN",
            **{name: value for name, value in texts_of(LEADS).items() if name not in TOLD},
        )
        published.add_leads(day_after(20), query_product_name=HINDI)
        published.add_days(DAY, DAY, "missing", account="bharat")
        published.add_quarantined(1, record=CANARY)
        published.add_call(2, "server_error", message=CANARY, response_id=CANARY, run_id=CANARY)
        published.add_alert("key_rejected", detail=CANARY, what=CANARY, run_id=CANARY)
        nobody = {"account": "acme", "first_query_time": PUBLISHED, "last_query_time": PUBLISHED, "enquiries": 2}
        dates = {"first_lead_date": DAY, "last_lead_date": DAY, "first_seen_at": PUBLISHED}
        counts = dict.fromkeys(("web_enquiries", "buy_leads", "calls", "whatsapp_enquiries", "catalogue_views"), 0)
        published.rows[BUYERS.name].append(texts_of(BUYERS) | counts | dates | nobody)
    return path


@pytest.fixture(scope="module")
def page(database: Path) -> str:
    return render_page(read_facts(database, ReportRequest()), {"acme": "Acme & Sons", "bharat": ""})


class Outline(HTMLParser):
    """Counts what a page holds, and sees whether its elements close in order."""

    VOID = frozenset({"meta", "br", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures: list[set[str]] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.attributes |= named.keys()
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "figure":
            self.figures.append(set())
        elif "figure" in self.open:
            self.figures[-1].add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]


def test_no_personal_data_is_on_the_page_whatever_column_it_stands_in(page: str, database: Path) -> None:
    planted = texts_of(LEADS).keys() - TOLD
    assert {"sender_name", "sender_mobile", "sender_email", "sender_company", "sender_address"} <= planted
    assert {"sender_pincode", "query_message", "message_text", "subject", "extra", "buyer_id", "query_id"} <= planted
    assert CANARY.encode() in database.read_bytes()

    assert CANARY not in page.lower()
    assert BUYER not in page.lower()
    assert "Pune, Maharashtra" in page


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page
    assert "://" not in page
    assert not re.findall(r"<(?:script|link|img|iframe|object|embed|base|form)\b", page)
    assert not re.findall(r"url\((?!#)|@import|xlink:href=\"(?!#)|\bsrc=|\son\w+=", page)


def test_what_people_wrote_is_shown_as_they_wrote_it(page: str) -> None:
    assert "<b>Bolts" not in page
    assert "&lt;b&gt;Bolts&lt;/b&gt; &amp;" in page
    assert "for $5 or $x_1$" in page
    assert HINDI in page


def test_every_figure_has_a_caption_a_drawing_and_its_numbers(page: str) -> None:
    outline = Outline(page)

    assert outline.open == []
    assert len(outline.figures) == 2 * 10 + 1  # of both together and of acme; bharat has no lead, only coverage
    assert all({"figcaption", "h3", "svg", "details", "table"} <= figure for figure in outline.figures)
    assert len(outline.ids) == len({*outline.ids})
    labels = set(re.findall(r'aria-labelledby="([^"]+)"', page))
    assert labels <= {*outline.ids}
    used = {*re.findall(r'(?:url\(|xlink:href="|<a href=")#([^")]+)', page)}
    assert used <= {*outline.ids}


def test_colours_are_those_of_the_page_so_that_they_follow_its_light_or_dark_mode(page: str) -> None:
    used = {*re.findall(r"var\((--[a-z-]+)\)", page)}

    assert not [ink for ink in Ink if ink.value in page]
    assert {ink.variable for ink in (Ink.TYPE_W, Ink.TYPE_P, Ink.TYPE_B, Ink.TYPE_OTHER)} <= used
    for variable in used:
        assert page.count(f"{variable}: #") == 2, variable


def test_an_account_is_called_by_its_label_too(page: str) -> None:
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert titles == ["All accounts", "Acme &amp; Sons (acme)", "bharat"]


def test_titles_tell_what_was_found(page: str) -> None:
    titles = re.findall(r"<h3[^>]*>([^<]*)</h3>", page)

    assert "3.4 leads a day in the last 7 days, 14% fewer than in the 7 before" in titles
    assert "All 21 past days are complete" in titles
    assert "100% of the leads come from India" in titles
    assert "Half of the leads are seen within 60 min, 9 of 10 within 60 min" in titles
    assert "What to look at in the data" in titles
    assert "No lead is known from 1 Mar 2026 to 1 Mar 2026." in page


def test_the_same_facts_give_the_same_bytes_and_leave_matplotlib_as_it_was(database: Path) -> None:
    [section] = read_facts(database, ReportRequest("acme")).sections
    names = ("svg.fonttype", "svg.hashsalt", "font.size", "text.parse_math")
    before = ([mpl.rcParams[name] for name in names], "matplotlib.pyplot" in sys.modules)
    with drawing_style():
        first, second = (draw_trend(section, "trend", is_wide=False) for _ in range(2))

    assert first == second
    assert 'clip-path="url(#trend-' in first
    assert ([mpl.rcParams[name] for name in names], "matplotlib.pyplot" in sys.modules) == before
