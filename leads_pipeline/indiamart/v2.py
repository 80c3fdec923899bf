"""How the v2 API asks and answers (contract: v2 request, v2 success, v2 errors). Meets `api_versions.ApiVersion`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from leads_pipeline.days import IST
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.outcomes import Judgement, Outcome
from leads_pipeline.indiamart.reading import (
    UnreadableAnswerError,
    as_text,
    outcome_by_words,
    outcome_without_words,
    parse_json,
    short_message,
    whole_number,
)
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.secret_values import SecretMasker

SOURCE_API = "v2"
DEFAULT_URL = "https://mapi.indiamart.com/wservce/crm/crmListing/v2/"

_OK, _NO_LEADS, _BAD_REQUEST, _KEY_REJECTED, _RATE_LIMITED, _FIRST_SERVER_ERROR = 200, 204, 400, 401, 429, 500


@dataclass(frozen=True)
class V2Answer:
    """The envelope of a v2 answer."""

    code: int | None
    message: str
    total_records: int | None
    records: list[Any] | None
    """The RESPONSE list; None where the answer has none."""


def address(access: Access, window: Window) -> str:
    """Return the address of the one GET that asks for the window."""
    return f"{access.url}?{urlencode(query_parameters(access.key, window))}"


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


def body_secrets(access: Access, body: bytes) -> tuple[str, ...]:
    """Return what is masked in the body before it is stored."""
    return access.secrets


def records_of(body: bytes) -> list[Any]:
    """Return the records that the body holds, as they came; raise UnreadableAnswerError if it is no answer."""
    return read_answer(body).records or []


def read_answer(body: bytes) -> V2Answer:
    """Return the envelope that the body holds.

    Real answers hold CODE as number or text, and RESPONSE as a list, one lead, or not at all. Raises
    UnreadableAnswerError.
    """
    document = parse_json(body)
    if not isinstance(document, dict) or not document.keys() & {"CODE", "RESPONSE", "STATUS"}:
        raise UnreadableAnswerError("the answer is JSON, but not of the API's form")
    records = document.get("RESPONSE")
    if isinstance(records, dict):
        records = [records] if records else []
    return V2Answer(
        code=whole_number(document.get("CODE")),
        message=as_text(document.get("MESSAGE")),
        total_records=whole_number(document.get("TOTAL_RECORDS")),
        records=records if isinstance(records, list) else None,
    )


def judge(body: bytes, http_status: int | None, masker: SecretMasker) -> Judgement:
    """Return what the answer means: by CODE, then message words, then HTTP status, then shape.

    The HTTP status is None where nobody knows it any more. The masker takes the key out of the message.
    """
    try:
        answer = read_answer(body)
    except UnreadableAnswerError as error:
        return Judgement(outcome_without_words(http_status, Outcome.UNREADABLE), message=str(error))
    outcome = _outcome(answer, http_status)
    return Judgement(
        outcome,
        code=answer.code,
        message=short_message(answer.message, masker),
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
    return outcome_by_words(words) or outcome_without_words(http_status, Outcome.UNREADABLE)


def _outcome_of_success(answer: V2Answer) -> Outcome:
    if not answer.records and answer.total_records == 0:
        return Outcome.NO_LEADS
    if answer.records is None:
        return Outcome.UNREADABLE
    if answer.total_records is not None and len(answer.records) < answer.total_records:
        return Outcome.TRUNCATED
    return Outcome.LEADS if answer.records else Outcome.AMBIGUOUS_EMPTY
