"""What goes wrong with the fake's next calls: in the order in which it was asked for, or at random."""

import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultName(StrEnum):
    """The faults that there are; after the names with `_after`, what the call asked for has been done."""

    ACCOUNT_401 = "account_401"
    WRONG_SECRET_105 = "wrong_secret_105"  # noqa: S105 - a fault's name
    DAILY_106 = "daily_106"
    PER_SECOND_107 = "per_second_107"
    EXCESS_209 = "excess_209"
    EXCESS_222 = "excess_222"
    CALL_205 = "call_205"
    CALL_999 = "call_999"
    CALL_999_AFTER = "call_999_after"
    UNAVAILABLE = "unavailable"
    HTML_502 = "html_502"
    HTML_502_AFTER = "html_502_after"
    NOT_JSON_AFTER = "not_json_after"
    EMPTY_AFTER = "empty_after"
    CUT_AFTER = "cut_after"
    RESET = "reset"
    RESET_AFTER = "reset_after"
    SLOW_AFTER = "slow_after"

    OBJECT_205 = "object_205"
    OBJECT_215 = "object_215"
    OBJECT_404 = "object_404"
    OBJECT_999 = "object_999"

    @property
    def is_of_an_object(self) -> bool:
        """Tell whether it befalls the first object of a write, and nothing else of the call."""
        return self.value.startswith("object_")


RANDOM_FAULTS = (
    FaultName.PER_SECOND_107,
    FaultName.EXCESS_209,
    FaultName.CALL_999,
    FaultName.CALL_999_AFTER,
    FaultName.UNAVAILABLE,
    FaultName.HTML_502,
    FaultName.HTML_502_AFTER,
    FaultName.NOT_JSON_AFTER,
    FaultName.EMPTY_AFTER,
    FaultName.CUT_AFTER,
    FaultName.RESET,
    FaultName.RESET_AFTER,
    FaultName.SLOW_AFTER,
    FaultName.OBJECT_999,
)
"""Those that pass: none says that a row, a key or a day is spoiled for good."""


@dataclass(frozen=True)
class Fault:
    """One fault; `seconds` is how long a slow answer takes."""

    name: FaultName
    seconds: float


class FaultQueue:
    """The faults to come, first in, first out; then, in a share of the calls, one at random."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: deque[Fault] = deque()
        self._random = random.Random(0)  # noqa: S311 - repeatable, not secret
        self._share = 0.0
        self._names: tuple[FaultName, ...] = ()
        self._seconds = 0.0

    def add(self, fault: Fault, times: int) -> None:
        """Append the fault the given number of times."""
        if times < 1:
            raise ValueError("times must be at least 1")
        with self._lock:
            self._faults.extend([fault] * times)

    def at_random(self, seed: int, share: float, names: Sequence[FaultName], seconds: float) -> None:
        """Let a share of the calls meet one of the faults from now on."""
        with self._lock:
            self._random.seed(seed)
            self._share, self._names, self._seconds = share, tuple(names), seconds

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()
            self._share = 0.0

    def pending(self) -> tuple[Fault, ...]:
        """Return the faults that were injected and not met yet."""
        with self._lock:
            return tuple(self._faults)

    def take(self, *, is_write: bool) -> Fault | None:
        """Return what befalls this call, or None; a fault of an object waits for a write."""
        with self._lock:
            if self._faults:
                waits = self._faults[0].name.is_of_an_object and not is_write
                return None if waits else self._faults.popleft()
            if not self._names or self._random.random() >= self._share:
                return None
            fault = Fault(self._random.choice(self._names), self._seconds)
            return None if fault.name.is_of_an_object and not is_write else fault
