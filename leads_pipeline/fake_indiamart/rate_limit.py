"""The 5-minute rule and the 15-minute block, per key, with every duration scalable."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

CALLS_PER_MINUTE = 5
MINUTES_PER_INTERVAL = 5


class Verdict(Enum):
    """What the limiter says to a call."""

    ALLOWED = "allowed"
    TOO_SOON = "too_soon"
    BLOCKED = "blocked"


@dataclass
class _History:
    last_call: float | None = None
    recent: deque[float] = field(default_factory=deque)
    blocked_until: float = float("-inf")


class RateLimiter:
    """Allows one call per `interval` seconds and key; a caller who hammers is blocked for `block` seconds.

    Any call restarts the interval, also a refused one: nobody knows whether IndiaMART is as strict, so a client
    that pleases this limiter pleases both. More than 5 calls within a fifth of the interval (a minute of five)
    block the key. An interval of 0 allows every call, unless the key was blocked by `block`. `clock` gives
    seconds that never go back.
    """

    def __init__(self, interval: float, block: float, clock: Callable[[], float] = time.monotonic) -> None:
        if interval < 0 or block < 0:
            raise ValueError("interval and block must not be negative")
        self._interval = interval
        self._block = block
        self._clock = clock
        self._lock = threading.Lock()
        self._histories: dict[str, _History] = {}

    def check(self, key: str) -> Verdict:
        """Count a call that arrives now and return what to answer; of calls at once, only one is allowed."""
        with self._lock:
            now = self._clock()
            history = self._histories.setdefault(key, _History())
            last, history.last_call = history.last_call, now
            if now < history.blocked_until:
                return Verdict.BLOCKED
            if not self._interval:
                return Verdict.ALLOWED
            history.recent.append(now)
            while history.recent[0] <= now - self._interval / MINUTES_PER_INTERVAL:
                history.recent.popleft()
            if len(history.recent) > CALLS_PER_MINUTE:
                self._start_block(history, now)
                return Verdict.BLOCKED
            too_soon = last is not None and now - last < self._interval
            return Verdict.TOO_SOON if too_soon else Verdict.ALLOWED

    def block(self, key: str) -> None:
        """Block the key from now on, as if its caller had hammered."""
        with self._lock:
            self._start_block(self._histories.setdefault(key, _History()), self._clock())

    def _start_block(self, history: _History, now: float) -> None:
        history.blocked_until = now + self._block
        history.recent.clear()
