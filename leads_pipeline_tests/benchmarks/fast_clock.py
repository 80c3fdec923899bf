"""A wall clock that runs faster than the real one, so that a soak of minutes sees days go by."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class FastClock:
    """From `real_start` (seconds since 1970) on it shows `start` and runs `speed` times as fast as the real clock.

    Once it shows `end` it runs at the real pace, so that what comes last happens at one moment of its time.
    """

    real_start: float
    start: datetime
    end: datetime
    speed: float

    def now(self) -> datetime:
        passed = max(time.time() - self.real_start, 0.0)
        fast = min(passed, (self.end - self.start).total_seconds() / self.speed)
        return self.start + timedelta(seconds=fast * self.speed + passed - fast)

    @property
    def is_over(self) -> bool:
        return self.now() >= self.end

    def to_arguments(self) -> list[str]:
        return [str(self.real_start), self.start.isoformat(), self.end.isoformat(), str(self.speed)]

    @classmethod
    def from_arguments(cls, real_start: str, start: str, end: str, speed: str) -> "FastClock":
        moments = [datetime.fromisoformat(moment).astimezone(UTC) for moment in (start, end)]
        return cls(float(real_start), moments[0], moments[1], float(speed))
