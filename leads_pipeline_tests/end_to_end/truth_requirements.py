"""What the requirement lines of a true lead's message must become, told from how the fake server writes them.

It writes an opening and then one line per `<br>`, so that here the lines need not be told from the buyer's words;
and it takes order values from a short list, so that here they are looked up.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

LAKH = 100_000
CRORE = 100 * LAKH

ORDER_VALUES: dict[str, tuple[int | None, int | None]] = {
    "Upto Rs. 1,000": (None, 1_000),
    "Rs. 1,000 to 3,000": (1_000, 3_000),
    "Rs. 3,000 to 10,000": (3_000, 10_000),
    "Rs. 10,000 to 20,000": (10_000, 20_000),
    "Rs. 20,000 to 50,000": (20_000, 50_000),
    "Rs. 50,000 to 1 Lakh": (50_000, LAKH),
    "Rs. 1 to 2 Lakh": (LAKH, 2 * LAKH),
    "Rs. 2 to 5 Lakh": (2 * LAKH, 5 * LAKH),
    "Rs. 5 to 10 Lakh": (5 * LAKH, 10 * LAKH),
    "Rs. 10 to 20 Lakh": (10 * LAKH, 20 * LAKH),
    "Rs. 20 to 50 Lakh": (20 * LAKH, 50 * LAKH),
    "Rs. 50 Lakh to 1 Crore": (50 * LAKH, CRORE),
    "Rs. 1 to 2 Crore": (CRORE, 2 * CRORE),
    "More than Rs. 2 Crore": (2 * CRORE, None),
    "More than 50,000": (50_000, None),
}
FORM_LABELS = {
    "quantity",
    "quantity unit",
    "probable order value",
    "usage",
    "probable requirement type",
    "preferred location",
}
"""Labels that mark the lines around them as requirement lines; the others are the product's own."""


def expected_requirements(message: str | None) -> dict[str, object]:
    """The columns that the message's requirement lines make."""
    if message is None:
        return _columns(None, {}, unread=None)
    opening, *others = (_tidy(line) for line in message.split("<br>"))
    said = dict(_label_and_value(line) for line in others if line)
    if FORM_LABELS & said.keys():
        return _columns(opening, said, unread=0)
    return _columns("\n".join([opening, *others]).strip(), {}, unread=0)


def _columns(text: str | None, said: dict[str, str], unread: int | None) -> dict[str, object]:
    left = dict(said)
    number, _, unit = left.pop("quantity", "").partition(" ")
    order_value = left.pop("probable order value", None)
    least, most = (None, None) if order_value is None else ORDER_VALUES[order_value]
    return {
        "message_text": text,
        "quantity": Decimal(number.replace(",", "")) if number else None,
        "quantity_unit": (unit or left.pop("quantity unit", "")).lower() or None,
        "order_value_min_inr": least,
        "order_value_max_inr": most,
        "requirement_type": left.pop("probable requirement type", None),
        "preferred_location": left.pop("preferred location", None),
        "requirement_details": left or None,
        "unread_requirement_values": unread,
    }


def _label_and_value(line: str) -> tuple[str, str]:
    label, _, value = line.partition(":")
    return label.strip().lower(), value.strip()


def _tidy(text: str) -> str:
    return "\n".join(_single_spaced(re.split("\r\n|\r|\n", text))).strip()


def _single_spaced(lines: Iterable[str]) -> list[str]:
    return [re.sub("[ \t]+", " ", line).strip() for line in lines]
