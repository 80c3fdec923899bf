"""What table `leads` must hold for a true lead, field by field, by rules written down here from the contract.

Nothing of the program's own normalising is used, so that agreeing with it proves something.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import zstandard

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline_tests.end_to_end.truth_requirements import expected_requirements
from leads_pipeline_tests.storage.children import ONE_THREAD

Row = Mapping[str, Any]

TEXT_FIELDS = (
    "SUBJECT",
    "SENDER_COMPANY",
    "SENDER_ADDRESS",
    "SENDER_CITY",
    "SENDER_STATE",
    "QUERY_PRODUCT_NAME",
    "QUERY_MESSAGE",
    "QUERY_MCAT_NAME",
)
PHONE_FIELDS = ("SENDER_MOBILE", "SENDER_MOBILE_ALT", "SENDER_PHONE", "SENDER_PHONE_ALT", "RECEIVER_MOBILE")
EMAIL_FIELDS = ("SENDER_EMAIL", "SENDER_EMAIL_ALT")
PLAIN_FIELDS = ("SENDER_PINCODE", "SENDER_COUNTRY_ISO", "RECEIVER_CATALOG")
NO_NAMES = ("BUYER", "Buyer", "IndiaMART Buyer")
FROM_THE_ANSWER = (
    "first_seen_at",
    "last_seen_at",
    "first_seen_after_seconds",
    "fetched_at",
    "response_id",
    "response_position",
)
"""Columns that tell which answer a lead came from and when: the answers on the disk decide them."""
FROM_ALL_LEADS = ("buyer_id", "is_repeat")
"""Columns that no file has: all leads of the account decide them."""


def expected_row(lead: TrueLead, account: str) -> dict[str, object]:
    """Every column of the lead's row but those that tell which answer it came from."""
    fields = lead.fields
    row: dict[str, object] = {
        "account": account,
        "query_id": fields["UNIQUE_QUERY_ID"],
        "query_type": fields["QUERY_TYPE"],
        "query_time": lead.query_time.astimezone(UTC),
        "query_time_ist": lead.query_time.astimezone(IST).replace(tzinfo=None),
        "lead_date": lead.query_time.astimezone(IST).date(),
        "source_api": "v2",
        "extra": dict(lead.extra) or None,
        "content_hash": _content_hash(lead),
    }
    assert fields["QUERY_TIME"] == row["query_time_ist"].strftime("%Y-%m-%d %H:%M:%S")  # type: ignore[attr-defined]
    for name in PLAIN_FIELDS:
        row[name.lower()] = _trimmed(fields[name])
    sender = _folded(fields["SENDER_NAME"])
    _put(row, "SENDER_NAME", fields["SENDER_NAME"], None if sender in NO_NAMES else sender)
    row["sender_country_from_number"] = None if fields["SENDER_COUNTRY_ISO"] is None else False
    for name in EMAIL_FIELDS:
        _put(row, name, fields[name], None if fields[name] is None else str(fields[name]).lower())
    for name in TEXT_FIELDS:
        _put(row, name, fields[name], _folded(fields[name]))
    for name in PHONE_FIELDS:
        region = "IN" if name == "RECEIVER_MOBILE" else str(fields["SENDER_COUNTRY_ISO"])
        _put(row, name, fields[name], _e164(fields[name], region))
    seconds = _seconds(fields["CALL_DURATION"])
    _put(row, "CALL_DURATION", fields["CALL_DURATION"], seconds)
    return row | expected_requirements(fields["QUERY_MESSAGE"])


def _put(row: dict[str, object], name: str, given: str | None, value: str | int | None) -> None:
    row[name.lower()] = value
    row[f"{name.lower()}_original"] = None if value is not None and str(value) == given else given


def _trimmed(text: str | None) -> str | None:
    return (text or "").strip() or None


def _folded(text: str | None) -> str | None:
    lines = re.split("<br>|\r\n|\r|\n", text or "")
    return "\n".join(re.sub("[ \t]+", " ", line).strip() for line in lines).strip() or None


@cache
def _e164(text: str | None, region: str) -> str | None:
    if text is None:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if possible else None


def _seconds(text: str | None) -> int | None:
    """`314`, `42 sec` or `00:05:30`: the forms of the contract."""
    if text is None:
        return None
    if ":" in text:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    return int(text.removesuffix(" sec"))


def _content_hash(lead: TrueLead) -> str:
    pieces = []
    for name, text in {**lead.fields, **lead.extra}.items():
        trimmed = (text or "").strip()
        if trimmed:
            pieces.append(f"{len(name.encode())}:{name}={len(trimmed.encode())}:{trimmed};")
    return hashlib.sha256("".join(sorted(pieces)).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """One stored answer as it lies on the disk, read without the program."""

    received_at: datetime
    ids: tuple[str, ...]

    @classmethod
    def read_all(cls, data_dir: Path, account: str) -> "dict[str, Answer]":
        """Every answer of the account with leads, by its name."""
        answers = {}
        for body in (data_dir / "raw" / account).rglob("*.zst"):
            facts = json.loads(body.with_suffix(".json").read_bytes())
            if not facts["records"]:
                continue  # not all of these are JSON
            text = zstandard.decompress(body.read_bytes()).decode("utf-8-sig", "replace")
            records = json.loads(text, strict=False)["RESPONSE"]
            ids = tuple(str(one.get("UNIQUE_QUERY_ID")) if isinstance(one, dict) else "" for one in records)
            answers[body.stem] = cls(datetime.fromisoformat(facts["received_at"]), ids)
        return answers


def assert_is_truth(database: Path, account: str, leads: Iterable[TrueLead]) -> None:
    """The account's leads are these: id by id and field by field, no more, no fewer, in every layer.

    The layers are the published database, the pipeline's own, and the Parquet files as any hive reader sees them.
    Which answer a lead came from, and when it was seen, is checked against the answers on the disk.
    """
    expected = {lead.query_id: expected_row(lead, account) for lead in leads}
    rows = read_rows(database, account)
    assert sorted(str(row["query_id"]) for row in rows) == sorted(expected)
    answers = Answer.read_all(database.parent, account)
    for row in rows:
        _assert_row(row, expected[str(row["query_id"])], answers)
    _assert_buyers(rows)
    assert_layers_agree(database.parent)


def read_rows(database: Path, account: str) -> list[Row]:
    """The account's rows of table `leads`, with `extra` parsed."""
    with duckdb.connect(str(database), read_only=True, config=ONE_THREAD) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        result = connection.execute("SELECT * FROM leads WHERE account = ?", [account])
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, values, strict=True)) for values in result.fetchall()]
    for row in rows:
        row["extra"] = json.loads(row["extra"]) if row["extra"] is not None else None
    return list(rows)


def _assert_row(row: Row, expected: Row, answers: Mapping[str, Answer]) -> None:
    assert set(row) == {*expected, *FROM_THE_ANSWER, *FROM_ALL_LEADS}
    wrong = {name: (row[name], value) for name, value in expected.items() if row[name] != value}
    assert not wrong, f"lead {row['query_id']} differs (found, expected): {wrong}"
    query_id = str(row["query_id"])
    seen = {name: answer.received_at for name, answer in answers.items() if query_id in answer.ids}
    newest = max(seen, key=lambda name: (seen[name], name))
    first_seen = min(seen.values())
    origin = {name: row[name] for name in FROM_THE_ANSWER}
    assert origin == {
        "first_seen_at": first_seen,
        "last_seen_at": max(seen.values()),
        "first_seen_after_seconds": int((first_seen - row["query_time"]).total_seconds()),
        "fetched_at": seen[newest],
        "response_id": newest,
        "response_position": max(place for place, one in enumerate(answers[newest].ids) if one == query_id),
    }, f"lead {query_id}, which is in {len(seen)} answer(s)"


def _assert_buyers(rows: Sequence[Row]) -> None:
    """Leads say the same buyer where a chain of mobiles and e-mail addresses joins them, and only there."""
    parent: dict[str, str] = {}

    def root_of(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for row in rows:
        for identifier in _identifiers(row):
            parent[root_of(identifier)] = root_of(f"lead {row['query_id']}")
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["query_time"], row["query_id"])):
        if _identifiers(row):
            groups.setdefault(root_of(f"lead {row['query_id']}"), []).append(row)
        else:
            assert (row["buyer_id"], row["is_repeat"]) == (None, None)
    buyers = [{row["buyer_id"] for row in group} for group in groups.values()]
    assert all(len(one) == 1 for one in buyers)
    assert len(set().union(*buyers)) == len(groups)
    for group in groups.values():
        assert [row["is_repeat"] for row in group] == [False] + [True] * (len(group) - 1)


def _identifiers(row: Row) -> set[str]:
    mobiles = {row["sender_mobile"], row["sender_mobile_alt"]} - {None}
    emails = {row["sender_email"], row["sender_email_alt"]} - {None}
    return {number for number in mobiles if not re.search(r"(\d)\1{7}$", number)} | emails


_FILES = "read_parquet(?, hive_partitioning = true, hive_types = {'account': VARCHAR, 'lead_date': DATE})"


def assert_layers_agree(data_dir: Path) -> None:
    """The published database, the pipeline's own and the Parquet files hold the same leads; coverage counts them."""
    with duckdb.connect(config=ONE_THREAD) as connection:
        for name, path in (("published", data_dir / "leads.duckdb"), ("store", data_dir / "state" / "store.duckdb")):
            connection.execute(f"ATTACH '{path.resolve()}' AS {name} (READ_ONLY)").fetchall()
        described = connection.execute("DESCRIBE published.leads").fetchall()
        names = [column[0] for column in described if column[0] not in FROM_ALL_LEADS]
        select = f"SELECT {', '.join(names)} FROM"
        order = "ORDER BY account, query_id, lead_date"
        published = connection.execute(f"{select} published.leads {order}").fetchall()
        assert connection.execute(f"{select} store.leads {order}").fetchall() == published
        files = connection.execute(f"{select} {_FILES} {order}", [f"{data_dir}/leads/*/*/*.parquet"]).fetchall()
        assert files == published
        counted = "SELECT account, lead_date, count(*) FROM published.leads GROUP BY ALL ORDER BY ALL"
        covered = "SELECT account, lead_date, leads FROM published.coverage WHERE leads > 0 ORDER BY ALL"
        assert connection.execute(counted).fetchall() == connection.execute(covered).fetchall()


def coverage_states(database: Path, account: str) -> dict[str, list[str]]:
    """The account's days by the state that the published coverage gives them."""
    sql = "SELECT state, list(lead_date::VARCHAR ORDER BY lead_date) FROM coverage WHERE account = ? GROUP BY state"
    with duckdb.connect(str(database), read_only=True, config=ONE_THREAD) as connection:
        return dict(connection.execute(sql, [account]).fetchall())
