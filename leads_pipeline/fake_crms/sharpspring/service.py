"""What the fake answers to a call: keys, limits and faults first, then the method (contract 2.1 to 2.5)."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from leads_pipeline.fake_crms.sharpspring.answers import (
    BUSY_PAGE,
    UNAVAILABLE,
    WRONG_ACCOUNT,
    Answer,
    Envelope,
    ErrorForm,
    Problem,
    Row,
    SuccessForm,
)
from leads_pipeline.fake_crms.sharpspring.faults import Fault, FaultName, FaultQueue
from leads_pipeline.fake_crms.sharpspring.fields import Rules
from leads_pipeline.fake_crms.sharpspring.store import LeadStore

MOST_OBJECTS = 500
_EXPECT_LIMIT = 1024
_UTC = ZoneInfo("UTC")
_WRITES = {"createLeads": "creates", "updateLeads": "updates", "updateLeadsV2": "updates", "deleteLeads": "deletes"}
_PROBLEMS = {
    FaultName.WRONG_SECRET_105: 105,
    FaultName.DAILY_106: 106,
    FaultName.PER_SECOND_107: 107,
    FaultName.EXCESS_209: 209,
    FaultName.EXCESS_222: 222,
    FaultName.CALL_205: 205,
    FaultName.CALL_999: 999,
    FaultName.OBJECT_205: 205,
    FaultName.OBJECT_215: 215,
    FaultName.OBJECT_404: 404,
    FaultName.OBJECT_999: 999,
}
_BEFORE = {
    FaultName.ACCOUNT_401: Answer(WRONG_ACCOUNT, 401, "text/plain"),
    FaultName.UNAVAILABLE: Answer(UNAVAILABLE, 200, "text/plain"),
    FaultName.HTML_502: Answer(BUSY_PAGE, 502, "text/html"),
    FaultName.RESET: Answer("", reset=True),
}

ArrayLookups = Literal["answered", "empty", "refused"]


@dataclass(frozen=True)
class Question:
    """One HTTP call as it arrived."""

    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Call:
    """One call that was answered, without keys and values."""

    path: str
    method: str
    """The API's method; empty if it could not be read."""
    rows: int
    """Objects that it was for, or values that it asked for."""
    status: int
    code: int | None
    """The code of an error that the whole call got."""
    at: datetime
    refused: bool
    """Whether the limits refused it."""
    fault: str = ""


@dataclass(frozen=True)
class Manners:
    """How this SharpSpring behaves where nobody knows, or where it is for the test to say.

    `arrays` is what getLeads makes of several values in `where`; `company_zone` is what v1 shows times in.
    """

    account_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    calls_per_second: int
    calls_per_day: int
    success_form: SuccessForm
    write_error_form: ErrorForm
    arrays: ArrayLookups
    company_zone: ZoneInfo
    most_objects: int
    user_domain: str = "seller.example"


class FakeService:
    """Answers calls; safe for threads."""

    def __init__(
        self,
        manners: Manners,
        rules: Rules,
        store: LeadStore,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Take the manners, the leads, the wall clock (day limit, times of calls) and what seconds are counted by."""
        self._manners, self._rules, self.store = manners, rules, store
        self._clock, self._monotonic = clock, monotonic
        self.faults = FaultQueue()
        self.lock = threading.RLock()
        self._calls: list[Call] = []
        self._recent: deque[float] = deque()
        self._day = ""
        self._used = 0

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls so far, oldest first."""
        with self.lock:
            return tuple(self._calls)

    def answer(self, question: Question) -> Answer:
        """Return what the call gets, after doing what it asks for."""
        with self.lock:
            body = _json_object(question.body)
            method = str(body.get("method") or "")
            params = body.get("params")
            limit_code = self._over_limit()
            fault = None if limit_code else self.faults.take(is_write=method in _WRITES)
            if limit_code:
                answer = self._envelope(body).of_problem(Problem(limit_code))
            else:
                answer = self._spoiled(question, body, fault)
            self._calls.append(
                Call(
                    path=question.path,
                    method=method,
                    rows=_rows_of(params),
                    status=answer.http_status,
                    code=answer.code,
                    at=self._clock(),
                    refused=bool(limit_code),
                    fault=fault.name if fault else "",
                )
            )
            return answer

    def _over_limit(self) -> int | None:
        now, day = self._monotonic(), f"{self._clock():%Y-%m-%d}"
        if day != self._day:
            self._day, self._used = day, 0
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if self._used >= self._manners.calls_per_day:
            return 106
        if len(self._recent) >= self._manners.calls_per_second:
            return 107
        self._used += 1
        self._recent.append(now)
        return None

    def _spoiled(self, question: Question, body: dict[str, Any], fault: Fault | None) -> Answer:
        if fault is None:
            return self._answer(question, body, None)
        if fault.name.is_of_an_object:
            return self._answer(question, body, Problem(_PROBLEMS[fault.name]))
        if fault.name in _PROBLEMS:
            return self._envelope(body).of_problem(Problem(_PROBLEMS[fault.name]))
        if fault.name in _BEFORE:
            return _BEFORE[fault.name]
        answer = self._answer(question, body, None)
        return {
            FaultName.CALL_999_AFTER: self._envelope(body).of_problem(Problem(999)),
            FaultName.HTML_502_AFTER: Answer(BUSY_PAGE, 502, "text/html"),
            FaultName.NOT_JSON_AFTER: Answer(UNAVAILABLE, 200, "text/html"),
            FaultName.EMPTY_AFTER: Answer("", 200),
            FaultName.CUT_AFTER: replace(answer, fraction_sent=0.6),
            FaultName.RESET_AFTER: replace(answer, reset=True),
            FaultName.SLOW_AFTER: answer.late(fault.seconds),
        }[fault.name]

    def _answer(self, question: Question, body: dict[str, Any], first_object: Problem | None) -> Answer:
        expects = question.headers.get("expect", "").lower() == "100-continue"
        if expects and len(question.body) > _EXPECT_LIMIT:
            return Answer(BUSY_PAGE, 502, "text/html")
        account = question.query.get("accountID") or question.headers.get("x-account-id", "")
        bearer = question.headers.get("authorization", "").removeprefix("Bearer ")
        secret = question.query.get("secretKey") or bearer
        if account != self._manners.account_id:
            return Answer(WRONG_ACCOUNT, 401, "text/plain")
        envelope = self._envelope(body)
        code = _envelope_fault(body)
        if secret != self._manners.secret_key:
            code = 105 if secret else 104
        if code is not None:
            return envelope.of_problem(Problem(code))
        method, params = str(body["method"]), body["params"]
        if method in _WRITES:
            return self._write(envelope, method, params, first_object)
        return self._read(envelope, method, params, question.path)

    def _envelope(self, body: Mapping[str, Any]) -> Envelope:
        manners = self._manners
        return Envelope(
            body.get("id"), self._used, manners.calls_per_day, manners.success_form, manners.write_error_form
        )

    def _write(
        self, envelope: Envelope, method: str, params: Mapping[str, Any], first_object: Problem | None
    ) -> Answer:
        objects = params.get("objects")
        if objects is None:
            return envelope.of_problem(Problem(207))
        if not isinstance(objects, list):
            return envelope.of_problem(Problem(208))
        if len(objects) > self._manners.most_objects:
            return envelope.of_problem(Problem(209))
        rows = [
            Row(first_object) if first_object and place == 0 else self._write_one(method, values)
            for place, values in enumerate(objects)
        ]
        return envelope.of_write(_WRITES[method], rows)

    def _write_one(self, method: str, values: Any) -> Row:
        if method == "createLeads":
            return self.store.create(values)
        if method == "deleteLeads":
            return self.store.delete(values)
        return self.store.update(values, tells_unknown=method == "updateLeadsV2")

    def _read(self, envelope: Envelope, method: str, params: Mapping[str, Any], path: str) -> Answer:
        if method == "getLeads":
            return self._get_leads(envelope, params, path)
        if method == "getLead":
            found = self.store.found("id", [str(params.get("id"))])
            shown = [self._shown(record, None, path) for record in found]
            return envelope.of_read("lead", shown or [{"leadScore": "0", "leadStatus": None}])  # a row without an id
        if method == "getFields":
            fields = [field.as_json(place + 1) for place, field in enumerate(self._rules.fields)]
            return self._page(envelope, "field", fields, params)
        if method == "getUserProfiles":
            user = {"id": "313486201", "emailAddress": f"owner@{self._manners.user_domain}", "isActive": "1"}
            return self._page(envelope, "userProfile", [user], params)
        return envelope.of_problem(Problem(204))

    def _get_leads(self, envelope: Envelope, params: Mapping[str, Any], path: str) -> Answer:
        where = params.get("where")
        if where is None:
            return envelope.of_problem(Problem(206))
        if isinstance(where, dict) and where:
            name, wanted = next(iter(where.items()))
            if name not in ("id", "emailAddress") or len(where) > 1:
                return envelope.of_problem(Problem(205))
            if isinstance(wanted, list) and self._manners.arrays == "refused":
                return envelope.of_problem(Problem(210))
            if isinstance(wanted, list) and self._manners.arrays == "empty":
                wanted = []
            values = wanted if isinstance(wanted, list) else [wanted]
            records = self.store.found(name, [str(value) for value in values])
        else:
            records = self.store.active()
        names = params.get("fields") or None
        return self._page(envelope, "lead", [self._shown(record, names, path) for record in records], params)

    def _shown(self, record: Any, names: Any, path: str) -> dict[str, str | None]:
        zone = _UTC if "v1.2" in path else self._manners.company_zone
        return self.store.shown(record, names, zone)

    @staticmethod
    def _page(envelope: Envelope, key: str, rows: list[Any], params: Mapping[str, Any]) -> Answer:
        limit = min(int(params.get("limit") or MOST_OBJECTS), MOST_OBJECTS)
        offset = int(params.get("offset") or 0)
        return envelope.of_read(key, rows[offset : offset + limit], has_more=len(rows) > offset + limit)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _envelope_fault(body: Mapping[str, Any]) -> int | None:
    if not body:
        return 101
    if "id" not in body:
        return 102
    if not body.get("method"):
        return 201
    return None if isinstance(body.get("params"), dict) else 202


def _rows_of(params: Any) -> int:
    if not isinstance(params, dict):
        return 0
    if isinstance(params.get("objects"), list):
        return len(params["objects"])
    where = params.get("where")
    wanted = next(iter(where.values()), None) if isinstance(where, dict) else None
    return len(wanted) if isinstance(wanted, list) else int(wanted is not None)
