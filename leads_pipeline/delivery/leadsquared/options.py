"""What can be set about the delivery to one LeadSquared account, and the forms of its host."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from leads_pipeline.delivery.crm import Sync, Update
from leads_pipeline.delivery.rate import RateLimit

DISCOVERY_HOST = "api.leadsquared.com"
"""Says of any keys which host they belong to (contract 1.1)."""
MOST_CREATED = 50
MOST_UPSERTED = 25
MOST_ACTIVITIES = 25
"""What Bulk/Create, Bulk/CreateOrUpdate and the call for activities take at most (contract 1.3)."""
CALLS = RateLimit(10, 5.0)
BULK_CALLS = RateLimit(1, 5.0)
"""Safe on all plans but Lite and the old Pro (contract 1.6)."""
EMAIL, PHONE = "EmailAddress", "Phone"

_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class LeadSquaredOptions:
    """Behaviour and limits; ValueError for what can't work.

    `host` in any form that people paste; empty to have it asked for at `discovery_host`. `search_key` is the field
    that records are found by: Phone, EmailAddress, or any that is unique there. `activity` is the event code or the
    name of the activity type that notes each enquiry; empty for none. `rows_per_call` is how many leads a call brings,
    if it takes so many. `wait_seconds` is how long a call that failed waits before it is tried again,
    `rate_wait_seconds` one that came too fast.
    """

    host: str = ""
    sync: Sync = "create_and_update"
    update: Update = "overwrite"
    search_key: str = PHONE
    activity: str = ""
    rows_per_call: int = MOST_CREATED
    call_limits: tuple[RateLimit, ...] = (CALLS,)
    bulk_limits: tuple[RateLimit, ...] = (BULK_CALLS,)
    timeout_seconds: float = 60.0
    wait_seconds: float = 2.0
    rate_wait_seconds: float = 5.0
    discovery_host: str = DISCOVERY_HOST

    def __post_init__(self) -> None:
        if not 1 <= self.rows_per_call <= MOST_CREATED:
            raise ValueError(f"rows_per_call must be 1 to {MOST_CREATED}")
        if not self.search_key:
            raise ValueError("search_key must name a field, such as Phone")
        for host in (self.host, self.discovery_host):
            if host:
                base_url(host)

    @property
    def overwrites(self) -> bool:
        """Tell whether all values of a lead are written over those of its record."""
        return self.sync == "create_and_update" and self.update == "overwrite"


def base_url(host: str) -> str:
    """Return where the API's paths begin, with a slash at the end, of a host in any form; ValueError if it is none.

    Forms: `api-in21.leadsquared.com`, with `https://` before, with `/v2` or `/v2/` after (contract 1.1). Plain http
    is for this machine alone: keys must not go through the net unencrypted.
    """
    text = host.strip()
    bare = text.partition("://")[2] or text
    is_local = bare.partition("/")[0].partition(":")[0] in _LOOPBACK
    parts = urlsplit(text if "://" in text else f"{'http' if is_local else 'https'}://{text}")
    problem = "the LeadSquared host must be such as api-in21.leadsquared.com"
    try:
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if not parts.hostname or parts.path.rstrip("/") not in ("", "/v2") or parts.query or "@" in parts.netloc:
        raise ValueError(problem)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ValueError("the LeadSquared host must be spoken to by https")
    return f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}/v2/"
