from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from leads_pipeline.leads.frames import to_table
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, SOURCE_FIELDS
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.raw import IMPORT_MARK
from leads_pipeline.storage.store_schema import CREATE_STATEMENTS
from leads_pipeline.storage.tables import API_CALLS, BUYERS, COVERAGE, LEADS, TABLES
from leads_pipeline.storage.view import View
from leads_pipeline.storage.views import VIEWS
from leads_pipeline_tests.leads.examples import facts, record
from leads_pipeline_tests.storage.children import publish
from leads_pipeline_tests.storage.lead_tables import calls
from leads_pipeline_tests.storage.view_rows import buyer, create_database, insert, lead
from leads_pipeline_tests.support import ist

SUNDAY, MONDAY = date(2026, 3, 1), date(2026, 3, 2)
ONE, TWO, THREE = (str(UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with create_database() as connection:
        yield connection


@pytest.fixture
def empty(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    database.execute("BEGIN").fetchall()
    yield database
    database.execute("ROLLBACK").fetchall()


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return connection.execute(sql).fetchall()


def records(connection: duckdb.DuckDBPyConnection, view: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = connection.sql(f"FROM {view}").to_arrow_table().to_pylist()
    return found


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_gives_the_columns_that_it_declares(empty: duckdb.DuckDBPyConnection, view: View) -> None:
    described = rows(empty, f"DESCRIBE {view.name}")
    assert [row[0] for row in described] == list(view.columns)
    assert "HUGEINT" not in {row[1] for row in described}


def test_every_view_is_created_and_none_twice() -> None:
    assert len({view.name for view in VIEWS}) == len(VIEWS)
    assert all(statement in CREATE_STATEMENTS for view in VIEWS for statement in view.statements)


def test_analysts_can_copy_the_published_database_into_one_of_the_newest_form(tmp_path: Path) -> None:
    link = publish(tmp_path / "data").path
    with duckdb.connect(str(tmp_path / "mine.duckdb")) as connection:
        connection.execute(f"ATTACH '{link}' AS published (READ_ONLY)").fetchall()
        connection.execute("COPY FROM DATABASE published TO mine").fetchall()
        of_both = "SELECT (SELECT count(*) FROM mine.{0}) - (SELECT count(*) FROM published.{0})"
        assert [rows(connection, of_both.format(name)) for name in ("leads", "buyers", "coverage")] == [[(0,)]] * 3


def test_every_table_view_and_column_of_the_published_file_has_a_comment(tmp_path: Path) -> None:
    link = publish(tmp_path / "data").path
    with duckdb.connect(str(link), read_only=True) as connection:
        views = rows(connection, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
        tables = rows(connection, "SELECT table_name, comment FROM duckdb_tables()")
        columns = rows(
            connection,
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal",
        )
    assert {name for name, _ in views} == {view.name for view in VIEWS}
    assert len(tables) == len(TABLES)
    assert {name for name, _, _ in columns} == {name for name, _ in [*views, *tables]}
    assert [entry for entry in [*views, *tables, *columns] if not str(entry[-1] or "").strip()] == []
    comments = {(name, column): comment for name, column, comment in columns}
    assert {(view.name, column): said for view in VIEWS for column, said in view.columns.items()}.items() <= (
        comments.items()
    )


def test_leads_per_day_counts_each_account_day_of_india_and_type(empty: duckdb.DuckDBPyConnection) -> None:
    late_evening, after_midnight = "2026-03-01 23:59:59", "2026-03-02 00:00:00"
    insert(
        empty,
        LEADS,
        [
            lead("1", late_evening, is_repeat=False),
            lead("2", late_evening, is_repeat=True),
            lead("3", late_evening, query_type="P"),
            lead("4", after_midnight, query_type=None, is_repeat=True),
            lead("1", late_evening, account="other", is_repeat=True),
        ],
    )
    assert rows(empty, "FROM leads_per_day") == [
        ("demo", SUNDAY, "P", 1, 0),
        ("demo", SUNDAY, "W", 2, 1),
        ("demo", MONDAY, None, 1, 1),
        ("other", SUNDAY, "W", 1, 1),
    ]


def test_weekdays_and_hours_are_indias(empty: duckdb.DuckDBPyConnection) -> None:
    insert(
        empty,
        LEADS,
        [
            lead("1", "2026-03-01 23:59:59"),
            lead("2", "2026-03-02 00:30:00"),
            lead("3", "2026-03-09 00:10:00"),
            lead("4", "2026-03-09 13:00:00", query_type="B"),
        ],
    )
    assert rows(empty, "FROM leads_per_weekday") == [
        ("demo", 1, "Monday", "B", 1),
        ("demo", 1, "Monday", "W", 2),
        ("demo", 7, "Sunday", "W", 1),
    ]
    assert rows(empty, "FROM leads_per_hour") == [
        ("demo", 1, 0, "W", 2),
        ("demo", 1, 13, "B", 1),
        ("demo", 7, 23, "W", 1),
    ]


def test_products_and_categories_tell_leads_buyers_and_repeats_most_first(empty: duckdb.DuckDBPyConnection) -> None:
    at = {number: f"2026-03-01 10:00:0{number}" for number in range(6)}
    pipe = {"query_product_name": "Pipe", "query_mcat_name": "Steel"}
    insert(
        empty,
        LEADS,
        [
            lead("0", at[0], **pipe, buyer_id=ONE, is_repeat=False),
            lead("1", at[1], **pipe, buyer_id=ONE, is_repeat=True),
            lead("2", at[2], **pipe),
            lead("3", at[3], query_product_name="Rod", query_mcat_name="Steel", buyer_id=TWO, is_repeat=False),
            lead("4", at[4]),
            lead("5", at[5], **pipe, account="other", buyer_id=THREE, is_repeat=True),
        ],
    )

    def moment(number: int) -> datetime:
        return ist(at[number])

    assert rows(empty, "FROM leads_per_product") == [
        ("demo", "Pipe", "Steel", 3, 1, 1, moment(0), moment(2)),
        ("demo", "Rod", "Steel", 1, 1, 0, moment(3), moment(3)),
        ("demo", None, None, 1, 0, 0, moment(4), moment(4)),
        ("other", "Pipe", "Steel", 1, 1, 1, moment(5), moment(5)),
    ]
    assert rows(empty, "FROM leads_per_category") == [
        ("demo", "Steel", 4, 2, 1, moment(0), moment(3)),
        ("demo", None, 1, 0, 0, moment(4), moment(4)),
        ("other", "Steel", 1, 1, 1, moment(5), moment(5)),
    ]


def test_places_are_counted_by_city_state_and_country(empty: duckdb.DuckDBPyConnection) -> None:
    pune = {"sender_city": "Pune", "sender_state": "Maharashtra", "sender_country_iso": "IN"}
    insert(
        empty,
        LEADS,
        [
            lead("1", "2026-03-01 10:00:00", **pune, buyer_id=ONE, is_repeat=False),
            lead("2", "2026-03-01 11:00:00", **pune, buyer_id=TWO, is_repeat=True),
            lead("3", "2026-03-01 12:00:00", **(pune | {"sender_city": "Nashik"}), buyer_id=ONE, is_repeat=True),
            lead("4", "2026-03-01 13:00:00", sender_country_iso="AE"),
            lead("5", "2026-03-01 14:00:00"),
        ],
    )
    assert rows(empty, "SELECT * EXCLUDE (account, first_query_time, last_query_time) FROM leads_per_city") == [
        ("Pune", "Maharashtra", "IN", 2, 2, 1),
        ("Nashik", "Maharashtra", "IN", 1, 1, 1),
        (None, None, "AE", 1, 0, 0),
        (None, None, None, 1, 0, 0),
    ]
    assert rows(empty, "SELECT * EXCLUDE (account, first_query_time, last_query_time) FROM leads_per_state") == [
        ("Maharashtra", "IN", 3, 2, 2),
        (None, "AE", 1, 0, 0),
        (None, None, 1, 0, 0),
    ]
    assert rows(empty, "FROM leads_per_country") == [
        ("demo", "IN", 3, 2, 2, ist("2026-03-01 10:00:00"), ist("2026-03-01 12:00:00")),
        ("demo", "AE", 1, 0, 0, ist("2026-03-01 13:00:00"), ist("2026-03-01 13:00:00")),
        ("demo", None, 1, 0, 0, ist("2026-03-01 14:00:00"), ist("2026-03-01 14:00:00")),
    ]


def test_calls_are_answered_when_they_lasted_and_missed_otherwise(empty: duckdb.DuckDBPyConnection) -> None:
    durations: list[int | None] = [30, 90, 0, None]
    insert(
        empty,
        LEADS,
        [
            *(
                lead(str(number), "2026-03-01 10:00:00", query_type="P", call_duration=seconds)
                for number, seconds in enumerate(durations)
            ),
            lead("4", "2026-03-02 10:00:00", query_type="P"),
            lead("5", "2026-03-01 10:00:00", query_type="W", call_duration=500),
            lead("6", "2026-03-01 10:00:00", query_type=None),
        ],
    )
    assert records(empty, "calls_per_day") == [
        {
            **{"account": "demo", "lead_date": SUNDAY, "calls": 4, "answered": 2, "missed": 2, "answered_share": 0.5},
            **{"total_seconds": 120, "mean_seconds": 60.0, "longest_seconds": 90},
        },
        {
            **{"account": "demo", "lead_date": MONDAY, "calls": 1, "answered": 0, "missed": 1, "answered_share": 0.0},
            **{"total_seconds": 0, "mean_seconds": None, "longest_seconds": None},
        },
    ]


def test_repeat_buyers_are_those_with_several_enquiries_most_first(empty: duckdb.DuckDBPyConnection) -> None:
    first, last = ist("2026-03-01 10:00:00"), ist("2026-03-02 10:00:00")
    insert(
        empty,
        BUYERS,
        [
            buyer(ONE, 1, first, first),
            buyer(TWO, 2, first, last, mobiles=["+919812300045"]),
            buyer(THREE, 3, first, last),
        ],
    )
    assert [row["buyer_id"] for row in records(empty, "repeat_buyers")] == [THREE, TWO]
    assert records(empty, "repeat_buyers") == [
        row for row in records(empty, "(FROM buyers ORDER BY enquiries DESC)") if row["buyer_id"] in (TWO, THREE)
    ]


def test_order_values_are_summed_from_least_to_highest_per_product(empty: duckdb.DuckDBPyConnection) -> None:
    def worth(query_id: str, product: str, least: int | None, highest: int | None) -> object:
        values = {"order_value_min_inr": least, "order_value_max_inr": highest}
        return lead(query_id, "2026-03-01 10:00:00", query_product_name=product, **values)

    insert(
        empty,
        LEADS,
        [
            worth("range", "Pipe", 1_000, 3_000),
            worth("more than", "Pipe", 50_000, None),
            worth("up to", "Pipe", None, 10_000),
            worth("nothing said", "Pipe", None, None),
            worth("only up to", "Rod", None, 999_999_999_999_999),
            worth("and again", "Rod", None, 999_999_999_999_999),
            worth("nothing at all", "Wire", None, None),
        ],  # type: ignore[list-item]
    )
    assert rows(empty, "FROM order_value_per_product") == [
        ("demo", "Rod", 2, 2, 0, 1_999_999_999_999_998, 499_999_999_999_999.5),
        ("demo", "Pipe", 4, 3, 51_000, 63_000, 5_000.0),
    ]


def test_lateness_is_told_per_day_with_and_without_coverage(empty: duckdb.DuckDBPyConnection) -> None:
    hours = [1, 2, 3, 40]
    insert(
        empty,
        LEADS,
        [
            *(lead(str(after), "2026-03-01 10:00:00", seen_after=timedelta(hours=after)) for after in hours),
            lead("5", "2026-03-02 10:00:00"),
            lead("6", "2026-03-02 11:00:00", seen_after=timedelta(days=90), response_id=f"demo.v2.1{IMPORT_MARK}0a"),
            lead("5", "2026-03-01 10:00:00", account="other", seen_after=timedelta(hours=50)),
        ],
    )
    covered = {"state": "complete", "fetched": True, "merged": True, "leads": 4}
    first_complete = {"first_complete_at": ist("2026-03-02 00:20:00")}
    insert(empty, COVERAGE, [{"account": "demo", "lead_date": SUNDAY, **covered, **first_complete}])
    assert rows(empty, "FROM first_seen_per_day") == [
        ("demo", SUNDAY, 4, 9_000.0, pytest.approx(0.3 * 3 * 3600 + 0.7 * 40 * 3600), 144_000, 1),
        ("demo", MONDAY, 2, 3_600.0, 3_600.0, 3_600, 0),
        ("other", SUNDAY, 1, 180_000.0, 180_000.0, 180_000, 0),
    ]


def test_each_call_tells_what_it_brought_newest_first(empty: duckdb.DuckDBPyConnection) -> None:
    sent = ist("2026-03-02 00:20:00")
    answered = sent + timedelta(seconds=3)
    made = calls([1, 2, 3]).to_pylist()
    made[0] |= {"sent_at": sent, "received_at": answered}
    made[1] |= {"sent_at": sent + timedelta(minutes=6), "received_at": answered + timedelta(minutes=6)}
    made[2] |= {"sent_at": sent + timedelta(minutes=12), "outcome": "unreachable", "records": 0}
    insert(empty, API_CALLS, made)
    insert(
        empty,
        LEADS,
        [
            lead("1", "2026-03-01 10:00:00", first_seen_at=answered, response_id="demo.v2.1"),
            lead("2", "2026-03-01 10:00:00", first_seen_at=answered, response_id="demo.v2.2"),
            lead("3", "2026-03-01 10:00:00", first_seen_at=answered, account="other", response_id="other.v2.1"),
        ],
    )
    told = "call_id, outcome, records, leads_first_seen, leads_as_they_stand"
    assert rows(empty, f"FROM leads_per_api_call SELECT {told}") == [
        (3, "unreachable", 0, 0, 0),
        (2, "leads", 3, 0, 1),
        (1, "leads", 3, 2, 1),
    ]


def test_masked_leads_tell_whether_and_not_what(empty: duckdb.DuckDBPyConnection) -> None:
    told = {"sender_name": "Asha", "sender_mobile_alt": "+919812300045", "message_text": "Please call"}
    known = {"quantity": 25, "quantity_unit": "Piece", "requirement_type": "Business Use", "order_value_min_inr": 5_000}
    typed = {"quantity": 9_812_300_045, "quantity_unit": "asha rao", "requirement_type": "for asha"}
    insert(
        empty,
        LEADS,
        [
            lead("1", "2026-03-01 10:00:00", **told, **known),
            lead("2", "2026-03-01 11:00:00", sender_phone="+912223456789", sender_email="a@b.example", **typed),
        ],
    )
    shown = "quantity::INT, quantity_unit, requirement_type, order_value_min_inr"
    flags = "has_name, has_mobile, has_phone, has_email, has_company, has_address, has_message"
    assert rows(empty, f"FROM leads_masked SELECT {shown}, {flags} ORDER BY query_id") == [
        (25, "Piece", "Business Use", 5_000, True, True, False, False, False, False, True),
        (None, "other", "other", None, False, False, True, True, False, False, False),
    ]


SHOWN = {
    *("SENDER_CITY", "SENDER_STATE", "SENDER_COUNTRY_ISO", "QUERY_PRODUCT_NAME", "QUERY_MCAT_NAME", "CALL_DURATION"),
}
"""The source fields that the masked views show; every other one counts as personal."""

PLANTED = {
    "SENDER_NAME": "Zebulon Quixote",
    "SENDER_MOBILE": "+91-9812345671",
    "SENDER_MOBILE_ALT": "+91-9812345682",
    "SENDER_PHONE": "+91-2223456793",
    "SENDER_PHONE_ALT": "+91-2223456704",
    "SENDER_EMAIL": "zebulon.q@planted.example",
    "SENDER_EMAIL_ALT": "zq.second@planted.example",
    "SENDER_COMPANY": "Quixote Windmills Ltd",
    "SENDER_ADDRESS": "17 La Mancha Road",
    "SENDER_PINCODE": "560997",
    "SUBJECT": "Zebulon Quixote wants pipes",
    "RECEIVER_MOBILE": "+91-9812345615",
    "RECEIVER_CATALOG": "https://planted.example/seller",
    "QUERY_MESSAGE": (
        "Ask for Quixote<br>Quantity : 9812345671<br>Quantity Unit : Zebulon Quixote<br>"
        "Probable Order Value : 9812345682<br>Requirement Type : Zebulon Quixote<br>"
        "Preferred Location : La Mancha Road<br>Call me : Quixote"
    ),
    "QUERY_EXTRA_NOTE": "Zebulon Quixote",
}
MARKS = ("zebulon", "quixote", "windmills", "mancha", "planted.example", "560997", "zq.second")
NUMBERS = ("12345671", "12345682", "23456793", "23456704", "12345615")


def test_the_masked_views_hold_nothing_that_a_buyer_or_seller_is_known_by(tmp_path: Path) -> None:
    assert {field.field for field in SOURCE_FIELDS} - SHOWN == PLANTED.keys() - {"QUERY_EXTRA_NOTE"}
    answer = normalize_answer([record(**PLANTED)], facts(account="demo"))
    leads = to_table(answer.leads, LEADS_ARROW_SCHEMA)
    DayReplacement(LeadFiles(tmp_path / "data", "demo")).replace({leads["lead_date"][0].as_py(): leads}, {})
    link = publish(tmp_path / "data").path
    with duckdb.connect(str(link), read_only=True) as connection:
        found = {
            name: cells(connection.sql(f"FROM {name}").to_arrow_table())
            for name in ("leads", "buyers", "leads_masked", "buyers_masked")
        }
    assert all(mark in found["leads"] for mark in (*MARKS, *NUMBERS))
    assert all(mark in found["buyers"] for mark in ("zebulon quixote", "windmills", "12345671", "zq.second"))
    for name in ("leads_masked", "buyers_masked"):
        assert "true" in found[name]
        assert [mark for mark in (*MARKS, *NUMBERS) if mark in found[name]] == []


def cells(table: pa.Table) -> str:
    """Every value of the table as text, in lower case."""
    assert table.num_rows == 1
    return "\n".join(str(value) for row in table.to_pylist() for value in row.values()).lower()
