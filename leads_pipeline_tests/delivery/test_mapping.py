"""From a lead's columns to the texts of a CRM's fields, and what a mapping is refused for."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from leads_pipeline.delivery.crm import CrmField
from leads_pipeline.delivery.destination import FieldSource, PhoneForm
from leads_pipeline.delivery.mapping import (
    LeadMapping,
    MappingError,
    check_sources,
    columns_of,
    payload_hash,
    phone_text,
    text_of,
)
from leads_pipeline.delivery.mapping_check import check_mapping
from leads_pipeline.leads.schema import LEAD_COLUMNS
from leads_pipeline_tests.delivery.memory_crm import destination

LEAD = {
    "query_id": "77",
    "sender_name": "Asha  Devi Rao",
    "sender_mobile": "+919876543210",
    "sender_city": "Pune",
    "sender_country_iso": "AE",
    "subject": None,
    "query_message": "  Please {quote}  ",
}


def values(source: str, default: str = "", lead: dict[str, Any] | None = None, **options: Any) -> dict[str, str]:
    mapping = LeadMapping(
        [FieldSource("Field", source, default)], options.get("form", "e164"), options.get("lead_source", "")
    )
    return mapping.values(LEAD if lead is None else lead)


@pytest.mark.parametrize(
    ("source", "default", "text"),
    [
        ("sender_city", "", "Pune"),
        ("sender_city", "Agra", "Pune"),
        ("subject", "", None),
        ("subject", "None given", "None given"),
        ("", "Always", "Always"),
        ("query_message", "", "Please {quote}"),
        ("{query_message}", "", "Please {quote}"),
        ("{sender_city}, {country_name}", "", "Pune, United Arab Emirates"),
        ("Subject: {subject}", "", None),
        ("Subject: {subject}", "no subject", "no subject"),
        ("{subject} {sender_city}", "", "Pune"),
        ("sender_first_name", "", "Asha"),
        ("{sender_last_name}", "", "Devi Rao"),
        ("lead_source", "", "IndiaMART"),
    ],
)
def test_a_field_has_its_text_from_a_column_a_template_or_its_default(
    source: str, default: str, text: str | None
) -> None:
    assert values(source, default) == ({} if text is None else {"Field": text})


def test_derived_columns_of_a_lead_without_them() -> None:
    assert values("sender_last_name", lead={"sender_name": "Asha"}) == {"Field": "Asha"}
    assert values("{sender_first_name}{sender_last_name}{country_name}", lead={}) == {}
    assert values("{lead_source}", lead_source="IndiaMART Acme") == {"Field": "IndiaMART Acme"}


@pytest.mark.parametrize(
    ("form", "text"),
    [("dashed", "+91-9876543210"), ("e164", "+919876543210"), ("digits", "919876543210"), ("national", "9876543210")],
)
def test_phones_are_written_in_four_forms(form: PhoneForm, text: str) -> None:
    assert values("sender_mobile", form=form) == {"Field": text}
    assert values("Call {sender_mobile}", form=form) == {"Field": f"Call {text}"}
    assert phone_text("ask at the gate", form) == "ask at the gate"
    assert values("query_id", form=form) == {"Field": "77"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (" a ", "a"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (datetime(2026, 3, 1, 1, 2, 3, 456, tzinfo=timezone(timedelta(hours=5.5))), "2026-02-28 19:32:03"),
        (datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC), "2026-03-01 01:02:03"),
        (datetime(2026, 3, 1, 1, 2, 3), "2026-03-01 01:02:03"),
        (date(2026, 3, 1), "2026-03-01"),
        ([("Quantity", "10"), ("Unit", "kg")], "Quantity: 10; Unit: kg"),
        ([("Quantity", None), ("Unit", "kg")], "Unit: kg"),
        (["a", None, "b"], "a; b"),
        ([], ""),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    assert text_of(value) == text


def test_only_the_columns_that_are_named_are_read() -> None:
    sources = [FieldSource("a", "{sender_first_name} {lead_source}"), FieldSource("b", "{country_name} {sender_city}")]
    assert LeadMapping(sources, "e164", "").columns == {"sender_name", "sender_country_iso", "sender_city"}


@pytest.mark.parametrize("source", ["{sender_city", "sender_city}", "{}", "{Sender_City}", "{sender city}", "{{a}}"])
def test_stray_braces_are_refused(source: str) -> None:
    with pytest.raises(MappingError, match="braces hold the name of one column"):
        columns_of(source)
    assert [field for field, _ in check_sources([FieldSource("City", source)], ["sender_city", "a"])] == ["City"]


def test_unknown_columns_are_refused() -> None:
    sources = [FieldSource("A", "sender_town"), FieldSource("B", "x {sender_city} {nothing}"), FieldSource("C", "")]
    known = [column.name for column in LEAD_COLUMNS]
    assert check_sources(sources, known) == [
        ("A", "leads have no column sender_town; `leads tables leads` lists them"),
        ("B", "leads have no column nothing; `leads tables leads` lists them"),
    ]
    assert check_sources([FieldSource("D", "{lead_source}{country_name}{sender_first_name}")], known) == []


def test_equal_texts_have_equal_hashes_whatever_their_order() -> None:
    assert payload_hash({"a": "1", "b": "é"}) == payload_hash({"b": "é", "a": "1"})
    assert len({payload_hash(one) for one in ({}, {"a": "1"}, {"a": "1", "b": ""}, {"a1": ""}, {"b": "1"})}) == 5


def test_a_mapping_is_compared_with_the_fields_that_the_crm_has() -> None:
    fields = [
        CrmField("email", "E-Mail", "email", is_unique=True),
        CrmField("city_7", "Town", "string"),
        CrmField("status", "Status", "picklist", options=("new", "old")),
        CrmField("id", "Id", "bigint", is_read_only=True),
        CrmField("name", "Name", "string", is_required=True),
    ]
    mapped = {
        "EMAIL": ("sender_email", ""),
        "town": ("sender_city", ""),
        "Status": ("", "lost"),
        "status": ("subject", ""),
        "id": ("query_id", ""),
        "zip": ("sender_pincode", ""),
    }
    sources = tuple(FieldSource(name, *source) for name, source in mapped.items())

    found = check_mapping(destination(fields=sources, search_key="phone"), fields)

    assert {(one.field, one.text, one.is_error) for one in found} == {
        ("Status", "takes only: new, old", True),
        ("status", "takes only listed values: others are left out of what is sent", False),
        ("id", "can only be read: it is left out", True),
        ("zip", "the CRM has no such field: it is left out of what is sent", True),
        ("name", "the CRM requires it, and nothing is mapped to it", True),
        ("phone", "the search key is no field of the CRM", True),
    }
    fine = (*sources[:2], FieldSource("Name", "sender_name"))
    assert check_mapping(destination(fields=fine, search_key="E-Mail"), fields) == []
