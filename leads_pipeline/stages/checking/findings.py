"""What a check found, and which days it looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from leads_pipeline.days import days_between
from leads_pipeline.indiamart.windows import MAX_WINDOW


@dataclass(frozen=True)
class Finding:
    """What a check found: whether all is well, and if not what it means and what to do. Holds no buyer's value."""

    passed: bool
    sentence: str
    facts: Mapping[str, int | float | str] = field(default_factory=dict)
    """Counts, days, ids of responses and names; never a value of a record."""
    is_warning: bool = False
    """Whether a finding that is not passed only warns, and holds up nothing."""


@dataclass(frozen=True)
class Scope:
    """The days that a check looks at: those of a run, or all of the account's."""

    run_days: tuple[date, ...] | None
    """The run's days, in order; None for all days."""

    @property
    def touched(self) -> list[date] | None:
        """Return the days that the run's answers can have touched; None for all days."""
        if self.run_days is None:
            return None
        return days_between(self.run_days[0], self.run_days[-1] + MAX_WINDOW)

    def among(self, days: Sequence[date]) -> list[date]:
        """Return those of the days that are looked at."""
        return list(days) if self.touched is None else sorted({*days} & {*self.touched})
