"""The form of `LEADS_ALERT_URLS` and of accounts' own addresses: where alerts go, from which level up. Sends nothing.

An address holds passwords and tokens, so it is a secret as a whole: no text made here shows any of it.
"""

import re
from dataclasses import dataclass, field

from leads_pipeline.indiamart.outcomes import AlertLevel

ALERT_URLS = "LEADS_ALERT_URLS"
"""The variable with the addresses for all accounts."""

_ENTRY = re.compile(r"(?:(?P<words>[A-Za-z0-9_.,-]+)=)?(?P<url>(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://\S+)")
_LEVELS = {level.value: level for level in AlertLevel if level is not AlertLevel.NONE}


@dataclass(frozen=True)
class AlertUrl:
    """One address that alerts go to."""

    url: str = field(repr=False)
    label: str
    """What people and logs know it by: its place in the setting and its scheme, for example `2 (mailto)`."""
    level: AlertLevel = AlertLevel.WARNING
    """Alerts of this level and above go there."""
    account: str | None = None
    """Only alerts of this account go there; None for all."""
    setting: str = ALERT_URLS
    """The variable or file that it was read from."""


def parse_alert_urls(text: str) -> tuple[AlertUrl, ...]:
    """Return the addresses of the setting: `[level or account,...=]url`, divided by spaces or line ends.

    Raises ValueError, which names the entry by its place, when one has another form or stands there twice.
    """
    found: list[AlertUrl] = []
    for place, entry in enumerate(text.split(), 1):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"entry {place} is not of the form url or level=url (level: {', '.join(_LEVELS)})")
        words = (match["words"] or "").split(",") if match["words"] else []
        levels = [_LEVELS[word] for word in words if word in _LEVELS]
        accounts = [word for word in words if word not in _LEVELS]
        if len(levels) > 1 or len(accounts) > 1:
            raise ValueError(f"entry {place} has more than one level or more than one account before its =")
        url = match["url"]
        if any(url == other.url for other in found):
            raise ValueError(f"entry {place} repeats the address of an earlier entry")
        level = levels[0] if levels else AlertLevel.WARNING
        label = f"{place} ({match['scheme'].lower()})"
        found.append(AlertUrl(url, label, level, accounts[0] if accounts else None))
    return tuple(found)
