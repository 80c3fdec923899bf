"""Cleaning of whole columns of source text, as Arrow arrays. Phones are cleaned in contacts.py.

Every function takes and returns arrays of the same length, and gives NULL for NULL.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import TEXT, WALL_CLOCK
from leads_pipeline.leads.values import BLANKS

_IST_OFFSET = timedelta(hours=5, minutes=30)  # without daylight saving since 1945

# Years 2000 to 2099: IndiaMART has no leads from before, and a stray century is a broken record.
_TIME_SHAPE = r"^20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]$"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_MOST_BYTES_TOGETHER = 1 << 30  # half of what one array of texts can hold

_SPECIAL = (b"<", b"\r", b"\n", b"\t", b"  ")
"""What texts hold, at least one of them, that the rules change more of than spaces at their ends."""
_RARE = r"<[bB]|[\r\t]|  "
_BREAK_TAG = r"(?i)<br\s*/?>"

_PLAIN_SECONDS = re.compile(r"([0-9]{1,9})(?: ?(?:s|secs?|seconds?)\.?)?", re.IGNORECASE)
_MINUTES_SECONDS = re.compile(r"([0-9]{1,5}):([0-5][0-9])")
_HOURS_MINUTES_SECONDS = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5][0-9])")


def together(function: Callable[..., pa.Array], *columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Return what the function makes of each column, by name; of several sets it takes one column each.

    All are equally long. One call for all of them saves what each call costs whatever its length, such as the
    compiling of patterns; columns too large to be one array are taken one by one.
    """
    names = list(columns[0])
    if sum(column.nbytes for column in columns[0].values()) > _MOST_BYTES_TOGETHER:
        return {name: function(*(one[name] for one in columns)) for name in names}
    result = function(*(pa.concat_arrays([one[name] for name in names]) for one in columns))
    rows = len(result) // len(names)
    return {name: result.slice(place * rows, rows) for place, name in enumerate(names)}


def fold_blanks(texts: pa.Array) -> pa.Array:
    """Return the texts trimmed, NULL where the API means nothing (empty, "0", "null", "NULL")."""
    return _null_where_in(pc.utf8_trim_whitespace(texts), BLANKS)


def fold_blanks_of_codes(texts: pa.Array) -> pa.Array:
    """Return the codes trimmed, NULL where empty or "null"; a "0" stays, since it could be a code."""
    return _null_where_in(pc.utf8_trim_whitespace(texts), BLANKS - {"0"})


def null_where(mask: pa.Array, values: pa.Array) -> pa.Array:
    """Return the values, NULL where the mask is true."""
    return pc.if_else(mask, pa.scalar(None, values.type), values)


def ist_wall_clock(texts: pa.Array) -> pa.Array:
    """Return `YYYY-MM-DD HH:MM:SS` texts as timestamps without a zone; NULL where not exactly that.

    Strict: no other form, no 30 February, no second 60, years 2000 to 2099 (contract: v2 success, 3).
    """
    shaped = null_where(pc.invert(pc.match_substring_regex(texts, _TIME_SHAPE)), texts)
    try:
        return shaped.cast(WALL_CLOCK)
    except pa.ArrowInvalid:  # there is a 30 February or a 25th hour among them
        return _readable_times(shaped)


def _readable_times(shaped: pa.Array) -> pa.Array:
    # Arrow's strptime makes 2 March of 30 February; pandas' refuses it.
    series = pd.Series(shaped.to_numpy(zero_copy_only=False))
    parsed = pd.to_datetime(series, format=_TIME_FORMAT, errors="coerce")
    return pa.array(parsed, type=WALL_CLOCK, from_pandas=True)


def ist_to_utc(wall_clock: pa.Array) -> pa.Array:
    """Return the instants at which clocks in India showed these times."""
    return pc.assume_timezone(pc.subtract(wall_clock, pa.scalar(_IST_OFFSET)), "UTC")


def clean_text(texts: pa.Array) -> pa.Array:
    """Return the texts as people read them, NULL where nothing remains.

    `<br>` in any form and carriage returns become newlines, runs of spaces and tabs one space, each line is
    trimmed and outer blank lines go. HTML entities stay: nobody has seen the API send them, and buyers may
    type them.
    """
    held = bytes_of(texts)
    if any(special in held for special in _SPECIAL):
        texts = _text_rules(texts)
    return _null_where_in(pc.utf8_trim_whitespace(texts), frozenset({""}))


def bytes_of(texts: pa.Array) -> bytes:
    """Return the bytes of all texts, one after the other: to look for something in them costs less than in each."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return b""
    start, end = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]].tolist()
    return bytes(data[start:end])


def _text_rules(texts: pa.Array) -> pa.Array:
    # Literal replacements are thirty times as fast as regular expressions: those only do rare spellings.
    texts = pc.replace_substring(texts, "<br>", "\n")
    is_rare = pc.fill_null(pc.match_substring_regex(texts, _RARE), False)
    texts = pc.replace_with_mask(texts, is_rare, _rare_rules(texts.filter(is_rare)))
    return pc.replace_substring(pc.replace_substring(texts, " \n", "\n"), "\n ", "\n")


def _rare_rules(texts: pa.Array) -> pa.Array:
    other_breaks = pc.match_substring_regex(texts, _BREAK_TAG)
    without = pc.replace_substring_regex(texts.filter(other_breaks), _BREAK_TAG, "\n")
    texts = pc.replace_with_mask(texts, other_breaks, without)
    for literal, replacement in (("\r\n", "\n"), ("\r", "\n"), ("\t", " ")):
        texts = pc.replace_substring(texts, literal, replacement)
    return _without_runs_of_spaces(texts)


def _without_runs_of_spaces(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring(pc.replace_substring(texts, "   ", " "), "  ", " ")
    with_runs = pc.fill_null(pc.match_substring_regex(texts, "  "), False)
    if not pc.any(with_runs, min_count=0).as_py():
        return texts
    return pc.replace_with_mask(texts, with_runs, _without_runs_of_spaces(texts.filter(with_runs)))


def clean_seconds(texts: pa.Array) -> pa.Array:
    """Return durations ("314", "42 sec", "5:30", "00:05:30") as whole seconds (int32); NULL where unreadable."""
    encoded = texts.dictionary_encode()
    seconds = [seconds_of(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(seconds, pa.int32()).take(encoded.indices)


def seconds_of(text: str) -> int | None:
    """Return one duration in whole seconds; None where it has none of the contract's forms (v2 success, 21)."""
    if plain := _PLAIN_SECONDS.fullmatch(text):
        return int(plain[1])
    if clock := _MINUTES_SECONDS.fullmatch(text):
        return int(clock[1]) * 60 + int(clock[2])
    if clock := _HOURS_MINUTES_SECONDS.fullmatch(text):
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    return None


def original_where_changed(given: pa.Array, cleaned: pa.Array) -> pa.Array:
    """Return the API's text where cleaning gave another value or none; NULL where both are the same."""
    same = pc.fill_null(pc.equal(given, cleaned.cast(TEXT)), False)
    return null_where(same, given)


def _null_where_in(texts: pa.Array, values: frozenset[str]) -> pa.Array:
    return null_where(pc.is_in(texts, value_set=pa.array(sorted(values), TEXT)), texts)
