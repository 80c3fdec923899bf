"""What SharpSpring answers: its error codes, the results of objects, and the envelope (contract 2.1, 2.2, 2.4)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

WRONG_ACCOUNT = "Unable to determine clusterID from provided accountID/secretKey"
UNAVAILABLE = "Service temporarily unavailable, try again in a few minutes"
BUSY_PAGE = "<html><body><h1>Bad Gateway</h1></body></html>"

MESSAGES = {
    101: "Invalid request data format",
    102: "Header missing request ID",
    103: "Header missing account ID",
    104: "Header missing Secret Key",
    105: "User authentication failed",
    106: "Exceeded daily method call limit",
    107: "Exceeded per second method call limit",
    201: "Missing method signature",
    202: "Missing params array",
    203: "Missing header array",
    204: "Invalid method signature",
    205: "Invalid parameters",
    206: "Missing parameters",
    207: "Missing objects array",
    208: "Object is malformed. Expected array, got scalar",
    209: "Attempting to execute an excess amount of queries",
    210: "Got array, expected variable",
    215: "You have supplied an invalid country code",
    222: "You have exceeded the amount of leads to process. Maximum allowed is 100",
    301: "Entry already exists",
    302: "No table rows affected",
    303: "A foreign key constraint fails",
    404: "A record with that ID does not exist",
    999: "Unknown error",
}

SuccessForm = Literal["boolean", "text"]
ErrorForm = Literal["list", "null"]


@dataclass(frozen=True)
class Problem:
    """An error of one object, or of a whole call."""

    code: int
    params: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the error object; the order of its keys varies in real answers."""
        data: Any = {"params": list(self.params)} if self.params else []
        return {"code": self.code, "message": MESSAGES[self.code], "data": data}


def invalid(param: str, message: str, valid_format: Mapping[str, Any]) -> Problem:
    """Return the 205 that names one parameter; as the real one, its message may quote what was sent."""
    return Problem(205, ({"param": param, "message": message, "validFormat": dict(valid_format)},))


@dataclass(frozen=True)
class Row:
    """What became of one object of a write."""

    problem: Problem | None = None
    id: int | None = None


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, and how its delivery goes wrong."""

    body: str
    http_status: int = 200
    content_type: str = "application/json"
    code: int | None = None
    """The code of an error that the whole call got."""
    wait_seconds: float = 0.0
    reset: bool = False
    fraction_sent: float = field(default=1.0)

    def late(self, seconds: float) -> "Answer":
        """Return the answer as it comes after so many seconds."""
        return replace(self, wait_seconds=seconds)


@dataclass(frozen=True)
class Envelope:
    """How answers are wrapped: the id of the call and the counters; `success` and `error` as the fake is told."""

    request_id: Any
    call_count: int
    query_limit: int
    success_form: SuccessForm
    write_error_form: ErrorForm

    def of_read(self, key: str, rows: Sequence[Any], *, has_more: bool = False) -> Answer:
        """Return what a list call answers."""
        return self._answer({key: list(rows), "hasMore": has_more}, None, hasMore=has_more)

    def of_write(self, key: str, rows: Sequence[Row]) -> Answer:
        """Return what a write answers: the objects' results in their order, the errors of those that failed beside."""
        failed = [row.problem.as_json() for row in rows if row.problem is not None]
        return self._answer({key: [self._row(row) for row in rows]}, failed if self._lists_errors else None)

    def of_problem(self, problem: Problem) -> Answer:
        """Return what a call that failed as a whole answers."""
        return replace(self._answer(None, problem.as_json()), code=problem.code)

    @property
    def _lists_errors(self) -> bool:
        return self.write_error_form == "list"

    def _row(self, row: Row) -> dict[str, Any]:
        success: Any = row.problem is None
        if self.success_form == "text":
            success = "true" if success else "false"
        shown = {"success": success, "error": row.problem.as_json() if row.problem else None}
        return shown if row.id is None else {**shown, "id": row.id}

    def _answer(self, result: Any, error: Any, **more: Any) -> Answer:
        body = {
            "result": result,
            "error": error,
            "id": self.request_id,
            **more,
            "callCount": str(self.call_count),
            "queryLimit": str(self.query_limit),
        }
        return Answer(json.dumps(body))
