"""What can be set about the delivery to one SharpSpring account."""

import re
from dataclasses import dataclass

from leads_pipeline.delivery.crm import Sync, Update
from leads_pipeline.delivery.rate import RateLimit

URL = "https://api.sharpspring.com/pubapi/v1.2/"
"""v1.2 speaks UTC (contract 2.1)."""
ROWS_PER_CALL = 250
"""Half of what the API takes at most: its provider advises so for leads with many fields (contract 2.3)."""
CALLS_PER_SECOND = RateLimit(5, 1.0)
"""Half of what the API allows (contract 2.5)."""
MOST_ROWS_PER_CALL = 500

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class SharpSpringOptions:
    """Behaviour and limits; ValueError for what can't work.

    `placeholder_email` is a template of the address that stands in for a missing one, such as
    `{query_id}@no-email.invalid`; None or empty holds such leads back. Its braces name `query_id` or a field of the
    CRM. `daily_reserve` calls of the day are left to the account's other programs. `wait_seconds` is how long a call
    that found the API busy waits before it is tried again.
    """

    url: str = URL
    sync: Sync = "create_and_update"
    update: Update = "overwrite"
    placeholder_email: str | None = None
    rows_per_call: int = ROWS_PER_CALL
    limits: tuple[RateLimit, ...] = (CALLS_PER_SECOND,)
    daily_reserve: int = 500
    timeout_seconds: float = 60.0
    wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows_per_call <= MOST_ROWS_PER_CALL:
            raise ValueError(f"rows_per_call must be 1 to {MOST_ROWS_PER_CALL}")
        if problem := placeholder_problem(self.placeholder_email):
            raise ValueError(problem)


def placeholder_problem(template: str | None) -> str:
    """Return why the template can't make addresses; empty if it can, or if there is none."""
    if not template:
        return ""
    rest = _PLACE.sub("x", template)
    if not _PLACE.search(template):
        return "placeholder_email needs a name in braces, such as {query_id}@no-email.invalid: else all are one lead"
    if re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+", rest) is None:
        return "placeholder_email is no address, such as {query_id}@no-email.invalid"
    return ""


def placeholder_of(template: str, values: dict[str, str]) -> str:
    """Return the address that stands in for a missing one; empty if a name in braces has no value."""
    texts = {name: re.sub(r"[^A-Za-z0-9._-]", "", values.get(name, "")) for name in _PLACE.findall(template)}
    return _PLACE.sub(lambda place: texts[place[1]], template).lower() if all(texts.values()) else ""
