from datetime import timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from leads_pipeline.days import day_start
from leads_pipeline.report.delivery_panel import delivery_panel
from leads_pipeline.report.drawing import drawing_style
from leads_pipeline.report.facts import Counted, DeliveredTo, Period, SectionFacts
from leads_pipeline.report.queries import NothingToReportError, ReportRequest, read_facts
from leads_pipeline.storage.errors import StorageError
from leads_pipeline_tests.report.databases import ACME, PUBLISHED, published_database, three_weeks
from leads_pipeline_tests.storage.lead_tables import DAY, day_after

EVERYTHING = ReportRequest()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "leads.duckdb"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the demo's leads beside those of another account."""
    path = tmp_path_factory.mktemp("filled") / "leads.duckdb"
    with published_database(path) as published:
        three_weeks(published, account="demo")
        three_weeks(published)
    return path


def only_section(database: Path, request: ReportRequest = EVERYTHING) -> SectionFacts:
    [section] = read_facts(database, request).sections
    return section


def test_days_are_counted_by_type_with_their_states_and_the_days_without_leads(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, 2)
        published.add_leads(DAY, query_type=None)
        published.add_leads(day_after(3), query_type="P")
        published.add_days(DAY, day_after(2))
        published.add_days(day_after(3), day_after(3), "partial")

    days = only_section(database).days

    assert [(day.day, dict(day.by_type)) for day in days] == [
        (DAY, {"W": 2, "": 1}),
        (day_after(1), {}),
        (day_after(2), {}),
        (day_after(3), {"P": 1}),
    ]
    assert [day.state for day in days] == ["complete", "complete", "complete", "partial"]


def test_hours_and_weekdays_are_indias(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, hour=0)
        published.add_leads(day_after(1), 3, hour=23)

    hours = only_section(database).hours

    assert (hours[6][0], hours[0][23]) == (1, 3)
    assert sum(sum(row) for row in hours) == 4


def test_products_and_places_are_ranked_with_what_is_left_out(database: Path) -> None:
    with published_database(database) as published:
        for number in range(30):
            published.add_leads(DAY, 40 - number, query_product_name=f"Product {number:02}")
        published.add_leads(DAY, 5)
        published.add_leads(DAY, 2, sender_city="Aurangabad", sender_state="Bihar", sender_country_iso="IN")
        published.add_leads(DAY, 3, sender_city="Aurangabad", sender_state="Maharashtra", sender_country_iso="AE")
        published.add_leads(DAY, sender_city="Bihar Sharif", sender_country_iso="ZZ")

    section = only_section(database)

    assert section.products.top[0] == Counted("Product 00", 40)
    assert len(section.products.top) == 25
    assert (section.products.labels, section.products.leads) == (30, sum(range(11, 41)))
    assert (section.products.others, section.products.unnamed) == (sum(range(11, 16)), 11)
    assert section.cities.top == (
        Counted("Aurangabad, Maharashtra", 3),
        Counted("Aurangabad, Bihar", 2),
        Counted("Bihar Sharif", 1),
    )
    assert section.states.top == (Counted("Maharashtra", 3), Counted("Bihar", 2))
    assert section.countries.top == (Counted("United Arab Emirates", 3), Counted("India", 2), Counted("ZZ", 1))


def test_buyers_are_counted_by_their_enquiries_and_repeats_as_the_tables_say(database: Path) -> None:
    once, again_after_years, often = (str(UUID(int=number)) for number in (1, 2, 3))
    with published_database(database) as published:
        published.add_leads(DAY, 2, buyer_id=None, is_repeat=None)
        published.add_leads(DAY, buyer_id=once)
        published.add_leads(DAY, buyer_id=again_after_years, is_repeat=True)
        published.add_leads(DAY, buyer_id=often)
        published.add_leads(day_after(1), 6, buyer_id=often, is_repeat=True)

    buyers = only_section(database).buyers

    assert (buyers.leads, buyers.repeat_leads, buyers.buyers) == (9, 7, 3)
    assert buyers.by_enquiries == (Counted("1 enquiry", 2), Counted("5 or more enquiries", 1))


def test_calls_are_answered_when_they_lasted(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, 3, query_type="P", call_duration=20)
        published.add_leads(DAY, 2, query_type="P", call_duration=0)
        published.add_leads(DAY, query_type="P")
        published.add_leads(DAY, query_type="W", call_duration=20)

    section = only_section(database)

    assert (section.calls, section.answered_calls) == (6, 3)


def test_lateness_tells_days_pulled_as_they_went_from_those_pulled_afterwards(database: Path) -> None:
    asked = day_start(DAY) + timedelta(hours=10)
    with published_database(database) as published:
        for minutes in (10, 14, 20, 170):
            published.add_leads(DAY, first_seen_at=asked + timedelta(minutes=minutes))
        published.add_leads(DAY, first_seen_at=asked + timedelta(days=3))
        published.add_leads(day_after(1), 2, first_seen_at=asked + timedelta(days=30))
        published.add_days(DAY, DAY)
        published.add_days(day_after(1), day_after(1), first_complete_at=asked + timedelta(days=30))
        published.add_leads(day_after(2), first_seen_at=asked + timedelta(days=2, seconds=30))
        published.add_days(day_after(2), day_after(2), "partial")

    lateness = only_section(database).lateness

    assert lateness.as_they_went == (3, 1, 1, 0, 0, 0, 1, 0)
    assert lateness.afterwards == (0, 0, 0, 0, 0, 0, 0, 2)
    assert lateness.median_seconds == (14 + 20) / 2 * 60
    assert (lateness.late, lateness.on_proven_days) == (1, 7)


def test_health_tells_of_good_calls_quarantine_and_what_is_open(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, 3)
        published.add_quarantined(1)
        published.add_call(1, "server_error")
        published.add_call(2, "no_leads")
        published.add_call(31 * 24)
        published.add_alert("key_rejected", alert_id=1)
        published.add_alert("run_failed", "resolved", alert_id=2)
        published.add_alert("a cause of later", alert_id=3, level="warning")

    health = only_section(database).health

    assert health.last_good_call == PUBLISHED - timedelta(hours=2)
    assert (health.calls, health.good_calls) == (2, 1)
    assert (health.records, health.quarantined) == (4, 1)
    assert [(alert.title, alert.level) for alert in health.alerts] == [
        ("IndiaMART rejects the CRM key", "critical"),
        ("a cause of later", "warning"),
    ]


def test_several_accounts_come_together_first(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(day_after(5), 3)
        published.add_days(day_after(4), day_after(5))
        published.add_leads(day_after(5), 10, account="bharat")
        published.add_days(day_after(5), day_after(6), "missing", account="bharat")

    facts = read_facts(database, EVERYTHING)
    together, acme, bharat = facts.sections

    assert [section.accounts for section in facts.sections] == [("acme", "bharat"), ("acme",), ("bharat",)]
    assert [section.leads for section in facts.sections] == [13, 3, 10]
    assert [day.state for day in together.days] == ["complete", "missing", "missing"]
    assert [day.day for day in bharat.days] == [day_after(5), day_after(6)]
    assert [day.day for day in acme.days] == [day_after(4), day_after(5)]


def test_an_account_without_one_of_the_days_is_left_out(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY)
        published.add_leads(day_after(9), account="bharat")

    assert only_section(database, ReportRequest(first=day_after(3))).accounts == ("bharat",)
    with pytest.raises(NothingToReportError, match="acme 2026-03-01 to 2026-03-01; bharat 2026-03-10 to 2026-03-10"):
        read_facts(database, ReportRequest(first=day_after(3), last=day_after(5)))


def test_the_demo_is_told_only_alone_or_by_its_name(filled: Path, database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, account="demo")

    assert only_section(filled).name == ACME
    assert only_section(filled, ReportRequest("demo")).name == "demo"
    assert only_section(database).name == "demo"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (EVERYTHING, Period(DAY, day_after(21))),
        (ReportRequest(first=day_after(3)), Period(day_after(3), day_after(21))),
        (ReportRequest(first=DAY - timedelta(9), last=day_after(3)), Period(DAY, day_after(3))),
        (ReportRequest(last=day_after(999)), Period(DAY, day_after(21))),
    ],
)
def test_a_report_is_of_the_days_asked_for_that_are_known(
    filled: Path, request_: ReportRequest, expected: Period
) -> None:
    facts = read_facts(filled, request_)

    assert facts.period == expected
    assert len(facts.sections[0].days) == expected.days


def test_without_days_a_report_is_of_the_last_year(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY)
        published.add_leads(day_after(500))

    assert read_facts(database, EVERYTHING).period.days == 365
    assert read_facts(database, ReportRequest(first=DAY)).period.days == 501


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ReportRequest("nobody"), "nothing of an account 'nobody'. It has: acme, demo"),
        (ReportRequest(first=day_after(22)), "the database knows of acme 2026-03-01 to 2026-03-22"),
        (ReportRequest(last=DAY - timedelta(1)), "the database knows of acme 2026-03-01 to 2026-03-22"),
    ],
)
def test_what_the_database_does_not_hold_is_told(filled: Path, request_: ReportRequest, words: str) -> None:
    with pytest.raises(NothingToReportError, match=words):
        read_facts(filled, request_)


def test_an_empty_database_says_what_to_do(database: Path) -> None:
    with published_database(database):
        pass

    with pytest.raises(NothingToReportError, match="leads pull"):
        read_facts(database, EVERYTHING)


def test_a_database_of_another_program_version_is_told_without_its_words(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE publication (version BIGINT)").fetchall()

    with pytest.raises(StorageError, match="another version of the program") as told:
        read_facts(database, EVERYTHING)

    assert "publication" not in str(told.value)
    assert told.value.__cause__ is None


def test_deliveries_are_counted_with_their_speed_and_the_reasons_of_the_rest(database: Path) -> None:
    with published_database(database) as published:
        published.add_leads(DAY, 6)
        published.add_days(DAY, DAY)
        published.add_delivery(DAY, "created", 10)
        published.add_delivery(DAY, "updated", 90)
        published.add_delivery(DAY, "failed", None, "no answer")
        published.add_delivery(DAY, "held", None, "no e-mail address")
        published.add_delivery(DAY, "held", None, "no e-mail address")
        published.add_delivery(DAY, "parked", None, "refused")
        published.add_delivery(day_after(30), "created", 1)

    [one] = only_section(database, ReportRequest(last=DAY)).deliveries

    assert (one.account, one.destination, one.leads) == (ACME, "crm", 6)
    assert (one.arrived, one.late, one.waiting, one.held, one.parked) == (2, 1, 1, 2, 1)
    assert one.median_seconds == 80 * 60
    assert one.reasons == (Counted("no e-mail address", 2), Counted("no answer", 1), Counted("refused", 1))


def test_the_figure_of_deliveries_tells_what_arrived_and_why_the_rest_did_not() -> None:
    facts = DeliveredTo(ACME, "crm", 2, 1, 1, 2, 1, 4800.0, (Counted("no e-mail address", 2), Counted("refused", 1)))

    with drawing_style():
        panel = delivery_panel(facts, "s0-delivery0")

    assert panel.title == "33% of the leads reached crm, half within 80 min of the enquiry"
    assert panel.note.endswith("Not there: no e-mail address (2); refused (1).")
    assert ("not there: no e-mail address", "2") in panel.numbers.rows
    assert panel.svg.lstrip().startswith("<svg")
