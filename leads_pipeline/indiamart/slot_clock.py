"""The clocks that a call slot's time is kept by, and a deadline that no change of the wall clock moves."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class SlotClock(Protocol):
    """The clocks that a slot's time is kept by."""

    def wall(self) -> float:
        """Return seconds since 1970; people and other machines may set it."""
        ...

    def since_boot(self) -> float:
        """Return seconds since the machine's start, asleep or not; nobody can set it."""
        ...

    def boot_id(self) -> str:
        """Return what tells one start of the machine from another; empty where that can't be told."""
        ...


class SystemClock:
    """The clocks of the machine that the process runs on."""

    def wall(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def since_boot(self) -> float:
        """Return seconds since the machine's start."""
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.clock_gettime(clock) if clock is not None else time.monotonic()

    def boot_id(self) -> str:
        """Return the kernel's id of this start, or nothing where the system has none."""
        try:
            return _BOOT_ID_FILE.read_text(encoding="ascii").strip()
        except OSError:
            return ""


@dataclass(frozen=True)
class Deadline:
    """A moment that lies some seconds after another, told by each clock."""

    wall: float
    since_boot: float
    boot_id: str
    seconds: float
    """How long it was ahead when it was set."""

    @classmethod
    def after(cls, seconds: float, clock: SlotClock) -> "Deadline":
        """Return the moment so many seconds from now."""
        return cls(clock.wall() + seconds, clock.since_boot() + seconds, clock.boot_id(), seconds)

    def seconds_left(self, clock: SlotClock) -> float:
        """Return how long it is still ahead, never less than it is; negative once it has passed.

        Within one start of the machine the wall clock plays no part. After another, only that clock can tell
        how long the machine was off, and may be wrong either way: so at least as much time must have passed
        since the start as the deadline was ahead, and no more than that is waited for (see `was_moved`).
        """
        if self._is_of_this_boot(clock):
            return self.since_boot - clock.since_boot()
        by_wall = min(self.wall - clock.wall(), self.seconds)
        return max(by_wall, self.seconds - clock.since_boot())

    def was_moved(self, clock: SlotClock) -> bool:
        """Tell whether the wall clock was set back so far that the deadline must be set anew to be waited for."""
        return not self._is_of_this_boot(clock) and self.wall - clock.wall() > self.seconds

    def _is_of_this_boot(self, clock: SlotClock) -> bool:
        return bool(self.boot_id) and self.boot_id == clock.boot_id()
