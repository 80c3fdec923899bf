from dataclasses import replace

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.leads.contacts import (
    clean_emails,
    clean_names,
    countries_of_numbers,
    phone_regions,
    phones_to_e164,
)
from leads_pipeline.leads.normalize import normalize_answer
from leads_pipeline.leads.schema import TEXT
from leads_pipeline_tests.leads.examples import facts, only_lead, record, repeatable, rows_of

digits = st.text("0123456789", min_size=0, max_size=13)
mobiles = st.integers(6_000_000_000, 9_999_999_999).map(str)
prefixes = st.sampled_from(
    ["", "+91-", "+91", "91", "0", "+91 ", "+91--", "+", "+61-", "+94-", "+7-", "0091", "+234", "+1-"]
)
suffixes = st.sampled_from(["", "", "", " x12", "-", " / 9876543210", ";ext=5", "a", "\n1", "9"])
near_the_pattern = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "+91-", "+91"]), st.sampled_from("0126789"), st.text("0189", min_size=9, max_size=9)
    ),
)
landlines = st.builds(
    lambda number, place: f"0{number[:place]}{'-' * (place > 1)}{number[place:]}",
    st.text("0123456789", min_size=9, max_size=12),
    st.integers(1, 5),
)
abroad = st.builds(
    "+{}-{}".format,
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)) | st.integers(1, 999),
    st.text("0123456789", min_size=3, max_size=14),
)
phones = (
    near_the_pattern
    | landlines
    | abroad
    | st.builds("".join, st.tuples(prefixes, mobiles | digits, suffixes))
    | st.text("+-() /.,;x0123456789९", max_size=16)
    | st.text(max_size=10)
).map(str.strip)
regions = st.sampled_from(["IN", "NG", "US", "AE", "LK", "IT", "RU", "NP"])


def from_library(phone: str, region: str) -> str | None:
    """Return what the library says, without any of our code."""
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number(number):
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None


@repeatable
@given(st.lists(st.tuples(phones, regions), min_size=20, max_size=40))
def test_a_column_of_phones_gives_exactly_the_librarys_results(pairs: list[tuple[str, str]]) -> None:
    given_phones = pa.array([*(phone for phone, _ in pairs), None], TEXT)
    given_regions = pa.array([*(region for _, region in pairs), "IN"], TEXT)
    expected = [*(from_library(phone, region) for phone, region in pairs), None]
    assert phones_to_e164(given_phones, given_regions).to_pylist() == expected


@pytest.mark.parametrize(
    ("phone", "country", "e164"),
    [
        ("+91-9876543210", "IN", "+919876543210"),
        ("+919876543210", "US", "+919876543210"),
        ("9876543210", "IN", "+919876543210"),
        ("9876543210", None, "+919876543210"),
        ("9876543210", "ZZ", "+919876543210"),
        ("9876543210", "in", "+919876543210"),
        ("08031234567", "NG", "+2348031234567"),
        ("08031234567", "IN", "+918031234567"),
        ("+94-784123456", "LK", "+94784123456"),
        ("+7-9812345678", "RU", "+79812345678"),
        ("+61-", "AU", None),
        ("+966-", "SA", None),
        ("9876543210 / 9876543211", "IN", None),
        ("not given", "IN", None),
    ],
)
def test_a_buyers_phone_is_read_in_the_buyers_country(phone: str, country: str | None, e164: str | None) -> None:
    lead = only_lead(SENDER_MOBILE=phone, SENDER_COUNTRY_ISO=country)
    assert lead["sender_mobile"] == e164
    assert lead["sender_mobile_original"] == (None if phone == e164 else phone)


def test_the_sellers_phone_is_read_in_india_wherever_the_buyer_is() -> None:
    lead = only_lead(RECEIVER_MOBILE="9830000187", SENDER_PHONE="2025550123", SENDER_COUNTRY_ISO="US")
    assert (lead["receiver_mobile"], lead["sender_phone"]) == ("+919830000187", "+12025550123")


def test_an_account_abroad_has_its_numbers_read_there_where_they_name_no_country() -> None:
    given = record(RECEIVER_MOBILE="0501234567", SENDER_PHONE="042345678", SENDER_MOBILE="+91-9900000501")
    abroad = replace(facts(), default_country="AE")

    (lead,) = rows_of(normalize_answer([given], abroad).leads)

    assert (lead["receiver_mobile"], lead["sender_phone"]) == ("+971501234567", "+97142345678")
    assert lead["sender_mobile"] == "+919900000501"
    (elsewhere,) = rows_of(normalize_answer([given | {"SENDER_COUNTRY_ISO": "SG"}], abroad).leads)
    assert elsewhere["sender_phone"] != lead["sender_phone"]


def test_unknown_countries_are_read_as_india() -> None:
    codes = pa.array(["US", "gb", "UK", "India", None], TEXT)
    assert phone_regions(codes).to_pylist() == ["US", "GB", "IN", "IN", "IN"]


@repeatable
@given(st.lists(abroad, min_size=20, max_size=40))
def test_a_missing_country_is_the_one_the_library_gives_for_the_number(written: list[str]) -> None:
    e164 = phones_to_e164(pa.array(written, TEXT), pa.array(["IN"] * len(written), TEXT))
    expected = [
        None if number is None else phonenumbers.region_code_for_number(phonenumbers.parse(number))
        for number in e164.to_pylist()
    ]
    found = countries_of_numbers(pa.nulls(len(written), TEXT), [e164])
    assert found.to_pylist() == [None if country == "001" else country for country in expected]


@pytest.mark.parametrize(
    ("fields", "country", "from_number"),
    [
        ({"SENDER_MOBILE": "+94-784123456"}, "LK", True),
        ({"SENDER_MOBILE": "9812300045"}, "IN", True),
        ({"SENDER_MOBILE": "+61-", "SENDER_PHONE": "+44-2079460123"}, "GB", True),
        ({"SENDER_MOBILE": "+94-784123456", "SENDER_MOBILE_ALT": "+91-9812300045"}, "LK", True),
        ({"SENDER_MOBILE": "+94-784123456", "SENDER_COUNTRY_ISO": "IN"}, "IN", False),
        ({"SENDER_MOBILE": "+1-9992000000"}, None, None),
        ({"RECEIVER_MOBILE": "9830000187"}, None, None),
    ],
)
def test_a_country_that_the_api_left_out_is_that_of_the_buyers_number(
    fields: dict[str, str], country: str | None, from_number: bool | None
) -> None:
    lead = only_lead(**fields)
    assert (lead["sender_country_iso"], lead["sender_country_from_number"]) == (country, from_number)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Asha.Rao+in@Buyer.Example", "asha.rao+in@buyer.example"),
        ("o'neil_7@a-b.co.in", "o'neil_7@a-b.co.in"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@डाटामेल.भारत"),
        (f"{'a' * 64}@buyer.example", f"{'a' * 64}@buyer.example"),
        (f"{'a' * 65}@buyer.example", None),
        (f"a@{'b.' * 125}example", None),
        ("-", None),
        ("asha", None),
        ("asha@", None),
        ("@buyer.example", None),
        ("asha@buyer", None),
        ("asha@buyer.", None),
        ("asha@buyer.example.", None),
        ("asha@buyer..example", None),
        ("asha@-buyer.example", None),
        ("asha@10.0.0.1", None),
        ("as ha@buyer.example", None),
        (".asha@buyer.example", None),
        ("asha..rao@buyer.example", None),
        ("asha@buyer.example, ravi@buyer.example", None),
        ("Asha <asha@buyer.example>", None),
        ("asha@buyer.example\n", None),
        ("asha@@buyer.example", None),
    ],
)
def test_an_address_is_lowered_and_what_is_no_address_is_null(written: str, address: str | None) -> None:
    assert clean_emails(pa.array([written, None], TEXT)).to_pylist() == [address, None]


def test_the_text_of_a_cleaned_address_is_kept() -> None:
    lead = only_lead(SENDER_EMAIL=" Asha@Buyer.example", SENDER_EMAIL_ALT="asha at buyer")
    assert (lead["sender_email"], lead["sender_email_original"]) == ("asha@buyer.example", " Asha@Buyer.example")
    assert (lead["sender_email_alt"], lead["sender_email_alt_original"]) == (None, "asha at buyer")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("BUYER", None),
        ("buyer", None),
        ("IndiaMART  Buyer", None),
        ("INDIAMART BUYER", None),
        ("-", None),
        (". .", None),
        ("9812300045", None),
        ("Buyer Singh", "Buyer Singh"),
        ("A Buyer", "A Buyer"),
        ("Null", "Null"),
        ("आशा", "आशा"),
        ("R", "R"),
    ],
)
def test_a_placeholder_is_no_name(written: str, name: str | None) -> None:
    assert clean_names(pa.array([written, None], TEXT)).to_pylist() == [name, None]


def test_addresses_and_names_of_all_scripts_are_told_apart_in_one_column() -> None:
    addresses = ["asha@buyer.example", "आशा@खरीदार.भारत", "asha@@b.example", "आशा@@b.भारत", None]
    assert clean_emails(pa.array(addresses, TEXT)).to_pylist() == [addresses[0], addresses[1], None, None, None]
    names = ["Buyer", "आशा", "९८१२३", "42", "Asha", None]
    assert clean_names(pa.array(names, TEXT)).to_pylist() == [None, "आशा", None, None, "Asha", None]
