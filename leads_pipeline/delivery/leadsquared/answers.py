"""What an answer of LeadSquared says: exception types, and the results of a bulk call's rows (contract 1.3, 1.6).

Messages of the provider are never passed on, for they quote what was sent: types and names of fields are.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from leads_pipeline.delivery.http_calls import CrmAnswer

_HTTP_OK, _HTTP_BAD_BODY, _HTTP_UNAUTHORIZED, _HTTP_FORBIDDEN = 200, 400, 401, 403
_HTTP_TOO_MANY, _HTTP_SERVER_ERROR = 429, 500

DUPLICATE = "MXDuplicateEntryException"
UNKNOWN_FIELD = "MXUnknownAttributeException"
NO_LEAD = "MXInvalidEntityException"
MARKUP = "MXXSSException"
INVALID = "MXInvalidInputException"
MISSING = "MXMandatoryAttributeMissingException"
TOO_FAST = "MXAPIRateLimitExceededException"
_BAD_KEYS = "MXInvalidAccessDetailsException"
_WORDS: Mapping[str, str] = {
    DUPLICATE: "another lead has the value of a unique field",
    UNKNOWN_FIELD: "the CRM has no such field",
    NO_LEAD: "the CRM has no such lead",
    MARKUP: "the CRM refuses markup in a text",
    INVALID: "the CRM refuses a value",
    MISSING: "a value that the CRM needs is missing",
    "MXUnknownProspectActivityException": "the CRM has no such activity type",
    TOO_FAST: "too many calls in a short time",
}

_TYPE = re.compile(r"MX[A-Za-z]{1,60}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,99}")
_RATE_MESSAGE = re.compile(r"exceeded (?:the|your) .{0,30}limit|calls exceeded", re.IGNORECASE)
_DAY_MESSAGE = re.compile(r"\b(?:day|daily|24 hours?)\b|day\(s\)", re.IGNORECASE)
_HOST_MESSAGE = re.compile(
    r"(?<![a-z0-9.-])(?:api[a-z0-9-]*\.leadsquared\.com|127\.0\.0\.1:\d{1,5})(?![a-z0-9.-]*[a-z0-9])"
)
_KEY_OF_INDEX = re.compile(r"for key '(?:UQ_Prospect_(?:Base|ExtensionBase)_)?(\w+)'")


class Kind(Enum):
    """What a whole call came to."""

    DONE = "done"
    """The call was taken; each row has a result of its own."""
    REFUSED = "refused"
    """An application error: nothing was done, and the same call gets the same error again."""
    UNREADABLE = "unreadable"
    """No answer, or none that can be read: nobody knows what was done."""
    NOT_SENT = "not_sent"
    """The CRM never got the call."""
    TOO_FAST = "too_fast"
    DAY_USED_UP = "day_used_up"
    BAD_KEYS = "bad_keys"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True)
class Fault:
    """An error of a row or of a call: its type, and what the message names."""

    type: str
    """Empty where the CRM gives none."""
    message: str = field(default="", repr=False)
    """The provider's own words, to be read and never shown."""

    @property
    def is_final(self) -> bool:
        """Tell whether the same row gets the same error again."""
        return bool(self.type)

    def fields_of(self, names: Iterable[str]) -> frozenset[str]:
        """Return which of the names of fields the message names."""
        names = tuple(names)
        index = _KEY_OF_INDEX.search(self.message)
        words = {index[1]} if index else set(_WORD.findall(self.message))
        found = {name for name in names if name in words}
        if not found and self.type == DUPLICATE:  # "A Lead with same Email already exists."
            lowered = self.message.lower()
            found = {name for name in names if f"same {name.removesuffix('Address')}".lower() in lowered}
        return frozenset(found)

    def words(self, names: Iterable[str] = ()) -> str:
        """Return what it means, with the fields that it is about."""
        fields = sorted(self.fields_of(names))
        named = f": {', '.join(fields)}" if fields else ""
        meaning = _WORDS.get(self.type, "the CRM refuses the lead" if self.type else "the CRM does not say why")
        return f"{meaning}{named}" + (f" ({self.type})" if self.type else "")


@dataclass(frozen=True)
class RowResult:
    """What became of one row of a bulk call; with no flag and no fault, nothing was done to the record."""

    remote_id: str | None = None
    is_created: bool = False
    is_updated: bool = False
    fault: Fault | None = None


@dataclass(frozen=True)
class Judged:
    """What a call came to; `body` is what the answer holds."""

    kind: Kind
    reason: str = ""
    fault: Fault | None = None
    body: Any = field(default=None, repr=False)
    rows: tuple[RowResult | None, ...] = ()
    """The results of a bulk call's rows in their order; None for a row that the answer does not hold."""
    hosts: frozenset[str] = frozenset()
    """The hosts that a refusal of the keys names."""


def judge(answer: CrmAnswer, rows: int = 0) -> Judged:
    """Return what an answer says; a bulk call says how many rows it has, others none."""
    body = answer.json
    told = body if isinstance(body, dict) else {}
    fault = _fault(told)
    message = fault.message if fault else answer.text[:2000]
    if _is_too_fast(answer.http_status, fault, message):
        kind = Kind.DAY_USED_UP if _DAY_MESSAGE.search(message) else Kind.TOO_FAST
        return Judged(kind, f"{_WORDS[TOO_FAST]} (HTTP {answer.http_status})", fault)
    if answer.http_status in (_HTTP_UNAUTHORIZED, _HTTP_FORBIDDEN) or (fault and fault.type == _BAD_KEYS):
        return _keys_refused(answer.http_status, f"{message} {told.get('Message') or ''}")
    if fault is not None:
        reason = fault.words() if fault.is_final else f"an error without a type (HTTP {answer.http_status})"
        return Judged(Kind.REFUSED if fault.is_final else Kind.UNREADABLE, reason, fault)
    if answer.http_status != _HTTP_OK or body is None:
        return _without_body(answer.http_status)
    return _good(body, rows)


def _without_body(status: int) -> Judged:
    if status == _HTTP_BAD_BODY:
        return Judged(Kind.REFUSED, "the CRM can't read what was sent (HTTP 400)", Fault("HTTP 400"))
    if status >= _HTTP_SERVER_ERROR or status == _HTTP_OK:
        return Judged(Kind.UNREADABLE, f"an answer that can't be read (HTTP {status})")
    return Judged(Kind.MISCONFIGURED, f"this is not the API's address (HTTP {status})")


def _good(body: Any, rows: int) -> Judged:
    if not rows:
        return Judged(Kind.DONE, body=body)
    listed = body.get("Response") if isinstance(body, dict) else body
    if not isinstance(listed, list):
        return Judged(Kind.UNREADABLE, "the answer has not the form that answers have")
    results = _row_results(listed, rows)
    return Judged(Kind.DONE, _summary(results), body=body, rows=results)


def _is_too_fast(status: int, fault: Fault | None, message: str) -> bool:
    if status == _HTTP_TOO_MANY or (fault is not None and fault.type == TOO_FAST):
        return True
    may_be = fault is not None or status != _HTTP_OK  # a lead's own text in a good answer proves nothing
    return may_be and not (fault and fault.type) and bool(_RATE_MESSAGE.search(message))


def _fault(told: Mapping[str, Any]) -> Fault | None:
    """Return the error of an answer or row, or None; one without a type may pass."""
    named = str(told.get("ExceptionType") or "")
    found = _TYPE.fullmatch(named)
    message = str(told.get("ErrorMessage") or told.get("ExceptionMessage") or "")
    is_error = str(told.get("Status") or "").lower() == "error"
    if found:
        return Fault(found[0], message)
    return Fault("", message) if named or message or is_error else None


def _keys_refused(status: int, message: str) -> Judged:
    hosts = frozenset(_HOST_MESSAGE.findall(message.lower())) if status == _HTTP_UNAUTHORIZED else frozenset()
    return Judged(Kind.BAD_KEYS, f"the CRM does not accept the keys (HTTP {status})", hosts=hosts)


def _row_results(listed: Sequence[Any], rows: int) -> tuple[RowResult | None, ...]:
    """Return the results by row: by RowNumber where the numbers leave no doubt; by position where they say nothing."""
    told = [one if isinstance(one, dict) else {} for one in listed]
    numbers = [_number(one.get("RowNumber")) for one in told]
    if len({*numbers}) > 1 or (rows == 1 and numbers != [None]):
        first = _first_number(numbers, rows)
        places = [None if first is None or number is None else number - first for number in numbers]
    else:
        places = list(range(rows)) if len(told) == rows else [None] * len(told)
    results: list[RowResult | None] = [None] * rows
    for place, one in zip(places, told, strict=True):
        if place is not None and 0 <= place < rows and places.count(place) == 1:
            results[place] = _row_result(one)
    return tuple(results)


def _first_number(numbers: Sequence[int | None], rows: int) -> int | None:
    """Return what the first row's number is: 1 as met, or 0; None if both could be, or the numbers are no rows'."""
    is_from_one, is_from_zero = rows in numbers, 0 in numbers
    if is_from_one == is_from_zero:
        return None
    return 1 if is_from_one else 0


def _row_result(told: Mapping[str, Any]) -> RowResult:
    fault = _fault(told)
    remote_id = str(told.get("LeadId") or told.get("ProspectActivityId") or "") or None
    is_created = _is_true(told.get("LeadCreated")) or _is_true(told.get("ActivityCreated"))
    is_updated = _is_true(told.get("LeadUpdated"))
    if fault is None and not (is_created or is_updated or remote_id):
        fault = Fault("")
    return RowResult(remote_id, is_created, is_updated, None if is_created or is_updated else fault)


def _summary(results: Sequence[RowResult | None]) -> str:
    faults = Counter(one.fault.words() for one in results if one is not None and one.fault is not None)
    return "; ".join(f"{count} of {len(results)}: {words}" for words, count in sorted(faults.items()))


def _is_true(value: Any) -> bool:
    return value is True or value == 1 or str(value).lower() == "true"


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
