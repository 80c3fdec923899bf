"""Faults on demand: what goes wrong with the next calls, in the order in which it was asked for."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from leads_pipeline.fake_indiamart.answers import (
    NOT_YET_AVAILABLE,
    SERVER_ERROR,
    Answer,
    Delivery,
    failure_answer,
    hard_limit_answer,
    refusal_answer,
    soft_limit_answer,
)
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.rules import Refusal

HTML = "text/html; charset=UTF-8"
_MAINTENANCE = b"<html><head><title>Maintenance</title></head><body>We will be back soon</body></html>"
_HALF_AN_EMOJI = "\ud83d"


class FaultName(StrEnum):
    """The faults that there are. Those of the second group spoil the answer that the call would have got."""

    SOFT_429 = "soft_429"
    HARD_429 = "hard_429"
    HTTP_429 = "http_429"
    KEY_INCORRECT = "key_incorrect"
    KEY_EXPIRED = "key_expired"
    KEY_REGENERATED = "key_regenerated"
    NOT_YET_AVAILABLE_204 = "not_yet_available_204"
    NOT_YET_AVAILABLE_401 = "not_yet_available_401"
    BAD_REQUEST = "bad_request"
    TOO_WIDE = "too_wide"
    SERVER_ERROR = "server_error"
    HTTP_500 = "http_500"
    UNKNOWN_CODE = "unknown_code"
    HTML_200 = "html_200"
    HTML_502 = "html_502"
    HTML_WITH_KEY = "html_with_key"
    EMPTY_BODY = "empty_body"
    EMPTY_LIST = "empty_list"
    REDIRECT = "redirect"
    RESET = "reset"

    SLOW = "slow"
    TRICKLE = "trickle"
    CUT_CONNECTION = "cut_connection"
    TRUNCATED_JSON = "truncated_json"
    ECHO_KEY = "echo_key"
    FEWER_THAN_TOTAL = "fewer_than_total"
    CODE_AS_TEXT = "code_as_text"
    TOTAL_AS_TEXT = "total_as_text"
    NO_CONTENT_TYPE_JSON = "no_content_type_json"
    GARBAGE_RECORDS = "garbage_records"
    DUPLICATE_RECORDS = "duplicate_records"
    BOM = "bom"
    LATIN1 = "latin1"
    LONE_SURROGATE = "lone_surrogate"


@dataclass(frozen=True)
class Fault:
    """One fault: `seconds` is for slow and trickle, `location` is where redirect points to."""

    name: FaultName
    seconds: float = 1.0
    location: str = "https://login.elsewhere.example/maintenance"


@dataclass(frozen=True)
class Echo:
    """What an answer can echo of its request: the address with its secrets encoded, and the key as it is."""

    address: str
    key: str


class FaultQueue:
    """The faults to come, first in, first out. Each spoils one call that the rules let through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: deque[Fault] = deque()

    def add(self, fault: Fault, times: int) -> None:
        """Append the fault the given number of times."""
        if times < 1:
            raise ValueError("times must be at least 1")
        with self._lock:
            self._faults.extend([fault] * times)

    def take(self) -> Fault | None:
        """Remove and return the next fault, or None when there is none."""
        with self._lock:
            return self._faults.popleft() if self._faults else None

    def clear(self) -> None:
        """Forget the faults that are still to come."""
        with self._lock:
            self._faults.clear()

    def pending(self) -> tuple[Fault, ...]:
        """Return the faults that are still to come."""
        with self._lock:
            return tuple(self._faults)


def spoiled(answer: Answer, fault: Fault, echo: Echo, draws: Draws) -> Answer:
    """Return what a v2 call gets in place of the answer that it would have got."""
    anyhow = spoiled_in_any_api(answer, fault, echo)
    if anyhow is not None:
        return anyhow
    replacement = _REPLACEMENTS.get(fault.name)
    if replacement is not None:
        return replacement(draws)
    if fault.name is FaultName.ECHO_KEY:
        return answer.with_envelope(MESSAGE=f"Request: {echo.address} (key {echo.key})")
    return _ALTERATIONS[fault.name](answer)


def spoiled_in_any_api(answer: Answer, fault: Fault, echo: Echo) -> Answer | None:
    """Return what the call gets if the fault is the same in every API; None if it is not."""
    if fault.name in _PAGES:
        return _PAGES[fault.name]
    if fault.name is FaultName.REDIRECT:
        return Answer(body=b"", http_status=302, content_type=HTML, headers=(("location", fault.location),))
    if fault.name in {FaultName.SLOW, FaultName.TRICKLE}:
        slow = fault.name is FaultName.SLOW
        delivery = Delivery(wait_seconds=fault.seconds) if slow else Delivery(spread_seconds=fault.seconds)
        return replace(answer, delivery=delivery)
    if fault.name is FaultName.HTML_WITH_KEY:
        page = f"<html><body>Bad gateway: {echo.address}<br>{echo.key}</body></html>"
        return Answer(body=page.encode(), http_status=502, content_type=HTML)
    alteration = _ALTERATIONS_IN_TRANSIT.get(fault.name)
    return alteration(answer) if alteration else None


_PAGES: Mapping[FaultName, Answer] = {
    FaultName.HTTP_429: Answer(
        body=b"Too Many Requests", http_status=429, content_type="text/plain", headers=(("retry-after", "300"),)
    ),
    FaultName.HTML_200: Answer(body=_MAINTENANCE, content_type=HTML),
    FaultName.HTML_502: Answer(body=b"<html>down</html>", http_status=502, content_type="text/html"),
    FaultName.EMPTY_BODY: Answer(body=b""),
    FaultName.RESET: Answer(body=b"", delivery=Delivery(reset=True)),
}
_REPLACEMENTS: Mapping[FaultName, Callable[[Draws], Answer]] = {
    FaultName.SOFT_429: soft_limit_answer,
    FaultName.HARD_429: lambda _: hard_limit_answer(),
    FaultName.KEY_INCORRECT: lambda draws: refusal_answer(Refusal.KEY_INCORRECT, draws),
    FaultName.KEY_EXPIRED: lambda draws: refusal_answer(Refusal.KEY_EXPIRED, draws),
    FaultName.KEY_REGENERATED: lambda draws: refusal_answer(Refusal.KEY_REPLACED, draws),
    FaultName.NOT_YET_AVAILABLE_204: lambda _: failure_answer(204, NOT_YET_AVAILABLE),
    FaultName.NOT_YET_AVAILABLE_401: lambda _: failure_answer(401, NOT_YET_AVAILABLE),
    FaultName.BAD_REQUEST: lambda draws: refusal_answer(Refusal.UNREADABLE_TIMES, draws),
    FaultName.TOO_WIDE: lambda draws: refusal_answer(Refusal.TOO_WIDE, draws),
    FaultName.SERVER_ERROR: lambda _: failure_answer(500, SERVER_ERROR),
    FaultName.HTTP_500: lambda _: replace(failure_answer(500, SERVER_ERROR), http_status=500),
    FaultName.EMPTY_LIST: lambda _: Answer({"CODE": 200, "STATUS": "SUCCESS", "MESSAGE": "", "RESPONSE": []}),
    FaultName.UNKNOWN_CODE: lambda _: failure_answer(777, "Something that nobody has seen before"),
}


def _truncated(answer: Answer) -> Answer:
    body = answer.encoded()
    return replace(answer, envelope=None, listing=None, body=body[: len(body) * 2 // 3])


_ALTERATIONS_IN_TRANSIT: Mapping[FaultName, Callable[[Answer], Answer]] = {
    FaultName.CUT_CONNECTION: lambda answer: replace(answer, delivery=Delivery(fraction_sent=0.6)),
    FaultName.TRUNCATED_JSON: _truncated,
    FaultName.NO_CONTENT_TYPE_JSON: lambda answer: replace(answer, content_type=HTML),
    FaultName.BOM: lambda answer: replace(answer, byte_order_mark=True),
}


def _fewer_than_total(answer: Answer) -> Answer:
    rows = _rows(answer)
    kept = rows[: max(1, len(rows) * 2 // 3)]
    total = len(rows) + (len(kept) == len(rows))
    return answer.with_envelope(CODE=200, STATUS="SUCCESS", MESSAGE="", TOTAL_RECORDS=total, RESPONSE=kept)


def _with_garbage(answer: Answer) -> Answer:
    good = _rows(answer)
    base = {"QUERY_TYPE": "W", "SENDER_NAME": "Garbage Record", "SENDER_MOBILE": "+91-9000000999"}
    garbage: list[object] = [
        "this is not a record",
        {**base, "QUERY_TIME": "2024-05-23 15:44:28"},
        {"UNIQUE_QUERY_ID": "999000001", **base, "QUERY_TIME": "yesterday at noon"},
    ]
    middle = len(good) // 2
    return _with_rows(answer, [garbage[0], *good[:middle], *garbage[1:], *good[middle:]])


def _with_duplicates(answer: Answer) -> Answer:
    rows = _rows(answer)
    changed = [{**row, "SUBJECT": "A later copy"} for row in rows[:1] if isinstance(row, dict)]
    return _with_rows(answer, [*rows, *rows[1:2], *changed])


def _with_lone_surrogate(answer: Answer) -> Answer:
    rows = [dict(row) for row in _rows(answer) if isinstance(row, dict)]
    for row in rows[:1]:
        row["QUERY_MESSAGE"] = f"{row.get('QUERY_MESSAGE') or ''}{_HALF_AN_EMOJI}"
    # Escaped, as in the wild: a lone surrogate has no UTF-8.
    return replace(answer.with_envelope(MESSAGE=_HALF_AN_EMOJI, RESPONSE=rows), php_style=True)


def _with_rows(answer: Answer, rows: list[object]) -> Answer:
    if not rows:
        return answer
    return answer.with_envelope(CODE=200, STATUS="SUCCESS", MESSAGE="", TOTAL_RECORDS=len(rows), RESPONSE=rows)


def _rows(answer: Answer) -> list[object]:
    rows = (answer.envelope or {}).get("RESPONSE", [])
    return list(rows) if isinstance(rows, list) else []


_ALTERATIONS: Mapping[FaultName, Callable[[Answer], Answer]] = {
    FaultName.FEWER_THAN_TOTAL: _fewer_than_total,
    FaultName.CODE_AS_TEXT: lambda answer: answer.with_envelope(CODE=str(answer.code)),
    FaultName.TOTAL_AS_TEXT: lambda answer: answer.with_envelope(TOTAL_RECORDS=str(answer.rows)),
    FaultName.GARBAGE_RECORDS: _with_garbage,
    FaultName.DUPLICATE_RECORDS: _with_duplicates,
    FaultName.LATIN1: lambda answer: replace(answer.with_envelope(MESSAGE="Succès"), latin1=True, php_style=False),
    FaultName.LONE_SURROGATE: _with_lone_surrogate,
}
