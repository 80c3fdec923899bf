"""How the v2 API asks and answers (contract: v2 request, v2 success, v2 errors)."""

import codecs
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads_pipeline.days import IST
from leads_pipeline.indiamart.outcomes import Judgement, Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.secret_values import SecretMasker

SOURCE_API = "v2"
DEFAULT_URL = "https://mapi.indiamart.com/wservce/crm/crmListing/v2/"

_MESSAGE_LENGTH = 300
_LARGEST_NUMBER = 2**31  # far above any CODE or count; what is larger is no number that means anything
_BYTES_AS_LATIN1 = "leads_pipeline.latin1"
_OK, _NO_LEADS, _BAD_REQUEST, _KEY_REJECTED, _RATE_LIMITED = 200, 204, 400, 401, 429
_FIRST_SERVER_ERROR, _FIRST_REDIRECT = 500, 300


class UnreadableAnswerError(ValueError):
    """The body is not an answer of the v2 API; the text says in what way, without quoting it."""


@dataclass(frozen=True)
class V2Answer:
    """The envelope of a v2 answer."""

    code: int | None
    message: str
    total_records: int | None
    records: list[Any] | None
    """The RESPONSE list; None where the answer has none."""


def query_parameters(key: str, window: Window) -> dict[str, str]:
    """Return the parameters of the one GET that asks for the window.

    The end of whole days is the next midnight: right whether the API takes its end as inclusive or exclusive.
    """
    return {
        "glusr_crm_key": key,
        "start_time": _wire_time(window.start),
        "end_time": _wire_time(window.end),
    }


def _wire_time(moment: datetime) -> str:
    return moment.astimezone(IST).strftime("%d-%m-%Y %H:%M:%S")


def read_answer(body: bytes) -> V2Answer:
    """Return the envelope that the body holds.

    Real answers hold raw newlines inside JSON strings, CODE as number or text, and RESPONSE as a list, one
    lead, or not at all. Bytes that are no UTF-8 are read as Latin-1. Raises UnreadableAnswerError.
    """
    try:
        document = json.loads(body.decode("utf-8-sig", errors=_BYTES_AS_LATIN1), strict=False)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError(_shape_of(body)) from None
    if not isinstance(document, dict) or not document.keys() & {"CODE", "RESPONSE", "STATUS"}:
        raise UnreadableAnswerError("the answer is JSON, but not of the API's form")
    records = document.get("RESPONSE")
    if isinstance(records, dict):
        records = [records] if records else []
    return V2Answer(
        code=_whole_number(document.get("CODE")),
        message=_as_text(document.get("MESSAGE")),
        total_records=_whole_number(document.get("TOTAL_RECORDS")),
        records=records if isinstance(records, list) else None,
    )


def judge(body: bytes, http_status: int | None, masker: SecretMasker) -> Judgement:
    """Return what the answer means: by CODE, then message words, then HTTP status, then shape.

    The HTTP status is None where nobody knows it any more. The masker takes the key out of the message.
    """
    try:
        answer = read_answer(body)
    except UnreadableAnswerError as error:
        return Judgement(_outcome_without_code(http_status, Outcome.UNREADABLE), message=str(error))
    outcome = _outcome(answer, http_status)
    return Judgement(
        outcome,
        code=answer.code,
        message=masker.text(" ".join(answer.message.split()))[:_MESSAGE_LENGTH],
        total_records=answer.total_records,
        records=len(answer.records or ()),
    )


def _outcome(answer: V2Answer, http_status: int | None) -> Outcome:
    words = answer.message.lower()
    if answer.code == _OK:
        return _outcome_of_success(answer)
    if answer.code in (_NO_LEADS, _KEY_REJECTED) and "available after 24 hours" in words:
        return Outcome.NOT_YET_AVAILABLE
    if answer.code == _NO_LEADS:
        contradicts = answer.records or answer.total_records
        return _outcome_of_success(answer) if contradicts else Outcome.NO_LEADS
    if answer.code == _RATE_LIMITED:
        return Outcome.RATE_LIMITED if "5 minutes" in words else Outcome.KEY_BLOCKED
    if answer.code == _KEY_REJECTED:
        return Outcome.KEY_REJECTED
    if answer.code == _BAD_REQUEST:
        return Outcome.BAD_REQUEST
    if answer.code is not None and answer.code >= _FIRST_SERVER_ERROR:
        return Outcome.SERVER_ERROR
    return _outcome_by_words(words) or _outcome_without_code(http_status, Outcome.UNREADABLE)


def _outcome_of_success(answer: V2Answer) -> Outcome:
    if not answer.records and answer.total_records == 0:
        return Outcome.NO_LEADS
    if answer.records is None:
        return Outcome.UNREADABLE
    if answer.total_records is not None and len(answer.records) < answer.total_records:
        return Outcome.TRUNCATED
    return Outcome.LEADS if answer.records else Outcome.AMBIGUOUS_EMPTY


_WORDS = (
    ("available after 24 hours", Outcome.NOT_YET_AVAILABLE),
    ("too many requests", Outcome.KEY_BLOCKED),
    ("once in every 5 minutes", Outcome.RATE_LIMITED),
    ("key that you are using", Outcome.KEY_REJECTED),
    ("no leads in the given time", Outcome.NO_LEADS),
    ("last 365 days", Outcome.BAD_REQUEST),
    ("date format", Outcome.BAD_REQUEST),
    (TOO_WIDE := "maximum allowed difference", Outcome.BAD_REQUEST),
    ("some error occured", Outcome.SERVER_ERROR),
)


def _outcome_by_words(words: str) -> Outcome | None:
    return next((outcome for text, outcome in _WORDS if text in words), None)


def _outcome_without_code(http_status: int | None, otherwise: Outcome) -> Outcome:
    if http_status is None or http_status < _FIRST_REDIRECT:
        return otherwise
    if http_status == _RATE_LIMITED:
        return Outcome.KEY_BLOCKED  # the gateway's, not the API's: wait for the longer time
    if http_status in (_KEY_REJECTED, 403):
        return Outcome.UNREADABLE  # a gateway's page is no word on the key
    return Outcome.SERVER_ERROR if http_status >= _FIRST_SERVER_ERROR else otherwise


def says_window_too_wide(message: str) -> bool:
    """Tell whether a refusal means that the API takes no window of exactly 7 days."""
    return TOO_WIDE in message.lower()


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < _LARGEST_NUMBER else None


def _as_text(value: object) -> str:
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
