"""What the server decides about each call, without HTTP: rules, keys, limits, faults, leads, and the call log."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from leads_pipeline.days import day_end, day_start
from leads_pipeline.fake_indiamart.answers import Answer, hard_limit_answer
from leads_pipeline.fake_indiamart.dialects import Dialect, Question
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.faults import Echo, Fault, FaultName, FaultQueue
from leads_pipeline.fake_indiamart.keys import KeyRing, fingerprint
from leads_pipeline.fake_indiamart.rate_limit import RateLimiter, Verdict
from leads_pipeline.fake_indiamart.rules import Refusal, Window
from leads_pipeline.fake_indiamart.truth import TrueLead, TruthOptions, truth_between

REFUSED_OUTCOMES = frozenset({"bad_request", "key_rejected", "rate_limited", "key_blocked"})


@dataclass(frozen=True)
class Call:
    """One call as the server saw it; the key only as a fingerprint.

    `monotonic` is in seconds of the limiter's clock, `at` is the server's wall clock, `start` and `end` are the
    window as far as it could be read (IST). `code` is the body's CODE (None: no CODE; v1 has none), `rows` the
    number of records in it. `outcome` is leads, no_leads, not_yet_available, bad_request, key_rejected, rate_limited,
    key_blocked, or fault; then `fault` names it.
    """

    number: int
    monotonic: float
    at: datetime
    key_fingerprint: str
    key_accepted: bool
    start: datetime | None
    end: datetime | None
    code: int | None
    http_status: int
    rows: int
    outcome: str
    fault: str | None = None
    api: str = "v2"

    @property
    def refused(self) -> bool:
        """Tell whether the rules refused it; an injected fault is no refusal."""
        return self.outcome in REFUSED_OUTCOMES


@dataclass(frozen=True)
class _Decision:
    answer: Answer
    outcome: str
    window: Window | None = None
    key_accepted: bool = False
    fault: Fault | None = None


class FakeService:
    """Answers calls one at a time and remembers them.

    Times are decided first (a refusal of them takes no turn), then the key, then the limit, then a fault if one is
    waiting, then the leads.
    """

    def __init__(
        self,
        seed: int,
        keys: KeyRing,
        limiter: RateLimiter,
        options: TruthOptions,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        inclusive_end: bool = False,
    ) -> None:
        self.seed = seed
        self.keys = keys
        self.faults = FaultQueue()
        self._limiter = limiter
        self._options = options
        self._clock = clock
        self._monotonic = monotonic
        self._inclusive_end = inclusive_end
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls so far, oldest first."""
        with self._lock:
            return tuple(self._calls)

    def answer(self, question: Question, dialect: Dialect) -> Answer:
        """Return the answer to a call, in the dialect of the API that was called, and log the call."""
        with self._lock:
            number = len(self._calls) + 1
            now = self._clock()
            monotonic = self._monotonic()
            decision = self._decide(question, dialect, now, Draws(self.seed, "call", number))
            window, answer, fault = decision.window, decision.answer, decision.fault
            self._calls.append(
                Call(
                    number=number,
                    monotonic=monotonic,
                    at=now,
                    key_fingerprint=fingerprint(question.key),
                    key_accepted=decision.key_accepted,
                    start=window.start if window else None,
                    end=window.end if window else None,
                    code=answer.code,
                    http_status=answer.http_status,
                    rows=answer.rows,
                    outcome=decision.outcome,
                    fault=fault.name.value if fault else None,
                    api=dialect.api,
                )
            )
            return answer

    def truth(
        self, seller: str, first_day: date, last_day: date, *, as_of: datetime | None = None
    ) -> tuple[TrueLead, ...]:
        """Return the seller's leads of the days, both included, as a call at `as_of` (default: now) shows them."""
        start, end = day_start(first_day), day_end(last_day)
        moment = as_of or self._clock()
        return truth_between(self.seed, seller, start, end, as_of=moment, options=self._options)

    def _decide(self, question: Question, dialect: Dialect, now: datetime, draws: Draws) -> _Decision:
        key = question.key
        window = dialect.read_window(question.times, inclusive_end=self._inclusive_end)
        if window is None:
            return _Decision(dialect.refusal(Refusal.UNREADABLE_TIMES, draws), "bad_request")
        bad_times = dialect.window_refusal(window, now)
        if bad_times is not None:
            return _Decision(dialect.refusal(bad_times, draws), "bad_request", window)
        bad_key = self.keys.check(key, now, dialect.api, question.mobile)
        if bad_key is not None:
            refusal = dialect.refusal(bad_key, draws, replaced_at=self.keys.replaced_at(key))
            return _Decision(refusal, "key_rejected", window)
        verdict = self._limiter.check(key)
        if verdict is Verdict.BLOCKED:
            return _Decision(hard_limit_answer(), "key_blocked", window, key_accepted=True)
        if verdict is Verdict.TOO_SOON:
            return _Decision(dialect.too_soon(draws), "rate_limited", window, key_accepted=True)
        fault = self.faults.take()
        decision = self._let_through(dialect, window, key, now, draws)
        if fault is None:
            return decision
        if fault.name is FaultName.HARD_429:
            self._limiter.block(key)
        answer = dialect.spoiled(decision.answer, fault, Echo(question.address, key), draws)
        return _Decision(answer, "fault", window, key_accepted=True, fault=fault)

    def _let_through(self, dialect: Dialect, window: Window, key: str, now: datetime, draws: Draws) -> _Decision:
        history_from = self.keys.history_from(key, now)
        served = dialect.served(window)
        if history_from is not None and served.start < history_from:
            return _Decision(dialect.withheld(draws), "not_yet_available", window, key_accepted=True)
        leads = truth_between(
            self.seed,
            self.keys.seller(key),
            served.start,
            served.end_exclusive,
            as_of=now,
            options=self._options,
        )
        answer = dialect.leads(leads, draws)
        return _Decision(answer, "leads" if leads else "no_leads", window, key_accepted=True)
