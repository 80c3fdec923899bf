"""What tells who a buyer is, taken from the fake server's truth, to look for where it may not be."""

import re
from collections.abc import Iterable

from leads_pipeline.fake_indiamart.truth import TrueLead

_FIELDS = (
    "SENDER_MOBILE",
    "SENDER_MOBILE_ALT",
    "SENDER_PHONE",
    "SENDER_PHONE_ALT",
    "SENDER_EMAIL",
    "SENDER_EMAIL_ALT",
    "SENDER_NAME",
    "SENDER_COMPANY",
    "SENDER_ADDRESS",
)
_PLACEHOLDERS = {"BUYER", "Buyer", "IndiaMART Buyer"}
_SHORTEST = 8  # shorter values could be any word


def private_values(leads: Iterable[TrueLead]) -> frozenset[str]:
    """Return what tells who a buyer is; phones as their last digits, which every way to write them keeps."""
    values = {value.strip() for lead in leads for name in _FIELDS if (value := lead.fields[name])}
    phones = {value[-_SHORTEST:] if re.fullmatch(r"\+\d+-\d{8,}", value) else value for value in values}
    return frozenset(value for value in phones if len(value) >= _SHORTEST) - _PLACEHOLDERS
