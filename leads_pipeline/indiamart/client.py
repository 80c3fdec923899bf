"""One call: one window in, one answer out. Never retries, never judges; what it raises never holds a secret."""

import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from leads_pipeline import __version__
from leads_pipeline.days import utc_now
from leads_pipeline.indiamart.access import Access
from leads_pipeline.indiamart.api_versions import ApiVersion
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.kill_points import reach
from leads_pipeline.secret_values import SecretMasker, mask_in_library_logs

_CHUNK_BYTES = 65_536
_MAX_BODY_BYTES = 256 * 1024 * 1024
_MAX_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class HttpAnswer:
    """What came back from one call, as it came."""

    body: bytes
    http_status: int
    sent_at: datetime
    received_at: datetime
    server_date: datetime | None
    """The answer's Date header, where it has a readable one."""
    latency_seconds: float
    key_masked: bool
    """Whether the answer echoed the key, or v1's mobile number; both are masked in `body`."""
    cut_off: bool
    """Whether the connection ended before the whole body came."""


class UnreachableError(Exception):
    """No answer came; the text says why in words, without the address and what is secret in it."""


class IndiaMartClient:
    """Asks one version of the API for one window with one GET.

    The address is IndiaMART's, or a fake server's for tests and the demo. The time limit (seconds) holds for
    connecting (10 at most), for the wait until the answer begins, and, from the start of the call, for the
    whole body. Redirects are not followed: the key must reach no other host.
    """

    def __init__(self, version: ApiVersion, access: Access, timeout_seconds: float) -> None:
        self._version = version
        self._access = access
        self._timeout_seconds = timeout_seconds
        for secret in access.secrets:
            mask_in_library_logs(secret)

    def ask(self, window: Window) -> HttpAnswer:
        """Make the call and return the answer, whatever it says; raise UnreachableError if none came.

        Raises ValueError, before any call, for a window that the version would not answer in full.
        """
        address = self._version.address(self._access, window)
        sent_at, started = utc_now(), time.monotonic()
        deadline = started + self._timeout_seconds
        try:
            with requests.Session() as session:
                session.trust_env = not _is_loopback(self._access.url)  # a proxy serves no fake on this machine
                with session.get(
                    address,
                    timeout=(min(self._timeout_seconds, _MAX_CONNECT_SECONDS), self._timeout_seconds),
                    headers={"User-Agent": f"leads_pipeline/{__version__}", "Accept": "application/json"},
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    reach("call:sent")
                    body, cut_off = _read_body(response, deadline)
        except (OSError, HTTPError) as error:  # requests' own errors are OSErrors; it lets some of urllib3's pass
            raise UnreachableError(_reason(error)) from None
        masked = SecretMasker(self._version.body_secrets(self._access, body)).data(body)
        return HttpAnswer(
            body=masked,
            http_status=response.status_code,
            sent_at=sent_at,
            received_at=utc_now(),
            server_date=_date_header(response.headers.get("Date")),
            latency_seconds=time.monotonic() - started,
            key_masked=masked != body,
            cut_off=cut_off,
        )


def _read_body(response: requests.Response, deadline: float) -> tuple[bytes, bool]:
    """Return the body and whether it was cut off; a part that came is kept, for every answer is stored.

    `read1` returns what has arrived, so that a server that trickles can't outlast the deadline.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > _MAX_BODY_BYTES or time.monotonic() > deadline:
                return b"".join(chunks), True
    except (HTTPError, OSError):
        return b"".join(chunks), True
    return b"".join(chunks), False


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate could not be checked"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer within the time limit"
    words = str(error)
    if "NameResolution" in words or "Name or service" in words or "getaddrinfo" in words:
        return "the server's name could not be resolved"
    if "refused" in words:
        return "the connection was refused"
    if "reset" in words.lower() or "aborted" in words.lower():
        return "the connection was reset"
    return f"the call failed ({type(error).__name__})"


def _date_header(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"
