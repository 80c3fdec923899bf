"""How the v2 API words and writes its answers: envelopes, messages, rows, and how they vary from call to call.

An answer as such, of whatever API, is here too; v1's words and rows are in v1_answers.py.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from leads_pipeline.days import IST
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.rules import Refusal
from leads_pipeline.fake_indiamart.truth import TrueLead

NO_LEADS = "There are no leads in the given time duration. Please try for a different duration."
NOT_YET_AVAILABLE = (
    "Leads generated before the creation of the key will be available after 24 hours from the key generation."
)
SERVER_ERROR = "Some Error Occured"  # sic
FORMAT = (
    "Date format used in API URL is incorrect. Ideally end_time should be greater than start_time and in proper"
    "\n\t\t\t\t\tformat.You can use the following date formats: 1) Date format (DD-MON-YYYY format) e.g. 25-JAN-2022."
    " 2) Timestamp format\n\t\t\t\t\t(DD-MM-YYYY HH:MM:SS) e.g. 25-01-2022 16:30:00."
    " Kindly refer to CRM Integration doc for more details."
)
TOO_OLD = "You can fetch the data for the last 365 days only. Kindly change the Start Time or End Time accordingly"
_TOO_WIDE = "Maximum allowed difference between start_time and end_time is 7 days."
_INCORRECT = "that you are using is incorrect. Kindly use the correct Pull API Key as provided in the email."
_EXPIRED = (
    "Pull API Key that you are using has expired as it was no longer in use."
    " Kindly generate a new key to continue using the API."
)
_REPLACED = "Pull API Key that you are using has expired. Kindly use the new key which you have generated on '{}'"
_SOFT_LIMIT = (
    "It is advised to hit this API once in every 5 minutes,{}but it seems that you have crossed this limit."
    " Please try again after 5 minutes."
)

_ZERO_MEANS_NONE = {
    "CALL_DURATION",
    "RECEIVER_MOBILE",
    "SENDER_MOBILE_ALT",
    "SENDER_PHONE",
    "SENDER_PHONE_ALT",
}
_ALWAYS_PRESENT = {"UNIQUE_QUERY_ID", "QUERY_TYPE", "QUERY_TIME"}


@dataclass(frozen=True)
class Delivery:
    """How the bytes go out: after how many seconds, spread over how many, and what fraction arrives at all."""

    wait_seconds: float = 0.0
    spread_seconds: float = 0.0
    fraction_sent: float = 1.0
    reset: bool = False


@dataclass(frozen=True)
class Answer:
    """One answer before it is written: an envelope for JSON, or a body of other text in its place.

    A v1 answer has a listing in place of the envelope: its rows, or the object or list that holds an error.
    """

    envelope: Mapping[str, object] | None = None
    body: bytes | None = None
    listing: Sequence[object] | Mapping[str, object] | None = None
    http_status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    php_style: bool = False
    raw_control_characters: bool = False
    latin1: bool = False
    byte_order_mark: bool = False
    delivery: Delivery = field(default_factory=Delivery)

    @property
    def code(self) -> int | None:
        """Return the CODE that the body carries, or None."""
        code = (self.envelope or {}).get("CODE")
        return int(str(code)) if code is not None else None

    @property
    def rows(self) -> int:
        """Return how many records the body carries."""
        records = self.listing if self.envelope is None else self.envelope.get("RESPONSE")
        if not isinstance(records, list):
            return 0
        says_why = self.listing is not None and not any(isinstance(row, dict) and "QUERY_ID" in row for row in records)
        return 0 if says_why else len(records)

    def with_envelope(self, **changes: object) -> "Answer":
        """Return the answer with some keys of its envelope set anew; the order of the others stays."""
        return replace(self, envelope={**(self.envelope or {}), **changes})

    def encoded(self) -> bytes:
        """Return the body as bytes."""
        if self.body is not None:
            return self.body
        escape = self.php_style or self.latin1
        document = self.listing if self.envelope is None else self.envelope
        text = json.dumps(document, ensure_ascii=escape, separators=(",", ":"))
        if self.php_style:
            text = text.replace("/", "\\/")
        if self.raw_control_characters:
            text = text.replace("\\n", "\n").replace("\\t", "\t")
        if self.latin1:
            return _latin1(text)
        return (b"\xef\xbb\xbf" if self.byte_order_mark else b"") + text.encode()


def leads_answer(leads: Iterable[TrueLead], draws: Draws) -> Answer:
    """Return the answer that holds these leads: CODE 200, or 204 when there are none.

    The draws decide what varies from call to call and means nothing: the order of the rows, how a blank is
    written, how JSON is escaped.
    """
    php_style = draws.chance(0.5)
    rows = [_row(lead, draws) for lead in _ordered(list(leads), draws)]
    if rows:
        envelope = _envelope(200, "SUCCESS", "", len(rows), rows)
        return Answer(envelope, php_style=php_style)
    envelope = _envelope(204, "FAILURE" if draws.chance(0.7) else "SUCCESS", NO_LEADS, 0, [])
    if draws.chance(0.3):
        del envelope["RESPONSE"]
    return Answer(envelope, php_style=php_style)


def refusal_answer(refusal: Refusal, draws: Draws, *, replaced_at: datetime | None = None) -> Answer:
    """Return the answer for a request that is refused for good (CODE 400 or 401)."""
    if refusal is Refusal.KEY_INCORRECT:
        message = f"{'Pull API Key' if draws.chance(0.7) else 'CRM key'} {_INCORRECT}"
    elif refusal is Refusal.KEY_REPLACED:
        message = _REPLACED.format(written_moment(replaced_at))
    else:
        message = {
            Refusal.UNREADABLE_TIMES: FORMAT,
            Refusal.TOO_WIDE: _TOO_WIDE,
            Refusal.TOO_OLD: TOO_OLD,
            Refusal.KEY_EXPIRED: _EXPIRED,
        }[refusal]
    answer = failure_answer(401 if refusal.is_about_the_key else 400, message)
    # Raw newlines and tabs inside the JSON string, as the real answer has them: strict parsers refuse it.
    return replace(answer, raw_control_characters=refusal is Refusal.UNREADABLE_TIMES)


def written_moment(moment: datetime | None) -> str:
    """Return when a newer key was made, as refusals of the older one tell it (IST)."""
    return moment.astimezone(IST).strftime("%d-%m-%Y %I:%M:%S %p") if moment else "an earlier day"


def soft_limit_answer(draws: Draws) -> Answer:
    """Return the answer to a call that comes too soon; the spacing of its message varies."""
    return failure_answer(429, _SOFT_LIMIT.format(" " if draws.chance(0.5) else ""))


def hard_limit_answer() -> Answer:
    """Return the answer to a call with a blocked key: an envelope of another make."""
    return Answer(
        {
            "CODE": 429,
            "STATUS": "FAILURE",
            "MESSAGE": "Too Many Requests",
            "APP_AUTH_FAILURE_CODE": 429,
            "unique_id": "",
        }
    )


def failure_answer(code: int, message: str) -> Answer:
    """Return a failure in the usual envelope: TOTAL_RECORDS 0 and an empty RESPONSE."""
    return Answer(_envelope(code, "FAILURE", message, 0, []))


def _envelope(code: int, status: str, message: str, total: int, rows: list[dict[str, object]]) -> dict[str, object]:
    return {"CODE": code, "STATUS": status, "MESSAGE": message, "TOTAL_RECORDS": total, "RESPONSE": rows}


def _ordered(leads: list[TrueLead], draws: Draws) -> list[TrueLead]:
    order = draws.pick(("oldest first", "newest first", "shuffled"))
    if order == "shuffled":
        return draws.shuffled(leads)
    return sorted(leads, key=lambda lead: (lead.query_time, lead.query_id), reverse=order == "newest first")


def _row(lead: TrueLead, draws: Draws) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, value in lead.fields.items():
        if value is not None:
            row[name] = value
        elif not draws.chance(0.03) or name in _ALWAYS_PRESENT:
            row[name] = _blank(name, draws)
    return {**row, **lead.extra}


def _blank(name: str, draws: Draws) -> object:
    forms: tuple[object, ...] = ("", "", "", "", None)
    if name in _ZERO_MEANS_NONE:
        forms = (*forms, "0")
    if name == "CALL_DURATION":
        forms = (*forms, 0)
    return draws.pick(forms)


def _latin1(text: str) -> bytes:
    # What Latin-1 can write becomes one raw byte, which is no UTF-8; the rest stays escaped.
    for number in range(0xA0, 0x100):
        text = text.replace(f"\\u{number:04x}", chr(number))
    return text.encode("latin-1")
