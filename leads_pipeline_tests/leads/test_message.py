from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.leads.frames import to_frame, to_table
from leads_pipeline.leads.merge import merge_leads
from leads_pipeline.leads.message import requirement_columns
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, REQUIREMENT_COLUMNS, TEXT
from leads_pipeline.stages.replay_compare import compare_rows
from leads_pipeline.storage.parquet import FILE_SCHEMA, from_parquet, to_parquet
from leads_pipeline.storage.tables import LEADS
from leads_pipeline_tests.leads.examples import FETCHED_AT, facts, only_lead, record, repeatable, rows_of

OPENING = "I want to buy Proximity Sensors."
LAKH = 100_000


def columns_of(*messages: str | None) -> list[dict[str, Any]]:
    columns = requirement_columns(pa.array(messages, TEXT))
    assert {name: column.type for name, column in columns.items()} == {
        one.name: one.type for one in REQUIREMENT_COLUMNS
    }
    rows: list[dict[str, Any]] = pa.table(columns).to_pylist(maps_as_pydicts="strict")
    assert len(rows) == len(messages)
    return rows


def said_in(message: str) -> dict[str, Any]:
    """Return the columns of one message that are not NULL, without a count of 0."""
    (row,) = columns_of(message)
    return {name: value for name, value in row.items() if value is not None and value != 0}


def said_after_opening(*lines: str) -> dict[str, Any]:
    said = said_in("\n".join([OPENING, *lines]))
    assert said.pop("message_text") == OPENING
    return said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            f"{OPENING}<br> Model :   PRK-3<br> Quantity :   6<br> Quantity Unit :   piece<br> Sensing Distance :   "
            "0-0.3 Meter<br> Probable Order Value :   Rs. 3,000 to 10,000<br> Probable Requirement Type :   Business "
            "Use<br>Preferred Location: Suppliers from all over India can contact<br>",
            {
                "quantity": Decimal(6),
                "quantity_unit": "piece",
                "order_value_min_inr": 3_000,
                "order_value_max_inr": 10_000,
                "requirement_type": "Business Use",
                "preferred_location": "Suppliers from all over India can contact",
                "requirement_details": [("model", "PRK-3"), ("sensing distance", "0-0.3 Meter")],
            },
        ),
        (
            f"{OPENING}<br>Quantity : 10 piece<br>Probable Order Value : Rs. 1 to 2 Lakh",
            {
                "quantity": Decimal(10),
                "quantity_unit": "piece",
                "order_value_min_inr": LAKH,
                "order_value_max_inr": 2 * LAKH,
            },
        ),
        (
            f"{OPENING}\n\n Quantity:   1   piece\n Viewing Distance:   500 \n Dimensions:   1?3 \n "
            "Total Order Value(Rs):   1,000 to 3,000 \n\n\nAdditional Updates on Buyer s Requirement :\n"
            "Preferred Location: Suppliers from Local Area will be Preferred\n",
            {
                "quantity": Decimal(1),
                "quantity_unit": "piece",
                "order_value_min_inr": 1_000,
                "order_value_max_inr": 3_000,
                "preferred_location": "Suppliers from Local Area will be Preferred",
                "requirement_details": [
                    ("viewing distance", "500"),
                    ("dimensions", "1?3"),
                    ("additional updates on buyer s requirement", ""),
                ],
            },
        ),
        (
            f"{OPENING}\n\n Approximate Order Value:   Upto 1,000 \n Currency:   INR - Indian Rupee \n",
            {"order_value_max_inr": 1_000, "requirement_details": [("currency", "INR - Indian Rupee")]},
        ),
        (
            f"{OPENING}Quantity: 100000 PieceProbable Order Value: More than Rs. 5 LakhProbable "
            "Requirement Type: Resale",
            {
                "quantity": Decimal(100_000),
                "quantity_unit": "piece",
                "order_value_min_inr": 5 * LAKH,
                "requirement_type": "Resale",
            },
        ),
    ],
    ids=["2022", "2021", "2020", "currency", "without breaks"],
)
def test_messages_in_the_forms_of_all_years_become_typed_columns(message: str, said: dict[str, Any]) -> None:
    lead = only_lead(QUERY_MESSAGE=message)
    names = [column.name for column in REQUIREMENT_COLUMNS]
    expected = {"message_text": OPENING, "unread_requirement_values": 0, **said}
    assert {name: lead[name] for name in names if lead[name] is not None} == expected


@pytest.mark.parametrize(
    "text",
    [
        "Note: call me\nhttp://shop.example/a\nTime: 10:30",
        "Dear Sir: I need 5 tons",
        "Kindly send the following as soon as you possibly can today: price",
        "My budget is Rs. 5 lakh, quantity 10",
        "Minimum Quantity: what is yours?",
        ":\n::",
        "10:30 works for me",
        "quantity http://shop.example",
        f"{OPENING}\nSize : 5 mm\nColour : Red",
        "दाम बताएं: कृपया",
    ],
)
def test_lines_with_a_colon_among_no_requirement_line_are_the_buyers_text(text: str) -> None:
    assert said_in(text) == {"message_text": text}


def test_unknown_labels_count_on_both_sides_of_a_known_one_but_not_across_another_line_or_at_the_start() -> None:
    lines = ["Dear Sir: hello", "Time: 9", "", "Size : 5 mm", "Quantity : 6", "Colour : Red", "", "Time: 10:30", "Bye."]
    assert said_in("\n".join(lines)) == {
        "message_text": "Dear Sir: hello\nTime: 9\n\n\nTime: 10:30\nBye.",
        "quantity": Decimal(6),
        "requirement_details": {"size": "5 mm", "colour": "Red"},
    }


def test_the_first_line_is_the_buyers_opening_unless_its_label_is_known() -> None:
    assert said_in("Dear Sir: hello\nQuantity : 6") == {"message_text": "Dear Sir: hello", "quantity": Decimal(6)}
    assert said_in("Usage : Farm\nSize : 5 mm") == {"requirement_details": {"usage": "Farm", "size": "5 mm"}}


def test_a_sentence_with_a_colon_among_requirement_lines_stays_text() -> None:
    sentence = "Please also tell me the price of all that you have: soon"
    assert said_in(f"Quantity : 6\n{sentence}") == {"message_text": sentence, "quantity": Decimal(6)}


def test_lines_of_one_message_never_count_for_the_next() -> None:
    assert [row["message_text"] for row in columns_of("Hi\nSize : 5 mm", "Quantity : 6", "Size : 5 mm")] == [
        "Hi\nSize : 5 mm",
        None,
        "Size : 5 mm",
    ]


def test_web_addresses_among_requirement_lines_stay_text() -> None:
    assert said_in("Quantity : 6\nhttps://shop.example/a\nSee : //b") == {
        "quantity": Decimal(6),
        "message_text": "https://shop.example/a\nSee : //b",
    }


def test_a_message_of_requirement_lines_alone_has_no_text() -> None:
    assert said_in("Quantity : 6 Kg") == {"quantity": Decimal(6), "quantity_unit": "kg"}


def test_labels_are_known_in_any_case_and_spacing_and_details_have_one_form_of_them() -> None:
    lines = ["QUANTITY:6", "quantity  unit : KG", "USAGE/Application: Farm", "Why Do  You Need This :x"]
    assert said_after_opening(*lines) == {
        "quantity": Decimal(6),
        "quantity_unit": "kg",
        "requirement_details": {"usage/application": "Farm", "why do you need this": "x"},
    }


def test_hindi_lines_are_read() -> None:
    assert said_in("मुझे पाइप चाहिए\nमात्रा : १,५०० मीटर\nरंग : लाल") == {
        "message_text": "मुझे पाइप चाहिए",
        "quantity": Decimal(1500),
        "quantity_unit": "मीटर",
        "requirement_details": {"रंग": "लाल"},
    }


def test_a_label_of_the_form_without_a_value_says_nothing() -> None:
    assert said_after_opening("Quantity : ", "Quantity Unit :", "Probable Order Value:", "Usage : ") == {
        "requirement_details": {"usage": ""}
    }


def test_the_first_readable_line_fills_the_column_and_the_others_stay_in_the_details() -> None:
    lines = ["Quantity : some", "Quantity : 5 Kg", "Quantity : 7 Kg", "Usage : a", "Requirement Type : x", "USAGE : b"]
    assert said_after_opening(*lines, "Probable Requirement Type : y") == {
        "quantity": Decimal(5),
        "quantity_unit": "kg",
        "requirement_type": "x",
        "requirement_details": {"quantity": "some\n7 Kg", "usage": "a\nb", "probable requirement type": "y"},
        "unread_requirement_values": 1,
    }


@pytest.mark.parametrize("line", ["Quantity : Up to 5 Kg", "Probable Order Value : Negotiable"])
def test_what_cannot_be_read_stays_text_under_its_label_and_is_counted(line: str) -> None:
    label, _, value = line.partition(" : ")
    assert said_after_opening(line) == {"requirement_details": {label.lower(): value}, "unread_requirement_values": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Quantity : 1000-2000 Piece", {"quantity": Decimal(1000), "quantity_unit": "piece"}),
        ("Probable Order Value : about 5,000", {"order_value_min_inr": 5000, "order_value_max_inr": 5000}),
    ],
)
def test_what_a_column_holds_in_part_stays_whole_in_the_details_and_is_not_counted(
    line: str, said: dict[str, Any]
) -> None:
    label, _, value = line.partition(" : ")
    assert said_after_opening(line) == {**said, "requirement_details": {label.lower(): value}}


def test_the_unit_beside_the_number_goes_before_a_unit_line_which_then_stays_in_the_details() -> None:
    assert said_after_opening("Quantity : 5 Kg", "Quantity Unit : Ton") == {
        "quantity": Decimal(5),
        "quantity_unit": "kg",
        "requirement_details": {"quantity unit": "Ton"},
    }
    assert said_after_opening("Quantity : 5 Kg", "Quantity Unit : KG") == {
        "quantity": Decimal(5),
        "quantity_unit": "kg",
    }


def test_an_order_value_in_another_currency_is_not_rupees() -> None:
    assert said_after_opening("Currency: USD - US Dollar", "Approximate Order Value: 1,000 to 2,000") == {
        "requirement_details": {"currency": "USD - US Dollar", "approximate order value": "1,000 to 2,000"},
        "unread_requirement_values": 1,
    }


def test_the_count_is_null_without_a_message_and_an_answer_sums_it() -> None:
    assert [row["unread_requirement_values"] for row in columns_of(None, "Hello", "Quantity : ?")] == [None, 0, 1]
    lines = ("Quantity : ?<br>Order Value : ?", "Quantity : ?", "Quantity : 5", None)
    records = [record(UNIQUE_QUERY_ID=str(number), QUERY_MESSAGE=line) for number, line in enumerate(lines, start=1)]
    assert normalize_answer(records, facts()).unread_requirement_values == 3
    assert normalize_answer([], facts()).unread_requirement_values == 0


def test_no_messages_give_columns_without_rows() -> None:
    assert columns_of() == []


labels = st.sampled_from(["Model", "Size", "Dimension (L x W x H)", "रंग", "Voltage", "No. of Users"])
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=12)
details = st.dictionaries(labels, values.filter(lambda value: not value.startswith("//")), max_size=4)
openings = st.lists(st.sampled_from(["Hello", "", "I need it.", "Time 10", "नमस्ते"]), max_size=3)


@repeatable
@given(
    st.lists(
        st.tuples(openings, details, st.integers(0, 10**12), st.integers(0, 10**12), st.permutations(range(6))),
        max_size=5,
    )
)
def test_built_messages_are_taken_apart_again(
    parts: list[tuple[list[str], dict[str, str], int, int, list[int]]],
) -> None:
    built, expected = [], []
    for opening, other, number, rupees, order in parts:
        lines = [
            f"Quantity : {number}",
            "Quantity Unit : Kg",
            f"Order Value : Rs. {rupees}",
            "Requirement Type : Resale",
        ]
        lines += [f"{label} : {value}" for label, value in other.items()]
        ordered = [lines[place] for place in order if place < len(lines)] + lines[6:]
        text = "\n".join(opening).strip() or "Hi"
        built.append("\n".join([text, *ordered]))
        expected.append(
            {
                "message_text": text,
                "quantity": Decimal(number),
                "quantity_unit": "kg",
                "order_value_min_inr": rupees,
                "order_value_max_inr": rupees,
                "requirement_type": "Resale",
                "preferred_location": None,
                "requirement_details": {label.lower(): value for label, value in other.items()} or None,
                "unread_requirement_values": 0,
            }
        )
    assert columns_of(*built) == expected


COLUMN_OF_LABEL = {
    "qty": ["quantity"],
    "quantity unit": ["quantity_unit"],
    "order value": ["order_value_min_inr", "order_value_max_inr"],
    "requirement type": ["requirement_type"],
    "preferred location": ["preferred_location"],
}
pieces = st.sampled_from(
    [*COLUMN_OF_LABEL, "QTY", "Usage", "Size", "Note", "Currency", "USD", " :", ": ", ":", ":", "\n", "\n", "5", "5 Kg",
     "1-2 Lakh", "lots", "//", "?", "लाख", "\u00a0", "\x00", "é"]
)  # fmt: skip
noise = st.lists(pieces | st.text(max_size=3), max_size=25).map("".join)


@repeatable
@given(st.lists(st.none() | noise, max_size=6))
def test_any_texts_are_taken_alone_as_among_others_and_no_line_is_lost(texts: list[str | None]) -> None:
    rows = columns_of(*texts)
    assert rows == [row for text in texts for row in columns_of(text)]
    for text, row in zip(texts, rows, strict=True):
        assert [line for line in (text or "").split("\n") if not is_kept(line, row)] == []


def is_kept(line: str, row: dict[str, Any]) -> bool:
    """Tell whether the line stands in the text, in the details or, if it has a value, in its column."""
    if line.strip() in (row["message_text"] or ""):
        return True
    label, _, value = line.partition(":")
    label, value = " ".join(label.lower().split()), value.strip()
    if value in (row["requirement_details"] or {}).get(label, "\n"):
        return True
    return value == "" or any(row[column] is not None for column in COLUMN_OF_LABEL[label])


def test_the_columns_survive_frames_merge_parquet_duckdb_and_versions_and_a_replay_sees_them_differ(
    tmp_path: Path,
) -> None:
    message = "Hi<br>Size : 5 mm<br>Quantity : 5.125 Kg<br>Order Value : ?"
    first = normalize_answer([record(QUERY_MESSAGE=message), record(UNIQUE_QUERY_ID="2")], facts("r1")).leads
    table = to_table(first, LEADS_ARROW_SCHEMA)
    assert to_table(merge_leads(first, first), LEADS_ARROW_SCHEMA).sort_by("response_position").equals(table)
    stored = from_parquet(to_parquet(table, FILE_SCHEMA), FILE_SCHEMA, "the leads")
    assert stored.equals(table.select(FILE_SCHEMA.names))

    with duckdb.connect(str(tmp_path / "leads.duckdb")) as connection:
        connection.execute(LEADS.statements[0]).fetchall()
        connection.register("incoming", to_frame(table).drop(columns=["versions"]).pipe(to_arrow))
        connection.execute("INSERT INTO leads BY NAME SELECT * FROM incoming").fetchall()
        sql = "SELECT quantity, requirement_details, requirement_details['size'] FROM leads ORDER BY response_position"
        details = {"size": "5 mm", "order value": "?"}
        expected = [(Decimal("5.125"), details, "5 mm"), (None, None, None)]
        assert connection.execute(sql).fetchall() == expected

    later = facts("r2", fetched_at=FETCHED_AT.replace(month=6))
    changed = normalize_answer([record(QUERY_MESSAGE=message.replace("5 mm", "6 mm"))], later).leads
    several = merge_leads(merge_leads(first, changed), first)
    assert several.equals(merge_leads(changed, first))
    [lead] = [row for row in rows_of(several) if row["query_id"] != "2"]
    assert lead["requirement_details"] == [("size", "6 mm"), ("order value", "?")]
    assert "5 mm" in str(lead["versions"])
    differing = compare_rows(table, to_table(several, LEADS_ARROW_SCHEMA), "query_id")
    assert (differing.changed, "requirement_details" in differing.columns) == (1, True)


def to_arrow(frame: Any) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)
