import hashlib
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.leads.content_hash import content_hashes
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import KNOWN_FIELDS, SOURCE_FIELDS
from leads_pipeline_tests.leads.examples import FETCHED_AT, facts, only_lead, record, repeatable

PINNED = "495c684e87108f2bb6c70eb0932652476ecacc434efb702bc67f65edc28393bb"


def content_hash(**fields: object) -> str:
    return str(only_lead(**fields)["content_hash"])


def test_the_hash_is_over_the_pieces_that_its_docstring_says() -> None:
    pieces = (
        "10:QUERY_TIME=19:2024-05-23 15:44:28;"
        "10:QUERY_TYPE=1:W;"
        "11:SENDER_NAME=6:नम;"
        "13:SENDER_MOBILE=14:+91-9876543210;"
        "15:UNIQUE_QUERY_ID=9:377413064;"
        "4:ZONE=5:North;"
    )
    assert content_hash(SENDER_NAME=" नम ", SENDER_MOBILE="+91-9876543210", ZONE="North") == (
        hashlib.sha256(pieces.encode()).hexdigest()
    )


def test_the_hash_stays_as_stored_tables_have_it() -> None:
    assert content_hash(SENDER_NAME="Asha", QUERY_MESSAGE="a<br>b", NEW=[1, "x"]) == PINNED


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "from leads_pipeline_tests.leads.examples import only_lead\n"
        "print(only_lead(SENDER_NAME='Asha', QUERY_MESSAGE='a<br>b', NEW=[1, 'x'])['content_hash'])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == PINNED


def test_a_field_that_the_schema_learns_later_keeps_its_leads_hashes() -> None:
    known = {"UNIQUE_QUERY_ID": pa.array(["1", "2"]), "SUBJECT": pa.array(["x", None], pa.string())}
    before = content_hashes(known, {0: {"ZONE": "North", "AREA": "7"}})
    after = content_hashes({**known, "ZONE": pa.array(["North", None], pa.string())}, {0: {"AREA": "7"}})
    assert before.to_pylist() == after.to_pylist()


def test_blank_forms_field_order_answer_and_position_do_not_change_the_hash() -> None:
    plain = record(SENDER_NAME="Asha", NEW="x")
    blanks = {**plain, "SENDER_CITY": "0", "SUBJECT": None, "NEWER": "", "CALL_DURATION": 0, "SENDER_STATE": "NULL"}
    shuffled = dict(reversed(list(blanks.items())))
    number = {**plain, "UNIQUE_QUERY_ID": 377413064}
    spaced = {**plain, "SENDER_NAME": " Asha\n"}
    later = facts("r2", account="other", source_api="push", fetched_at=FETCHED_AT + timedelta(days=1))
    hashes = {
        str(normalize_answer([None, one], later).leads["content_hash"].iloc[0])
        for one in (plain, blanks, shuffled, number, spaced)
    }
    assert hashes == {content_hash(SENDER_NAME="Asha", NEW="x")}


def test_every_field_changes_the_hash() -> None:
    changed = {
        field: content_hash(**{field: "2024-05-23 15:44:29" if field == "QUERY_TIME" else "7"})
        for field in (*KNOWN_FIELDS, "NEW", "NEWER")
    }
    assert len({*changed.values(), content_hash()}) == len(changed) + 1


def test_values_that_clean_to_the_same_still_differ_in_the_hash() -> None:
    assert content_hash(QUERY_MESSAGE="a<br>b") != content_hash(QUERY_MESSAGE="a\nb")
    assert content_hash(SENDER_MOBILE="+91-9876543210") != content_hash(SENDER_MOBILE="9876543210")


words = st.sampled_from(["", "a", "b", "1:", ";", "=", "a;1:B=1:b", "é"])
KNOWN = [field.field for field in SOURCE_FIELDS[:3]]
UNKNOWN = ["A", "B", "A=1:a;1:B", "0", "Z;"]
names = st.sampled_from(KNOWN + UNKNOWN)
some_fields = st.dictionaries(names, words, max_size=4)


@repeatable
@given(st.lists(some_fields, min_size=2, max_size=30))
def test_equal_hashes_mean_equal_fields(many: list[dict[str, str]]) -> None:
    records = [record(UNIQUE_QUERY_ID=str(place), **fields) for place, fields in enumerate(many, start=1)]
    known = {"UNIQUE_QUERY_ID": pa.array(["1"] * len(many)), **_known_columns(many)}
    unknown = {
        row: others
        for row, fields in enumerate(many)
        if (others := {name: text for name, text in fields.items() if name in UNKNOWN and text})
    }
    hashes = content_hashes(known, unknown).to_pylist()
    said = {frozenset((name, text) for name, text in fields.items() if text) for fields in many}
    assert len(set(hashes)) == len(said)
    assert normalize_answer(records, facts()).leads["content_hash"].is_unique


def _known_columns(many: list[dict[str, str]]) -> dict[str, pa.Array]:
    return {name: pa.array([fields.get(name) or None for fields in many], pa.string()) for name in KNOWN}
