"""The APIs that the server speaks: what each reads of a request, which windows it takes, and how it answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from leads_pipeline.fake_indiamart import answers, v1_answers
from leads_pipeline.fake_indiamart.answers import Answer
from leads_pipeline.fake_indiamart.draws import Draws
from leads_pipeline.fake_indiamart.faults import Echo, Fault, spoiled
from leads_pipeline.fake_indiamart.rules import V1_FORMATS, Refusal, Window, read_window, window_refusal
from leads_pipeline.fake_indiamart.truth import TrueLead
from leads_pipeline.fake_indiamart.v1_faults import spoiled_v1


@dataclass(frozen=True)
class Question:
    """One call as its request wrote it; nothing is checked yet."""

    key: str = field(repr=False)
    times: Mapping[str, str]
    """`start_time` and `end_time`."""
    address: str = field(repr=False)
    """The path and parameters of the request, still encoded."""
    mobile: str = field(default="", repr=False)
    """The seller's number, which v1's address holds; empty for v2."""


class Dialect(Protocol):
    """One API's rules and words."""

    @property
    def api(self) -> str:
        """Return `v1` or `v2`."""
        ...

    def read_window(self, times: Mapping[str, str], *, inclusive_end: bool) -> Window | None:
        """Return the window that the times ask for, or None where they cannot be read."""
        ...

    def window_refusal(self, window: Window, now: datetime) -> Refusal | None:
        """Return why the window is refused, or None."""
        ...

    def served(self, window: Window) -> Window:
        """Return the part of the window that is answered."""
        ...

    def leads(self, leads: Iterable[TrueLead], draws: Draws) -> Answer:
        """Return the answer that holds these leads, or says that there are none."""
        ...

    def refusal(self, refusal: Refusal, draws: Draws, *, replaced_at: datetime | None = None) -> Answer:
        """Return the answer to a request that is refused for good."""
        ...

    def too_soon(self, draws: Draws) -> Answer:
        """Return the answer to a call that comes too soon."""
        ...

    def withheld(self, draws: Draws) -> Answer:
        """Return the answer for days from before a key that was made less than 24 hours ago."""
        ...

    def spoiled(self, answer: Answer, fault: Fault, echo: Echo, draws: Draws) -> Answer:
        """Return what the call gets in place of the answer that it would have got."""
        ...


@dataclass(frozen=True)
class V2Dialect:
    """The v2 API: an envelope with a CODE; windows of at most 7 days."""

    api: str = "v2"

    def read_window(self, times: Mapping[str, str], *, inclusive_end: bool) -> Window | None:
        """Read all four forms of times."""
        return read_window(times, inclusive_end=inclusive_end)

    def window_refusal(self, window: Window, now: datetime) -> Refusal | None:
        """Refuse what is upside down, wider than 7 days or out of reach."""
        return window_refusal(window, now)

    def served(self, window: Window) -> Window:
        """Answer all of the window."""
        return window

    def leads(self, leads: Iterable[TrueLead], draws: Draws) -> Answer:
        """Answer CODE 200, or 204."""
        return answers.leads_answer(leads, draws)

    def refusal(self, refusal: Refusal, draws: Draws, *, replaced_at: datetime | None = None) -> Answer:
        """Answer CODE 400 or 401."""
        return answers.refusal_answer(refusal, draws, replaced_at=replaced_at)

    def too_soon(self, draws: Draws) -> Answer:
        """Answer CODE 429."""
        return answers.soft_limit_answer(draws)

    def withheld(self, draws: Draws) -> Answer:
        """Answer CODE 204."""
        return answers.failure_answer(204, answers.NOT_YET_AVAILABLE)

    def spoiled(self, answer: Answer, fault: Fault, echo: Echo, draws: Draws) -> Answer:
        """Spoil an envelope."""
        return spoiled(answer, fault, echo, draws)


@dataclass(frozen=True)
class V1Dialect:
    """The v1 API: a list of rows; of wider windows the last 7 days, without a word.

    In the share `silence` of cases, a call too soon, a wrong key, withheld days and an empty window are answered
    with a bare `[]`.
    """

    silence: float = 0.5
    api: str = "v1"

    def read_window(self, times: Mapping[str, str], *, inclusive_end: bool) -> Window | None:
        """Read v1's two forms of times."""
        return read_window(times, inclusive_end=inclusive_end, formats=V1_FORMATS)

    def window_refusal(self, window: Window, now: datetime) -> Refusal | None:
        """Refuse what is upside down or out of reach."""
        return window_refusal(window, now, refuse_wide=False)

    def served(self, window: Window) -> Window:
        """Answer the last 7 days of the window."""
        return window.last_week()

    def leads(self, leads: Iterable[TrueLead], draws: Draws) -> Answer:
        """Answer rows, or words, or nothing."""
        return v1_answers.leads_answer(leads, draws, self.silence)

    def refusal(self, refusal: Refusal, draws: Draws, *, replaced_at: datetime | None = None) -> Answer:
        """Answer words, or nothing."""
        return v1_answers.refusal_answer(refusal, draws, self.silence, replaced_at=replaced_at)

    def too_soon(self, draws: Draws) -> Answer:
        """Answer words, or nothing."""
        return v1_answers.soft_limit_answer(draws, self.silence)

    def withheld(self, draws: Draws) -> Answer:
        """Answer words, or nothing."""
        return v1_answers.withheld_answer(draws, self.silence)

    def spoiled(self, answer: Answer, fault: Fault, echo: Echo, draws: Draws) -> Answer:
        """Spoil rows."""
        return spoiled_v1(answer, fault, echo, draws)
