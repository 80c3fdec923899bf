"""Calls of SharpSpring's one endpoint: keys, pace, the day's calls, and what is worth trying again by itself."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from leads_pipeline.delivery.crm import CallOutcome, CallRecorder, CrmCall, CrmStopError, Stop, StopKind
from leads_pipeline.delivery.http_calls import CrmAnswer, HttpCalls, NoAnswerError
from leads_pipeline.delivery.rate import CallRate, bucket_name
from leads_pipeline.delivery.sharpspring.answers import EXISTS, NOTHING_CHANGED, Judged, Kind, judge
from leads_pipeline.delivery.sharpspring.options import SharpSpringOptions

_MOST_TRIES = 3
_MOST_TOO_FAST = 5
_COUNT_HOLDS_SECONDS = 600.0
_RESULT_KEYS = {"createLeads": "creates", "updateLeadsV2": "updates"}

_STOPS = {
    Kind.BAD_KEYS: (
        StopKind.BAD_KEYS,
        "SharpSpring does not accept the keys: check account ID and secret key under Settings, API Settings",
    ),
    Kind.DAY_USED_UP: (
        StopKind.QUOTA_USED_UP,
        "SharpSpring's calls of the day are used up: the rest goes out when the day begins anew there",
    ),
    Kind.MISCONFIGURED: (
        StopKind.MISCONFIGURED,
        "SharpSpring does not understand the calls: check the destination's address",
    ),
    Kind.TOO_FAST: (
        StopKind.UNREACHABLE,
        "SharpSpring says again and again that calls come too fast: other programs use the account too; tried later",
    ),
}


class SharpSpringClient:
    """Makes calls and judges them; every call is paced, counted and recorded."""

    def __init__(
        self,
        account_id: str,
        secret_key: str,
        options: SharpSpringOptions,
        *,
        rate_file: Path,
        record: CallRecorder,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the keys; `clock` gives seconds of the wall clock."""
        self._keys = {"accountID": account_id, "secretKey": secret_key}
        self._options, self._record = options, record
        self._clock, self._sleep = clock, sleep
        self._http = HttpCalls((account_id, secret_key), options.timeout_seconds)
        self._rate = CallRate(rate_file, bucket_name(account_id, "calls"), options.limits, clock, sleep)
        self._calls = 0
        self._left: tuple[float, int] | None = None
        self.used: int | None = None
        """The account's calls of the day, as the last answer that told counts them."""
        self.limit: int | None = None

    def wait(self) -> None:
        """Wait as long as one waits before a busy API is asked again."""
        self._sleep(self._options.wait_seconds)

    def ask(self, method: str, params: Mapping[str, Any], rows: int = 0) -> Judged:
        """Read, and again where no answer can be read; DONE or ROW_FAULT. Raises CrmStopError."""
        for attempt in range(_MOST_TRIES):
            if attempt:
                self.wait()
            judged = self.call(method, params, rows)
            if judged.kind in (Kind.DONE, Kind.ROW_FAULT, Kind.TOO_MANY_ROWS):
                return judged
        raise unreachable(judged.reason)

    def call(self, method: str, params: Mapping[str, Any], rows: int = 0) -> Judged:
        """Make one call and return what it came to; one that came too fast or never arrived is made again.

        Raises CrmStopError where it makes no sense to go on; nothing was written then.
        """
        tries = {Kind.TOO_FAST: _MOST_TOO_FAST, Kind.NOT_SENT: _MOST_TRIES}
        while True:
            self._keep_reserve()
            judged = self._call_once(method, params, rows)
            tries[judged.kind] = tries.get(judged.kind, 1) - 1
            if tries[judged.kind] <= 0:
                break
            self.wait()
        if judged.kind is Kind.NOT_SENT:
            raise unreachable(judged.reason)
        if judged.kind in _STOPS:
            kind, reason = _STOPS[judged.kind]
            raise CrmStopError(Stop(kind, f"{reason} ({judged.reason})"))
        return judged

    def _keep_reserve(self) -> None:
        if self._left is None:
            return
        counted_at, left = self._left
        if left <= self._options.daily_reserve and 0 <= self._clock() - counted_at < _COUNT_HOLDS_SECONDS:
            reason = (
                f"of SharpSpring's calls of the day {left} are left, and {self._options.daily_reserve} are kept for "
                "other programs: the rest goes out when the day begins anew there"
            )
            raise CrmStopError(Stop(StopKind.QUOTA_USED_UP, reason))

    def _call_once(self, method: str, params: Mapping[str, Any], rows: int) -> Judged:
        self._rate.take()
        self._calls += 1
        body = {"method": method, "params": dict(params), "id": str(self._calls)}
        rows_key = _RESULT_KEYS.get(method, "")
        try:
            answer = self._http.post(self._options.url, self._keys, {}, body)
        except NoAnswerError as error:
            judged = Judged(Kind.UNREADABLE if error.was_sent else Kind.NOT_SENT, error.reason)
            self._note(method, rows, judged, CrmAnswer(0, "", error.sent_at, error.seconds))
            return judged
        judged = judge(answer, rows_key, rows)
        if judged.used is not None and judged.limit:
            self.used, self.limit = judged.used, judged.limit
            self._left = (self._clock(), judged.limit - judged.used)
        self._note(method, rows, judged, answer)
        return judged

    def _note(self, method: str, rows: int, judged: Judged, answer: CrmAnswer) -> None:
        done = sum(row.is_done or row.code == NOTHING_CHANGED for row in judged.rows)
        failed = sum(not row.is_done and row.code not in (EXISTS, NOTHING_CHANGED) for row in judged.rows)
        outcome = {
            Kind.DONE: CallOutcome.PARTLY if failed else CallOutcome.OK,
            Kind.TOO_FAST: CallOutcome.RATE_LIMITED,
            Kind.DAY_USED_UP: CallOutcome.RATE_LIMITED,
            Kind.UNREADABLE: CallOutcome.NO_ANSWER,
            Kind.NOT_SENT: CallOutcome.NO_ANSWER,
        }.get(judged.kind, CallOutcome.REFUSED)
        self._record(
            CrmCall(
                method=method,
                sent_at=answer.sent_at,
                seconds=answer.seconds,
                rows=rows,
                http_status=answer.http_status or None,
                outcome=outcome,
                reason=judged.reason,
                created=done if method == "createLeads" else 0,
                updated=done if method == "updateLeadsV2" else 0,
                failed=failed,
            )
        )


def unreachable(reason: str) -> CrmStopError:
    """Return the end of a delivery to an API of which nothing can be had."""
    return CrmStopError(Stop(StopKind.UNREACHABLE, f"SharpSpring can't be reached: {reason}; tried again later"))
