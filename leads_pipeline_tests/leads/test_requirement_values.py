# ruff: noqa: RUF001 (digits of other scripts and dashes are what is tested)
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.leads.requirement_values import OrderValue, Quantity, read_order_value, read_quantity
from leads_pipeline_tests.leads.examples import repeatable

LAKH = 100_000
CRORE = 100 * LAKH


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("6", "6", None),
        ("10 Ton", "10", "ton"),
        ("4   piece", "4", "piece"),
        ("1,00,000", "100000", None),
        ("1,50,000 Piece", "150000", "piece"),
        ("12,34,567.5 Kg", "1234567.5", "kg"),
        ("100,000", "100000", None),
        ("2.5 lakh Piece", "250000", "piece"),
        ("3 Lac", "300000", None),
        ("2 crore", "20000000", None),
        ("5k", "5000", None),
        ("5 kg", "5", "kg"),
        ("5 K.G.", "5", "k.g."),
        ("5 L", "5", "l"),
        ("10 m3", "10", "m3"),
        ("7 Nos.", "7", "nos."),
        ("1.125 Ton per month", "1.125", "ton per month"),
        ("१० टन", "10", "टन"),
        ("१,५०,००० पीस", "150000", "पीस"),
        ("૫ કિલો", "5", "કિલો"),
        ("5 हज़ार मीटर", "5000", "मीटर"),
        ("0", "0", None),
        ("999999999999999.999", "999999999999999.999", None),
    ],
)
def test_a_quantity_is_read_with_its_unit(text: str, amount: str, unit: str | None) -> None:
    assert read_quantity(text) == Quantity(Decimal(amount), unit, is_all=True)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("1000-2000 Piece", "1000", "piece"),
        ("1000 to 2000 Piece", "1000", "piece"),
        ("10 \u2013 20", "10", None),
        ("1 - 2 Lakh Piece", "100000", "piece"),
        ("50,000 to 1 Lakh", "50000", None),
        ("5 से 10 टन", "5", "टन"),
        ("More than 500 Piece", "500", "piece"),
        ("minimum 500 Piece", "500", "piece"),
        ("500+ piece", "500", "piece"),
        ("about 20 Kg", "20", "kg"),
        ("20 approx", "20", None),
    ],
)
def test_of_a_range_and_of_more_than_an_amount_the_lower_end_is_the_quantity_but_not_all_that_is_said(
    text: str, amount: str, unit: str | None
) -> None:
    assert read_quantity(text) == Quantity(Decimal(amount), unit, is_all=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "some",
        "N/A",
        "Up to 500 Piece",
        "500 or less",
        "-5",
        "1,5",
        "1,00",
        "10 x 20 feet",
        "1/2 Ton",
        "1?3",
        "20 to 10",
        "0.0005 Kg",
        "1000000000000000",
        "9" * 500,
        "0." + "1" * 50,
        "5 " + "kg " * 60,
        "0" * 130 + "5",
    ],
)
def test_what_is_no_amount_or_none_that_the_column_holds_is_no_quantity(text: str) -> None:
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Rs. 3,000 to 10,000", 3_000, 10_000),
        ("Rs. 50,000 to 1 Lakh", 50_000, LAKH),
        ("Rs. 50,000 - 1 Lakh", 50_000, LAKH),
        ("3 to 5 Lakh", 3 * LAKH, 5 * LAKH),
        ("Rs. 10 to 20 Lakh", 10 * LAKH, 20 * LAKH),
        ("Rs. 1 to Rs. 2 Lakh", LAKH, 2 * LAKH),
        ("5 Lakh to 10", 5 * LAKH, 10 * LAKH),
        ("Rs. 50 Lakh to 1 Crore", 50 * LAKH, CRORE),
        ("1.5 - 2.5 Cr", 15 * CRORE // 10, 25 * CRORE // 10),
        ("Rs.1000-Rs.3000", 1_000, 3_000),
        ("between 1 and 2 lakh", LAKH, 2 * LAKH),
        ("10 हज़ार से 1 लाख", 10_000, LAKH),
        ("More than Rs. 5 lakh", 5 * LAKH, None),
        ("Above 50,000", 50_000, None),
        ("Rs. 5 lakh and above", 5 * LAKH, None),
        ("5L+", 5 * LAKH, None),
        ("5 लाख से अधिक", 5 * LAKH, None),
        ("Upto 1,000", None, 1_000),
        ("Up to Rs. 1,000", None, 1_000),
        ("Less than 10 thousand", None, 10_000),
        ("5 लाख तक", None, 5 * LAKH),
        ("₹5,000/-", 5_000, 5_000),
        ("INR 5 Lacs", 5 * LAKH, 5 * LAKH),
        ("Rupees 1,50,000 only", 150_000, 150_000),
        ("₹ १,५०,०००", 150_000, 150_000),
        ("रु. 500", 500, 500),
        ("20k", 20_000, 20_000),
    ],
)
def test_an_order_value_is_read_in_rupees(text: str, least: int | None, most: int | None) -> None:
    assert read_order_value(text) == OrderValue(least, most, is_all=True)


def test_about_an_amount_is_that_amount_but_not_all_that_is_said() -> None:
    assert read_order_value("approx 2 Lakh") == OrderValue(2 * LAKH, 2 * LAKH, is_all=False)
    assert read_order_value("about 1 to 2 Lakh") == OrderValue(LAKH, 2 * LAKH, is_all=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Negotiable",
        "As per quote",
        "$500",
        "USD 500",
        "500 Euro",
        "Rs. 999.50",
        "10 to 5",
        "up to 5 lakh +",
        "Rs.",
        "5 lakh 20 thousand",
        "1000000000 crore",
    ],
)
def test_what_is_no_amount_of_whole_rupees_is_no_order_value(text: str) -> None:
    assert read_order_value(text) is None


@repeatable
@given(
    st.decimals(0, 10**15 - 1, places=3),
    st.sampled_from(["Piece", "Kg", "Sq. Ft.", "टन", ""]),
    st.sampled_from([(",", 3), (",", 2), ("", 3)]),
)
def test_every_amount_that_the_column_holds_is_read_back_whatever_its_grouping(
    amount: Decimal, unit: str, grouping: tuple[str, int]
) -> None:
    whole, _, rest = f"{amount:f}".partition(".")
    separator, size = grouping
    written = f"{_grouped(whole, separator, size)}.{rest} {unit}"
    assert read_quantity(written) == Quantity(amount, unit.lower() or None, is_all=True)
    value = read_order_value(f"Rs. {_grouped(whole, separator, size)} to {int(whole) + 1}")
    assert value == (OrderValue(int(whole), int(whole) + 1, is_all=True) if int(whole) + 1 < 10**15 else None)


def _grouped(digits: str, separator: str, size: int) -> str:
    """Group thousands, and above them digits by `size`: 3 as in the West, 2 as in India."""
    head, last = digits[:-3], digits[-3:]
    groups = [last]
    while head:
        head, group = head[:-size], head[-size:]
        groups.append(group)
    return separator.join(reversed(groups))


@repeatable
@given(st.text(max_size=130) | st.text("0123456789., toRs-lakhLkKgअ५–+", max_size=30))
def test_no_text_raises_and_what_is_read_is_in_the_columns_range(text: str) -> None:
    quantity, value = read_quantity(text), read_order_value(text)
    assert quantity is None or (0 <= quantity.amount < 10**15 and quantity.amount == round(quantity.amount, 3))
    ends = [] if value is None else [end for end in (value.minimum, value.maximum) if end is not None]
    assert ends == sorted(ends)
    assert all(0 <= end < 10**15 for end in ends)
    assert value is None or ends
