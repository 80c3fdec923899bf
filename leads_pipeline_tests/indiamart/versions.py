"""Both versions of the API as the contract suite sees them: their forms of answers, and a fake that speaks both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import v1, v2
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.api_versions import ApiVersion
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.support import KEY, answer_body, records_of

V1_KEY = "canary/Key+of-v1=tests/7d2B=="
MOBILE = "9810000457"
"""Shaped like a seller's number; the fake IndiaMART wants it beside V1_KEY."""

NOT_YET = "Leads generated before the key will be available after 24 hours from the key generation."
BAD_DATE = "Date format used in API URL is incorrect. Ideally end_time should be greater\n\t\tthan start_time"
TOO_OLD = "You can fetch the data for the last 365 days only. Kindly change the Start Time or End Time accordingly"
WRONG_KEY = "CRM key that you are using is incorrect. Kindly use the correct CRM key as provided in the email."
EXPIRED = "CRM key that you are using is expired as it was no longer in use. Kindly generate a new key."
REPLACED = (
    "CRM key that you are using has expired. Kindly use the new key which you have generated on "
    "'16-09-2020 02:00:00 PM' to continue."
)
SOFT = "It is advised to hit this API once in every 5 minutes, but it seems that you have crossed this limit."
BROKEN = "Some Error Occured"

REFUSALS: dict[str, tuple[int, str, Outcome]] = {
    "no leads": (204, "There are no leads in the given time duration.please try", Outcome.NO_LEADS),
    "withheld": (204, NOT_YET, Outcome.NOT_YET_AVAILABLE),
    "unreadable dates": (400, BAD_DATE, Outcome.BAD_REQUEST),
    "too old": (400, TOO_OLD, Outcome.BAD_REQUEST),
    "wrong key": (401, WRONG_KEY, Outcome.KEY_REJECTED),
    "expired key": (401, EXPIRED, Outcome.KEY_REJECTED),
    "replaced key": (401, REPLACED, Outcome.KEY_REJECTED),
    "too soon": (429, SOFT, Outcome.RATE_LIMITED),
    "too soon, without a space": (429, SOFT.replace(", but", ",but"), Outcome.RATE_LIMITED),
    "blocked": (429, "Too Many Requests", Outcome.KEY_BLOCKED),
    "broken": (500, BROKEN, Outcome.SERVER_ERROR),
}
"""What the API refuses: v2's CODE, the words of both, the outcome. That of 2020 for 15 minutes is v1's alone."""


@dataclass(frozen=True)
class Speaker:
    """One version with its access, and how it writes answers."""

    version: ApiVersion
    access: Access

    @property
    def name(self) -> str:
        return self.version.SOURCE_API

    def refusals(self, code: int, words: str) -> list[bytes]:
        """The forms that a refusal with these words has."""
        if self.version is v1:
            errors: list[dict[str, object]] = [{"Error_Message": words}, {"Error Message": words}]
            gateway = {"CODE": code, "STATUS": "FAILURE", "MESSAGE": words}
            return [json.dumps(form).encode() for error in errors for form in (error, [error])] + [
                json.dumps(gateway).encode()
            ]
        return [
            answer_body(code, words),
            answer_body(str(code), words, records=None),
            json.dumps({"CODE": code, "MESSAGE": words}).encode(),
            json.dumps({"STATUS": "FAILURE", "MESSAGE": words}).encode(),
        ]

    def records(self, *query_ids: str) -> list[dict[str, Any]]:
        """Records as they come, with few fields."""
        if self.version is v2:
            return [dict(record) for record in records_of(*query_ids)]
        return [
            {"RN": str(number), "QUERY_ID": one, "QTYPE": "W", "LOG_TIME": "20260302100000"}
            for number, one in enumerate(query_ids, 1)
        ]

    def leads(self, *query_ids: str, total: object = None) -> bytes:
        """The answer with these leads; its total is their number unless given."""
        records = self.records(*query_ids)
        count = len(records) if total is None else total
        if self.version is v2:
            return answer_body(200, records=records, total=count)
        return json.dumps([{**record, "TOTAL_COUNT": str(count)} for record in records]).encode()

    def empties(self) -> list[bytes]:
        """Answers that hold nothing and do not say why."""
        if self.version is v2:
            return [b'{"CODE":200,"STATUS":"SUCCESS","MESSAGE":"","RESPONSE":[]}']
        return [b"[]", b" [ ]\n", b'{"RESPONSE":"NULL"}', b'{"RESPONSE":null}']

    def query_id(self, record: Mapping[str, object]) -> str:
        return str(record["UNIQUE_QUERY_ID" if self.version is v2 else "QUERY_ID"])


def speakers(server: FakeIndiaMart | None = None) -> dict[str, Speaker]:
    """Both versions, with access to the server or to an address that nobody listens at."""
    v1_url, v2_url = (server.v1_url, server.url) if server else (v1.DEFAULT_URL, v2.DEFAULT_URL)
    return {
        "v1": Speaker(v1, Access(v1_url, V1_KEY, MOBILE)),
        "v2": Speaker(v2, Access(v2_url, KEY)),
    }


def server_of_both(**options: Any) -> FakeIndiaMart:
    """A fake IndiaMART whose one seller has a key for each version, and the same leads in both."""
    return FakeIndiaMart(keys=[KEY], v1_keys={V1_KEY: KEY}, mobile=MOBILE, **options)
