"""What a call ends as that meets a fault of the fake IndiaMART: written once, for all tests that inject faults."""

from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.indiamart.outcomes import Outcome

OUTCOME_OF_FAULT = {
    FaultName.SOFT_429: Outcome.RATE_LIMITED,
    FaultName.HARD_429: Outcome.KEY_BLOCKED,
    FaultName.HTTP_429: Outcome.KEY_BLOCKED,
    FaultName.KEY_INCORRECT: Outcome.KEY_REJECTED,
    FaultName.KEY_EXPIRED: Outcome.KEY_REJECTED,
    FaultName.KEY_REGENERATED: Outcome.KEY_REJECTED,
    FaultName.NOT_YET_AVAILABLE_204: Outcome.NOT_YET_AVAILABLE,
    FaultName.NOT_YET_AVAILABLE_401: Outcome.NOT_YET_AVAILABLE,
    FaultName.BAD_REQUEST: Outcome.BAD_REQUEST,
    FaultName.TOO_WIDE: Outcome.BAD_REQUEST,
    FaultName.SERVER_ERROR: Outcome.SERVER_ERROR,
    FaultName.HTTP_500: Outcome.SERVER_ERROR,
    FaultName.UNKNOWN_CODE: Outcome.SERVER_ERROR,
    FaultName.HTML_200: Outcome.UNREADABLE,
    FaultName.HTML_502: Outcome.SERVER_ERROR,
    FaultName.HTML_WITH_KEY: Outcome.SERVER_ERROR,
    FaultName.EMPTY_BODY: Outcome.UNREADABLE,
    FaultName.EMPTY_LIST: Outcome.AMBIGUOUS_EMPTY,
    FaultName.REDIRECT: Outcome.UNREADABLE,
    FaultName.RESET: Outcome.UNREACHABLE,
    FaultName.SLOW: Outcome.LEADS,  # within the time limit; else it is unreachable
    FaultName.TRICKLE: Outcome.LEADS,
    FaultName.CUT_CONNECTION: Outcome.UNREADABLE,
    FaultName.TRUNCATED_JSON: Outcome.UNREADABLE,
    FaultName.ECHO_KEY: Outcome.LEADS,
    FaultName.FEWER_THAN_TOTAL: Outcome.TRUNCATED,
    FaultName.CODE_AS_TEXT: Outcome.LEADS,
    FaultName.TOTAL_AS_TEXT: Outcome.LEADS,
    FaultName.NO_CONTENT_TYPE_JSON: Outcome.LEADS,
    FaultName.GARBAGE_RECORDS: Outcome.LEADS,
    FaultName.DUPLICATE_RECORDS: Outcome.LEADS,
    FaultName.BOM: Outcome.LEADS,
    FaultName.LATIN1: Outcome.LEADS,
    FaultName.LONE_SURROGATE: Outcome.LEADS,
}
