"""Calls of LeadSquared's API: host, keys in headers, the two paces, and what is worth trying again by itself."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from leads_pipeline.delivery.crm import CallOutcome, CallRecorder, CrmCall, CrmStopError, Stop, StopKind
from leads_pipeline.delivery.http_calls import CrmAnswer, HttpCalls, NoAnswerError
from leads_pipeline.delivery.leadsquared.answers import DUPLICATE, Judged, Kind, judge
from leads_pipeline.delivery.leadsquared.log_masking import mask_queries
from leads_pipeline.delivery.leadsquared.options import LeadSquaredOptions, base_url
from leads_pipeline.delivery.rate import CallRate, RateLimit, bucket_name

WHO_AM_I = "Authentication.svc/UserByAccessKey.Get"
_MOST_TRIES = 3
_MOST_TOO_FAST = 6
_MARGIN_SECONDS = 0.25
"""Windows are kept so much longer, by half at most: calls may arrive closer together than they were made."""
_LATE_SECONDS = 0.05

_STOPS = {
    Kind.BAD_KEYS: (
        StopKind.BAD_KEYS,
        "LeadSquared does not accept the keys: check access key and secret key under My Profile, Settings, API and "
        "Webhooks, and that their user is active",
    ),
    Kind.DAY_USED_UP: (
        StopKind.QUOTA_USED_UP,
        "LeadSquared's calls of the day are used up: the rest goes out when the day begins anew there",
    ),
    Kind.MISCONFIGURED: (
        StopKind.MISCONFIGURED,
        "LeadSquared does not understand the calls: check the destination's address",
    ),
    Kind.TOO_FAST: (
        StopKind.UNREACHABLE,
        "LeadSquared says again and again that calls come too fast: other programs use the account too, or its plan "
        "allows fewer calls than the destination's limits; tried later",
    ),
}


@dataclass(frozen=True)
class KeyOwner:
    """Where the keys belong to, as the API says; texts are empty where it does not."""

    host: str
    time_zone: str
    country_code: str


class LeadSquaredClient:
    """Makes calls and judges them; every call is paced and recorded."""

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        options: LeadSquaredOptions,
        *,
        rate_file: Path,
        record: CallRecorder,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the keys; `clock` gives seconds of the wall clock."""
        self._headers = {"x-LSQ-AccessKey": access_key, "x-LSQ-SecretKey": secret_key}
        self._options, self._record = options, record
        self._clock, self._sleep = clock, sleep
        mask_queries()
        self._http = HttpCalls((access_key, secret_key), options.timeout_seconds)
        self._calls, self._bulk_calls = (
            CallRate(rate_file, bucket_name(access_key, kind), _with_margin(limits), clock, sleep)
            for kind, limits in (("calls", options.call_limits), ("bulk_calls", options.bulk_limits))
        )
        self._base = base_url(options.host) if options.host else ""

    @property
    def host(self) -> str:
        """Return the host that calls go to; empty before it is known."""
        return _host(self._base)

    def wait(self) -> None:
        """Wait as long as one waits before a busy API is asked again."""
        self._sleep(self._options.wait_seconds)

    def who_am_i(self) -> KeyOwner:
        """Ask who the keys belong to, and learn the host if none is set. Raises CrmStopError."""
        judged = self._tried(lambda: self._with_host(WHO_AM_I, self._base or base_url(self._options.discovery_host)))
        told = judged.body if isinstance(judged.body, dict) else {}
        urls = told.get("LSQCommonServiceURLs")
        base = self._own_base(str(urls.get("api") or "")) if isinstance(urls, dict) else ""
        self._base = self._base or base
        if judged.kind is not Kind.DONE or not told or not self._base:
            raise unreachable(judged.reason or "the answer does not name the keys' host")
        return KeyOwner(_host(base), str(told.get("TimeZone") or ""), str(told.get("DefaultCountryCode") or ""))

    def ask(self, path: str, params: Mapping[str, str] | None = None) -> Judged:
        """Read, and again where no answer can be read; DONE or REFUSED. Raises CrmStopError."""
        return self._tried(lambda: self.call(path, params))

    def call(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        body: object = None,
        *,
        rows: int = 0,
        is_bulk: bool = False,
    ) -> Judged:
        """Make one call and return what it came to; one that came too fast or never arrived is made again.

        Raises CrmStopError where it makes no sense to go on; nothing was written by this call then.
        """
        if not self._base:
            self.who_am_i()
        return self._with_host(path, self._base, params, body, rows=rows, is_bulk=is_bulk)

    def _tried(self, ask: Callable[[], Judged]) -> Judged:
        for attempt in range(_MOST_TRIES):
            if attempt:
                self.wait()
            judged = ask()
            is_final = judged.kind is Kind.REFUSED and judged.fault is not None and judged.fault.is_final
            if judged.kind is Kind.DONE or is_final:
                return judged
        raise unreachable(judged.reason)

    def _with_host(
        self,
        path: str,
        base: str,
        params: Mapping[str, str] | None = None,
        body: object = None,
        *,
        rows: int = 0,
        is_bulk: bool = False,
    ) -> Judged:
        left = {Kind.TOO_FAST: _MOST_TOO_FAST, Kind.NOT_SENT: _MOST_TRIES, Kind.BAD_KEYS: 2}
        while True:
            judged = self._call_once(base, path, params or {}, body, rows=rows, is_bulk=is_bulk)
            left[judged.kind] = left.get(judged.kind, 1) - 1
            if left[judged.kind] <= 0:
                break
            if judged.kind is Kind.BAD_KEYS:
                others = [own for host in judged.hosts if (own := self._own_base(host)) and own != base]
                if len(others) != 1:
                    break
                base = self._base = others[0]
            else:
                self._sleep(
                    self._options.rate_wait_seconds if judged.kind is Kind.TOO_FAST else self._options.wait_seconds
                )
        if judged.kind is Kind.NOT_SENT:
            raise unreachable(judged.reason)
        if judged.kind in _STOPS:
            kind, reason = _STOPS[judged.kind]
            raise CrmStopError(Stop(kind, f"{reason} ({judged.reason})"))
        return judged

    def _own_base(self, host: str) -> str:
        """Return where a host that an answer names is spoken to; empty for one that must not have the keys."""
        try:
            base = base_url(host)
        except ValueError:
            return ""
        is_provider = base.startswith("https://") and base.removesuffix("/v2/").endswith(".leadsquared.com")
        told_by = self._base or base_url(self._options.discovery_host)
        is_local = base.startswith("http://") and told_by.startswith("http://")
        return base if is_provider or is_local else ""

    def _take(self, *, is_bulk: bool) -> None:
        """Wait until both paces allow the call; a bulk call that then waited long for the other is entered anew."""
        while True:
            if is_bulk:
                self._bulk_calls.take()
            entered = self._clock()
            self._calls.take()
            if not is_bulk or self._clock() - entered <= _LATE_SECONDS:
                return

    def _call_once(
        self, base: str, path: str, params: Mapping[str, str], body: object, *, rows: int, is_bulk: bool
    ) -> Judged:
        self._take(is_bulk=is_bulk)
        try:
            if body is None:
                answer = self._http.get(base + path, params, self._headers)
            else:
                answer = self._http.post(base + path, params, self._headers, body)
        except NoAnswerError as error:
            judged = Judged(Kind.UNREADABLE if error.was_sent else Kind.NOT_SENT, error.reason)
            answer = CrmAnswer(0, "", error.sent_at, error.seconds)
        else:
            judged = judge(answer, rows if is_bulk else 0)
        self._note(path, rows, judged, answer)
        return judged

    def _note(self, path: str, rows: int, judged: Judged, answer: CrmAnswer) -> None:
        results = [one for one in judged.rows if one is not None]
        failed = sum(one.fault is not None and one.fault.type != DUPLICATE for one in results)
        outcome = {
            Kind.DONE: CallOutcome.PARTLY if failed else CallOutcome.OK,
            Kind.TOO_FAST: CallOutcome.RATE_LIMITED,
            Kind.DAY_USED_UP: CallOutcome.RATE_LIMITED,
            Kind.UNREADABLE: CallOutcome.NO_ANSWER,
            Kind.NOT_SENT: CallOutcome.NO_ANSWER,
        }.get(judged.kind, CallOutcome.REFUSED)
        is_single_update = path.endswith("Lead.Update") and judged.kind is Kind.DONE
        self._record(
            CrmCall(
                method=path.partition(".svc/")[2] or path,
                sent_at=answer.sent_at,
                seconds=answer.seconds,
                rows=rows,
                http_status=answer.http_status or None,
                outcome=outcome,
                reason=judged.reason,
                created=sum(one.is_created for one in results),
                updated=sum(one.is_updated and not one.is_created for one in results) + is_single_update,
                failed=failed,
            )
        )


def _host(base: str) -> str:
    return base.partition("://")[2].partition("/")[0]


def unreachable(reason: str) -> CrmStopError:
    """Return the end of a delivery to an API of which nothing can be had."""
    return CrmStopError(Stop(StopKind.UNREACHABLE, f"LeadSquared can't be reached: {reason}; tried again later"))


def _with_margin(limits: tuple[RateLimit, ...]) -> list[RateLimit]:
    return [RateLimit(limit.calls, limit.seconds + min(_MARGIN_SECONDS, limit.seconds / 2)) for limit in limits]
