"""Answers that other tools saved, known by their shape: bytes of one document to the records in it.

Every form of the contract (v1, v2, push) is known as an envelope, a bare lead, a list of either, JSON lines, JSON in
a text, and as the body of a saved request or response. Pure, so that a replay finds the same records in the same order.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leads_pipeline.indiamart import v1, v2
from leads_pipeline.indiamart.api_versions import PUSH
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.reading import UnreadableAnswerError, decoded, parse_json, whole_number
from leads_pipeline.secret_values import MASK, SecretMasker

_V1_ID, _V2_ID, _RESPONSE = "QUERY_ID", "UNIQUE_QUERY_ID", "RESPONSE"
_V1_NAMES = frozenset({"QTYPE", "SENDERNAME", "MOB", "DATE_TIME_RE", "LOG_TIME"})
_V2_NAMES = frozenset({"QUERY_TYPE", "QUERY_TIME", "SENDER_NAME", "SENDER_MOBILE"})
_NAMES_OF_A_LEAD = 2
"""So many of a version's names make a record one of its leads though it lacks the id."""
_ENVELOPE = frozenset({"CODE", "STATUS", _RESPONSE})
_ROW_NUMBER = "RN"
_BODY = ("body", "body_text", "raw_body", "rawbody", "response_body", "response", "payload", "data", "json", "content")
"""Under which names, in lower case, tools save a body beside what else they know of a request or response."""
_STATUS = ("http_status", "status_code", "statuscode", "status")
_DEEPEST = 6
_BETWEEN_VALUES = re.compile(r"[\s\x1e\ufeff]*")
_NOT_OF_THE_FORM = "it is JSON, but no answer of IndiaMART's"
_KEY_IN_ADDRESS = re.compile(
    rb"((?:glusr_crm_key|glusr_mobile_key)(?:=|%3D|\\?/|%2F|\\?\"\s*:\s*\\?\"))[^&/\"\\\s]+", re.IGNORECASE
)

_NO_SECRETS = SecretMasker(())


class NotAnAnswerError(ValueError):
    """The document holds no answer of IndiaMART's; the text says in what way, without quoting it."""


@dataclass(frozen=True)
class SavedAnswers:
    """What one document holds: records by the API that gave them, and what answers without any say."""

    records: Mapping[str, Sequence[Any]]
    """By `v1`, `v2` or `push`, in the document's order, as they came but for v1's row numbers; none is empty."""
    without_records: tuple[Outcome, ...]
    """What each answer without records means."""
    lacking: int
    """How many records fewer its answers hold than they say there are."""


@dataclass
class _Found:
    """What was found so far."""

    records: dict[str, list[Any]] = field(default_factory=dict)
    without_records: list[Outcome] = field(default_factory=list)
    lacking: int = 0

    def add(self, source_api: str, rows: Sequence[Any], total: int | None = None) -> None:
        self.records.setdefault(source_api, []).extend(rows)
        self.lacking += max((total or 0) - len(rows), 0)


def as_utf8(document: bytes) -> bytes:
    """Return a document that came as UTF-16 or UTF-32 as UTF-8, any other unchanged; raise NotAnAnswerError."""
    encoding = json.detect_encoding(document)
    if encoding.startswith("utf-8"):
        return document
    try:
        return document.decode(encoding).encode()
    except UnicodeError:
        raise NotAnAnswerError("it is not text") from None


def without_keys_in_addresses(document: bytes) -> bytes:
    """Return the document with the key masked in whatever looks like an address of the API, whoever's key it is."""
    return _KEY_IN_ADDRESS.sub(rb"\1" + MASK.encode(), document)


def read_saved_answers(document: bytes) -> SavedAnswers:
    """Return the records in the document (JSON in UTF-8); raise NotAnAnswerError if it holds no answer."""
    found = _Found()
    values = _values_in(document)
    try:
        _read_all(found, values, 0) if len(values) > 1 else _read(found, values[0], 0)
    except RecursionError:
        raise NotAnAnswerError(_NOT_OF_THE_FORM) from None
    records = {source_api: rows for source_api, rows in found.records.items() if rows}
    if not records and all(outcome is Outcome.UNREADABLE for outcome in found.without_records):
        raise NotAnAnswerError("it is a saved response whose body is no answer of IndiaMART's")
    return SavedAnswers(records, tuple(found.without_records), found.lacking)


def _values_in(document: bytes) -> list[Any]:
    """Return the JSON values that follow each other in the document: one, or JSON lines."""
    try:
        return [parse_json(document)]
    except UnreadableAnswerError as error:
        text, reason = decoded(document), str(error).replace("the answer", "it")
    try:
        values = list(_one_by_one(text))
    except _DamagedValueError as damaged:
        line = text.count("\n", 0, damaged.place) + 1
        raise NotAnAnswerError(f"line {line} is cut off or damaged JSON" if damaged.known else reason) from None
    if not values:
        raise NotAnAnswerError("it is empty")
    return values


class _DamagedValueError(Exception):
    def __init__(self, place: int, known: int) -> None:
        super().__init__()
        self.place, self.known = place, known


def _one_by_one(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    known, place = 0, _after_blanks(text, 0)
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            raise _DamagedValueError(place, known) from None
        yield value
        known, place = known + 1, _after_blanks(text, end)


def _after_blanks(text: str, place: int) -> int:
    found = _BETWEEN_VALUES.match(text, place)
    return found.end() if found else place


def _read(found: _Found, value: Any, depth: int) -> None:
    """Enter what one document, or one element of a list of them, holds."""
    if depth > _DEEPEST:
        raise NotAnAnswerError(_NOT_OF_THE_FORM)
    if isinstance(value, list):
        _read_all(found, value, depth)
    elif isinstance(value, str):
        _read(found, _inner(value), depth + 1)
    elif not isinstance(value, dict):
        raise NotAnAnswerError(_NOT_OF_THE_FORM)
    elif _version_of_lead(value):
        _read_leads(found, [value])
    elif value.keys() & _ENVELOPE:
        _read_envelope(found, value)
    elif (name := _body_name(value)) is not None:
        _read_body(found, value, name, depth)
    else:
        _judge(found, value)


def _read_all(found: _Found, values: Sequence[Any], depth: int) -> None:
    """Enter a list: of leads, of whole answers, or v1's list of one error."""
    if any(_is_answer(value) for value in values):
        for value in values:
            _read(found, value, depth + 1)
    elif any(_version_of_lead(value) for value in values):
        _read_leads(found, values, _total_of(values))
    else:
        _judge(found, list(values))


def _is_answer(value: Any) -> bool:
    if isinstance(value, list):
        return True
    if isinstance(value, str):
        return value.lstrip()[:1] in ("{", "[") and _is_json(value)
    if not isinstance(value, dict) or _version_of_lead(value):
        return False
    return bool(value.keys() & _ENVELOPE) or _body_name(value) is not None


def _read_leads(found: _Found, rows: Sequence[Any], total: int | None = None, otherwise: str = v2.SOURCE_API) -> None:
    """Enter the rows of one list by their versions; what is no lead among them goes with its neighbours.

    In v2's form a number as id tells a push (contract: push).
    """
    versions = [_version_of_lead(row) for row in rows]
    is_push = any(isinstance(row, dict) and type(row.get(_V2_ID)) is int for row in rows)
    version = next((known for known in versions if known), v2.SOURCE_API)
    by_version: dict[str, list[Any]] = {}
    for row, own in zip(rows, versions, strict=True):
        version = own or version
        by_version.setdefault(version, []).append(row)
    for version, records in by_version.items():
        if version == v1.SOURCE_API:
            found.add(version, [_without_row_number(record) for record in records], total)
        else:
            found.add(PUSH if is_push else otherwise, records, total)


def _read_envelope(found: _Found, envelope: Mapping[str, Any]) -> None:
    """Enter an envelope: v2's, or a push's, which holds one lead, or a list without any count or words."""
    response = envelope.get(_RESPONSE)
    if isinstance(response, str) and _is_json(response):
        response = _inner(response)
    is_push = isinstance(response, dict) or not envelope.keys() & {"MESSAGE", "TOTAL_RECORDS"}
    rows = [response] if isinstance(response, dict) and response else response
    if isinstance(rows, list) and rows:
        total = whole_number(envelope.get("TOTAL_RECORDS")) or _total_of(rows)
        _read_leads(found, rows, total, PUSH if is_push else v2.SOURCE_API)
    else:
        _judge(found, envelope)


def _read_body(found: _Found, wrapped: Mapping[str, Any], name: str, depth: int) -> None:
    """Enter the answer that a saved request or response holds as its body."""
    body, status = wrapped[name], _status_of(wrapped)
    if isinstance(body, str) and wrapped.get("isBase64Encoded") is True:
        body = _from_base64(body)
    if isinstance(body, str) and not _is_json(body):
        if status is None:
            raise NotAnAnswerError("it is JSON whose body is no answer of IndiaMART's")
        found.without_records.append(v2.judge(body.encode(errors="replace"), status, _NO_SECRETS).outcome)
        return
    _read(found, body, depth + 1)


def _judge(found: _Found, value: Any) -> None:
    """Enter what an answer without records says."""
    outcome = v1.judge(json.dumps(value).encode(), None, _NO_SECRETS).outcome
    if outcome is Outcome.UNREADABLE:
        raise NotAnAnswerError(_NOT_OF_THE_FORM)
    found.without_records.append(outcome)


def _version_of_lead(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if _V2_ID in value or len(value.keys() & _V2_NAMES) >= _NAMES_OF_A_LEAD:
        return v2.SOURCE_API
    if _V1_ID in value or len(value.keys() & _V1_NAMES) >= _NAMES_OF_A_LEAD:
        return v1.SOURCE_API
    return None


def _body_name(value: Mapping[str, Any]) -> str | None:
    names = {name.lower(): name for name, held in value.items() if isinstance(held, dict | list | str)}
    return next((names[name] for name in _BODY if name in names), None)


def _status_of(wrapped: Mapping[str, Any]) -> int | None:
    named = {name.lower(): held for name, held in wrapped.items()}
    return next((status for name in _STATUS if (status := whole_number(named.get(name))) is not None), None)


def _total_of(rows: Sequence[Any]) -> int | None:
    totals = [whole_number(row.get("TOTAL_COUNT")) for row in rows if isinstance(row, dict)]
    # Rows of several answers, or some of one, are no answer that was cut short.
    is_one_answer = all(isinstance(row, dict) and str(row.get(_ROW_NUMBER)) == str(n) for n, row in enumerate(rows, 1))
    return max((total for total in totals if total is not None), default=None) if is_one_answer else None


def _without_row_number(record: Any) -> Any:
    """Return v1's record without the number of its row, which says nothing of the lead once it stands elsewhere."""
    if not isinstance(record, dict):
        return record
    return {name: value for name, value in record.items() if name != _ROW_NUMBER}


def _is_json(text: str) -> bool:
    try:
        return isinstance(_inner(text), dict | list)
    except NotAnAnswerError:
        return False


def _inner(text: str) -> Any:
    try:
        return parse_json(text.encode(errors="replace"))
    except UnreadableAnswerError:
        raise NotAnAnswerError(_NOT_OF_THE_FORM) from None


def _from_base64(text: str) -> str:
    try:
        return decoded(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise NotAnAnswerError("it is JSON whose body is damaged base64") from None
