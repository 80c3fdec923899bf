"""The demo's fixed facts: which days it has, and where its fake IndiaMART answers. Kept in `data/state/demo.json`."""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from leads_pipeline.days import ONE_DAY, day_of

DEMO_DAYS = 30
DEMO_SEED = 7
DEMO_KEY = "demo/Key+for-the-fake-IndiaMART=="
"""Shaped like a real key; it opens nothing but the fake server, so it is no secret."""
DEMO_PORT = 8765
DEMO_INTERVAL_SECONDS = 2.0
_SETTLING = timedelta(minutes=10)  # a day that ended only just now can't be proven complete yet


@dataclass(frozen=True)
class DemoSetup:
    """What the first demo decided, so that later ones show the same."""

    first_day: str
    last_day: str
    url: str

    @classmethod
    def for_moment(cls, now: datetime, url: str) -> "DemoSetup":
        """Return the setup of a demo that starts now: the last 30 complete days."""
        last = day_of(now - _SETTLING) - ONE_DAY
        return cls((last - (DEMO_DAYS - 1) * ONE_DAY).isoformat(), last.isoformat(), url)

    @classmethod
    def load(cls, state_dir: Path) -> "DemoSetup | None":
        """Return the setup that an earlier demo left, or None."""
        path = setup_file(state_dir)
        if not path.exists():
            return None
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def to_json(self) -> bytes:
        """Return the file's text."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @property
    def days(self) -> tuple[date, date]:
        """Return the demo's first and last day."""
        return date.fromisoformat(self.first_day), date.fromisoformat(self.last_day)


def setup_file(state_dir: Path) -> Path:
    """Return the path of the demo's setup."""
    return state_dir / "demo.json"
