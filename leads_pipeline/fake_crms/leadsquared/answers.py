"""What LeadSquared answers: exceptions, rows of bulk calls, and answers that arrive badly (contract 1.3, 1.6)."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

BUSY_PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"

DUPLICATE = "MXDuplicateEntryException"
MANDATORY = "MXMandatoryAttributeMissingException"
INVALID_INPUT = "MXInvalidInputException"
UNKNOWN_ATTRIBUTE = "MXUnknownAttributeException"
INVALID_ENTITY = "MXInvalidEntityException"
MARKUP = "MXXSSException"
RATE_LIMIT = "MXAPIRateLimitExceededException"
BAD_KEYS = "MXInvalidAccessDetailsException"
UNKNOWN_ACTIVITY = "MXUnknownProspectActivityException"


@dataclass(frozen=True)
class Problem:
    """An application error; as the real ones, its message may quote what was sent."""

    type: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return the body of a call that got it."""
        return {"Status": "Error", "ExceptionType": self.type, "ExceptionMessage": self.message}


@dataclass(frozen=True)
class Row:
    """What became of one row of a bulk write of leads."""

    remote_id: str = ""
    created: bool = False
    updated: bool = False
    affected: int = 0
    problem: Problem | None = None

    def as_json(self, number: int) -> dict[str, Any]:
        """Return the row as a bulk answer shows it; `number` counts from 1."""
        shown: dict[str, Any] = {
            "RowNumber": number,
            "LeadId": self.remote_id,
            "LeadCreated": self.created,
            "LeadUpdated": self.updated,
            "AffectedRows": self.affected,
        }
        if self.problem is not None:
            shown |= {"ExceptionType": self.problem.type, "ErrorMessage": self.problem.message}
        return shown


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, and how its delivery goes wrong."""

    body: str
    http_status: int = 200
    content_type: str = "application/json"
    problem: str = ""
    """The exception type that the whole call got."""
    wait_seconds: float = 0.0
    reset: bool = False
    fraction_sent: float = field(default=1.0)

    def late(self, seconds: float) -> "Answer":
        """Return the answer as it comes after so many seconds."""
        return replace(self, wait_seconds=seconds)


def answer(body: Any) -> Answer:
    """Return a good answer with the JSON value."""
    return Answer(json.dumps(body))


def refusal(problem: Problem, http_status: int = 500) -> Answer:
    """Return what a call with an application error gets."""
    return Answer(json.dumps(problem.as_json()), http_status, problem=problem.type)
