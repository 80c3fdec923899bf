"""One HTTP call to a CRM: JSON in, JSON or text out. Never judges; what it raises or returns never holds a key."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from leads_pipeline import __version__
from leads_pipeline.days import utc_now
from leads_pipeline.secret_values import SecretMasker, mask_in_library_logs

_MAX_CONNECT_SECONDS = 10.0
_MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class CrmAnswer:
    """What came back from one call."""

    http_status: int
    text: str
    sent_at: datetime
    seconds: float

    @property
    def json(self) -> Any:
        """Return the body as JSON, or None if it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class NoAnswerError(Exception):
    """No whole answer came; the text says why in words."""

    def __init__(self, reason: str, sent_at: datetime, seconds: float, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent_at = sent_at
        self.seconds = seconds
        self.was_sent = was_sent
        """Whether the CRM may have got the call, and written what it was told."""


class HttpCalls:
    """Makes the calls of one CRM account over one kept connection.

    `secrets` are masked in answers and in what libraries log. `timeout_seconds` holds for connecting (10 at most)
    and for each wait for the answer. Redirects are not followed: keys must reach no other host.
    """

    def __init__(self, secrets: Iterable[str], timeout_seconds: float) -> None:
        secrets = [secret for secret in secrets if secret]
        self._masker = SecretMasker(secrets)
        self._timeouts = (min(timeout_seconds, _MAX_CONNECT_SECONDS), timeout_seconds)
        self._session = requests.Session()
        for secret in secrets:
            mask_in_library_logs(secret)

    def get(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> CrmAnswer:
        """Ask with GET; raise NoAnswerError."""
        return self._call("GET", url, params, headers, None)

    def post(self, url: str, params: Mapping[str, str], headers: Mapping[str, str], body: object) -> CrmAnswer:
        """Send the body as JSON with POST; raise NoAnswerError."""
        return self._call("POST", url, params, headers, json.dumps(body, ensure_ascii=False).encode())

    def _call(
        self, method: str, url: str, params: Mapping[str, str], headers: Mapping[str, str], data: bytes | None
    ) -> CrmAnswer:
        sent_at, started = utc_now(), time.monotonic()
        self._session.trust_env = not _is_loopback(url)  # a proxy serves no fake on this machine
        try:
            with self._session.request(
                method,
                url,
                params=dict(params),
                data=data,
                headers={
                    "User-Agent": f"leads_pipeline/{__version__}",
                    "Accept": "application/json",
                    **({} if data is None else {"Content-Type": "application/json"}),
                    **headers,
                },
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_MAX_BODY_BYTES, decode_content=True)
        except (OSError, HTTPError) as error:  # requests' own errors are OSErrors; it lets some of urllib3's pass
            raise NoAnswerError(
                _reason(error), sent_at, time.monotonic() - started, was_sent=not _was_never_sent(error)
            ) from None
        text = self._masker.text(body.decode("utf-8", "replace"))
        return CrmAnswer(response.status_code, text, sent_at, time.monotonic() - started)


def _was_never_sent(error: Exception) -> bool:
    words = str(error)
    return isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError) or any(
        sign in words for sign in ("NewConnectionError", "NameResolution", "refused")
    )


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate could not be checked"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
        return "no answer within the time limit"
    words = str(error)
    if "NameResolution" in words or "Name or service" in words or "getaddrinfo" in words:
        return "the server's name could not be resolved"
    if "refused" in words:
        return "the connection was refused"
    return "the connection broke before the answer had come"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"
