import sys
import unicodedata
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from leads_pipeline.leads import cleaning
from leads_pipeline.leads.cleaning import clean_seconds, clean_text, ist_wall_clock, together
from leads_pipeline.leads.schema import TEXT


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("plain", "plain"),
        ("a<br>b<br/>c<BR />d<Br\t>e<bR  />f", "a\nb\nc\nd\ne\nf"),
        ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd"),
        ("a  b\t\tc \t d", "a b c d"),
        ("  a \n\t b  ", "a\nb"),
        ("<br><br> a <br>\n<br>", "a"),
        ("a<br> <br>b", "a\n\nb"),
        ("a" + " " * 1000 + "b", "a b"),
        ("<b>a</b> <break> 1 < 2 > 0 <brown>", "<b>a</b> <break> 1 < 2 > 0 <brown>"),
        ("Tom &amp; Co &lt;br&gt;", "Tom &amp; Co &lt;br&gt;"),
        ("नमस्ते  दुनिया", "नमस्ते दुनिया"),
        ("<br>", None),
        (" \r\n ", None),
        (None, None),
    ],
)
def test_text_is_cleaned_to_what_a_person_reads(given: str | None, read: str | None) -> None:
    cleaned = clean_text(pa.array(["before", given, "after  ."], TEXT))
    assert cleaned.to_pylist() == ["before", read, "after ."]
    assert clean_text(cleaned).to_pylist() == cleaned.to_pylist()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("314", 314), ("42 sec", 42), ("51 Secs", 51), ("51secs.", 51), ("1 second", 1), ("9 s", 9), ("00:05:30", 330),
        ("5:30", 330), ("1:00:00", 3600), ("75:05", 4505), ("0 sec", 0), ("00:00:00", 0), ("999999999", 999999999),
        ("5:60", None), ("1:60:00", None), ("-5", None), ("4.5", None), ("5 min", None), ("ten", None), ("", None),
        ("9999999999", None), ("٣١٤", None), ("1:2:3:4", None), (None, None),
    ],
)  # fmt: skip
def test_durations_are_whole_seconds_or_nothing(given: str | None, seconds: int | None) -> None:
    assert clean_seconds(pa.array([given, "7", given], TEXT)).to_pylist() == [seconds, 7, seconds]


def test_columns_and_single_texts_are_trimmed_alike() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cs"]
    assert pc.utf8_trim_whitespace(pa.array(letters)).to_pylist() == [letter.strip() for letter in letters]


def test_a_time_that_no_clock_showed_costs_only_itself() -> None:
    good = "2024-02-29 23:59:59"
    bad = [
        "2024-02-30 10:00:00",
        "2023-02-29 10:00:00",
        "2024-13-01 10:00:00",
        "2024-05-23 24:00:00",
        "1999-05-23 10:00:00",
    ]
    for one in (*bad, "2024-05-23T10:00:00", "", None):
        [first, read, last] = ist_wall_clock(pa.array([good, one, good], TEXT)).to_pylist()
        assert read is None
        assert first == last == datetime(2024, 2, 29, 23, 59, 59)


@pytest.mark.parametrize("most_bytes", [1 << 30, 0])
def test_columns_are_the_same_taken_together_and_one_by_one(most_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "_MOST_BYTES_TOGETHER", most_bytes)
    columns = {"a": pa.array(["x<br>y", None], TEXT), "b": pa.array(["  ", "p   q"], TEXT)}
    cleaned = together(clean_text, columns)
    assert {name: column.to_pylist() for name, column in cleaned.items()} == {"a": ["x\ny", None], "b": [None, "p q"]}


def test_any_run_of_spaces_becomes_one() -> None:
    runs = pa.array([f"a{' ' * length}b" for length in range(1, 70)], TEXT)
    assert set(clean_text(runs).to_pylist()) == {"a b"}
