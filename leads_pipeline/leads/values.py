"""One JSON value at a time: its text, its canonical JSON, and whether it says nothing.

What works on whole columns lives in cleaning.py.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor

BLANKS = frozenset({"", "0", "null", "NULL"})
"""Trimmed texts by which the API says "nothing" (contract: design for this, 6)."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def text_of(value: object) -> str | None:
    """Return a JSON value as text that UTF-8 can hold, untrimmed; None for null.

    Whole numbers are written in full (2769560468), whatever is neither text nor a whole number as compact
    JSON. Zero is "0" also when it came as 0.0. Halves of surrogate pairs become U+FFFD.
    """
    if isinstance(value, str):
        return value if value.isascii() else without_lone_surrogates(value)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
        return "0"
    return json_text(value)


def is_blank(text: str | None) -> bool:
    """Tell whether the API means "nothing" by this text: empty, "0", "null" or "NULL" after trimming."""
    return text is None or text.strip() in BLANKS


def json_text(value: object) -> str:
    """Return a parsed JSON value as canonical JSON: compact, keys sorted, not escaped to ASCII.

    NaN and the infinities, which JSON does not have, become texts; so every JSON reader takes the result.
    """
    try:
        return _encode(value)
    except RecursionError:
        # Nesting that the parser just managed is too deep for an encoder further down the stack: take a new one.
        with ThreadPoolExecutor(max_workers=1) as new_stack:
            return new_stack.submit(_encode, value).result()


def without_lone_surrogates(text: str) -> str:
    """Return the text with each half of a surrogate pair, which UTF-8 cannot hold, replaced by U+FFFD."""
    return text if text.isascii() else _LONE_SURROGATE.sub(_REPLACEMENT, text)


def _encode(value: object) -> str:
    try:
        encoded = _dump(value, allow_nan=False)
    except ValueError:
        encoded = _dump(json.loads(json.dumps(value), parse_constant=str), allow_nan=False)
    return without_lone_surrogates(encoded)


def _dump(value: object, *, allow_nan: bool) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=allow_nan)
