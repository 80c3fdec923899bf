"""How the v1 API asks and answers (contract: v1). Meets `api_versions.ApiVersion`.

Key and mobile number stand in the path. Answers are a list of leads, or a list or an object with an error's words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from leads_pipeline.days import IST
from leads_pipeline.indiamart import v2
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
from leads_pipeline.indiamart.windows import MAX_WINDOW, Window
from leads_pipeline.secret_values import SecretMasker

SOURCE_API = "v1"
DEFAULT_URL = "https://mapi.indiamart.com/wservce/enquiry/listing/"

_ID_FIELD = "QUERY_ID"
_TOTAL_FIELD = "TOTAL_COUNT"
_NOTHING = (None, "", "NULL", "null")
_LEADS_MARK = re.compile(rb'"QUERY_ID"\s*:')
_ERROR_NAME = re.compile(r"error[ _]?message|message|error", re.IGNORECASE)


@dataclass(frozen=True)
class V1Answer:
    """What a v1 answer holds: leads, or words, or neither."""

    records: list[Any] | None
    """The list of leads, empty for a bare `[]`; None where the answer is words."""
    message: str
    total_records: int | None
    """The TOTAL_COUNT that each lead repeats; None where none does."""


def address(access: Access, window: Window) -> str:
    """Return the address of the one GET that asks for the window.

    Always with times of day, the only one of v1's two forms that parts of days can be asked for with. Raises
    ValueError for a window of more than 7 days: v1 would answer its last 7 days alone, without a word.
    """
    if window.end - window.start > MAX_WINDOW:
        raise ValueError(f"v1 leaves out whatever is more than {MAX_WINDOW.days} days before a window's end")
    path = {
        "GLUSR_MOBILE": access.mobile,
        "GLUSR_MOBILE_KEY": access.key,
        "Start_Time": _wire_time(window.start),
        "End_Time": _wire_time(window.end),
    }
    steps = "".join(f"{name}/{quote(value, safe='')}/" for name, value in path.items())
    return f"{access.url.rstrip('/')}/{steps}"


def _wire_time(moment: datetime) -> str:
    return moment.astimezone(IST).strftime("%d-%m-%Y %H:%M:%S")


def body_secrets(access: Access, body: bytes) -> tuple[str, ...]:
    """Return what is masked in the body before it is stored.

    The seller's own number is also a value of leads (the number that a call reached), so in an answer with leads
    it is masked only where it is part of an echoed address.
    """
    if _LEADS_MARK.search(body):
        return (access.key, f"GLUSR_MOBILE/{access.mobile}")
    return access.secrets


def records_of(body: bytes) -> list[Any]:
    """Return the records that the body holds, as they came; raise UnreadableAnswerError if it is no answer."""
    return read_answer(body).records or []


def read_answer(body: bytes) -> V1Answer:
    """Return what the body holds; raise UnreadableAnswerError if it is neither leads nor words.

    `{"RESPONSE":"NULL"}` is as empty as `[]`.
    """
    document = parse_json(body)
    if isinstance(document, dict) and "RESPONSE" in document:
        document = [] if document["RESPONSE"] in _NOTHING else document["RESPONSE"]
    rows = [document] if isinstance(document, dict | str) else document
    if not isinstance(rows, list):
        raise UnreadableAnswerError("the answer is JSON, but not of the API's form")
    leads = [row for row in rows if isinstance(row, dict) and _ID_FIELD in row]
    if leads or not rows:
        totals = [total for row in leads if (total := whole_number(row.get(_TOTAL_FIELD))) is not None]
        return V1Answer(rows, "", max(totals, default=None))
    message = " ".join(_words_in(row) for row in rows).strip()
    if not message:
        raise UnreadableAnswerError("the answer is JSON, but not of the API's form")
    return V1Answer(None, message, None)


def _words_in(row: object) -> str:
    if isinstance(row, str):
        return as_text(row)
    if not isinstance(row, Mapping):
        return ""
    return " ".join(as_text(value) for name, value in row.items() if _ERROR_NAME.fullmatch(name))


def judge(body: bytes, http_status: int | None, masker: SecretMasker) -> Judgement:
    """Return what the answer means: leads by their count, refusals by their words, then HTTP status, then shape.

    v1 has no CODE; a refusal in v2's envelope, as the gateway gives them, is read as v2's. The HTTP status is None
    where nobody knows it any more. The masker takes key and mobile out of the message.
    """
    try:
        document = parse_json(body)
        if isinstance(document, dict) and "CODE" in document and not v2.records_of(body):
            return v2.judge(body, http_status, masker)
        answer = read_answer(body)
    except UnreadableAnswerError as error:
        return Judgement(outcome_without_words(http_status, Outcome.UNREADABLE), message=str(error))
    if answer.records is None:
        outcome = outcome_by_words(answer.message) or outcome_without_words(http_status, Outcome.UNREADABLE)
        return Judgement(outcome, message=short_message(answer.message, masker))
    return Judgement(
        _outcome_of_list(len(answer.records), answer.total_records),
        total_records=answer.total_records,
        records=len(answer.records),
    )


def _outcome_of_list(records: int, total: int | None) -> Outcome:
    if not records:
        return Outcome.AMBIGUOUS_EMPTY
    return Outcome.TRUNCATED if total is not None and records < total else Outcome.LEADS
