"""What the value of one requirement line says: a quantity with its unit, or an order value in rupees.

The API's forms have a few fixed shapes ("Rs. 10 to 20 Lakh", "Upto 1,000", "10 piece"); buyers who type the lines
themselves add others. Whatever is not understood as a whole is not understood at all: nothing here guesses.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

_LIMIT = Decimal(10) ** 15  # what DECIMAL(18, 3) and BIGINT both hold
_SMALLEST_STEP = Decimal("0.001")
_LONGEST_VALUE = 120  # characters; no amount needs more

_SHARED_FACTORS = {
    100: ("hundred",),
    1_000: ("k", "thousand", "thousands", "hazar", "हजार", "हज़ार"),
    100_000: ("lakh", "lakhs", "lac", "lacs", "लाख"),
    1_000_000: ("million",),
    10_000_000: ("crore", "crores", "cr", "करोड़", "करोड"),
}


def _factor_table(shared: dict[int, tuple[str, ...]], **others: int) -> dict[str, int]:
    words = {unicodedata.normalize("NFC", word): factor for factor, names in shared.items() for word in names}
    return words | others


_QUANTITY_FACTORS = _factor_table(_SHARED_FACTORS)
_RUPEE_FACTORS = _factor_table(_SHARED_FACTORS, l=100_000)  # "5 L" is 5 lakh of rupees, but 5 litres of paint

# Western and Indian grouping, or none: 100,000 and 1,00,000 and 100000.
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}|[0-9]+)(?:\.[0-9]{1,9})?"
_TO = r" ?(?:to|-|\u2013|\u2014|and|&|से) ?"
_ABOUT = r"(?:approx(?:imately|\.)?|about|around|nearly|~|लगभग)"
_AT_LEAST = (
    r"(?:more than|greater than|not less than|at ?least|above|over|min(?:imum|\.)?|(?:starting )?from|>=?)(?: of)?"
)
_AT_MOST = r"(?:up ?to|less than|not more than|at ?most|below|under|max(?:imum|\.)?|within|<=?)(?: of)?"
_OR_MORE = r"(?:\+|(?:and|&|or) (?:above|more)|onwards?|से (?:अधिक|ज्यादा))"
_OR_LESS = r"(?:(?:and|&|or) (?:below|less)|से कम|तक)"
_UNIT = r"[^\W\d_](?:\D|(?<=[^\W\d_])\d){0,39}"  # no further amount, but "m3"
_CURRENCY = re.compile(r"₹|(?<![a-z])(?:rs|inr|rupees?)(?![a-z])\.?|रुप(?:ये|ए)|रु(?![^\W\d_])\.?|/[-=]|\bonly\b")


def _amount(name: str, factors: dict[str, int]) -> str:
    words = "|".join(sorted(factors, key=len, reverse=True))
    return rf"(?P<{name}>{_NUMBER})(?: ?(?P<{name}_factor>{words})(?![^\W\d_]))?"


def _pattern(factors: dict[str, int], rest: str = "") -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of one amount with its bounds, and of a range."""
    single = (
        rf"(?:(?:(?P<at_least>{_AT_LEAST})|(?P<at_most>{_AT_MOST})|(?P<about>{_ABOUT})) ?)?{_amount('low', factors)}"
        rf" ?(?:(?P<or_more>{_OR_MORE})|(?P<or_less>{_OR_LESS})|(?P<or_so>{_ABOUT}))?{rest}"
    )
    between = (
        rf"(?:(?P<about>{_ABOUT}) ?|(?:between|from) )?"
        rf"{_amount('low', factors)}{_TO}{_amount('high', factors)}(?: ?तक)?{rest}"
    )
    return re.compile(single), re.compile(between)


_QUANTITY, _QUANTITY_RANGE = _pattern(_QUANTITY_FACTORS, rf"(?: ?(?P<unit>{_UNIT}))?")
_RUPEES, _RUPEE_RANGE = _pattern(_RUPEE_FACTORS)


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much a buyer asks for, at least.

    `unit` is in lower case, None where none is said. `is_all` tells whether amount and unit say all that the text
    says: not so for a range, of which `amount` is the lower end, nor for "about" and "more than".
    """

    amount: Decimal
    unit: str | None
    is_all: bool


@dataclass(frozen=True, slots=True)
class OrderValue:
    """What an order is worth, in whole rupees; None for an end that is open. `is_all` as for a quantity."""

    minimum: int | None
    maximum: int | None
    is_all: bool


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity that the text says; None where it says none, or only how much it is at most.

    "10 Ton", "1,00,000", "2.5 lakh Piece", "१० टन"; of "1000-2000 Piece" the lower end. Exact to three decimals.
    """
    text = _prepared(text)
    if found := _QUANTITY_RANGE.fullmatch(text):
        ends = _ends(found, _QUANTITY_FACTORS)
        amount = None if ends is None else ends[0]
        is_all = False
    elif found := _QUANTITY.fullmatch(text):
        amount = None if found["at_most"] or found["or_less"] else _value(found, "low", _QUANTITY_FACTORS)
        is_all = not (found["at_least"] or found["or_more"] or found["about"] or found["or_so"])
    else:
        return None
    if amount is None or amount >= _LIMIT or amount % _SMALLEST_STEP:
        return None
    unit = found["unit"]
    return Quantity(amount, unit.strip() if unit else None, is_all)


def read_order_value(text: str) -> OrderValue | None:
    """Return the order value in rupees that the text says; None where it says none.

    "Rs. 10 to 20 Lakh" is 10 lakh to 20 lakh, "Rs. 50,000 to 1 Lakh" begins at 50,000; "More than ..." has no
    maximum, "Upto ..." no minimum, a single amount is both. Amounts with paise and in other currencies are none.
    """
    text = " ".join(_CURRENCY.sub(" ", _prepared(text)).split())
    if found := _RUPEE_RANGE.fullmatch(text):
        ends = _ends(found, _RUPEE_FACTORS)
        low, high = (None, None) if ends is None else (_rupees(ends[0]), _rupees(ends[1]))
        return None if low is None or high is None else OrderValue(low, high, is_all=not found["about"])
    if not (found := _RUPEES.fullmatch(text)):
        return None
    value = _value(found, "low", _RUPEE_FACTORS)
    rupees = None if value is None else _rupees(value)
    is_most, is_least = bool(found["at_most"] or found["or_less"]), bool(found["at_least"] or found["or_more"])
    if rupees is None or (is_most and is_least):
        return None
    is_all = not (found["about"] or found["or_so"])
    return OrderValue(None if is_most else rupees, None if is_least else rupees, is_all)


def _prepared(text: str) -> str:
    """Return the text in lower case with digits of any script as 0 to 9; empty where it is too long to be read."""
    if len(text) > _LONGEST_VALUE:
        return ""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        text = "".join(str(unicodedata.decimal(letter, letter)) for letter in text)
    return " ".join(text.lower().split())


def _ends(found: re.Match[str], factors: dict[str, int]) -> tuple[Decimal, Decimal] | None:
    """Return both ends of a range; None where it falls.

    A factor that only one end has belongs to both ("1 to 2 Lakh"), unless the range fell then ("50,000 to 1 Lakh").
    """
    low, high = _value(found, "low", factors), _value(found, "high", factors)
    if low is None or high is None:
        return None
    low_factor, high_factor = (factors.get(found[f"{name}_factor"], 0) for name in ("low", "high"))
    if high_factor and not low_factor and low * high_factor <= high:
        low *= high_factor
    elif low_factor and not high_factor and high < low:
        high *= low_factor
    return (low, high) if low <= high else None


def _value(found: re.Match[str], name: str, factors: dict[str, int]) -> Decimal | None:
    number = Decimal(found[name].replace(",", ""))
    return number * factors.get(found[f"{name}_factor"], 1) if number < _LIMIT else None


def _rupees(amount: Decimal) -> int | None:
    return int(amount) if amount < _LIMIT and amount == amount.to_integral_value() else None
