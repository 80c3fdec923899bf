"""Helpers of tests that need settings, a workspace, a key, an answer or a server with manners of its own."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from leads_pipeline.days import ONE_DAY, day_of, days_between, utc_now
from leads_pipeline.settings import Account, ApiVersionName, Settings
from leads_pipeline.stages.pull import Pulled, PullLater, PullRequest, pull
from leads_pipeline.stages.workspace import Workspace

KEY = "canary/Key+of-the=tests/9f3A=="
"""Shaped like a real key, with what must be encoded in a URL; it opens nothing."""

_LOCAL_NAMES = frozenset({None, "", "localhost", "0.0.0.0", "::", "::1"})  # noqa: S104 - names, not bound to


class OtherMachineError(BaseException):
    """A test reached for another machine. No Exception, so that no code under test can take it for a failed call."""


def refuse_other_machines(address: object) -> None:
    """Raise OtherMachineError unless the address is one of this machine's, or no internet address at all."""
    if not isinstance(address, tuple):
        return  # a Unix socket's path
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host not in _LOCAL_NAMES and not str(host).startswith("127."):
        raise OtherMachineError(f"a test reached for {host}")


def make_settings(
    data_root: Path,
    url: str,
    key: str = KEY,
    *,
    account: str = "indiamart",
    interval: float = 0.05,
    block: float = 0.2,
    timeout: float = 5.0,
    origin: str | None = None,
    start: date | None = None,
    api_version: ApiVersionName = "v2",
    mobile: str = "",
) -> Settings:
    """Return settings with one account that asks `url`; `data/` lies in `data_root`. Times are in seconds."""
    parts = urlsplit(url)
    return Settings(
        root=data_root,
        data_dir=data_root / "data",
        start_date=None,
        published_group=None,
        accounts=(
            Account(
                name=account,
                api_url=url,
                key=key,
                call_interval_seconds=interval,
                block_seconds=block,
                timeout_seconds=timeout,
                origin=f"{parts.scheme}://{parts.netloc}" if origin is None else origin,
                api_version=api_version,
                mobile=mobile,
                start=start,
            ),
        ),
    )


def make_workspace(settings: Settings) -> Workspace:
    """Return the settings' workspace with its folders made."""
    workspace = Workspace(settings)
    workspace.prepare()
    return workspace


def complete_days(count: int, *, ago: int = 2) -> tuple[date, ...]:
    """Return so many neighbouring days, the last of them `ago` days before today in India."""
    last = day_of(utc_now()) - ago * ONE_DAY
    return tuple(days_between(last - (count - 1) * ONE_DAY, last))


def pull_to_the_end(workspace: Workspace, request: PullRequest, log: Callable[[str], None] = print) -> Pulled:
    """Pull as a run does: wait as long as it is told, and try again."""
    deadline = time.monotonic() + 30
    while True:
        result = pull(workspace, request, log)
        if not isinstance(result, PullLater):
            return result
        assert time.monotonic() < deadline, result.reason
        time.sleep(max(result.seconds, 0.001))


def encodings_of(secret: str) -> set[str]:
    """Return the forms in which a secret can stand in URLs, JSON, reprs, base64 and HTML."""
    percent = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(quote(secret, safe=""), safe="")}
    in_json = json.dumps(secret)[1:-1]
    return {
        secret,
        *percent,
        *(form.lower() for form in percent if form.lower() == form),
        in_json,
        in_json.replace("/", "\\/"),
        "".join(character if character.isalnum() else f"\\u{ord(character):04x}" for character in secret),
        "".join(character if character.isalnum() else f"&#{ord(character)};" for character in secret),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode()[: len(secret) * 8 // 6],
    }


def forms_found(secret: str, text: str) -> set[str]:
    """Return the forms of the secret that the text holds."""
    return {form for form in encodings_of(secret) if form in text}


def answer_body(
    code: object = 200, message: object = "", records: object = (), total: object = None, **more: object
) -> bytes:
    """Return a v2 answer; TOTAL_RECORDS is the number of records unless given."""
    rows = list(records) if isinstance(records, list | tuple) else records
    envelope: dict[str, object] = {
        "CODE": code,
        "STATUS": "SUCCESS" if code == 200 else "FAILURE",
        "MESSAGE": message,
        "TOTAL_RECORDS": len(rows) if total is None and isinstance(rows, list) else total,
        "RESPONSE": rows,
        **more,
    }
    return json.dumps(envelope).encode()


def records_of(*query_ids: str, at: str = "2026-03-02 10:00:00") -> list[dict[str, str]]:
    """Return records as the API hands them out, with few fields."""
    return [{"UNIQUE_QUERY_ID": one, "QUERY_TYPE": "W", "QUERY_TIME": at} for one in query_ids]


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return the bytes of an HTTP answer that closes its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class BareServer:
    """A server on this machine that answers each connection with the same bytes; `requests` are what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Return the address of its one page."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/crm/"

    def serve(self) -> None:
        """Answer until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(_request_of(connection))
                connection.sendall(self._answer)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def bare_server(answer: bytes) -> Iterator[BareServer]:
    """Run a BareServer in a thread."""
    server = BareServer(answer)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


def _request_of(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    return data.decode("latin-1")


def closed_port_url() -> str:
    """Return an address of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: Any = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


def ist(text: str) -> datetime:
    """Return the moment that a wall clock in India shows so: `2026-03-02 10:00:00`."""
    return datetime.fromisoformat(f"{text}+05:30")


WEEK = timedelta(days=7)
