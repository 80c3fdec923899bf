"""What the fake answers to a call: keys, limits and faults first, then the call itself (contract 1.1 to 1.6)."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from leads_pipeline.fake_crms.leadsquared import answers
from leads_pipeline.fake_crms.leadsquared.answers import Answer, Problem, Row, answer, refusal
from leads_pipeline.fake_crms.leadsquared.faults import Fault, FaultName, FaultQueue
from leads_pipeline.fake_crms.leadsquared.fields import Rules
from leads_pipeline.fake_crms.leadsquared.store import ActivityRecord, LeadStore

WHO = "Authentication.svc/UserByAccessKey.Get"
_LEADS, _ACTIVITIES = "LeadManagement.svc/", "ProspectActivity.svc/"
_ADD_ACTIVITIES = f"{_ACTIVITIES}Bulk/CustomActivity/Add/ByLeadId"
_MOST_ROWS = {f"{_LEADS}Lead/Bulk/Create": 50, f"{_LEADS}Lead/Bulk/CreateOrUpdate": 25, _ADD_ACTIVITIES: 25}
_PROBLEMS = {
    FaultName.MX_DUPLICATE: Problem(answers.DUPLICATE, "A Lead with same Email already exists."),
    FaultName.MX_MANDATORY: Problem(answers.MANDATORY, "Mandatory attribute missing"),
    FaultName.MX_INVALID_INPUT: Problem(answers.INVALID_INPUT, "Invalid Input! Parameter Name: Attribute"),
    FaultName.MX_UNKNOWN_ATTRIBUTE: Problem(answers.UNKNOWN_ATTRIBUTE, "Attribute(s) does not exist - mx_City,mx_X"),
    FaultName.MX_INVALID_ENTITY: Problem(answers.INVALID_ENTITY, "Lead does not exist in the system"),
    FaultName.MX_MARKUP: Problem(answers.MARKUP, "A potentially dangerous value was detected"),
}
_BEFORE = {
    FaultName.PLAIN_500: Answer("Internal Server Error", 500, "text/plain"),
    FaultName.HTML_502: Answer(answers.BUSY_PAGE, 502, "text/html"),
    FaultName.RESET: Answer("", reset=True),
}
_RATE_STATUSES = {FaultName.RATE_429: 429, FaultName.RATE_403: 403, FaultName.RATE_200: 200}


@dataclass(frozen=True)
class Question:
    """One HTTP call as it arrived; `path` is what follows /v2/."""

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Call:
    """One call that was answered, without keys and values."""

    path: str
    rows: int
    status: int
    problem: str
    """The exception type that the whole call got."""
    at: datetime
    refused: bool
    """Whether the limits refused it."""
    keys_in_url: bool
    fault: str = ""


@dataclass(frozen=True)
class Limit:
    """At most so many calls in any span of so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True)
class Manners:
    """How this LeadSquared behaves where nobody knows, or where it is for the test to say.

    `own_host` is the host that the keys belong to, if it is another one: calls get a 401 that names it. `rate_status`
    is the HTTP status of calls beyond the limits.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    calls: Limit
    bulk_calls: Limit
    calls_per_day: int
    rate_status: int
    own_host: str
    activity_types: Mapping[int, str]


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
        self.host = ""
        """The host that this server is, set when it listens."""
        self._calls: list[Call] = []
        self._recent: dict[bool, deque[float]] = {True: deque(), False: deque()}
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
            is_bulk = question.path in _MOST_ROWS
            body = _json(question.body)
            over = self._over_limit(is_bulk=is_bulk)
            fault = None if over else self.faults.take(is_bulk=is_bulk)
            given = over or self._spoiled(question, body, fault)
            self._calls.append(
                Call(
                    path=question.path,
                    rows=len(body) if is_bulk and isinstance(body, list) else 0,
                    status=given.http_status,
                    problem=given.problem,
                    at=self._clock(),
                    refused=over is not None,
                    keys_in_url="accessKey" in question.query,
                    fault=fault.name.value if fault else "",
                )
            )
            return given

    def _over_limit(self, *, is_bulk: bool) -> Answer | None:
        """Count the call and return None, or return what a call beyond the limits gets."""
        now, day = self._monotonic(), self._clock().date().isoformat()
        if day != self._day:
            self._day, self._used = day, 0
        if self._used >= self._manners.calls_per_day:
            return _too_fast(f"API calls exceeded the limit of {self._manners.calls_per_day} in 1 day(s)", 429)
        kinds = {False: self._manners.calls, **({True: self._manners.bulk_calls} if is_bulk else {})}
        for kind, limit in kinds.items():
            recent = self._recent[kind]
            while recent and recent[0] <= now - limit.seconds:
                recent.popleft()
            if len(recent) >= limit.calls:
                message = f"API calls exceeded the limit of {limit.calls} in {limit.seconds:g} second(s)"
                return _too_fast(message, self._manners.rate_status)
        for kind in kinds:
            self._recent[kind].append(now)
        self._used += 1
        return None

    def _spoiled(self, question: Question, body: Any, fault: Fault | None) -> Answer:
        if fault is None:
            return self._answered(question, body)
        name = fault.name
        if name is FaultName.KEYS_401:
            return refusal(Problem(answers.BAD_KEYS, "Invalid access details"), 401)
        if name in _RATE_STATUSES:
            return _too_fast("API calls exceeded the limit of 10 in 5 second(s)", _RATE_STATUSES[name])
        if name is FaultName.DAY_429:
            return _too_fast("API calls exceeded the limit of 10000 in 1 day(s)", 429)
        if name in _PROBLEMS:
            return refusal(_PROBLEMS[name])
        if name is FaultName.STATUS_ERROR_200:
            return refusal(_PROBLEMS[FaultName.MX_INVALID_INPUT], 200)
        if name in _BEFORE:
            return _BEFORE[name]
        if name is FaultName.ROW_INVALID_INPUT and isinstance(body, list) and body:
            body = [{"spoiled": True}, *body[1:]]
        given = self._answered(question, body)
        return _rows_spoiled(given, name) if name.is_of_rows else _delivered_badly(given, fault)

    def _answered(self, question: Question, body: Any) -> Answer:
        keys = (
            question.headers.get("x-lsq-accesskey") or question.query.get("accessKey"),
            question.headers.get("x-lsq-secretkey") or question.query.get("secretKey"),
        )
        if keys != (self._manners.access_key, self._manners.secret_key):
            return refusal(Problem(answers.BAD_KEYS, "Invalid access details"), 401)
        if question.path == WHO:
            return answer(self._who())
        if self._manners.own_host:
            message = f"Invalid API host for this account. Use {self._manners.own_host}"
            return Answer(json.dumps({"Status": "Error", "Message": message, "ExceptionMessage": message}), 401)
        done = self._read(question) if question.method == "GET" else self._write(question, body)
        return done or Answer("Not Found", 404, "text/plain")

    def _who(self) -> dict[str, Any]:
        host = self._manners.own_host or self.host
        return {
            "EmailAddress": "owner@seller.example",
            "TimeZone": "Asia/Kolkata",
            "DefaultCountryCode": "+91",
            "LSQCommonServiceURLs": {"api": host, "app": host},
        }

    def _read(self, question: Question) -> Answer | None:
        name, query = question.path, question.query
        if name == f"{_LEADS}LeadsMetaData.Get":
            return answer([field.as_json() for field in self._rules.fields])
        if name == f"{_ACTIVITIES}ActivityTypes.Get":
            kinds = self._manners.activity_types.items()
            return answer([{"ActivityEvent": code, "ActivityEventName": label} for code, label in kinds])
        lookups = {
            "Leads.GetById": ("id", self.store.by_id),
            "Leads.GetByEmailaddress": ("emailaddress", self.store.by_email),
            "RetrieveLeadByPhoneNumber": ("phone", self.store.by_phone),
            "Leads.GetByQuickSearch": ("key", self.store.by_text),
        }
        parameter, find = lookups.get(name.removeprefix(_LEADS), ("", None))
        if find is None:
            return None
        if not query.get(parameter):
            return refusal(Problem(answers.MANDATORY, f"Mandatory parameter missing: {parameter}"))
        return answer([self.store.shown(record) for record in find(query[parameter])])

    def _write(self, question: Question, body: Any) -> Answer | None:
        name = question.path
        if name == f"{_LEADS}Lead.Update":
            row = self.store.update_pairs(question.query.get("leadId", ""), body)
            if row.problem is not None:
                return refusal(row.problem)
            return answer({"Status": "Success", "Message": {"AffectedRows": row.affected}})
        if name not in _MOST_ROWS:
            return None
        if not isinstance(body, list) or not 1 <= len(body) <= _MOST_ROWS[name]:
            return refusal(
                Problem(answers.INVALID_INPUT, f"Invalid Input! At most {_MOST_ROWS[name]} rows are allowed")
            )
        if name == _ADD_ACTIVITIES:
            return self._add_activities(body)
        write = self.store.create if name.endswith("Bulk/Create") else self.store.create_or_update
        rows = [Row(problem=_PROBLEMS[FaultName.MX_INVALID_INPUT]) if _is_spoiled(one) else write(one) for one in body]
        return answer([row.as_json(place + 1) for place, row in enumerate(rows)])

    def _add_activities(self, body: list[Any]) -> Answer:
        """Note all activities of a call, or none."""
        for one in body:
            known = isinstance(one, dict) and self.store.by_id(str(one.get("RelatedProspectId")))
            if not known:
                return refusal(Problem(answers.INVALID_ENTITY, "Lead does not exist in the system"))
            if one.get("ActivityEvent") not in self._manners.activity_types:
                return refusal(Problem(answers.UNKNOWN_ACTIVITY, "Activity type does not exist"))
        shown = []
        for place, one in enumerate(body):
            number = len(self.store.activities) + 1
            noted = ActivityRecord(
                id=f"{number:08x}-797d-11e4-b2b6-22000a940c0c",
                lead_id=one["RelatedProspectId"],
                event=one["ActivityEvent"],
                note=str(one.get("ActivityNote") or ""),
                at=str(one.get("ActivityDateTime") or ""),
            )
            self.store.activities.append(noted)
            shown.append({"RowNumber": place + 1, "ProspectActivityId": noted.id, "ActivityCreated": True})
        return answer({"Response": shown, "Status": "Success"})


def _too_fast(message: str, status: int) -> Answer:
    return refusal(Problem(answers.RATE_LIMIT, message), status)


def _rows_spoiled(given: Answer, name: FaultName) -> Answer:
    """Return a bulk answer with its rows in another order, numbered otherwise, or not all there."""
    body = json.loads(given.body)
    rows = body.get("Response") if isinstance(body, dict) else body
    if not isinstance(rows, list) or given.http_status != 200:  # noqa: PLR2004 - a call that was refused has no rows
        return given
    if name is FaultName.ROWS_MISSING:
        return replace(given, body=json.dumps({"Status": "Success"}))
    if name is FaultName.ROWS_REORDERED:
        rows.reverse()
    if name is FaultName.ROWS_LACK_ONE:
        rows.pop(0)
    if name is FaultName.ROWS_FROM_ZERO:
        rows[:] = [{**row, "RowNumber": row["RowNumber"] - 1} for row in rows]
    if name is FaultName.ROW_NO_FLAGS:
        rows[0] = {**rows[0], "LeadCreated": False, "LeadUpdated": False, "AffectedRows": 0}
    return replace(given, body=json.dumps(body))


def _delivered_badly(given: Answer, fault: Fault) -> Answer:
    """Return what comes of an answer after its call was done."""
    return {
        FaultName.HTML_502_AFTER: Answer(answers.BUSY_PAGE, 502, "text/html"),
        FaultName.NOT_JSON_AFTER: Answer("Service temporarily unavailable", 200, "text/plain"),
        FaultName.EMPTY_AFTER: Answer(""),
        FaultName.CUT_AFTER: replace(given, fraction_sent=0.5),
        FaultName.RESET_AFTER: replace(given, reset=True),
        FaultName.SLOW_AFTER: given.late(fault.seconds),
    }[fault.name]


def _is_spoiled(row: Any) -> bool:
    return isinstance(row, dict) and "spoiled" in row


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
