"""Channels: where messages go out, by Apprise (e-mail, Slack, Teams, Telegram, webhooks and many more).

An address holds passwords and tokens. Whatever Apprise says of a failure is masked by the parts of the address, and
nothing of what it logs by itself reaches any other log.
"""

import hashlib
import logging
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from leads_pipeline.alert_urls import ALERT_URLS, AlertUrl
from leads_pipeline.alerts.due import Stage
from leads_pipeline.indiamart.outcomes import AlertLevel
from leads_pipeline.secret_values import SecretMasker
from leads_pipeline.settings import SettingsError

if TYPE_CHECKING:  # its import takes half a second, which commands without channels must not wait for
    from apprise import NotifyBase

_LOGGERS_THAT_SHOW_ADDRESSES = ("apprise", "urllib3", "requests")
"""Below warnings they write down whole addresses."""
_FINGERPRINT_LENGTH = 16
_MOST_WORDS = 300
_LEVEL_TYPES = {AlertLevel.INFO: "info", AlertLevel.WARNING: "warning", AlertLevel.CRITICAL: "failure"}


class NotDeliveredError(Exception):
    """A channel did not take a message; the text says why as far as it is known, without the address."""


@dataclass(frozen=True)
class Channel:
    """One address that is ready to be sent to."""

    address: AlertUrl
    _notifier: "NotifyBase" = field(repr=False)

    @property
    def name(self) -> str:
        """Return what the ledger knows it by; the address can't be had back from it.

        Accounts may have the same address among their own, and each of them has its own order of messages.
        """
        address = self.address
        whose = "" if address.setting == ALERT_URLS else f" {address.account}"
        return hashlib.sha256(f"{address.url}{whose}".encode()).hexdigest()[:_FINGERPRINT_LENGTH]

    def send(self, subject: str, body: str, level: AlertLevel, stage: Stage) -> None:
        """Send the message; NotDeliveredError if the channel did not take it."""
        kind = "success" if stage in (Stage.RECOVERY, Stage.MISSED) else _LEVEL_TYPES[level]
        with _Overheard() as overheard:
            try:
                taken = self._notifier.notify(body=body, title=subject, notify_type=kind, body_format="text")
            except Exception as error:  # plugins of many makers: none of them may stop the others
                raise NotDeliveredError(f"it failed ({type(error).__name__})") from None
        if not taken:
            words = " ".join(_masker(self.address.url).text(" ".join(overheard.words)).split())
            raise NotDeliveredError(words[:_MOST_WORDS] or "it did not take the message")


def open_channels(addresses: tuple[AlertUrl, ...], accounts: frozenset[str]) -> tuple[Channel, ...]:
    """Return the channels of the addresses; SettingsError, without the address, for one that can't be used."""
    return tuple(open_channel(address, accounts) for address in addresses)


def open_channel(address: AlertUrl, accounts: frozenset[str]) -> Channel:
    """Return the address's channel, without sending anything; SettingsError as from `open_channels`."""
    if address.account is not None and address.account not in accounts:
        raise _unusable(
            address, f"names neither a level nor an account before its =; accounts: {', '.join(sorted(accounts))}"
        )
    from apprise import Apprise

    with _Overheard():
        notifier = Apprise.instantiate(address.url, suppress_exceptions=True)
    if notifier is None:
        raise _unusable(
            address,
            "is no address that Apprise can use. Its list of services says how each is written "
            "(https://github.com/caronc/apprise/wiki); special characters in passwords are percent-encoded",
        )
    return Channel(address, notifier)


def _unusable(address: AlertUrl, why: str) -> SettingsError:
    return SettingsError(f"{address.setting}: entry {address.label} {why}.", [address.setting])


def _masker(url: str) -> SecretMasker:
    """Return what masks the address and its parts."""
    plain = unquote(url)
    return SecretMasker([url, plain, *re.split(r"[\s/:@?&=,;]+", plain), *re.split(r"[/:@?&=,;]+", url)])


class _Overheard(logging.Handler):
    """Takes in what Apprise logs in the block, and keeps addresses from all other logs; one block at a time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        self._levels: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's text."""
        self.words.append(record.getMessage())

    def __enter__(self) -> "_Overheard":
        _one_at_a_time.acquire()
        for name in _LOGGERS_THAT_SHOW_ADDRESSES:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(logging.WARNING)
        apprise = logging.getLogger("apprise")
        apprise.propagate = False
        apprise.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        _one_at_a_time.release()


_one_at_a_time = threading.Lock()
