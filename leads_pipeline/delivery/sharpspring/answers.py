"""What an answer of SharpSpring says: the four forms of `error`, and the result of each object (contract 2.2, 2.4).

Messages of the provider are never passed on, for they quote what was sent.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from leads_pipeline.delivery.http_calls import CrmAnswer

HTTP_OK = 200
_HTTP_TOO_MANY = 429
_HTTP_SERVER_ERROR = 500
_HTTP_TOO_LARGE = 413
EXISTS, NOTHING_CHANGED, UNKNOWN_RECORD, UNKNOWN_ERROR, BAD_COUNTRY = 301, 302, 404, 999, 215
PASSING = frozenset({107, 209, 222, 999})
"""Errors of an object that say nothing about it."""
INVALID_PARAMETERS = frozenset({205, 206})
_TRUE = (True, 1, "1", "true")
_FALSE = (False, 0, "0", "false")


class Kind(Enum):
    """What a whole call came to."""

    DONE = "done"
    """Each object has a result of its own."""
    ROW_FAULT = "row_fault"
    """The call failed as a whole, as one bad object can make it fail."""
    TOO_MANY_ROWS = "too_many_rows"
    UNKNOWN = "unknown"
    """Error 999: nobody knows what was done."""
    UNREADABLE = "unreadable"
    """No answer, or none that can be read."""
    NOT_SENT = "not_sent"
    """The CRM never got the call."""
    TOO_FAST = "too_fast"
    DAY_USED_UP = "day_used_up"
    BAD_KEYS = "bad_keys"
    MISCONFIGURED = "misconfigured"


_KINDS: Mapping[int, Kind] = {
    **dict.fromkeys((103, 104, 105), Kind.BAD_KEYS),
    106: Kind.DAY_USED_UP,
    107: Kind.TOO_FAST,
    **dict.fromkeys((102, 201, 202, 203, 204, 207), Kind.MISCONFIGURED),
    **dict.fromkeys((209, 222), Kind.TOO_MANY_ROWS),
    999: Kind.UNKNOWN,
}
"""All other codes are faults of rows."""

_WORDS: Mapping[int, str] = {
    101: "the CRM can't read what was sent",
    106: "the calls of the day are used up",
    107: "too many calls in a second",
    205: "the CRM refuses a value",
    206: "a value that the CRM needs is missing",
    209: "too many leads in one call",
    215: "the CRM does not know the country",
    222: "too many leads in one call",
    301: "the lead stands in the CRM already",
    302: "nothing differs",
    303: "the CRM does not know the owner or campaign",
    404: "the CRM has no such lead",
    999: "the CRM met an error that it does not know",
}


@dataclass(frozen=True)
class RowResult:
    """What became of one object; `fields` are the system names that its error is about."""

    is_done: bool
    code: int | None = None
    fields: tuple[str, ...] = ()
    remote_id: str | None = None


@dataclass(frozen=True)
class Judged:
    """What a call came to; `used` and `limit` are the account's calls of the day, where the answer tells."""

    kind: Kind
    reason: str = ""
    code: int | None = None
    fields: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rows: tuple[RowResult, ...] = ()
    used: int | None = None
    limit: int | None = None


def words_of(code: int | None, fields: Sequence[str] = ()) -> str:
    """Return what an error code means, with the names of the fields that it is about."""
    words = _WORDS.get(code or 0, "the CRM refuses the lead")
    named = f": {', '.join(fields)}" if fields else ""
    return f"{words}{named}" + (f" (error {code})" if code else "")


def judge(answer: CrmAnswer, rows_key: str = "", rows: int = 0) -> Judged:
    """Return what an answer says; a write names the key of its results and how many there must be."""
    body = answer.json
    if not isinstance(body, dict) or not ("result" in body or "error" in body):
        return _without_envelope(answer.http_status)
    result, error = body.get("result"), body.get("error")
    used, limit = _number(body.get("callCount")), _number(body.get("queryLimit"))
    results = result.get(rows_key) if isinstance(result, dict) and rows_key else None
    if isinstance(results, list) and len(results) == rows:
        judged = _row_results(results, error)
        return Judged(Kind.DONE, _summary(judged), rows=judged, used=used, limit=limit)
    if isinstance(error, dict):
        code, fields = _number(error.get("code")), _fields_of(error)
        kind = _KINDS.get(code, Kind.ROW_FAULT) if code is not None else Kind.UNKNOWN
        return Judged(kind, words_of(code), code, fields, used=used, limit=limit)
    if isinstance(result, dict) and not rows_key and not error:
        return Judged(Kind.DONE, result=result, used=used, limit=limit)
    return Judged(Kind.UNREADABLE, "the answer has not the form that answers have", used=used, limit=limit)


def _without_envelope(status: int) -> Judged:
    if status in (401, 403):
        return Judged(Kind.BAD_KEYS, f"the CRM does not know the account (HTTP {status})")
    if status == _HTTP_TOO_MANY:
        return Judged(Kind.TOO_FAST, f"too many calls (HTTP {status})")
    if status == _HTTP_TOO_LARGE:
        return Judged(Kind.TOO_MANY_ROWS, f"the call is too large (HTTP {status})")
    if status == HTTP_OK or status >= _HTTP_SERVER_ERROR:
        return Judged(Kind.UNREADABLE, f"an answer that can't be read (HTTP {status})")
    return Judged(Kind.MISCONFIGURED, f"this is not the API's address (HTTP {status})")


def _row_results(results: Sequence[Any], error: Any) -> tuple[RowResult, ...]:
    """Return the results of the objects; errors that stand only beside them are those that failed, in order."""
    beside = iter(error if isinstance(error, list) else [])
    judged = []
    for result in results:
        one = result if isinstance(result, dict) else {}
        is_done = one.get("success") in _TRUE
        listed = None if is_done or one.get("success") not in _FALSE else next(beside, None)
        told = one.get("error") if isinstance(one.get("error"), dict) else listed
        told = told if isinstance(told, dict) and not is_done else {}
        remote_id = one.get("id")
        judged.append(
            RowResult(
                is_done,
                None if is_done else _number(told.get("code")) or UNKNOWN_ERROR,
                _fields_of(told),
                str(remote_id) if remote_id not in (None, "", 0, "0") else None,
            )
        )
    return tuple(judged)


def _summary(rows: Sequence[RowResult]) -> str:
    codes = Counter(row.code for row in rows if not row.is_done)
    return "; ".join(f"{count} of {len(rows)}: {words_of(code)}" for code, count in sorted(codes.items(), key=str))


def _fields_of(error: Mapping[str, Any]) -> tuple[str, ...]:
    data = error.get("data")
    params = data.get("params") if isinstance(data, dict) else None
    names = [one.get("param") for one in params if isinstance(one, dict)] if isinstance(params, list) else []
    return tuple(name for name in names if isinstance(name, str) and _is_name(name))


def _is_name(text: str) -> bool:
    """Tell whether a text can be a field's system name, and so no e-mail address or other value."""
    return text.isascii() and text.isidentifier() and len(text) <= 64  # noqa: PLR2004 - 50, "_" and 13


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
