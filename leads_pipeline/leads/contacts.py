"""How a buyer can be reached: phones to E.164, the country of a number, e-mail addresses, names of people.

Phones come out exactly as the phonenumbers library reads them. Nearly all are Indian mobiles and landlines, which
patterns settle for a whole column, or foreign numbers of a plain plan; the library sees only the distinct rest.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import clean_text, null_where
from leads_pipeline.leads.schema import TEXT

HOME_REGION = "IN"

_INDIAN_MOBILE = r"^\+91-?[6-9][0-9]{9}$"
_BARE_MOBILE = r"^[6-9][0-9]{9}$"  # Indian only where India is the region: Nigeria has such numbers too
_LANDLINE = r"^0[1-9](?:[0-9]{9}|[0-9]-[0-9]{8}|[0-9]{2}-[0-9]{7}|[0-9]{3}-[0-9]{6})$"  # as above: India only
_NATIONAL_DIGITS = 10
_INTERNATIONAL = re.compile(r"\+([1-9][0-9]{0,2})-([1-9][0-9]{3,13})")
_REGIONS = pa.array(sorted(phonenumbers.SUPPORTED_REGIONS), TEXT)

_HOME_PREFIX = "+91"  # no other country's code begins so
_NO_COUNTRY = phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY


# Letters of all scripts: Indian providers give out addresses in Indian ones (RFC 6531).
def _address(letter: str, digit: str, mark: str) -> str:
    """Return the pattern of an address of these letters, digits and combining marks."""
    inner = f"{letter}{mark}{digit}"
    word = rf"[{inner}!#$%&'*+/=?^_`{{|}}~-]+"
    label, top = f"[{letter}{digit}](?:[{inner}-]*[{inner}])?", f"[{letter}][{inner}-]*[{inner}]"
    return rf"^{word}(?:\.{word})*@(?:{label}\.)+{top}$"


_ADDRESS, _ASCII_ADDRESS = _address(r"\p{L}", r"\p{N}", r"\p{M}"), _address("A-Za-z", "0-9", "")
_LONGEST_ADDRESS = 254  # RFC 5321, as is the next
_LONGEST_LOCAL_PART = 64

_PLACEHOLDER, _ASCII_PLACEHOLDER = (  # contract: v2 success, 4
    rf"(?i)^(?:indiamart )?buyer$|^{no_letter}*$" for no_letter in (r"\P{L}", "[^A-Za-z]")
)


def phones_to_e164(phones: pa.Array, regions: pa.Array) -> pa.Array:
    """Return the phones in E.164 (+919876543210); NULL where the text is not one possible number.

    Phones are trimmed texts or NULL. Regions (see `phone_regions`) say for each phone where a number without a
    country code is.
    """
    at_home = pc.equal(regions, HOME_REGION)
    national = pc.or_(pc.match_substring_regex(phones, _BARE_MOBILE), pc.match_substring_regex(phones, _LANDLINE))
    settled = pc.or_(pc.match_substring_regex(phones, _INDIAN_MOBILE), pc.and_(national, at_home))
    settled = pc.fill_null(settled, False)
    digits = pc.utf8_slice_codeunits(pc.replace_substring(phones, "-", ""), start=-_NATIONAL_DIGITS)
    e164 = null_where(pc.invert(settled), pc.binary_join_element_wise(_HOME_PREFIX, digits, ""))

    rest = pc.and_(pc.invert(settled), pc.is_valid(phones))
    pairs = list(zip(phones.filter(rest).to_pylist(), regions.filter(rest).to_pylist(), strict=True))
    known = {pair: phone_to_e164(*pair) for pair in set(pairs)}
    return pc.replace_with_mask(e164, rest, pa.array([known[pair] for pair in pairs], TEXT))


def phone_to_e164(phone: str, region: str) -> str | None:
    """Return one phone in E.164 as the library reads it; None where it is not one possible number.

    `+61-` (a country code alone) and two numbers in one field are none.
    """
    if international := _INTERNATIONAL.fullmatch(phone):
        code, digits = international.groups()
        plan = _plain_plan(code)
        if plan and len(digits) in plan.lengths and not (plan.prefix and digits.startswith(plan.prefix)):
            return f"+{code}{digits}"
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@dataclass(frozen=True)
class _PlainPlan:
    """A numbering plan whose numbers stand after the country code as they are, but for a prefix of digits."""

    lengths: frozenset[int]
    prefix: str | None


@cache
def _plain_plan(code: str) -> _PlainPlan | None:
    """Return the plan of a country code; None where there is no such code, or its plan rewrites numbers."""
    region = phonenumbers.region_code_for_country_code(int(code))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.general_desc is None:
        return None
    prefix = metadata.national_prefix_for_parsing
    if prefix is not None and not prefix.isdigit():
        return None
    return _PlainPlan(frozenset(metadata.general_desc.possible_length), prefix)


def phone_regions(country_codes: pa.Array, default: str = HOME_REGION) -> pa.Array:
    """Return for each country code the region to read phones in: the default where it is missing or unknown."""
    codes = pc.utf8_upper(country_codes)
    return pc.if_else(pc.is_in(codes, value_set=_REGIONS), codes, default)


def countries_of_numbers(countries: pa.Array, numbers: Sequence[pa.Array]) -> pa.Array:
    """Return the countries, and where one is NULL that of the lead's first number that has one.

    Numbers are columns in E.164, the most telling first. Countries are two letters (ISO 3166). A number that is
    valid in several countries or in none, such as +1 and +44 numbers out of every plan, gives none.
    """
    for column in numbers:
        lacking = pc.and_(pc.is_null(countries), pc.is_valid(column))
        if pc.any(lacking, min_count=0).as_py():
            countries = pc.replace_with_mask(countries, lacking, _countries(column.filter(lacking)))
    return countries


def _countries(numbers: pa.Array) -> pa.Array:
    """Return the country of each E.164 number; no number is NULL."""
    at_home = pc.starts_with(numbers, _HOME_PREFIX)
    countries = pc.if_else(at_home, HOME_REGION, pa.scalar(None, TEXT))
    abroad = pc.invert(at_home)
    encoded = numbers.filter(abroad).dictionary_encode()
    known = pa.array([_country(number) for number in encoded.dictionary.to_pylist()], TEXT)
    return pc.replace_with_mask(countries, abroad, known.take(encoded.indices))


def _country(number: str) -> str | None:
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    return None if region == _NO_COUNTRY else region


def clean_emails(texts: pa.Array) -> pa.Array:
    """Return the addresses in lower case; NULL where the text is not one address.

    An address has a local part of words joined by dots, and a domain of at least two labels, in any script.
    Two addresses in one field, a display name and quoted local parts are none.
    """
    lowered = pc.utf8_lower(texts)
    well_formed = _matches(lowered, _ASCII_ADDRESS, _ADDRESS)
    short = pc.and_(
        pc.less_equal(pc.utf8_length(lowered), _LONGEST_ADDRESS),
        pc.less_equal(pc.find_substring(lowered, "@"), _LONGEST_LOCAL_PART),
    )
    return null_where(pc.invert(pc.and_(well_formed, short)), lowered)


def clean_names(texts: pa.Array) -> pa.Array:
    """Return the names as people read them; NULL where the API has none and says so in words.

    `BUYER`, `Buyer` and `IndiaMART Buyer` stand for a name that IndiaMART does not know; a text without any letter,
    such as `-` or a phone number, is no name either.
    """
    names = clean_text(texts)
    return null_where(_matches(names, _ASCII_PLACEHOLDER, _PLACEHOLDER), names)


def _matches(texts: pa.Array, ascii_pattern: str, pattern: str) -> pa.Array:
    """Return which texts the pattern matches; the other one says the same of ASCII texts, and costs less to compile."""
    matches = pc.match_substring_regex(texts, ascii_pattern)
    others = pc.fill_null(pc.invert(pc.string_is_ascii(texts)), False)
    if not pc.any(others, min_count=0).as_py():
        return matches
    return pc.replace_with_mask(matches, others, pc.match_substring_regex(texts.filter(others), pattern))
