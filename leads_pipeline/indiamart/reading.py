"""What the versions of the API have in common in their answers: bytes to JSON, and what their words mean.

Messages are matched by a few words, in any case (contract: v2 errors; v1). The versions' own forms are v1.py's and
v2.py's.
"""

import codecs
import json
import re
from datetime import datetime, timedelta
from typing import Any

from leads_pipeline.days import IST
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.secret_values import SecretMasker

WITHHELD = timedelta(hours=24)
"""How long after a key was made the leads from before it are withheld (contract: design 8)."""

_TOO_WIDE = "maximum allowed difference"
_MESSAGE_LENGTH = 300
_LARGEST_NUMBER = 2**31  # far above any CODE or count; what is larger is no number that means anything
_BYTES_AS_LATIN1 = "leads_pipeline.latin1"
_KEY_REJECTED, _FORBIDDEN, _RATE_LIMITED = 401, 403, 429
_FIRST_SERVER_ERROR, _FIRST_REDIRECT = 500, 300

_WORDS = (
    (re.compile(r"available after 24 hours"), Outcome.NOT_YET_AVAILABLE),
    (re.compile(r"too many requests"), Outcome.KEY_BLOCKED),
    (re.compile(r"once in every \d+ minutes"), Outcome.RATE_LIMITED),
    (re.compile(r"key that you are using"), Outcome.KEY_REJECTED),
    (re.compile(r"use the new key"), Outcome.KEY_REJECTED),
    (re.compile(r"no leads in the given time"), Outcome.NO_LEADS),
    (re.compile(r"last 365 days"), Outcome.BAD_REQUEST),
    (re.compile(r"date format"), Outcome.BAD_REQUEST),
    (re.compile(_TOO_WIDE), Outcome.BAD_REQUEST),
    (re.compile(r"some error occured"), Outcome.SERVER_ERROR),
)
_NEWER_KEY = re.compile(
    r"generated on\W*(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})\s+"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>[AP]M)?",
    re.ASCII | re.IGNORECASE,
)


class UnreadableAnswerError(ValueError):
    """The body is not an answer of the API; the text says in what way, without quoting it."""


def parse_json(body: bytes) -> Any:
    """Return the JSON that the body holds; raise UnreadableAnswerError.

    Real answers hold raw newlines inside JSON strings.
    """
    try:
        return json.loads(decoded(body), strict=False)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError(_shape_of(body)) from None


def decoded(body: bytes) -> str:
    """Return the text that the body holds: UTF-8, with or without a mark at its start; other bytes as Latin-1."""
    return body.decode("utf-8-sig", errors=_BYTES_AS_LATIN1)


def outcome_by_words(message: str) -> Outcome | None:
    """Return what a refusal's words mean; None where they are not known."""
    words = " ".join(message.lower().split())
    return next((outcome for pattern, outcome in _WORDS if pattern.search(words)), None)


def outcome_without_words(http_status: int | None, otherwise: Outcome) -> Outcome:
    """Return what an answer means that only its HTTP status tells of; None is a status that nobody knows any more."""
    if http_status is None or http_status < _FIRST_REDIRECT:
        return otherwise
    if http_status == _RATE_LIMITED:
        return Outcome.KEY_BLOCKED  # the gateway's, not the API's: wait for the longer time
    if http_status in (_KEY_REJECTED, _FORBIDDEN):
        return Outcome.UNREADABLE  # a gateway's page is no word on the key
    return Outcome.SERVER_ERROR if http_status >= _FIRST_SERVER_ERROR else otherwise


def is_window_too_wide(outcome: Outcome, message: str) -> bool:
    """Tell whether a refusal means that the API takes no window of exactly 7 days; the next one is narrower."""
    return outcome is Outcome.BAD_REQUEST and _TOO_WIDE in message.lower()


def newer_key_made_at(message: str) -> datetime | None:
    """Return when the key was made that a refusal names as the newer one; None where it names no readable time.

    The time is India's: `... the new key which you have generated on '16-09-2020 02:00:00 PM'` (contract: v1).
    """
    found = _NEWER_KEY.search(message)
    if found is None:
        return None
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].upper() == "PM" else 0)
    try:
        return datetime(
            int(found["year"]),
            int(found["month"]),
            int(found["day"]),
            hour,
            int(found["minute"]),
            int(found["second"] or 0),
            tzinfo=IST,
        )
    except ValueError:
        return None


def short_message(message: str, masker: SecretMasker) -> str:
    """Return the API's words on one line, secrets masked, at most 300 characters."""
    return masker.text(" ".join(message.split()))[:_MESSAGE_LENGTH]


def whole_number(value: object) -> int | None:
    """Return a CODE or a count, whether it came as number or text; None where it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < _LARGEST_NUMBER else None


def as_text(value: object) -> str:
    """Return the text, with half a surrogate pair, which no file can hold, as a question mark."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text.encode(errors="replace").decode()


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_BYTES_AS_LATIN1, _as_latin1)


def _shape_of(body: bytes) -> str:
    start = body.lstrip()[:15].lower()
    if not start:
        return "the answer is empty"
    if start.startswith((b"<!doctype", b"<html", b"<")):
        return "the answer is a web page, not JSON"
    if start.startswith((b"{", b"[")):
        return "the answer is cut off or damaged JSON"
    return "the answer is not JSON"
