"""What goes wrong with the fake's next calls: in the order in which it was asked for, or at random."""

import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultName(StrEnum):
    """The faults that there are; after the names with `_after`, what the call asked for has been done."""

    KEYS_401 = "keys_401"
    RATE_429 = "rate_429"
    RATE_403 = "rate_403"
    RATE_200 = "rate_200"
    DAY_429 = "day_429"
    MX_DUPLICATE = "mx_duplicate"
    MX_MANDATORY = "mx_mandatory"
    MX_INVALID_INPUT = "mx_invalid_input"
    MX_UNKNOWN_ATTRIBUTE = "mx_unknown_attribute"
    MX_INVALID_ENTITY = "mx_invalid_entity"
    MX_MARKUP = "mx_markup"
    STATUS_ERROR_200 = "status_error_200"
    PLAIN_500 = "plain_500"
    HTML_502 = "html_502"
    HTML_502_AFTER = "html_502_after"
    NOT_JSON_AFTER = "not_json_after"
    EMPTY_AFTER = "empty_after"
    CUT_AFTER = "cut_after"
    RESET = "reset"
    RESET_AFTER = "reset_after"
    SLOW_AFTER = "slow_after"

    ROW_INVALID_INPUT = "row_invalid_input"
    ROW_NO_FLAGS = "row_no_flags"
    ROWS_REORDERED = "rows_reordered"
    ROWS_FROM_ZERO = "rows_from_zero"
    ROWS_LACK_ONE = "rows_lack_one"
    ROWS_MISSING = "rows_missing"

    @property
    def is_of_rows(self) -> bool:
        """Tell whether it befalls the rows of a bulk call, and no other call."""
        return self.value.startswith("row")


RANDOM_FAULTS = (
    FaultName.RATE_429,
    FaultName.RATE_403,
    FaultName.RATE_200,
    FaultName.PLAIN_500,
    FaultName.HTML_502,
    FaultName.HTML_502_AFTER,
    FaultName.NOT_JSON_AFTER,
    FaultName.EMPTY_AFTER,
    FaultName.CUT_AFTER,
    FaultName.RESET,
    FaultName.RESET_AFTER,
    FaultName.SLOW_AFTER,
    FaultName.ROWS_REORDERED,
    FaultName.ROWS_FROM_ZERO,
    FaultName.ROWS_LACK_ONE,
    FaultName.ROWS_MISSING,
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

    def take(self, *, is_bulk: bool) -> Fault | None:
        """Return what befalls this call, or None; a fault of rows waits for a bulk call."""
        with self._lock:
            if self._faults:
                waits = self._faults[0].name.is_of_rows and not is_bulk
                return None if waits else self._faults.popleft()
            if not self._names or self._random.random() >= self._share:
                return None
            fault = Fault(self._random.choice(self._names), self._seconds)
            return None if fault.name.is_of_rows and not is_bulk else fault
