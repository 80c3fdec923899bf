"""Phones to E.164, with exactly the results of the phonenumbers library.

Nine in ten numbers are Indian mobiles, which a pattern settles for a whole column; the library sees only the
distinct rest.
"""

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import null_where
from leads_pipeline.leads.schema import TEXT

HOME_REGION = "IN"

_INDIAN_MOBILE = r"^\+91-?[6-9][0-9]{9}$"
_BARE_MOBILE = r"^[6-9][0-9]{9}$"  # Indian only where India is the region: Nigeria has such numbers too
_MOBILE_DIGITS = 10
_REGIONS = pa.array(sorted(phonenumbers.SUPPORTED_REGIONS), TEXT)


def phones_to_e164(phones: pa.Array, regions: pa.Array) -> pa.Array:
    """Return the phones in E.164 (+919876543210); NULL where the text is not one possible number.

    Phones are trimmed texts or NULL. Regions (see `phone_regions`) say for each phone where a number without a
    country code is.
    """
    bare = pc.and_(pc.match_substring_regex(phones, _BARE_MOBILE), pc.equal(regions, HOME_REGION))
    settled = pc.fill_null(pc.or_(pc.match_substring_regex(phones, _INDIAN_MOBILE), bare), False)
    digits = pc.utf8_slice_codeunits(phones, start=-_MOBILE_DIGITS)
    e164 = null_where(pc.invert(settled), pc.binary_join_element_wise("+91", digits, ""))

    rest = pc.and_(pc.invert(settled), pc.is_valid(phones))
    pairs = list(zip(phones.filter(rest).to_pylist(), regions.filter(rest).to_pylist(), strict=True))
    known = {pair: phone_to_e164(*pair) for pair in set(pairs)}
    return pc.replace_with_mask(e164, rest, pa.array([known[pair] for pair in pairs], TEXT))


def phone_to_e164(phone: str, region: str) -> str | None:
    """Return one phone in E.164 as the library reads it; None where it is not one possible number.

    `+61-` (a country code alone) and two numbers in one field are none.
    """
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_regions(country_codes: pa.Array) -> pa.Array:
    """Return for each country code the region to read phones in: India where it is missing or unknown."""
    codes = pc.utf8_upper(country_codes)
    return pc.if_else(pc.is_in(codes, value_set=_REGIONS), codes, HOME_REGION)
