"""Named points at which a test can kill the process, to prove that every step is safe to kill there."""

import os
import signal
from collections import Counter

_ENVIRONMENT = "LEADS_KILL_AT"
_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Kill this process with SIGKILL if `LEADS_KILL_AT` is `name`, or `name:n` at the n-th time (from 1)."""
    wanted = os.environ.get(_ENVIRONMENT)
    if not wanted:
        return
    _reached[name] += 1
    if wanted in (name, f"{name}:{_reached[name]}"):
        os.kill(os.getpid(), signal.SIGKILL)
