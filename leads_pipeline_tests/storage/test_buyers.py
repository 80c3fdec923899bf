import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads_pipeline.storage import buyers
from leads_pipeline.storage.connected import smallest_connected
from leads_pipeline.storage.growing_buyers import GrowingBuyers
from leads_pipeline.storage.lead_rows import LeadRows
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.tables import BUYER_IDENTIFIERS, BUYERS, LEAD_VERSIONS, LEADS
from leads_pipeline_tests.storage.buyer_truth import (
    FAKE_EMAILS,
    FAKE_MOBILES,
    Lead,
    LeadState,
    buyer_id,
    table_of,
    true_buyers,
)
from leads_pipeline_tests.storage.children import publish
from leads_pipeline_tests.storage.lead_tables import day_after

MOBILE, OTHER_MOBILE, THIRD_MOBILE, FOREIGN_MOBILE = MOBILES = (
    *("+919812300045", "+919812300046", "+919812300047"),
    "+94784123450",
)
EMAIL, OTHER_EMAIL, THIRD_EMAIL = EMAILS = ("asha@buyer.example", "ravi@buyer.example", "meena@firm.example")
ALL_DAYS = range(3)

repeatable = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


class Tables:
    """The tables of a store in memory. Days of one account's leads are put into them as a refresh does."""

    _accounts = (f"account_{number}" for number in itertools.count())

    def __init__(self, connection: duckdb.DuckDBPyConnection, account: str | None = None) -> None:
        self.connection = connection
        self.account = account or next(self._accounts)
        self._stored: set[int] = set()

    def put(self, leads: Iterable[Lead], days: Iterable[int] = ALL_DAYS) -> None:
        """Replace these days, as one refresh, by those of the leads that are of these days."""
        leads = list(leads)
        self.replace({day: [lead for lead in leads if lead.day == day] for day in days})

    def replace(self, days: Mapping[int, list[Lead] | None]) -> None:
        """Replace whole days, and take away those that are None, as one refresh."""
        self.connection.execute("BEGIN").fetchall()
        rows = LeadRows(self.connection)
        for day, leads in days.items():
            if day in self._stored:
                if leads is None:
                    rows.drop_day(self.account, day_after(day))
                    self._stored.remove(day)
                else:
                    rows.replace_day(self.account, day_after(day), table_of(day, leads, self.account))
            elif leads is not None:
                rows.add_day(day_after(day), table_of(day, leads, self.account))
                self._stored.add(day)
        rows.buyers.settle(self.account)
        self.connection.execute("COMMIT").fetchall()

    @property
    def leads(self) -> dict[str, LeadState]:
        rows = self._rows("SELECT query_id, buyer_id, is_repeat FROM leads WHERE account = ?")
        return {str(query_id): (buyer, is_repeat) for query_id, buyer, is_repeat in rows}

    @property
    def buyers(self) -> list[dict[str, Any]]:
        names = [column.name for column in BUYERS.columns]
        rows = self._rows("FROM buyers WHERE account = ? ORDER BY buyer_id::VARCHAR")
        return [dict(zip(names, row, strict=True)) for row in rows]

    @property
    def identifiers(self) -> list[tuple[Any, ...]]:
        return self._rows("SELECT key, buyer_id FROM pipeline.buyer_identifiers WHERE account = ? ORDER BY ALL")

    @property
    def places(self) -> dict[UUID, int]:
        """Where the row of each buyer stands: another place means that it was written anew."""
        return dict(self._rows("SELECT buyer_id, rowid FROM buyers WHERE account = ?"))

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, [self.account]).fetchall()


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("CREATE SCHEMA pipeline").fetchall()
        for table in (LEADS, LEAD_VERSIONS, BUYERS, BUYER_IDENTIFIERS):
            connection.execute(table.statements[0]).fetchall()
        yield connection


@pytest.fixture
def tables(connection: duckdb.DuckDBPyConnection) -> Tables:
    return Tables(connection)


def some(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


ids = st.sampled_from("abcdefghij")
some_leads = st.builds(
    Lead,
    query_id=ids,
    day=st.sampled_from(ALL_DAYS),
    second=st.integers(0, 2),
    seen=st.integers(0, 2),
    query_type=some("W", "B", "P", "WA", "BIZ", "X"),
    sender_name=some("Asha", "Ravi"),
    sender_company=some("Firm", "Works"),
    sender_city=some("Pune", "Surat"),
    sender_state=some("Maharashtra", "Gujarat"),
    sender_country_iso=some("IN", "LK"),
    sender_mobile=some(*MOBILES, FAKE_MOBILES[0]),
    sender_mobile_alt=some(*MOBILES),
    sender_email=some(*EMAILS, FAKE_EMAILS[0]),
    sender_email_alt=some(*EMAILS),
    subject=some("Pipes", "Tubes"),
)
changes = st.tuples(st.lists(some_leads, max_size=6), st.sets(ids, max_size=3))
"""Leads that come, move or change, and ids of leads that go, all in one refresh."""


@settings(repeatable, max_examples=5)
@given(st.lists(changes, min_size=3, max_size=4), st.sampled_from([0, 2, 100]))
def test_buyers_by_increments_are_those_of_a_rebuild_and_of_a_union_find(
    connection: duckdb.DuckDBPyConnection, steps: list[tuple[list[Lead], set[str]]], most_held: int
) -> None:
    tables, standing = Tables(connection), dict[str, Lead]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buyers, "_MOST_HELD", most_held)
        for coming, going in steps:
            before = set(standing.values())
            standing = {name: lead for name, lead in standing.items() if name not in going}
            standing |= {lead.query_id: lead for lead in coming}
            tables.put(standing.values(), sorted({lead.day for lead in before ^ set(standing.values())}))
            assert (tables.leads, tables.buyers) == true_buyers(list(standing.values()), tables.account)
        by_increments = (tables.leads, tables.buyers, tables.identifiers)
        tables.replace(dict.fromkeys(ALL_DAYS))
        assert (tables.leads, tables.buyers, tables.identifiers) == ({}, [], [])
        tables.put(standing.values())
        assert (tables.leads, tables.buyers, tables.identifiers) == by_increments


def test_leads_that_come_later_add_to_their_buyers_as_a_rebuild_would(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    add = GrowingBuyers.add

    def counted(growing: GrowingBuyers, account: str, leads: int) -> pa.Array:
        left = add(growing, account, leads)
        added.append(leads - len(left))
        return left

    monkeypatch.setattr(GrowingBuyers, "add", counted)
    draws, standing = random.Random(3), list[Lead]()
    for step in range(6):
        standing += [some_lead(draws, step, number) for number in range(12)]
        tables.put(standing, [step % 2])
        assert (tables.leads, tables.buyers) == true_buyers(standing, tables.account)
    by_increments = tables.identifiers
    tables.replace(dict.fromkeys(ALL_DAYS))
    tables.put(standing)
    assert tables.identifiers == by_increments
    assert sum(added) > 20


def some_lead(draws: random.Random, step: int, number: int) -> Lead:
    """Return a lead of the step: one of many people, some of whom give another number or address now and then."""
    person = draws.randrange(25)
    return Lead(
        f"{step}-{number}",
        day=step % 2,
        second=10 * step + draws.randrange(10),
        seen=10 * step + draws.randrange(10),
        query_type=draws.choice(["W", "B", "P", None]),
        sender_name=draws.choice([f"Name {person}", f"{person}. Name", None]),
        sender_company=draws.choice([None, f"Firm {step}"]),
        sender_city=draws.choice([None, None, "Pune", "Surat"]),
        sender_state=draws.choice([None, "Gujarat"]),
        sender_country_iso=draws.choice([None, "IN"]),
        sender_mobile=f"+9198123{person:05}" if draws.random() < 0.8 else None,
        sender_email=f"{person}@buyer.example" if draws.random() < 0.5 else FAKE_EMAILS[0],
        sender_mobile_alt=f"+9198124{draws.randrange(25):05}" if draws.random() < 0.1 else None,
    )


@settings(repeatable, max_examples=60)
@given(st.integers(1, 30), st.data())
def test_nodes_that_edges_connect_have_the_same_smallest_node(nodes: int, data: st.DataObject) -> None:
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=40))
    expected = list(range(nodes))
    for _ in range(nodes):
        for one, other in edges:
            expected[one] = expected[other] = min(expected[one], expected[other])
    from_nodes = np.array([edge[0] for edge in edges], dtype=np.int64)
    to_nodes = np.array([edge[1] for edge in edges], dtype=np.int64)
    assert smallest_connected(nodes, from_nodes, to_nodes).tolist() == expected


def test_a_chain_of_a_hundred_thousand_is_one_in_few_rounds() -> None:
    chain = np.random.default_rng(1).permutation(100_000)
    assert not smallest_connected(100_000, chain[:-1], chain[1:]).any()


def test_leads_that_share_a_mobile_or_an_address_are_one_buyers_also_by_a_chain(tables: Tables) -> None:
    tables.put(
        [
            Lead("a", second=1, sender_mobile=MOBILE),
            Lead("b", second=2, sender_mobile=OTHER_MOBILE, sender_mobile_alt=MOBILE),
            Lead("c", second=3, sender_mobile=OTHER_MOBILE, sender_email=EMAIL),
            Lead("d", second=4, sender_email=OTHER_EMAIL, sender_email_alt=EMAIL),
            Lead("e", second=5, sender_mobile=THIRD_MOBILE, sender_email=THIRD_EMAIL),
        ]
    )
    same, other = buyer_id("a", tables.account), buyer_id("e", tables.account)
    assert tables.leads == {
        "a": (same, False), "b": (same, True), "c": (same, True), "d": (same, True), "e": (other, False),
    }  # fmt: skip
    assert [(row["mobiles"], row["emails"]) for row in tables.buyers if row["buyer_id"] == same] == [
        ([MOBILE, OTHER_MOBILE], [EMAIL, OTHER_EMAIL])
    ]


def test_what_strangers_share_joins_nobody_and_tells_of_nobody(tables: Tables) -> None:
    shared: list[dict[str, Any]] = [
        *({"sender_mobile": mobile} for mobile in FAKE_MOBILES),
        *({"sender_email": email} for email in FAKE_EMAILS),
        {"sender_phone": "+912240000123"},
        {"sender_name": "Asha", "sender_company": "Firm", "sender_city": "Pune"},
    ]
    strangers: list[Lead] = []
    for number, values in enumerate(shared):
        nobodys = replace(Lead(f"nobody's {number}"), **values)
        ones = replace(nobodys, query_id=f"one's {number}", sender_mobile_alt=f"+9198{number:02}000101")
        anothers = replace(nobodys, query_id=f"another's {number}", sender_email_alt=f"asha{number}@buyer.example")
        strangers += [nobodys, ones, anothers]
    tables.put(strangers)
    assert tables.leads == {
        name: (None, None) if name.startswith("nobody's") else (buyer_id(name, tables.account), False)
        for name in (lead.query_id for lead in strangers)
    }


def test_a_late_lead_of_an_older_enquiry_makes_the_others_repeats_and_renames_nobody(tables: Tables) -> None:
    first, late = Lead("b", day=1, seen=1, sender_mobile=MOBILE), Lead("a", day=0, seen=2, sender_mobile=MOBILE)
    tables.put([first])
    named = buyer_id("b", tables.account)
    assert tables.leads == {"b": (named, False)}
    tables.put([late], [0])
    assert tables.leads == {"b": (named, True), "a": (named, False)}


def test_a_lead_that_joins_two_buyers_makes_them_one_and_parts_them_when_it_changes(tables: Tables) -> None:
    one, two = Lead("a", sender_mobile=MOBILE), Lead("b", sender_email=EMAIL)
    tables.put([one, two])
    apart = tables.buyers
    tables.put([Lead("c", day=1, seen=1, sender_mobile=MOBILE, sender_email=EMAIL)], [1])
    (together,) = tables.buyers
    assert (together["buyer_id"], together["enquiries"]) == (buyer_id("a", tables.account), 3)
    tables.put([Lead("c", day=1, seen=1, sender_mobile=THIRD_MOBILE)], [1])
    assert [row for row in tables.buyers if row["mobiles"] != [THIRD_MOBILE]] == apart


def test_a_refresh_writes_only_the_buyers_that_it_touches(tables: Tables) -> None:
    tables.put([Lead("a", sender_mobile=MOBILE), Lead("b", sender_mobile=OTHER_MOBILE, subject="Pipes"), Lead("c")])
    before = tables.places
    tables.put(
        [Lead("a", sender_mobile=MOBILE), Lead("b", sender_mobile=OTHER_MOBILE, subject="Tubes"), Lead("c")], [0]
    )
    assert tables.places == before
    tables.put([Lead("d", day=1, sender_mobile=MOBILE)], [1])
    assert [name for name, place in tables.places.items() if before.get(name) != place] == [
        buyer_id("a", tables.account)
    ]


def test_accounts_do_not_share_buyers(connection: duckdb.DuckDBPyConnection) -> None:
    one, two = Tables(connection), Tables(connection)
    for tables in (one, two):
        tables.put([Lead("a", sender_mobile=MOBILE)])
    assert one.leads == {"a": (buyer_id("a", one.account), False)}
    assert two.leads == {"a": (buyer_id("a", two.account), False)}
    one.replace(dict.fromkeys(ALL_DAYS))
    assert two.buyers


def test_the_published_buyers_follow_the_files_as_a_rebuild_would(tmp_path: Path) -> None:
    def keep(*leads: Lead) -> None:
        replacement = DayReplacement(LeadFiles(tmp_path, "demo"))
        days = {day: [lead for lead in leads if lead.day == day] for day in ALL_DAYS}
        replacement.replace({day_after(day): table_of(day, of_day, "demo") for day, of_day in days.items()}, {})
        replacement.clear()

    def published() -> list[object]:
        with duckdb.connect(str(tmp_path / "leads.duckdb"), read_only=True) as connection:
            states = connection.execute("SELECT query_id, buyer_id, is_repeat FROM leads ORDER BY query_id").fetchall()
            return [*states, *connection.execute("FROM buyers ORDER BY buyer_id").fetchall()]

    keep(Lead("a", sender_mobile=MOBILE), Lead("b", day=1, sender_mobile=OTHER_MOBILE))
    publish(tmp_path)
    keep(Lead("a", day=2, sender_mobile=MOBILE), Lead("c", day=1, sender_mobile=MOBILE, sender_email=EMAIL))
    publish(tmp_path)
    followed = published()
    assert followed[:2] == [("a", buyer_id("a", "demo"), True), ("c", buyer_id("a", "demo"), False)]
    publish(tmp_path, rebuild=True)
    assert published() == followed
    LeadFiles(tmp_path, "demo").path(day_after(2)).unlink()
    publish(tmp_path)
    assert published()[:1] == [("c", buyer_id("c", "demo"), False)]
