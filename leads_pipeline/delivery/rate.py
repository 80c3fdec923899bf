"""The rate of calls to a CRM: one bucket per CRM account, shared by all processes, in the file of the call slots."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leads_pipeline.indiamart.call_log import calls_database
from leads_pipeline.sqlite_files import immediate

_NAME_LENGTH = 16


@dataclass(frozen=True)
class RateLimit:
    """At most so many calls in any span of so many seconds."""

    calls: int
    seconds: float


def bucket_name(key: str, kind: str) -> str:
    """Return the bucket of a CRM account's calls of one kind; the key can't be had back from it."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:_NAME_LENGTH]}.{kind}"


class CallRate:
    """Holds the calls of one bucket to its limits; `take` returns when the next call may be made.

    A call is entered before it is made, so a process that dies has used it up. Times are wall-clock seconds; where the
    clock was set back, calls count as made now.
    """

    def __init__(
        self,
        path: Path,
        bucket: str,
        limits: Sequence[RateLimit],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path, self._bucket, self._limits = path, bucket, tuple(limits)
        self._clock, self._sleep = clock, sleep

    def take(self) -> None:
        """Wait until the limits allow one more call, and enter it."""
        while (seconds := self._try()) > 0:
            self._sleep(seconds)

    def _try(self) -> float:
        """Enter a call and return 0, or return the seconds until it is worth asking again."""
        longest = max((limit.seconds for limit in self._limits), default=0.0)
        with calls_database(self._path) as connection, immediate(connection):
            now = self._clock()
            connection.execute("UPDATE crm_call SET at = ? WHERE bucket = ? AND at > ?", (now, self._bucket, now))
            connection.execute("DELETE FROM crm_call WHERE bucket = ? AND at <= ?", (self._bucket, now - longest))
            times = [
                at
                for (at,) in connection.execute(
                    "SELECT at FROM crm_call WHERE bucket = ? ORDER BY at DESC", (self._bucket,)
                )
            ]
            waits = [
                times[limit.calls - 1] + limit.seconds - now for limit in self._limits if len(times) >= limit.calls
            ]
            wait = float(max([0.0, *waits]))
            if wait == 0:
                connection.execute("INSERT INTO crm_call VALUES (?, ?)", (self._bucket, now))
            return wait
